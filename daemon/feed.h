/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The telemetry feed: an XPUB socket, two frames a message, a topic and a JSON object. It knows
 * which prefixes are subscribed to, so an event that nobody wants is counted in its topic's `seq`
 * and never formatted. A slow subscriber loses events and never slows anybody. docs/telemetry.md
 * lists topics and members.
 */
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/base/buffer.h"
#include "pipeline/requests/record.h"

struct feed;
struct log_field;
struct loop;
struct pipelines;
struct record_feeds;

/*
 * Binds to endpoint. boot is a random number, said in every event. NULL and *ret_error (-errno)
 * when it can't. zmq: the context.
 */
struct feed *feed_new(
		struct loop *loop, void *zmq, const char *endpoint, uint64_t boot, int *ret_error);

/* Closes; while the context ends, what is queued is still sent, for at most 500 ms. Takes NULL, as
 * all functions here do. */
void feed_free(struct feed *feed);

/* The endpoint as bound (a wildcard port is known then). */
const char *feed_endpoint(const struct feed *feed);

/*
 * The pipelines whose requests are told of, and the feeds (borrowed) that are told, too: their
 * topics get their counters, or go on with those they had. To be called for each generation before
 * its first request. 0 or -ENOMEM.
 */
int feed_use(struct feed *feed, struct pipelines *pipelines, struct record_feeds *feeds);

/* `request.PIPELINE.STATUS`, and what it makes in feeds: `feed.NAME`, `outlier.NAME`. */
void feed_request(struct feed *feed, const struct record *record);

/* `daemon.EVENT`, with these members; a field's value is a string. fields ends with a NULL key. */
void feed_daemon(struct feed *feed, const char *event, const struct log_field *fields);

/* The same with members already written as JSON (`"read":1,"answered":1`), for numbers. */
void feed_daemon_members(struct feed *feed, const char *event, struct text members);

/* Whether anybody subscribed to `stats`; the number still counts up by feed_stats(). */
bool feed_wants_stats(const struct feed *feed);

/* `stats`: members as above, ignored (and best absent) where nobody wants them; absent where one
 * does, they are dropped. */
void feed_stats(struct feed *feed, struct text members);

/* Appends `,"feeds":{…}` for `stats`. */
void feed_write_stats(const struct feed *feed, struct buffer *buffer);

/* What the feed itself did not publish (no memory, a full socket). */
uint64_t feed_dropped(const struct feed *feed);
