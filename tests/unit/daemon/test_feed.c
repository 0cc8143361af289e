/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/feed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#include <cmocka.h>

#include "daemon/feed_topics.h"
#include "pipeline/base/log.h"
#include "pipeline/loop/zsocket.h"
#include "pipeline/requests/record_feed.h"
#include "pipeline/stages/pipeline.h"
#include "tests/unit/allocations.h"
#include "tests/unit/daemon/feed_fixture.h"

#define BIG_SIZE  8000
#define BIG_COUNT 5000

#define NO_FIELDS ((struct log_field[]){{NULL, {NULL, 0}}})

struct test {
	struct feed_fixture f;
	struct pipeline all[2];
	struct pipelines pipelines;
	struct record_feeds feeds; /* none */
	void *subscriber;
	void *other;	    /* a second one */
	struct zsocket raw; /* one that may send anything, on the same loop */
	int raw_frames;	    /* that it has got */
};

static int set_up(void **state)
{
	struct test *test = calloc(1, sizeof(*test));
	assert_non_null(test);
	test->all[0] = (struct pipeline){.name = TEXT("product"), .index = 0};
	test->all[1] = (struct pipeline){.name = TEXT("offer"), .index = 1};
	test->pipelines = (struct pipelines){.all = test->all, .count = 2};
	feed_fixture_init(&test->f);
	assert_int_equal(feed_use(test->f.feed, &test->pipelines, &test->feeds), 0);
	test->subscriber = feed_subscriber(&test->f);
	*state = test;
	return 0;
}

static int tear_down(void **state)
{
	struct test *test = *state;
	allocations_heal();
	zmq_close(test->subscriber);
	if (test->other)
		zmq_close(test->other);
	zsocket_deinit(&test->raw);
	feed_fixture_deinit(&test->f);
	free(test);
	return 0;
}

/* A request has ended; pipeline NULL: it named none. */
static void end_request(struct test *test, const struct pipeline *pipeline, enum status status)
{
	struct record record = {.pipeline = pipeline, .status = status};
	feed_request(test->f.feed, &record);
}

static void tell(struct test *test, const char *event)
{
	feed_daemon(test->f.feed, event, NO_FIELDS);
}

/* ---- the door */

static void test_a_wildcard_port_is_known(void **state)
{
	struct test *test = *state;
	const char *endpoint = feed_endpoint(test->f.feed);
	assert_memory_equal(endpoint, "tcp://127.0.0.1:", strlen("tcp://127.0.0.1:"));
	assert_true(atoi(endpoint + strlen("tcp://127.0.0.1:")) > 0);
}

static void test_an_address_in_use_is_an_error(void **state)
{
	struct test *test = *state;
	int error = 0;
	assert_null(feed_new(
			&test->f.loop.loop, test->f.zmq, feed_endpoint(test->f.feed), 1, &error));
	assert_int_equal(error, -EADDRINUSE);
}

static void test_an_address_that_is_none_is_an_error(void **state)
{
	struct test *test = *state;
	int error = 0;
	assert_null(feed_new(&test->f.loop.loop, test->f.zmq, "tcp://nowhere", 1, &error));
	assert_true(error < 0);
}

static void test_no_feed_takes_everything(void **state)
{
	struct record record = {.status = STATUS_OK};
	feed_request(NULL, &record);
	feed_daemon(NULL, "ready", NO_FIELDS);
	feed_daemon_members(NULL, "stopped", TEXT(""));
	feed_stats(NULL, TEXT(""));
	assert_int_equal(feed_use(NULL, NULL, NULL), 0);
	assert_null(feed_endpoint(NULL));
	assert_false(feed_wants_stats(NULL));
	assert_int_equal(feed_dropped(NULL), 0);
	feed_free(NULL);
}

/* ---- what is wanted */

/* One event on each of these topics, in this order, and after them one that everybody in these
 * tests subscribes to. */
static void publish_all(struct test *test)
{
	end_request(test, NULL, STATUS_INVALID_ARGUMENT);
	end_request(test, &test->all[0], STATUS_OK);
	end_request(test, &test->all[0], STATUS_NOT_FOUND);
	end_request(test, &test->all[1], STATUS_OK);
	tell(test, "ready");
	feed_stats(test->f.feed, TEXT("\"read\":4"));
	tell(test, "z_end");
}

