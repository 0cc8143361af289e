/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/daemon/feed_fixture.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#include <cmocka.h>

#include "pipeline/base/live.h"

#define FAILED_MS 30000

void feed_fixture_init(struct feed_fixture *f)
{
	int error = 0;
	loop_fixture_init(&f->loop);
	f->zmq = zmq_ctx_new();
	assert_non_null(f->zmq);
	f->feed = feed_new(&f->loop.loop, f->zmq, "tcp://127.0.0.1:*", FEED_BOOT, &error);
	assert_non_null(f->feed);
}

void feed_fixture_deinit(struct feed_fixture *f)
{
	feed_free(f->feed);
	assert_int_equal(zmq_ctx_term(f->zmq), 0);
	loop_fixture_deinit(&f->loop);
	assert_int_equal(live_report(), 0);
}

void *feed_subscriber(struct feed_fixture *f)
{
	const int timeout = FAILED_MS;
	const int linger = 0;
	void *subscriber = zmq_socket(f->zmq, ZMQ_SUB);
	assert_non_null(subscriber);
	assert_int_equal(zmq_setsockopt(subscriber, ZMQ_RCVTIMEO, &timeout, sizeof(timeout)), 0);
	assert_int_equal(zmq_setsockopt(subscriber, ZMQ_LINGER, &linger, sizeof(linger)), 0);
	assert_int_equal(zmq_connect(subscriber, feed_endpoint(f->feed)), 0);
	return subscriber;
}

static void set(void *subscriber, int option, const char *prefix)
{
	assert_int_equal(zmq_setsockopt(subscriber, option, prefix, strlen(prefix)), 0);
}

static bool stats_are_wanted(void *user)
{
	return feed_wants_stats(user);
}

static bool stats_are_not_wanted(void *user)
{
	return !feed_wants_stats(user);
}

void feed_run_until_stats(struct feed_fixture *f, bool wanted)
{
	loop_fixture_run_until(&f->loop, wanted ? stats_are_wanted : stats_are_not_wanted, f->feed);
}

/* What one subscriber sends comes in order. */
static void wait_for_changes(struct feed_fixture *f, void *subscriber)
{
	set(subscriber, ZMQ_SUBSCRIBE, "stats");
	feed_run_until_stats(f, true);
	set(subscriber, ZMQ_UNSUBSCRIBE, "stats");
	feed_run_until_stats(f, false);
}

void feed_subscribe(struct feed_fixture *f, void *subscriber, const char *prefix)
{
	set(subscriber, ZMQ_SUBSCRIBE, prefix);
	if (strncmp(prefix, "stats", strlen(prefix)) == 0)
		feed_run_until_stats(f, true);
	else
		wait_for_changes(f, subscriber);
}

void feed_unsubscribe(struct feed_fixture *f, void *subscriber, const char *prefix)
{
	set(subscriber, ZMQ_UNSUBSCRIBE, prefix);
	wait_for_changes(f, subscriber);
}

static void read_frame(void *subscriber, char *room, size_t size, bool more)
{
	int is_more = 0;
	size_t option_size = sizeof(is_more);
	int got = zmq_recv(subscriber, room, size - 1, 0);
	assert_in_range(got, 1, size - 1);
	room[got] = '\0';
	assert_int_equal(zmq_getsockopt(subscriber, ZMQ_RCVMORE, &is_more, &option_size), 0);
	assert_int_equal(is_more, more);
}

void feed_read(void *subscriber, struct published *event)
{
	int size = 0;
	read_frame(subscriber, event->topic, sizeof(event->topic), true);
	read_frame(subscriber, event->body, sizeof(event->body), false);
	int fields = sscanf(event->body,
			"{\"seq\":%" SCNu64 ",\"boot\":\"%16" SCNx64 "\",\"t\":%" SCNu64 "%n",
			&event->seq, &event->boot, &event->t, &size);
	assert_int_equal(fields, 3);
	event->rest = event->body + size;
}

void feed_expect(void *subscriber, const char *topic, uint64_t seq, const char *rest)
{
	struct published event;
	feed_read(subscriber, &event);
	assert_string_equal(event.topic, topic);
	assert_int_equal(event.seq, seq);
	assert_int_equal(event.boot, FEED_BOOT);
	assert_string_equal(event.rest, rest);
}
