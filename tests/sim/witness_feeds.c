/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What feeds must tell of the requests that end: at once, in the order of the file, each request
 * once; one of each row that is sampled; and an outlier where the mean and the deviation of all
 * readings before it say so. Those are worked out here from all readings, by their definition, as
 * no feed could.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "pipeline/base/json.h"
#include "pipeline/requests/record_members.h"
#include "pipeline/stages/pipeline.h"
#include "tests/sim/witness_parts.h"

/* What is computed in two ways differs by so little. */
#define NEARLY 1e-6

static const struct planned_feeds *planned(const struct witness *witness)
{
	return &witness->plan->configuration.feeds;
}

static bool is_of(const struct record *record, uint32_t shape)
{
	return record->pipeline && record->pipeline->index == shape;
}

static double least_of(const struct planned_feeds *feeds, double deviation)
{
	double by_deviation = (double)feeds->over * deviation;
	return by_deviation > (double)feeds->least ? by_deviation : (double)feeds->least;
}

/* The mean and deviation of all that was learned: the nth reading weighs 1/n, at least 1/memory,
 * and takes its weight from those before it in equal shares. */
static void sum_up(const struct seen_feeds *seen, uint64_t memory, double *ret_mean,
		double *ret_deviation)
{
	double mean = 0, variance = 0, left = 1;
	for (int pass = 0; pass < 2; pass++, left = 1) {
		for (size_t i = seen->learned_count; i > 0; i--) {
			double weight = left / (double)(i < memory ? i : memory);
			double reading = seen->learned[i - 1];
			if (pass == 0)
				mean += weight * reading;
			else
				variance += weight * (reading - mean) * (reading - mean);
			left -= weight;
		}
	}
	*ret_mean = mean;
	*ret_deviation = sqrt(variance);
}

/* Whether the reading must be told; it may be either way where it lies on the limit. */
static void judge(struct witness *witness, struct seen_feeds *seen, double reading)
{
	const struct planned_feeds *feeds = planned(witness);
	double deviation;
	sum_up(seen, feeds->memory, &seen->mean, &deviation);
	double limit = least_of(feeds, deviation);
	double beyond = reading - seen->mean - limit;
	bool odd = seen->learned_count >= feeds->warmup && beyond > 0;
	witness->telling.expected |= odd ? FEED_ODD : 0;
	/* Where it may be either way, what is learned is the same. */
	witness->telling.unsure =
			seen->learned_count >= feeds->warmup && fabs(beyond) < NEARLY * reading;
	if (seen->learned_count < FEED_READINGS_MAX)
		seen->learned[seen->learned_count++] = odd ? seen->mean + limit : reading;
}

/* Of the feeds that see the latest request. */
static struct seen_feeds *feeds_of(const struct witness *witness)
{
	return &witness->generations[witness->telling.generation - 1].feeds;
}

/* Of the latest request nothing has been kept back. */
static void check_told(struct witness *witness)
{
	struct seen_telling *telling = &witness->telling;
	unsigned unsure = telling->unsure ? FEED_ODD : 0;
	if (telling->generation == 0)
		return;
	struct seen_feeds *seen = feeds_of(witness);
	if (telling->expected & ~unsure)
		witness_complain(witness, "a feed has not told of a request");
	if (seen->row == planned(witness)->sample && seen->row_told != 1)
		witness_complain(
				witness, "a feed has told of %" PRIu64 " in a row", seen->row_told);
	if (seen->row == planned(witness)->sample)
		seen->row = seen->row_told = 0;
}

/* Whatever any feed may tell of it, whatever goes on with it. */
static void check_text(struct witness *witness, const struct record *record)
{
	static const struct json_limits limits = {.bytes = 1 << 24, .depth = 8, .values = 1 << 20};
	struct buffer buffer;
	struct arena arena;
	struct json json;
	struct json_error error;
	buffer_init(&buffer);
	arena_init(&arena, NULL);
	buffer_append(&buffer, TEXT("{\"seq\":1"));
	for (const struct record_member *member = record_members; member->name; member++)
		record_member_write(member, &buffer, record);
	buffer_append_char(&buffer, '}');
	if (!json_parse(&json, &arena, buffer_text(&buffer), &limits, &error))
		witness_complain(witness, "what is told of a request is no JSON");
	arena_deinit(&arena);
	buffer_deinit(&buffer);
}

void witness_feeds_ended(struct witness *witness, const struct record *record)
{
	check_told(witness);
	check_text(witness, record);
	witness->telling = (struct seen_telling){
			.us = record->us,
			.generation = record->generation,
			.sampled = is_of(record, 0),
	};
	struct seen_feeds *seen = feeds_of(witness);
	if (record->us > planned(witness)->above)
		witness->telling.expected |= FEED_SLOW;
	seen->row += is_of(record, 0);
	if (is_of(record, 1) && record->status == STATUS_OK)
		judge(witness, seen, (double)record->us);
}

static void take_expected(struct witness *witness, enum watched_feed feed)
{
	struct seen_telling *telling = &witness->telling;
	if (!(telling->expected & feed) && !(feed == FEED_ODD && telling->unsure))
		witness_complain(witness, "a feed tells of what it should not");
	if (telling->expected & (feed - 1U))
		witness_complain(witness, "feeds tell in the wrong order");
	telling->expected &= ~(unsigned)feed;
}

static void check_held(struct witness *witness, const struct outlier_held *held)
{
	const struct seen_feeds *seen = feeds_of(witness);
	coverage_meet(witness->coverage, MET_OUTLIER);
	if (held->reading != (double)witness->telling.us ||
			held->samples + 1 != seen->learned_count ||
			fabs(held->mean - seen->mean) > NEARLY * (1 + seen->mean))
		witness_complain(witness, "an outlier is held against %f, not %f", held->mean,
				seen->mean);
}

void witness_feed_told(struct witness *witness, const struct feed_event *event)
{
	if (event->record->us != witness->telling.us)
		witness_complain(witness, "a feed tells of another request");
	if (event->held)
		check_held(witness, event->held);
	if (text_equal(event->feed->topic, TEXT("feed.slow")))
		take_expected(witness, FEED_SLOW);
	else if (text_equal(event->feed->topic, TEXT("outlier.odd")))
		take_expected(witness, FEED_ODD);
	else if (!witness->telling.sampled || ++feeds_of(witness)->row_told > 1)
		witness_complain(witness, "a feed tells of what it should not sample");
}

void witness_feeds_reloaded(struct witness *witness, const struct seen_generation *before)
{
	struct seen_feeds *seen = &witness_latest(witness)->feeds;
	seen->learned_count = before->feeds.learned_count;
	memcpy(seen->learned, before->feeds.learned, seen->learned_count * sizeof(*seen->learned));
}

void witness_feeds_check_end(struct witness *witness)
{
	check_told(witness);
}
