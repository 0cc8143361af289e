/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Feeds: streams of what is told of requests, which a configuration puts together.
 *
 *	slow: {from: request.product, where: {us: {above: 5000}}, select: [us, stages], sample: 10}
 *	odd: {from: request, outlier: {field: us, over: 4}}
 *
 * A feed is a chain of stream operators (pipeline/async/stream.h) behind a source that holds the
 * one record that has just ended: where, outlier, sample, select. It sees each request once, at its
 * end, holds nothing of it, and goes on learning what is usual whether anybody reads it or not.
 */
#include <stdbool.h>
#include <stddef.h>

#include "pipeline/async/stream_operators.h"
#include "pipeline/async/stream_outlier.h"
#include "pipeline/base/options.h"
#include "pipeline/requests/feed_where.h"
#include "pipeline/requests/record.h"
#include "pipeline/stages/pipeline.h"

struct arena;
struct buffer;
struct feed_row;
struct random;
struct record_feed;
struct record_feeds;

/* The table of one entry of a configuration's `feeds`. */
extern const struct option record_feed_options[];

/* One event of a feed; borrowed for the call. */
struct feed_event {
	const struct record_feed *feed;
	const struct record *record;
	const struct outlier_held *held; /* what its reading was held against; NULL: nothing */
};

typedef void (*feed_tell_fn)(void *user, const struct feed_event *event);

struct record_feed {
	struct text name;
	struct text topic; /* `feed.NAME`, or `outlier.NAME` */
	const struct option_map *options;
	void *user;		     /* whoever tells of it may keep something here */
	uint64_t told;		     /* events */
	const struct record *record; /* that has just ended, until it is pulled */
	struct feed_where filter;
	const struct record_member *field; /* whose usual is learned; NULL: it is no outlier feed */
	const struct record_member *const *members; /* that are told, in this order */
	size_t member_count;
	struct feed_event event; /* at hand */
	struct stream source;
	struct stream_where where;
	struct stream_outlier outlier;
	struct stream_sample sample;
	struct stream_select select;
};

struct record_feeds {
	struct record_feed *all; /* in the file's order */
	size_t count;
	const struct feed_row *unnamed; /* who sees requests that name no pipeline */
	const struct feed_row **rows;	/* the same by pipeline */
};

/*
 * Compiles a configuration's `feeds` (NULL: it has none) into arena. pipelines: the configuration's
 * own, by name. Errors go to diag; what is returned must be closed all the same. Borrows random.
 * NULL when memory is out.
 */
struct record_feeds *record_feeds_compile(const struct option_map *feeds,
		const struct option_map *pipelines, struct random *random, struct arena *arena,
		struct diag *diag);

/* From here on requests to these pipelines, compiled from the same, are seen. */
void record_feeds_attach(const struct record_feeds *feeds, struct pipelines *pipelines);

/*
 * Goes on where feeds of the same names were: with what they have told, and, where `from`, `where`
 * and `outlier` say the same, with what they have learned. What those see later is their own.
 */
void record_feeds_inherit(struct record_feeds *feeds, const struct record_feeds *before);

/* Closes all streams. Takes NULL. */
void record_feeds_close(struct record_feeds *feeds);

/* The feeds of a row see a request that has ended: tells of each event that this makes, in the
 * order of the feeds. */
void feed_row_see(const struct feed_row *row, const struct record *record, feed_tell_fn tell,
		void *user);

/* The same for all feeds. */
static inline void record_feeds_see(const struct record_feeds *feeds, const struct record *record,
		feed_tell_fn tell, void *user)
{
	const struct feed_row *row = record->pipeline ? record->pipeline->feeds : feeds->unnamed;
	if (row)
		feed_row_see(row, record, tell, user);
}

/* Appends `"NAME":{…},…` for `stats`. */
void record_feeds_write_stats(const struct record_feeds *feeds, struct buffer *buffer);

/* Appends the members of an event, each with a comma before it. */
void feed_event_write(const struct feed_event *event, struct buffer *buffer);
