/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A feed on a real loop, and real subscribers to it over TCP. What is published before an event
 * that arrives, and was wanted, has arrived before it: so nobody waits to see that something does
 * not come.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/feed.h"
#include "tests/unit/loop/loop_fixture.h"

#define FEED_BOOT 0xb007

struct feed_fixture {
	struct loop_fixture loop;
	void *zmq;
	struct feed *feed;
};

/* An event as a subscriber got it: `{"seq":SEQ,"boot":"BOOT","t":T` and the rest. */
struct published {
	char topic[128];
	char body[16384];
	uint64_t seq;
	uint64_t boot;
	uint64_t t;
	const char *rest;
};

void feed_fixture_init(struct feed_fixture *f);

/* All sockets of the test have been closed; the feed need not. */
void feed_fixture_deinit(struct feed_fixture *f);

/* A connected SUB without subscriptions. To be closed by zmq_close(). */
void *feed_subscriber(struct feed_fixture *f);

/*
 * Changes a subscription, and returns when the feed knows it. Nobody else may want `stats`
 * meanwhile; to be told of the change, the subscriber itself wants it for a moment.
 */
void feed_subscribe(struct feed_fixture *f, void *subscriber, const char *prefix);
void feed_unsubscribe(struct feed_fixture *f, void *subscriber, const char *prefix);

/* Runs the loop until the feed knows that `stats` is wanted, or isn't. */
void feed_run_until_stats(struct feed_fixture *f, bool wanted);

/* The next event. */
void feed_read(void *subscriber, struct published *event);

/* The next event is this one, whenever it was. */
void feed_expect(void *subscriber, const char *topic, uint64_t seq, const char *rest);
