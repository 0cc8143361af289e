/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/loop/zsocket.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pipeline/base/live.h"
#include "tests/unit/loop/loop_fixture.h"

struct test {
	struct loop_fixture f;
	void *zmq;
	struct zsocket near; /* a DEALER on the loop */
	void *far;	     /* a DEALER of the test's */
	int batch;	     /* how many are read in one call */
	int calls;
	int frames;
	int messages;
	int wanted;
	bool ends; /* the handler ends the socket */
};

static void on_readable(void *user, struct zsocket *socket)
{
	struct test *test = user;
	zmq_msg_t frame;
	zmq_msg_init(&frame);
	test->calls++;
	assert_int_equal(test->f.loop.depth, 1);
	for (int read = 0; read < test->batch && zsocket_receive(socket, &frame) == 0;) {
		test->frames++;
		if (zmq_msg_more(&frame))
			continue;
		read++;
		test->messages++;
	}
	zmq_msg_close(&frame);
	if (test->ends)
		zsocket_deinit(socket);
}

static int set_up(void **state)
{
	struct test *test = calloc(1, sizeof(*test));
	assert_non_null(test);
	loop_fixture_init(&test->f);
	test->zmq = zmq_ctx_new();
	test->far = zmq_socket(test->zmq, ZMQ_DEALER);
	test->batch = 64;
	assert_non_null(test->far);
	*state = test;
	return 0;
}

static int tear_down(void **state)
{
	struct test *test = *state;
	zsocket_deinit(&test->near);
	zsocket_deinit(&test->near);
	zmq_close(test->far);
	zmq_ctx_term(test->zmq);
	loop_fixture_deinit(&test->f);
	free(test);
	return live_report();
}

static void set(void *socket, int option, int value)
{
	assert_int_equal(zmq_setsockopt(socket, option, &value, sizeof(value)), 0);
}

/* Binds the near end and connects the far one, without a limit on what is queued. */
static void join(struct test *test, const char *endpoint)
{
	char bound[256];
	size_t size = sizeof(bound);
	void *socket = zmq_socket(test->zmq, ZMQ_DEALER);
	assert_non_null(socket);
	assert_int_equal(zsocket_init(&test->near, &test->f.loop, socket, LOOP_PRIORITY_FRONT,
					 on_readable, test),
			0);
	void *ends[] = {socket, test->far};
	for (int i = 0; i < 2; i++) {
		set(ends[i], ZMQ_SNDHWM, 0);
		set(ends[i], ZMQ_RCVHWM, 0);
		set(ends[i], ZMQ_LINGER, 0);
	}
	assert_int_equal(zmq_bind(socket, endpoint), 0);
	assert_int_equal(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, bound, &size), 0);
	assert_int_equal(zmq_connect(test->far, bound), 0);
}

static void say(struct test *test, int count)
{
	for (int i = 0; i < count; i++)
		assert_int_equal(zmq_send(test->far, "hello", 5, 0), 5);
	test->wanted += count;
}

static bool all_read(void *user)
{
	struct test *test = user;
	return test->messages == test->wanted;
}

static int descriptor(struct test *test)
{
	int fd = -1;
	size_t size = sizeof(fd);
	assert_int_equal(zmq_getsockopt(test->near.socket, ZMQ_FD, &fd, &size), 0);
	return fd;
}

/* Reads at the far end, which waits for as long as it takes. */
static void hear(struct test *test)
{
	char data[16];
	assert_int_equal(zmq_recv(test->far, data, sizeof(data), 0), 5);
}

static void exchange(struct test *test)
{
	say(test, 3);
	loop_fixture_run_until(&test->f, all_read, test);
	loop_enter(&test->f.loop);
	assert_int_equal(zsocket_send_bytes(&test->near, "reply", 5, 0), 0);
	loop_leave(&test->f.loop);
	hear(test);
	loop_fixture_run_idle(&test->f);
}