static void expect_topics(void *subscriber, const char *const *topics)
{
	struct published event;
	for (; *topics; topics++) {
		feed_read(subscriber, &event);
		assert_string_equal(event.topic, *topics);
	}
	feed_read(subscriber, &event);
	assert_string_equal(event.topic, "daemon.z_end");
}

static void check_prefix(void **state, const char *prefix, const char *const *topics)
{
	struct test *test = *state;
	feed_subscribe(&test->f, test->subscriber, "daemon.z_end");
	feed_subscribe(&test->f, test->subscriber, prefix);
	publish_all(test);
	expect_topics(test->subscriber, topics);
	assert_int_equal(feed_dropped(test->f.feed), 0);
}

#define CHECK_PREFIX(prefix, ...)                                                                  \
	check_prefix(state, prefix, (const char *const[]){__VA_ARGS__, NULL})

static void test_the_empty_prefix_wants_all(void **state)
{
	CHECK_PREFIX("", "request.-.INVALID_ARGUMENT", "request.product.OK",
			"request.product.NOT_FOUND", "request.offer.OK", "daemon.ready", "stats");
}

static void test_a_kind_of_topic(void **state)
{
	CHECK_PREFIX("request.", "request.-.INVALID_ARGUMENT", "request.product.OK",
			"request.product.NOT_FOUND", "request.offer.OK");
}

static void test_a_pipeline(void **state)
{
	CHECK_PREFIX("request.product.", "request.product.OK", "request.product.NOT_FOUND");
}

static void test_a_whole_topic(void **state)
{
	CHECK_PREFIX("request.product.NOT_FOUND", "request.product.NOT_FOUND");
}

static void test_requests_that_name_no_pipeline(void **state)
{
	CHECK_PREFIX("request.-", "request.-.INVALID_ARGUMENT");
}

static void test_a_prefix_that_ends_in_a_name(void **state)
{
	CHECK_PREFIX("request.o", "request.offer.OK");
}

static void test_more_than_a_topic_is_none(void **state)
{
	check_prefix(state, "request.product.OK.", (const char *const[]){NULL});
}

static void test_stats_alone(void **state)
{
	CHECK_PREFIX("stats", "stats");
}

/* Where nothing may be allocated, what is written is dropped, and what is only counted is not. */
static void test_nothing_is_written_for_nobody(void **state)
{
	struct test *test = *state;
	tell(test, "ready"); /* its counter is made */
	allocations_fail_after(0);
	end_request(test, &test->all[0], STATUS_OK);
	end_request(test, NULL, STATUS_OK);
	tell(test, "ready");
	feed_stats(test->f.feed, TEXT("\"read\":1"));
	assert_int_equal(feed_dropped(test->f.feed), 0);
	allocations_heal();
	feed_subscribe(&test->f, test->subscriber, "request.product.OK");
	allocations_fail_after(0);
	end_request(test, &test->all[0], STATUS_NOT_FOUND);
	assert_int_equal(feed_dropped(test->f.feed), 0);
	end_request(test, &test->all[0], STATUS_OK);
	assert_int_equal(feed_dropped(test->f.feed), 1);
}

static void test_nothing_is_written_after_the_last_has_left(void **state)
{
	struct test *test = *state;
	feed_subscribe(&test->f, test->subscriber, "request.");
	feed_unsubscribe(&test->f, test->subscriber, "request.");
	allocations_fail_after(0);
	end_request(test, &test->all[0], STATUS_OK);
	assert_int_equal(feed_dropped(test->f.feed), 0);
}

static void test_a_topic_is_wanted_while_one_prefix_is_left(void **state)
{
	struct test *test = *state;
	feed_subscribe(&test->f, test->subscriber, "request.");
	feed_subscribe(&test->f, test->subscriber, "request.product.");
	feed_unsubscribe(&test->f, test->subscriber, "request.");
	allocations_fail_after(0);
	end_request(test, &test->all[1], STATUS_OK);
	assert_int_equal(feed_dropped(test->f.feed), 0);
	end_request(test, &test->all[0], STATUS_OK);
	assert_int_equal(feed_dropped(test->f.feed), 1);
}

