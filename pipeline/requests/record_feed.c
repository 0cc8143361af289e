/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How feeds run. Which of them see a request is worked out when they are compiled, as a row for
 * each pipeline, so that a request which nobody looks at costs one comparison with NULL.
 *
 * A feed's streams live as long as the configuration, and in no scope: nobody waits for the next
 * record, it is pulled through the chain while the request tells of it.
 */
#include "pipeline/requests/record_feed.h"

#include <inttypes.h>

#include "pipeline/base/buffer.h"
#include "pipeline/requests/feed_row.h"
#include "pipeline/requests/record_members.h"

/* ---- the chain */

/* The source: the record at hand, once. */
static enum pulled pull_record(struct stream *stream, void **ret)
{
	struct record_feed *feed = container_of(stream, struct record_feed, source);
	if (!feed->record)
		return STREAM_LATER;
	feed->event = (struct feed_event){.feed = feed, .record = feed->record};
	feed->record = NULL;
	*ret = &feed->event;
	return STREAM_ITEM;
}

static const struct stream_ops record_ops = {.pull = pull_record};

static bool keep(void *user, const void *element)
{
	const struct record_feed *feed = user;
	const struct feed_event *event = element;
	return feed_where_holds(&feed->filter, event->record);
}

static bool read_field(void *user, const void *element, double *ret)
{
	const struct record_feed *feed = user;
	const struct feed_event *event = element;
	*ret = (double)feed->field->number(event->record);
	return true;
}

/* What is told of a record: the event, with what its reading was held against. */
static void *project(void *user, void *element)
{
	struct record_feed *feed = user;
	struct feed_event *event = element;
	event->held = feed->field ? &feed->outlier.held : NULL;
	return event;
}

void record_feed_chain(struct record_feed *feed, const struct outlier_rule *rule, uint64_t sample,
		struct random *random)
{
	struct stream *last = &feed->source;
	stream_init_source(&feed->source, &record_ops, NULL);
	if (feed->filter.count > 0) {
		stream_where_init(&feed->where, last, keep, feed);
		last = &feed->where.stream;
	}
	if (feed->field) {
		stream_outlier_init(&feed->outlier, last, rule, read_field, feed);
		last = &feed->outlier.stream;
	}
	if (sample > 1) {
		stream_sample_init(&feed->sample, last, sample, random);
		last = &feed->sample.stream;
	}
	stream_select_init(&feed->select, last, project, feed);
}

/* ---- running */

void record_feeds_attach(const struct record_feeds *feeds, struct pipelines *pipelines)
{
	for (size_t i = 0; i < pipelines->count; i++)
		pipelines->all[i].feeds = feeds->rows[i];
}

static const struct record_feed *find_feed(const struct record_feeds *feeds, struct text name)
{
	for (size_t i = 0; i < feeds->count; i++) {
		if (text_equal(feeds->all[i].name, name))
			return &feeds->all[i];
	}
	return NULL;
}

/* Whether both learn from the same readings, and in the same way. */
static bool learns_alike(const struct record_feed *a, const struct record_feed *b)
{
	static const char *const keys[] = {"from", "where", "outlier"};
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (!option_value_equal(option_get(a->options, keys[i]),
				    option_get(b->options, keys[i])))
			return false;
	}
	return true;
}

void record_feeds_inherit(struct record_feeds *feeds, const struct record_feeds *before)
{
	for (size_t i = 0; i < feeds->count; i++) {
		struct record_feed *feed = &feeds->all[i];
		const struct record_feed *old = find_feed(before, feed->name);
		if (!old)
			continue;
		feed->told = old->told;
		if (feed->field && learns_alike(feed, old))
			stream_outlier_inherit(&feed->outlier, &old->outlier);
	}
}

void record_feeds_close(struct record_feeds *feeds)
{
	for (size_t i = 0; feeds && i < feeds->count; i++)
		stream_close(&feeds->all[i].select.stream, DRAIN);
}

void feed_row_see(const struct feed_row *row, const struct record *record, feed_tell_fn tell,
		void *user)
{
	for (size_t i = 0; i < row->count; i++) {
		struct record_feed *feed = row->seers[i].feed;
		void *event;
		if (!(row->seers[i].statuses & 1U << record->status))
			continue;
		feed->record = record;
		if (stream_pull(&feed->select.stream, &event) != STREAM_ITEM)
			continue;
		feed->told++;
		tell(user, event);
	}
}

static void write_usual(const struct stream_outlier *outlier, struct buffer *buffer)
{
	buffer_append_format(buffer, ",\"samples\":%" PRIu64 ",\"mean\":%.3f,\"deviation\":%.3f",
			outlier->samples, outlier->mean, stream_outlier_deviation(outlier));
}

void record_feeds_write_stats(const struct record_feeds *feeds, struct buffer *buffer)
{
	for (size_t i = 0; i < feeds->count; i++) {
		const struct record_feed *feed = &feeds->all[i];
		buffer_append_format(buffer, "%s\"%.*s\":{\"events\":%" PRIu64, i > 0 ? "," : "",
				TEXT_ARG(feed->name), feed->told);
		if (feed->field)
			write_usual(&feed->outlier, buffer);
		buffer_append_char(buffer, '}');
	}
}

static void write_held(const struct feed_event *event, struct buffer *buffer)
{
	const struct outlier_held *held = event->held;
	buffer_append_format(buffer,
			",\"held\":{\"field\":\"%s\",\"reading\":%.0f,\"mean\":%.3f,\"deviation\":%"
			".3f"
			",\"samples\":%" PRIu64 "}",
			event->feed->field->name, held->reading, held->mean, held->deviation,
			held->samples);
}

void feed_event_write(const struct feed_event *event, struct buffer *buffer)
{
	if (event->held)
		write_held(event, buffer);
	for (size_t i = 0; i < event->feed->member_count; i++)
		record_member_write(event->feed->members[i], buffer, event->record);
}