static void test_inproc(void **state)
{
	join(*state, "inproc://test");
	exchange(*state);
}

static void test_tcp(void **state)
{
	join(*state, "tcp://127.0.0.1:*");
	exchange(*state);
}

static void test_ipc(void **state)
{
	join(*state, "ipc://*");
	exchange(*state);
}

/*
 * A message is queued and the descriptor readable; sends eat that, and a handler on the descriptor
 * alone would wait for ever.
 */
static void test_a_send_that_eats_the_edge(void **state)
{
	struct test *test = *state;
	join(test, "inproc://test");
	loop_fixture_run_idle(&test->f);
	say(test, 1);
	int fd = descriptor(test);
	wait_readable(fd);
	/* A send processes commands once a millisecond only. */
	while (is_readable(fd))
		assert_int_equal(zsocket_send_bytes(&test->near, "reply", 5, 0), 0);
	assert_int_equal(test->messages, 0);
	loop_fixture_run_until(&test->f, all_read, test);
}

/* Two are queued and one is read: the descriptor is silent, and one is left. */
static void test_a_batch_that_leaves_some(void **state)
{
	struct test *test = *state;
	join(test, "inproc://test");
	test->batch = 1;
	loop_fixture_run_idle(&test->f);
	say(test, 5);
	loop_fixture_run_until(&test->f, all_read, test);
	assert_true(test->calls >= 5);
	loop_fixture_run_idle(&test->f);
}

static void test_many_messages_in_batches(void **state)
{
	struct test *test = *state;
	join(test, "tcp://127.0.0.1:*");
	say(test, 20000);
	loop_fixture_run_until(&test->f, all_read, test);
	assert_true(test->calls >= 20000 / 64);
}

static void on_other(void *user)
{
	++*(int *)user;
}

static bool other_came(void *user)
{
	return *(int *)user > 0;
}

/* A socket that always has more doesn't keep the loop from what is more urgent. */
static void test_others_come_between_batches(void **state)
{
	struct test *test = *state;
	sd_event_source *beat = NULL;
	int beats = 0;
	join(test, "inproc://test");
	test->batch = 1;
	say(test, 100000);
	assert_int_equal(loop_every(&test->f.loop, 1, LOOP_PRIORITY_ANSWERS, on_other, &beats,
					 &beat),
			0);
	loop_fixture_run_until(&test->f, other_came, &beats);
	assert_true(test->messages < test->wanted);
	sd_event_source_disable_unref(beat);
}

static void test_frames_of_a_message(void **state)
{
	struct test *test = *state;
	join(test, "inproc://test");
	test->batch = 1;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(zmq_send(test->far, "a", 1, ZMQ_SNDMORE), 1);
		assert_int_equal(zmq_send(test->far, "b", 1, ZMQ_SNDMORE), 1);
		say(test, 1);
	}
	loop_fixture_run_until(&test->f, all_read, test);
	assert_int_equal(test->frames, 6);
}

static void test_paused_it_neither_reads_nor_spins(void **state)
{
	struct test *test = *state;
	join(test, "inproc://test");
	loop_fixture_run_idle(&test->f);
	zsocket_pause(&test->near, true);
	say(test, 1);
	wait_readable(descriptor(test));
	loop_fixture_run_idle(&test->f);
	assert_int_equal(test->calls, 0);
	zsocket_pause(&test->near, false);
	loop_fixture_run_until(&test->f, all_read, test);
}

static void test_paused_it_can_send(void **state)
{
	struct test *test = *state;
	join(test, "inproc://test");
	zsocket_pause(&test->near, true);
	say(test, 2);
	assert_int_equal(zsocket_send_bytes(&test->near, "reply", 5, 0), 0);
	hear(test);
	loop_fixture_run_idle(&test->f);
	assert_int_equal(test->calls, 0);
	zsocket_pause(&test->near, false);
	loop_fixture_run_until(&test->f, all_read, test);
}