static void test_one_of_two_subscribers_leaves(void **state)
{
	struct test *test = *state;
	test->other = feed_subscriber(&test->f);
	feed_subscribe(&test->f, test->subscriber, "daemon.");
	feed_subscribe(&test->f, test->other, "daemon.");
	feed_unsubscribe(&test->f, test->subscriber, "daemon.");
	tell(test, "ready");
	feed_expect(test->other, "daemon.ready", 1, "}");
}

static void test_a_subscriber_that_is_gone_wants_nothing(void **state)
{
	struct test *test = *state;
	test->other = feed_subscriber(&test->f);
	feed_subscribe(&test->f, test->other, "stats");
	zmq_close(test->other);
	test->other = NULL;
	feed_run_until_stats(&test->f, false);
	feed_subscribe(&test->f, test->subscriber, "stats");
	assert_true(feed_wants_stats(test->f.feed));
}

static void test_a_topic_that_comes_after_its_subscriber(void **state)
{
	struct test *test = *state;
	feed_subscribe(&test->f, test->subscriber, "daemon.late");
	tell(test, "early");
	tell(test, "late");
	feed_expect(test->subscriber, "daemon.late", 1, "}");
}

static void set_many(void *subscriber, int option, int count)
{
	for (int i = 0; i < count; i++) {
		char prefix[16];
		int size = snprintf(prefix, sizeof(prefix), "x%d", i);
		assert_int_equal(zmq_setsockopt(subscriber, option, prefix, (size_t)size), 0);
	}
}

/* They can't all be kept, and then everything is written rather than something missed. */
static void test_more_prefixes_than_are_kept(void **state)
{
	struct test *test = *state;
	set_many(test->subscriber, ZMQ_SUBSCRIBE, TOPICS_PREFIXES_MAX + 44);
	feed_run_until_stats(&test->f, true);
	set_many(test->subscriber, ZMQ_UNSUBSCRIBE, TOPICS_PREFIXES_MAX + 44);
	feed_run_until_stats(&test->f, false);
}

/* It takes no room, not even the last. */
static void test_a_prefix_longer_than_any_topic(void **state)
{
	struct test *test = *state;
	char prefix[1000];
	memset(prefix, 's', sizeof(prefix) - 1);
	prefix[sizeof(prefix) - 1] = '\0';
	set_many(test->subscriber, ZMQ_SUBSCRIBE, TOPICS_PREFIXES_MAX - 1);
	feed_subscribe(&test->f, test->subscriber, prefix);
	assert_false(feed_wants_stats(test->f.feed));
	feed_unsubscribe(&test->f, test->subscriber, prefix);
	feed_subscribe(&test->f, test->subscriber, "stats");
	feed_stats(test->f.feed, TEXT(""));
	feed_expect(test->subscriber, "stats", 1, "}");
}

static void on_raw(void *user, struct zsocket *socket)
{
	struct test *test = user;
	zmq_msg_t frame;
	(void)zmq_msg_init(&frame);
	while (zsocket_receive(socket, &frame) == 0)
		test->raw_frames++;
	(void)zmq_msg_close(&frame);
}

/* Publishes until it arrives. */
static bool raw_gets_daemon_events(void *user)
{
	struct test *test = user;
	tell(test, "ready");
	return test->raw_frames > 0;
}

static void send_raw(struct test *test, const char *data, size_t size, int flags)
{
	assert_int_equal(zsocket_send_bytes(&test->raw, data, size, flags), 0);
}

/* A raw subscriber can send anything; what is no subscription is passed over. */
static void test_other_messages_are_passed_over(void **state)
{
	struct test *test = *state;
	void *socket = zmq_socket(test->f.zmq, ZMQ_XSUB);
	assert_non_null(socket);
	assert_int_equal(zmq_connect(socket, feed_endpoint(test->f.feed)), 0);
	assert_int_equal(zsocket_init(&test->raw, &test->f.loop.loop, socket, LOOP_PRIORITY_FRONT,
					 on_raw, test),
			0);
	send_raw(test, "\1stats", 6, 0);
	feed_run_until_stats(&test->f, true);
	send_raw(test, "hello", 5, 0);
	send_raw(test, "", 0, 0);
	send_raw(test, "two", 3, ZMQ_SNDMORE);
	send_raw(test, "\2stats", 6, 0);
	send_raw(test, "\1daemon.", 8, 0);
	loop_fixture_run_until(&test->f.loop, raw_gets_daemon_events, test);
	assert_true(feed_wants_stats(test->f.feed));
}

