/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/loop/network.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>
#include <zmq.h>

#include "pipeline/loop/loop.h"
#include "tests/unit/allocations.h"
#include "tests/unit/held_name.h"

#define TIMEOUT_MS 60000

static void *make(void *context, int type)
{
	const int timeout = TIMEOUT_MS, none = 0;
	void *socket = zmq_socket(context, type);
	assert_non_null(socket);
	assert_int_equal(zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout, sizeof(timeout)), 0);
	assert_int_equal(zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof(none)), 0);
	return socket;
}

/* Two new sockets speak with each other. */
static void check(void *context, const char *wildcard)
{
	char endpoint[64], word[8];
	size_t size = sizeof(endpoint);
	void *pull = make(context, ZMQ_PULL);
	void *push = make(context, ZMQ_PUSH);
	assert_int_equal(network_bind(pull, wildcard), 0);
	assert_int_equal(zmq_getsockopt(pull, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
	assert_int_equal(network_connect(push, endpoint), 0);
	assert_int_equal(zmq_send(push, "hello", 5, 0), 5);
	assert_int_equal(zmq_recv(pull, word, sizeof(word), 0), 5);
	zmq_close(push);
	zmq_close(pull);
}

static void test_end(void **state)
{
	void *context = network_new();
	assert_non_null(context);
	check(context, "tcp://127.0.0.1:*");
	assert_true(network_end(context, UINT64_MAX));
	assert_true(network_end(NULL, 0));
}

/* Not every machine has it. */
static bool has_ipv6(void)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	if (fd >= 0)
		(void)close(fd);
	return has;
}

static void test_ipv6(void **state)
{
	if (!has_ipv6())
		skip();
	void *context = network_new();
	assert_non_null(context);
	check(context, "tcp://[::1]:*");
	assert_true(network_end(context, UINT64_MAX));
}

static void test_errors(void **state)
{
	void *context = network_new();
	assert_non_null(context);
	void *socket = make(context, ZMQ_PULL);
	assert_int_equal(network_bind(socket, "tcp://192.0.2.1:1"), -EADDRNOTAVAIL);
	assert_int_equal(network_bind(socket, "tcp://no.such.interface:1"), -ENODEV);
	assert_int_equal(network_connect(socket, "tcp://a"), -EINVAL);
	zmq_close(socket);
	assert_true(network_end(context, UINT64_MAX));
}

static void end_without(unsigned failing)
{
	void *context = network_new();
	assert_non_null(context);
	void *named = make(context, ZMQ_PUSH);
	assert_int_equal(network_connect(named, "tcp://localhost:1"), 0);
	zmq_close(named);
	check(context, "tcp://127.0.0.1:*");
	allocations_fail_once_after(failing);
	assert_true(network_end(context, UINT64_MAX));
	assert_int_equal(allocations_failed(), 1);
	allocations_heal();
}

static void test_end_without_memory(void **state)
{
	end_without(0);
}

static void test_end_without_a_thread(void **state)
{
	end_without(1);
}

static void test_as_many_sockets_as_sources_need(void **state)
{
	void *context = network_new();
	assert_non_null(context);
	assert_true(zmq_ctx_get(context, ZMQ_MAX_SOCKETS) >= 3 * 2 * 2000);
	assert_true(network_end(context, UINT64_MAX));
}

static void test_a_name_keeps_nobody_waiting(void **state)
{
	void *context = network_new();
	assert_non_null(context);
	void *named = make(context, ZMQ_PUSH);
	assert_int_equal(network_connect(named, "tcp://" HELD_NAME ":1"), 0);
	held_name_wait();
	check(context, "tcp://127.0.0.1:*");
	zmq_close(named);
	assert_false(network_end(context, loop_now()));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_end),
			cmocka_unit_test(test_ipv6),
			cmocka_unit_test(test_errors),
			cmocka_unit_test(test_end_without_memory),
			cmocka_unit_test(test_end_without_a_thread),
			cmocka_unit_test(test_as_many_sockets_as_sources_need),
			cmocka_unit_test(test_a_name_keeps_nobody_waiting),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
