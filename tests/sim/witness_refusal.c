/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RESOURCE_EXHAUSTED, and how long to stay away. A request is refused for a limit only when it is
 * its turn, and only before it has waited for anything; for a full queue or too many waiters only
 * where there may be so many; and for what a resource says only if it has said so since the request
 * came. Which of these it was stands in the reply.
 *
 * How many bytes are held at its turn is known within bounds: those that were read behind it don't
 * count, and how large they are is the engine's affair.
 */
#include "tests/sim/witness_parts.h"

#include <inttypes.h>
#include <string.h>

#include "pipeline/requests/record.h"
#include "pipeline/wire/wire.h"

#define ARENA_LEAST  ((size_t)1700) /* of a request that has been read */
#define BEHIND_MOST  ((size_t)8192) /* of one that was read and whose turn has not come */
#define HEADER_MOST  ((size_t)512)
#define RETRY_LEAST  5
#define RETRY_USUAL  10
#define MEDIAN_ERROR 8 /* a histogram is off by less than one in so many */

enum excuse {
	EXCUSE_LIMIT = 1,
	EXCUSE_MEMORY = 2,
	EXCUSE_QUEUE = 4,
	EXCUSE_WAITERS = 8,
	EXCUSE_GIVEN = 16,
	EXCUSE_SHED = 32, /* witness_shed.c sees to that */
};

/* How many have been read, and it is not known what became of them: before or behind that one. */
static size_t count_unknown(const struct witness *witness, uint32_t number, bool behind)
{
	size_t count = 0;
	bool passed = false;
	for (size_t i = witness->sent_known; i < witness->sent_count; i++) {
		uint32_t other = witness->sent[i];
		if (other == number)
			passed = true;
		else if (passed == behind && witness->requests[other].state == UNSEEN)
			count++;
	}
	return count;
}

static size_t used(const struct witness *witness)
{
	return engine_account(witness->harness->engine)->used;
}

void witness_before_turn(struct witness *witness, uint32_t number)
{
	const struct configuration *configuration = &witness->plan->configuration;
	size_t others = BEHIND_MOST * count_unknown(witness, number, false);
	witness->requests[number].no_memory = used(witness) >= configuration->bytes + others;
}

bool witness_has_room(const struct witness *witness, uint32_t number)
{
	const struct configuration *configuration = &witness->plan->configuration;
	const struct engine_counts *counts = engine_counts(witness->harness->engine);
	uint32_t peer = witness->requests[number].peer;
	return witness->in_flight + counts->reaping < counts->in_flight_max &&
	       witness->peers[peer].in_flight < configuration->per_client;
}

/* Whether limits.bytes may be used up by all but those that were read behind it. The one that was
 * read last may hold nothing yet. */
static bool may_lack_memory(const struct witness *witness, uint32_t number)
{
	size_t behind = count_unknown(witness, number, true);
	size_t others = behind > 1 ? (behind - 1) * ARENA_LEAST : 0;
	return used(witness) >= witness->plan->configuration.bytes + others;
}

/* How many wait at this moment at most, those included that have just stopped, and refreshes, for
 * which nobody does. */
static size_t count_waiting(const struct witness *witness)
{
	bool refreshes = witness->plan->configuration.refreshes;
	return witness->waiting_count + witness->unsettled_count + witness->told_in_stretch +
	       (refreshes ? 2 * BACKGROUND_MANY : 0);
}

static bool may_queue_be_full(const struct witness *witness, uint32_t number)
{
	const struct seen_generation *generation = witness_generation_of(witness, number);
	const struct shape *shape = witness_shape(witness, number);
	for (size_t i = 0; i < generation->query_count; i++) {
		const struct seen_query *query = &generation->queries[i];
		uint32_t out = query->running + witness_just_ended(witness, query);
		if (out >= query->concurrency && query->queue <= count_waiting(witness) &&
				(shape->reaches >> query->pipeline & 1))
			return true;
	}
	return false;
}

/* Each that waits may do so for a flight that waits for another. */
static bool may_be_crowded(const struct witness *witness, const struct shape *shape)
{
	return shape->caches > 0 &&
	       count_waiting(witness) * (1 + shape->caches) >= shape->waiters_least;
}