/* ---- events */

static void test_seq_counts_what_nobody_wanted(void **state)
{
	struct test *test = *state;
	for (int i = 0; i < 5; i++)
		end_request(test, &test->all[0], STATUS_OK);
	end_request(test, &test->all[0], STATUS_NOT_FOUND);
	tell(test, "ready");
	feed_stats(test->f.feed, (struct text){NULL, 0});
	feed_subscribe(&test->f, test->subscriber, "");
	end_request(test, &test->all[0], STATUS_OK);
	end_request(test, &test->all[0], STATUS_NOT_FOUND);
	end_request(test, &test->all[1], STATUS_OK);
	tell(test, "ready");
	feed_stats(test->f.feed, TEXT("\"read\":9"));
	const uint64_t expected[] = {6, 2, 1, 2, 2};
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		struct published event;
		feed_read(test->subscriber, &event);
		assert_int_equal(event.seq, expected[i]);
	}
}

static void test_a_daemon_event_with_fields(void **state)
{
	struct test *test = *state;
	feed_subscribe(&test->f, test->subscriber, "daemon.");
	feed_daemon(test->f.feed, "source_down",
			(struct log_field[]){{"name", TEXT("north")},
					{"reason", TEXT("it said \"no\"\n")}, {NULL, {NULL, 0}}});
	feed_expect(test->subscriber, "daemon.source_down", 1,
			",\"name\":\"north\",\"reason\":\"it said \\\"no\\\"\\n\"}");
}

static void test_a_daemon_event_with_members(void **state)
{
	struct test *test = *state;
	feed_subscribe(&test->f, test->subscriber, "daemon.");
	feed_daemon_members(test->f.feed, "stopped", TEXT("\"read\":3,\"answered\":2"));
	feed_daemon_members(test->f.feed, "stopped", TEXT(""));
	feed_expect(test->subscriber, "daemon.stopped", 1, ",\"read\":3,\"answered\":2}");
	feed_expect(test->subscriber, "daemon.stopped", 2, "}");
}

static void test_stats(void **state)
{
	struct test *test = *state;
	assert_false(feed_wants_stats(test->f.feed));
	feed_subscribe(&test->f, test->subscriber, "stats");
	assert_true(feed_wants_stats(test->f.feed));
	feed_stats(test->f.feed, TEXT("\"read\":1"));
	feed_stats(test->f.feed, (struct text){NULL, 0});
	assert_int_equal(feed_dropped(test->f.feed), 1);
	feed_stats(test->f.feed, TEXT("\"read\":2"));
	feed_expect(test->subscriber, "stats", 1, ",\"read\":1}");
	feed_expect(test->subscriber, "stats", 3, ",\"read\":2}");
}

