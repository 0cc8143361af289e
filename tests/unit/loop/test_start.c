/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each thing that is started here is started again and again while each call that it makes fails in
 * turn: it then says so and leaves nothing behind. A socket that were left open would keep the end
 * of libzmq's context waiting.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/base/live.h"
#include "pipeline/loop/mailbox.h"
#include "pipeline/loop/workers.h"
#include "pipeline/loop/zmonitor.h"
#include "pipeline/loop/zsocket.h"
#include "tests/unit/allocations.h"
#include "tests/unit/loop/loop_fixture.h"

#define WORKERS 3
#define PERIOD	UINT64_C(1000000000)

struct test {
	struct loop_fixture f;
	struct async other_async;
	struct loop other;
	struct mailbox mailbox;
	struct workers *workers;
	struct zsocket zsocket;
	struct zmonitor monitor;
	sd_event_source *source;
	void *zmq;
	void *socket;
};

static int set_up(void **state)
{
	static struct test test;
	sigset_t usr1;
	test = (struct test){0};
	loop_fixture_init(&test.f);
	test.zmq = zmq_ctx_new();
	test.socket = zmq_socket(test.zmq, ZMQ_DEALER);
	assert_non_null(test.socket);
	(void)sigemptyset(&usr1);
	(void)sigaddset(&usr1, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &usr1, NULL);
	*state = &test;
	return 0;
}

static int tear_down(void **state)
{
	struct test *test = *state;
	(void)zmq_close(test->socket);
	(void)zmq_ctx_term(test->zmq);
	loop_fixture_deinit(&test->f);
	return live_report();
}

/* The one that succeeds is the caller's to stop. */
static void start_with_failures(struct test *test, int (*start)(struct test *), unsigned calls_min)
{
	unsigned calls = 0;
	for (;; calls++) {
		allocations_fail_once_after(calls);
		int result = start(test);
		unsigned failed = allocations_failed();
		allocations_heal();
		assert_int_equal(failed, result < 0);
		if (failed == 0)
			break;
	}
	assert_true(calls >= calls_min);
}

static int start_loop(struct test *test)
{
	return loop_init(&test->other, &test->other_async);
}

static void test_a_loop(void **state)
{
	struct test *test = *state;
	async_init(&test->other_async, loop_now(), 1);
	start_with_failures(test, start_loop, 7);
	loop_deinit(&test->other);
}

static void on_beat(void *user)
{
	fail_msg("nobody runs this loop");
}

static int start_beat(struct test *test)
{
	return loop_every(
			&test->f.loop, PERIOD, LOOP_PRIORITY_ANSWERS, on_beat, test, &test->source);
}

static void test_a_beat(void **state)
{
	struct test *test = *state;
	start_with_failures(test, start_beat, 5);
	sd_event_source_disable_unref(test->source);
}

static void on_signal(void *user, int signal)
{
	fail_msg("nobody sends signal %d", signal);
}

static int start_signal(struct test *test)
{
	return loop_signal(&test->f.loop, SIGUSR1, on_signal, test, &test->source);
}

static void test_a_signal(void **state)
{
	struct test *test = *state;
	start_with_failures(test, start_signal, 4);
	sd_event_source_disable_unref(test->source);
}

static void on_letter(void *user, struct letter *letter)
{
	fail_msg("nobody posts a letter");
}

static int start_mailbox(struct test *test)
{
	return mailbox_init(&test->mailbox, &test->f.loop, on_letter, test);
}

static void test_a_mailbox(void **state)
{
	struct test *test = *state;
	start_with_failures(test, start_mailbox, 3);
	mailbox_deinit(&test->mailbox);
}

static void no_work(void *state, struct work *work)
{
}

static void no_work_done(void *user, struct work *work)
{
}

static int start_workers(struct test *test)
{
	static const struct workers_ops ops = {.run = no_work, .done = no_work_done};
	void *const states[WORKERS] = {NULL};
	int error = 0;
	test->workers = workers_new(&test->f.loop, "test", &ops, test, states, WORKERS, &error);
	return test->workers ? 0 : error;
}

static void test_workers(void **state)
{
	struct test *test = *state;
	start_with_failures(test, start_workers, 8 + WORKERS);
	assert_true(workers_free(test->workers, UINT64_MAX));
}

static void on_readable(void *user, struct zsocket *socket)
{
}

static int start_zsocket(struct test *test)
{
	return zsocket_init(&test->zsocket, &test->f.loop, test->socket, LOOP_PRIORITY_ANSWERS,
			on_readable, test);
}

static void test_a_socket(void **state)
{
	struct test *test = *state;
	start_with_failures(test, start_zsocket, 7);
	zsocket_deinit(&test->zsocket);
	test->socket = NULL;
}

static void on_event(void *user, unsigned event, int value, struct text address)
{
}

static int start_monitor(struct test *test)
{
	return zmonitor_init(&test->monitor, &test->f.loop, test->zmq, test->socket,
			ZMQ_EVENT_CONNECTED, on_event, test);
}

static void test_a_monitor(void **state)
{
	struct test *test = *state;
	start_with_failures(test, start_monitor, 11);
	zmonitor_deinit(&test->monitor);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_a_loop),
			TEST(test_a_beat),
			TEST(test_a_signal),
			TEST(test_a_mailbox),
			TEST(test_workers),
			TEST(test_a_socket),
			TEST(test_a_monitor),
	};
	return cmocka_run_group_tests_name("loop/start", tests, NULL, NULL);
}
