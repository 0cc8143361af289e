/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/loop/zmonitor.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipeline/base/live.h"
#include "tests/unit/loop/loop_fixture.h"

#define CLIENTS 100
#define COMINGS 1200

struct test {
	struct loop_fixture f;
	void *zmq;
	void *router;
	struct zmonitor monitor;
	char endpoint[64];
	int accepted;
	int accepted_fd; /* the last */
	int disconnected;
	int disconnected_fd;
	bool ends; /* the handler ends the monitor */
};

static void on_event(void *user, unsigned event, int value, struct text address)
{
	struct test *test = user;
	assert_int_equal(test->f.loop.depth, 1);
	assert_true(address.size > strlen("tcp://127.0.0.1:"));
	assert_memory_equal(address.data, "tcp://127.0.0.1:", strlen("tcp://127.0.0.1:"));
	if (event == ZMQ_EVENT_ACCEPTED) {
		test->accepted++;
		test->accepted_fd = value;
	} else {
		assert_int_equal(event, ZMQ_EVENT_DISCONNECTED);
		test->disconnected++;
		test->disconnected_fd = value;
	}
	if (test->ends)
		zmonitor_deinit(&test->monitor);
}

static void start(struct test *test)
{
	assert_int_equal(zmonitor_init(&test->monitor, &test->f.loop, test->zmq, test->router,
					 ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED, on_event,
					 test),
			0);
}

static int set_up(void **state)
{
	struct test *test = calloc(1, sizeof(*test));
	assert_non_null(test);
	size_t size = sizeof(test->endpoint);
	const int backlog = COMINGS + CLIENTS;
	loop_fixture_init(&test->f);
	test->zmq = zmq_ctx_new();
	test->router = zmq_socket(test->zmq, ZMQ_ROUTER);
	assert_non_null(test->router);
	start(test);
	assert_int_equal(zmq_setsockopt(test->router, ZMQ_BACKLOG, &backlog, sizeof(backlog)), 0);
	assert_int_equal(zmq_bind(test->router, "tcp://127.0.0.1:*"), 0);
	assert_int_equal(zmq_getsockopt(test->router, ZMQ_LAST_ENDPOINT, test->endpoint, &size), 0);
	*state = test;
	return 0;
}

static int tear_down(void **state)
{
	struct test *test = *state;
	zmonitor_deinit(&test->monitor);
	zmonitor_deinit(&test->monitor);
	zmq_close(test->router);
	zmq_ctx_term(test->zmq);
	loop_fixture_deinit(&test->f);
	free(test);
	return live_report();
}

static void *connect_client(struct test *test)
{
	const int none = 0;
	void *client = zmq_socket(test->zmq, ZMQ_DEALER);
	assert_non_null(client);
	assert_int_equal(zmq_setsockopt(client, ZMQ_LINGER, &none, sizeof(none)), 0);
	assert_int_equal(zmq_connect(client, test->endpoint), 0);
	return client;
}

static bool one_accepted(void *user)
{
	return ((struct test *)user)->accepted == 1;
}

static bool one_disconnected(void *user)
{
	return ((struct test *)user)->disconnected == 1;
}

static void test_a_connection_comes_and_goes(void **state)
{
	struct test *test = *state;
	void *client = connect_client(test);
	loop_fixture_run_until(&test->f, one_accepted, test);
	assert_int_equal(test->disconnected, 0);
	zmq_close(client);
	loop_fixture_run_until(&test->f, one_disconnected, test);
	assert_int_equal(test->accepted_fd, test->disconnected_fd);
}

/*
 * Sends a message over each and reads them all, so that all connections have been accepted before.
 */
static void greet(struct test *test, void **clients)
{
	char data[64];
	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(zmq_send(clients[i], "hello", 5, 0), 5);
	for (int i = 0; i < CLIENTS; i++) {
		assert_true(zmq_recv(test->router, data, sizeof(data), 0) > 0);
		assert_int_equal(zmq_recv(test->router, data, sizeof(data), 0), 5);
	}
}

static void test_drain_hands_out_all_without_the_loop(void **state)
{
	struct test *test = *state;
	void *clients[CLIENTS];
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_client(test);
	greet(test, clients);
	assert_int_equal(test->accepted, 0);
	zmonitor_drain(&test->monitor);
	assert_int_equal(test->accepted, CLIENTS);
	for (int i = 0; i < CLIENTS; i++)
		zmq_close(clients[i]);
}

/* A storm of connections holds up nothing else. */
static void test_many_events_take_several_turns(void **state)
{
	struct test *test = *state;
	void *clients[CLIENTS];
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_client(test);
	greet(test, clients);
	int most = 0;
	while (test->accepted < CLIENTS) {
		int before = test->accepted;
		assert_true(sd_event_run(test->f.loop.event, UINT64_MAX) > 0);
		most = test->accepted - before > most ? test->accepted - before : most;
	}
	assert_in_range(most, 1, CLIENTS - 1);
	for (int i = 0; i < CLIENTS; i++)
		zmq_close(clients[i]);
}

/* Somebody connects and leaves, so often: two events each. */
static void come_and_go(struct test *test, int times)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons((uint16_t)strtoul(strrchr(test->endpoint, ':') + 1, NULL, 10));
	for (int i = 0; i < times; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_true(fd >= 0);
		assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
		(void)close(fd);
	}
}

/* More events than pipes hold by themselves: libzmq's thread would wait for room, and all sockets
 * for it. */
static void test_events_that_nobody_reads_hold_up_nobody(void **state)
{
	struct test *test = *state;
	const int timeout = 60000;
	void *client = connect_client(test);
	char data[8];
	come_and_go(test, COMINGS);
	assert_int_equal(zmq_setsockopt(test->router, ZMQ_RCVTIMEO, &timeout, sizeof(timeout)), 0);
	assert_int_equal(zmq_send(client, "hello", 5, 0), 5);
	assert_true(zmq_recv(test->router, data, sizeof(data), 0) > 0);
	void *late = connect_client(test);
	assert_int_equal(zmq_send(late, "hello", 5, 0), 5);
	assert_int_equal(zmq_recv(test->router, data, sizeof(data), 0), 5);
	assert_true(zmq_recv(test->router, data, sizeof(data), 0) > 0);
	zmonitor_drain(&test->monitor);
	assert_int_equal(test->accepted, COMINGS + 2);
	zmq_close(late);
	zmq_close(client);
}

static void test_a_new_monitor_after_the_old(void **state)
{
	struct test *test = *state;
	zmonitor_deinit(&test->monitor);
	start(test);
	void *client = connect_client(test);
	loop_fixture_run_until(&test->f, one_accepted, test);
	zmq_close(client);
}

static void test_the_handler_may_end_the_monitor(void **state)
{
	struct test *test = *state;
	test->ends = true;
	void *client = connect_client(test);
	loop_fixture_run_until(&test->f, one_accepted, test);
	loop_fixture_run_idle(&test->f);
	zmq_close(client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_a_connection_comes_and_goes),
			TEST(test_many_events_take_several_turns),
			TEST(test_drain_hands_out_all_without_the_loop),
			TEST(test_events_that_nobody_reads_hold_up_nobody),
			TEST(test_a_new_monitor_after_the_old),
			TEST(test_the_handler_may_end_the_monitor),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