static uint64_t wall_clock_us(void)
{
	struct timespec now;
	assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
	return (uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U;
}

static void test_t_is_when_it_was_written(void **state)
{
	struct test *test = *state;
	struct published event;
	feed_subscribe(&test->f, test->subscriber, "daemon.");
	uint64_t before = wall_clock_us();
	tell(test, "ready");
	uint64_t after = wall_clock_us();
	feed_read(test->subscriber, &event);
	assert_in_range(event.t, before, after);
}

/* ---- what is lost */

/* A subscriber that does not read holds nobody up; what it lost is a gap in `seq`, and no matter of
 * ours. */
static void test_a_slow_subscriber_sees_a_gap(void **state)
{
	struct test *test = *state;
	static char members[BIG_SIZE];
	int size = snprintf(members, sizeof(members), "\"big\":\"%*s\"", BIG_SIZE - 100, "");
	uint64_t seen = 0, gaps = 0;
	struct published event;
	feed_subscribe(&test->f, test->subscriber, "daemon.");
	for (int i = 0; i < BIG_COUNT; i++)
		feed_daemon_members(test->f.feed, "big", (struct text){members, (size_t)size});
	assert_int_equal(feed_dropped(test->f.feed), 0);
	for (;;) {
		tell(test, "last"); /* this may be lost too, until enough has been read */
		feed_read(test->subscriber, &event);
		if (strcmp(event.topic, "daemon.last") == 0)
			break;
		assert_true(event.seq > seen);
		gaps += event.seq != seen + 1;
		seen = event.seq;
	}
	assert_true(seen < BIG_COUNT || gaps > 0);
}

static void test_what_cannot_be_sent_is_counted(void **state)
{
	struct test *test = *state;
	feed_subscribe(&test->f, test->subscriber, "daemon.");
	tell(test, "ready");
	feed_expect(test->subscriber, "daemon.ready", 1, "}");
	assert_int_equal(zmq_ctx_shutdown(test->f.zmq), 0);
	loop_fixture_run_idle(&test->f.loop); /* the socket learns of it */
	tell(test, "ready");
	assert_int_equal(feed_dropped(test->f.feed), 1);
}

static void test_without_memory_an_event_is_dropped_and_the_next_is_not(void **state)
{
	struct test *test = *state;
	feed_subscribe(&test->f, test->subscriber, "");
	for (unsigned i = 0; i < 2; i++) {
		allocations_fail_after(i);
		end_request(test, &test->all[0], STATUS_OK);
		allocations_heal();
		assert_int_equal(feed_dropped(test->f.feed), i + 1);
	}
	end_request(test, &test->all[0], STATUS_OK);
	struct published event;
	feed_read(test->subscriber, &event);
	assert_int_equal(event.seq, 3);
}

static void test_a_start_without_memory(void **state)
{
	struct test *test = *state;
	struct feed *feed = NULL;
	unsigned failures = 0;
	for (; !feed; failures++) {
		int error = 0;
		allocations_fail_after(failures);
		feed = feed_new(&test->f.loop.loop, test->f.zmq, "tcp://127.0.0.1:*", 1, &error);
		if (feed && feed_use(feed, &test->pipelines, &test->feeds) < 0) {
			feed_free(feed);
			feed = NULL;
			error = -ENOMEM;
		}
		allocations_heal();
		assert_int_equal(error, feed ? 0 : -ENOMEM);
	}
	assert_true(failures > 1);
	feed_free(feed);
}

static void test_the_last_event_is_sent_though_the_feed_is_closed(void **state)
{
	struct test *test = *state;
	feed_subscribe(&test->f, test->subscriber, "daemon.");
	feed_daemon_members(test->f.feed, "stopped", TEXT("\"read\":1"));
	feed_free(test->f.feed);
	test->f.feed = NULL;
	feed_expect(test->subscriber, "daemon.stopped", 1, ",\"read\":1}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_a_wildcard_port_is_known),
			TEST(test_an_address_in_use_is_an_error),
			TEST(test_an_address_that_is_none_is_an_error),
			TEST(test_no_feed_takes_everything),
			TEST(test_the_empty_prefix_wants_all),
			TEST(test_a_kind_of_topic),
			TEST(test_a_pipeline),
			TEST(test_a_whole_topic),
			TEST(test_requests_that_name_no_pipeline),
			TEST(test_a_prefix_that_ends_in_a_name),
			TEST(test_more_than_a_topic_is_none),
			TEST(test_stats_alone),
			TEST(test_nothing_is_written_for_nobody),
			TEST(test_nothing_is_written_after_the_last_has_left),
			TEST(test_a_topic_is_wanted_while_one_prefix_is_left),
			TEST(test_one_of_two_subscribers_leaves),
			TEST(test_a_subscriber_that_is_gone_wants_nothing),
			TEST(test_a_topic_that_comes_after_its_subscriber),
			TEST(test_more_prefixes_than_are_kept),
			TEST(test_a_prefix_longer_than_any_topic),
			TEST(test_other_messages_are_passed_over),
			TEST(test_seq_counts_what_nobody_wanted),
			TEST(test_a_daemon_event_with_fields),
			TEST(test_a_daemon_event_with_members),
			TEST(test_stats),
			TEST(test_t_is_when_it_was_written),
			TEST(test_a_slow_subscriber_sees_a_gap),
			TEST(test_what_cannot_be_sent_is_counted),
			TEST(test_without_memory_an_event_is_dropped_and_the_next_is_not),
			TEST(test_a_start_without_memory),
			TEST(test_the_last_event_is_sent_though_the_feed_is_closed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