static void test_a_pause_between_batches(void **state)
{
	struct test *test = *state;
	join(test, "inproc://test");
	test->batch = 1;
	say(test, 3);
	while (test->messages == 0)
		assert_true(sd_event_run(test->f.loop.event, UINT64_MAX) > 0);
	zsocket_pause(&test->near, true);
	loop_fixture_run_idle(&test->f);
	assert_int_equal(test->messages, 1);
	zsocket_pause(&test->near, false);
	loop_fixture_run_until(&test->f, all_read, test);
}

static void on_beat(void *user)
{
	zsocket_pause(&((struct test *)user)->near, true);
}

static bool is_paused(void *user)
{
	return ((struct test *)user)->near.paused;
}

/* By what is more urgent, when the reading of the next batch has been arranged already. */
static void test_a_pause_just_before_a_batch(void **state)
{
	struct test *test = *state;
	sd_event_source *beat = NULL;
	join(test, "inproc://test");
	test->batch = 1;
	say(test, 100000);
	assert_int_equal(loop_every(&test->f.loop, 1, LOOP_PRIORITY_ANSWERS, on_beat, test, &beat),
			0);
	loop_fixture_run_until(&test->f, is_paused, test);
	sd_event_source_disable_unref(beat);
	int messages = test->messages;
	assert_true(messages < test->wanted);
	loop_fixture_run_idle(&test->f);
	assert_int_equal(test->messages, messages);
}

static bool closed(void *user)
{
	struct test *test = user;
	return test->near.socket == NULL;
}

static void test_the_handler_may_end_the_socket(void **state)
{
	struct test *test = *state;
	join(test, "inproc://test");
	test->ends = true;
	say(test, 1);
	loop_fixture_run_until(&test->f, closed, test);
}

static void test_what_can_not_be_sent(void **state)
{
	struct test *test = *state;
	void *router = zmq_socket(test->zmq, ZMQ_ROUTER);
	assert_non_null(router);
	set(router, ZMQ_ROUTER_MANDATORY, 1);
	assert_int_equal(zsocket_init(&test->near, &test->f.loop, router, LOOP_PRIORITY_FRONT,
					 on_readable, test),
			0);
	assert_int_equal(zsocket_send_bytes(&test->near, "nobody", 6, ZMQ_SNDMORE), -EHOSTUNREACH);
	zsocket_deinit(&test->near);

	void *alone = zmq_socket(test->zmq, ZMQ_DEALER);
	assert_non_null(alone);
	assert_int_equal(zsocket_init(&test->near, &test->f.loop, alone, LOOP_PRIORITY_FRONT,
					 on_readable, test),
			0);
	zmq_msg_t message;
	zmq_msg_init_size(&message, 5);
	memcpy(zmq_msg_data(&message), "hello", 5);
	assert_int_equal(zsocket_send(&test->near, &message, 0), -EAGAIN);
	assert_int_equal(zmq_msg_size(&message), 5);
	zmq_msg_close(&message);
}

static void test_no_socket(void **state)
{
	struct test *test = *state;
	assert_true(zsocket_init(&test->near, &test->f.loop, NULL, LOOP_PRIORITY_FRONT, on_readable,
				    test) < 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_inproc),
			TEST(test_tcp),
			TEST(test_ipc),
			TEST(test_a_send_that_eats_the_edge),
			TEST(test_a_batch_that_leaves_some),
			TEST(test_many_messages_in_batches),
			TEST(test_others_come_between_batches),
			TEST(test_frames_of_a_message),
			TEST(test_paused_it_neither_reads_nor_spins),
			TEST(test_paused_it_can_send),
			TEST(test_a_pause_between_batches),
			TEST(test_a_pause_just_before_a_batch),
			TEST(test_the_handler_may_end_the_socket),
			TEST(test_what_can_not_be_sent),
			TEST(test_no_socket),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