void witness_check_refusal(struct witness *witness, uint32_t number, bool waited)
{
	struct seen *seen = &witness->requests[number];
	const struct shape *shape = witness_shape(witness, number);
	unsigned excuses = waited ? EXCUSE_SHED : 0;
	if (may_queue_be_full(witness, number))
		excuses |= EXCUSE_QUEUE;
	if (may_be_crowded(witness, shape))
		excuses |= EXCUSE_WAITERS;
	if (waited && witness_was_given(witness, number, STATUS_RESOURCE_EXHAUSTED))
		excuses |= EXCUSE_GIVEN;
	bool moved = seen->unsure ||
		     (witness->batching && witness->plan->configuration.in_flight_min > 0);
	if (!waited && (!seen->room || moved)) /* the limit may have moved since its turn */
		excuses |= EXCUSE_LIMIT;
	if (may_lack_memory(witness, number))
		excuses |= EXCUSE_MEMORY;
	seen->excuses = excuses;
	if (excuses == 0)
		witness_complain(witness, "request %" PRIu32 " is refused without need", number);
}

void witness_check_size(struct witness *witness, uint32_t number, const struct record *record)
{
	/* The last that was read may hold any amount. */
	if (count_unknown(witness, number, true) > 0 || record->parts > 0)
		return;
	if (record->status == STATUS_OK && record->bytes_out >= REPLY_LARGE + HEADER_MOST &&
			used(witness) - record->bytes_out >= witness->plan->configuration.bytes)
		witness_complain(witness,
				"request %" PRIu32 " gets %zu bytes, though memory is used up",
				number, record->bytes_out);
}

/* What a reply says it was, itself or one of its causes. */
static unsigned excuses_of(struct text body)
{
	static const struct {
		const char *says;
		enum excuse excuse;
	} sayings[] = {
			{"\"too many requests in flight", EXCUSE_LIMIT},
			{"\"too much memory in use", EXCUSE_MEMORY},
			{"\"the queue is full", EXCUSE_QUEUE},
			{"\"too many wait", EXCUSE_WAITERS},
			{"\"the queue is too slow", EXCUSE_SHED},
	};
	unsigned excuses = 0;
	for (size_t i = 0; i < sizeof(sayings) / sizeof(sayings[0]); i++) {
		if (memmem(body.data, body.size, sayings[i].says, strlen(sayings[i].says)))
			excuses |= sayings[i].excuse;
	}
	return excuses ? excuses : EXCUSE_GIVEN;
}

/* A quarter of the median, at least 10, give or take half. */
static void check_retry(struct witness *witness, uint32_t number, uint64_t retry_ms)
{
	uint32_t shape = witness_planned(witness, number)->shape;
	uint64_t median = shape < SHAPES_MAX ? witness->medians[shape].highest : 0;
	uint64_t base = (median + median / MEDIAN_ERROR) / 4000;
	base = base > RETRY_USUAL ? base : RETRY_USUAL;
	if (retry_ms < RETRY_LEAST || retry_ms > base / 2 + base)
		witness_complain(witness,
				"reply %" PRIu32 " says retry_ms=%" PRIu64
				", where the median has never been over %" PRIu64 " us",
				number, retry_ms, median);
}

void witness_check_retry(struct witness *witness, uint32_t number, const struct wire_reply *reply)
{
	const struct seen *seen = &witness->requests[number];
	bool due = reply->status == STATUS_RESOURCE_EXHAUSTED || seen->reason == DRAIN ||
		   seen->foretold == FORETOLD_DRAINING;
	if (due)
		check_retry(witness, number, reply->retry_ms);
	else if (reply->retry_ms != 0)
		witness_complain(witness, "reply %" PRIu32 " says retry_ms", number);
	if (reply->status == STATUS_RESOURCE_EXHAUSTED &&
			!(seen->excuses & excuses_of(reply->body)))
		witness_complain(witness, "request %" PRIu32 " is refused, but not for this: %.*s",
				number, TEXT_ARG(reply->body));
}

/* The highest that the median of a shape's times has ever been: an upper bound for one that is
 * worked out only now and then. What was refused before it could run has no time. */
void witness_note_time(struct witness *witness, uint32_t number, enum status status, uint64_t us)
{
	if (witness->requests[number].foretold != FORETOLD_NOTHING)
		return;
	uint32_t shape = witness_planned(witness, number)->shape;
	if (shape >= witness->plan->configuration.shape_count ||
			status == STATUS_RESOURCE_EXHAUSTED || status == STATUS_INVALID_ARGUMENT)
		return;
	struct seen_median *median = &witness->medians[shape];
	uint32_t bucket = us == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(us);
	uint32_t before = 0;
	median->buckets[bucket]++;
	median->count++;
	for (bucket = 0; before * 2 < median->count; bucket++)
		before += median->buckets[bucket];
	uint64_t highest = bucket == 0 ? 0 : (UINT64_C(1) << (bucket - 1)) - 1;
	median->highest = highest > median->highest ? highest : median->highest;
}
