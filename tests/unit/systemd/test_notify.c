/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manager's end is a datagram socket of the test's own, as NOTIFY_SOCKET names it.
 */
#include "systemd/notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct test {
	int manager;
	char message[1024];
};

/* An abstract address, chosen by the kernel (unix(7)). */
static int set_up(void **state)
{
	struct test *test = calloc(1, sizeof(*test));
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t size = sizeof(address);
	char name[128];
	assert_non_null(test);
	test->manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(test->manager >= 0);
	assert_int_equal(bind(test->manager, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
	assert_int_equal(getsockname(test->manager, (struct sockaddr *)&address, &size), 0);
	size -= (socklen_t)offsetof(struct sockaddr_un, sun_path);
	(void)snprintf(name, sizeof(name), "@%.*s", (int)size - 1, address.sun_path + 1);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
	*state = test;
	return 0;
}

static int tear_down(void **state)
{
	struct test *test = *state;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	close(test->manager);
	free(test);
	return 0;
}

/* The next message; it was sent before, so there is nothing to wait for. "" if there is none. */
static const char *told(struct test *test)
{
	ssize_t size = recv(test->manager, test->message, sizeof(test->message) - 1, MSG_DONTWAIT);
	test->message[size > 0 ? size : 0] = '\0';
	return test->message;
}

static void test_ready(void **state)
{
	notify_ready("serving on tcp://127.0.0.1:5555");
	assert_string_equal(told(*state), "READY=1\nSTATUS=serving on tcp://127.0.0.1:5555");
	assert_string_equal(told(*state), "");
}

static void test_waiting(void **state)
{
	notify_waiting(10000000, "waiting for %s", "north");
	assert_string_equal(told(*state), "EXTEND_TIMEOUT_USEC=10000000\nSTATUS=waiting for north");
}

static void test_stopping(void **state)
{
	notify_stopping(5000000, "draining");
	assert_string_equal(
			told(*state), "STOPPING=1\nEXTEND_TIMEOUT_USEC=5000000\nSTATUS=draining");
}

static void test_reloading(void **state)
{
	notify_reloading(1234567);
	assert_string_equal(told(*state), "RELOADING=1\nMONOTONIC_USEC=1234567\nSTATUS=reloading");
	notify_ready("serving generation %d\nX=1", 2);
	assert_string_equal(told(*state), "READY=1\nSTATUS=serving generation 2 X=1");
}

static void test_watchdog(void **state)
{
	notify_watchdog();
	assert_string_equal(told(*state), "WATCHDOG=1");
}

static void test_a_status_is_one_line(void **state)
{
	notify_ready("a\nMAINPID=1");
	assert_string_equal(told(*state), "READY=1\nSTATUS=a MAINPID=1");
	notify_waiting(1, "%s", "b\r\nWATCHDOG=trigger");
	assert_string_equal(told(*state), "EXTEND_TIMEOUT_USEC=1\nSTATUS=b  WATCHDOG=trigger");
}

static void test_a_long_status_is_cut(void **state)
{
	char status[600];
	memset(status, 'x', sizeof(status) - 1);
	status[sizeof(status) - 1] = '\0';
	notify_ready("%s", status);
	assert_int_equal(strlen(told(*state)), strlen("READY=1\nSTATUS=") + 511);
}

/* Of two, three and four bytes, and with each number of bytes before them. */
static void test_a_character_is_cut_whole(void **state)
{
	static const char *const characters[] = {"\u00f6", "\u20ac", "\U0001f600"};
	for (size_t i = 0; i < 3; i++) {
		size_t size = strlen(characters[i]);
		for (size_t pad = 0; pad <= 3; pad++) {
			char status[800];
			size_t at = pad;
			memset(status, 'x', pad);
			for (; at + size < sizeof(status); at += size)
				memcpy(status + at, characters[i], size);
			status[at] = '\0';
			notify_ready("%s", status);
			size_t whole = pad + (511 - pad) / size * size;
			assert_int_equal(strlen(told(*state)), strlen("READY=1\nSTATUS=") + whole);
		}
	}
}

static void test_without_a_manager_nothing_happens(void **state)
{
	unsetenv("NOTIFY_SOCKET");
	notify_ready("ready");
	notify_waiting(1, "waiting");
	notify_stopping(1, "stopping");
	notify_watchdog();
	assert_string_equal(told(*state), "");
	assert_int_equal(notify_watchdog_period(), 0);
}

static void test_the_watchdogs_period_is_half_of_what_is_asked(void **state)
{
	char pid[16];
	setenv("WATCHDOG_USEC", "10000000", 1);
	(void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	assert_int_equal(notify_watchdog_period(), 5000000);
}

static void test_the_watchdog_of_another_process_is_not_ours(void **state)
{
	setenv("WATCHDOG_USEC", "10000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(notify_watchdog_period(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_ready),
			TEST(test_waiting),
			TEST(test_stopping),
			TEST(test_reloading),
			TEST(test_watchdog),
			TEST(test_a_status_is_one_line),
			TEST(test_a_long_status_is_cut),
			TEST(test_a_character_is_cut_whole),
			TEST(test_without_a_manager_nothing_happens),
			TEST(test_the_watchdogs_period_is_half_of_what_is_asked),
			TEST(test_the_watchdog_of_another_process_is_not_ours),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
