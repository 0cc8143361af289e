/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which socket is whose connection. The test is libcurl: it is handed what a transfer's handle was
 * told to call, and calls that over real sockets.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipeline/drivers/http_sockets.h"
#include "tests/unit/allocations.h"

/* ---- what the linker puts in the place of libcurl's */

/* As a transfer's handle was told last. */
static struct {
	curl_opensocket_callback open;
	curl_closesocket_callback close;
	curl_prereq_callback request;
	void *open_data;
	void *close_data;
	void *request_data;
} told;

CURLcode __wrap_curl_easy_setopt(CURL *easy, CURLoption option, ...);
CURLcode __wrap_curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
	va_list arguments;
	va_start(arguments, option);
	if (option == CURLOPT_OPENSOCKETFUNCTION)
		told.open = va_arg(arguments, curl_opensocket_callback);
	else if (option == CURLOPT_CLOSESOCKETFUNCTION)
		told.close = va_arg(arguments, curl_closesocket_callback);
	else if (option == CURLOPT_PREREQFUNCTION)
		told.request = va_arg(arguments, curl_prereq_callback);
	else if (option == CURLOPT_OPENSOCKETDATA)
		told.open_data = va_arg(arguments, void *);
	else if (option == CURLOPT_CLOSESOCKETDATA)
		told.close_data = va_arg(arguments, void *);
	else if (option == CURLOPT_PREREQDATA)
		told.request_data = va_arg(arguments, void *);
	else
		fail_msg("option %d", (int)option);
	va_end(arguments);
	return CURLE_OK;
}

/* ---- a server, and connections to it */

struct end {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t size;
};

static struct end at_v4(uint32_t host)
{
	struct end end = {.size = sizeof(end.v4)};
	end.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)};
	return end;
}

static struct end at_v6(void)
{
	struct end end = {.size = sizeof(end.v6)};
	end.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	return end;
}

/* Ports are taken more than once, and may have been a moment ago. */
static void share_port(int fd)
{
	const int on = 1;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
}

/* At a port that is free, which *end then has. -1: the host has no such address. */
static int listen_at(struct end *end)
{
	int fd = socket(end->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	share_port(fd);
	if (bind(fd, &end->any, end->size) < 0) {
		(void)close(fd);
		return -1;
	}
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, &end->any, &end->size), 0);
	return fd;
}

#define CONNECTIONS_MAX 40

static struct http_sockets sockets;
static struct http_opening opening;
static int servers[CONNECTIONS_MAX]; /* their other ends */
static size_t server_count;
static struct end server;
static int listener;

static int set_up(void **state)
{
	server_count = 0;
	sockets = (struct http_sockets){0};
	server = at_v4(INADDR_LOOPBACK);
	listener = listen_at(&server);
	assert_true(listener >= 0);
	http_sockets_watch(&sockets, &opening, NULL);
	assert_ptr_equal(told.open_data, &opening);
	assert_ptr_equal(told.close_data, &sockets);
	assert_ptr_equal(told.request_data, &opening);
	return 0;
}

static int tear_down(void **state)
{
	while (sockets.count > 0)
		assert_int_equal(told.close(&sockets, sockets.all[0].fd), 0);
	while (server_count > 0)
		(void)close(servers[--server_count]);
	(void)close(listener);
	http_sockets_deinit(&sockets);
	assert_null(sockets.all);
	return 0;
}

static int open_socket(int family)
{
	struct curl_sockaddr address = {.family = family, .socktype = SOCK_STREAM};
	return told.open(told.open_data, CURLSOCKTYPE_IPCXN, &address);
}

/* A transfer opens a socket and has it connected, from that end (NULL: from any). */
static int open_connection(struct end *from)
{
	int fd = open_socket(server.any.sa_family);
	assert_true(fd >= 0);
	share_port(fd);
	if (from)
		assert_int_equal(bind(fd, &from->any, from->size), 0);
	assert_int_equal(connect(fd, &server.any, server.size), 0);
	assert_true(server_count < CONNECTIONS_MAX);
	servers[server_count] = accept(listener, NULL, NULL);
	assert_true(servers[server_count++] >= 0);
	return fd;
}

/* That many bytes of libcurl's, wherever they lie. */
#define TEXT_MAX INET6_ADDRSTRLEN

static int port_of(const struct end *end, char text[TEXT_MAX])
{
	bool v6 = end->any.sa_family == AF_INET6;
	const void *address = v6 ? (const void *)&end->v6.sin6_addr : &end->v4.sin_addr;
	assert_non_null(inet_ntop(end->any.sa_family, address, text, TEXT_MAX));
	return ntohs(v6 ? end->v6.sin6_port : end->v4.sin_port);
}

/* What it says before a question goes out on that connection. */
static int ask(int fd)
{
	struct end own = {.size = sizeof(own.v6)}, peer = {.size = sizeof(peer.v6)};
	char own_text[TEXT_MAX], peer_text[TEXT_MAX];
	assert_int_equal(getsockname(fd, &own.any, &own.size), 0);
	assert_int_equal(getpeername(fd, &peer.any, &peer.size), 0);
	int own_port = port_of(&own, own_text), peer_port = port_of(&peer, peer_text);
	return told.request(told.request_data, peer_text, own_text, peer_port, own_port);
}

static void assert_asked(int fd, size_t kept)
{
	assert_int_equal(ask(fd), CURL_PREREQFUNC_OK);
	assert_int_equal(sockets.count, kept);
}

/* Another transfer. */
static void begin(void)
{
	http_sockets_watch(&sockets, &opening, NULL);
}

/* After so long, what a test waits for will not come. */
#define FAILED_MS 20000

static void wait_readable(int fd)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	assert_int_equal(poll(&readable, 1, FAILED_MS), 1);
}

/* A byte comes from the server unasked. */
static void speak(size_t i, int fd)
{
	assert_int_equal(send(servers[i], "x", 1, MSG_NOSIGNAL), 1);
	wait_readable(fd);
}

static bool is_open(size_t i)
{
	char byte;
	return recv(servers[i], &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void assert_shut_down(size_t i)
{
	char byte;
	wait_readable(servers[i]);
	assert_int_equal(recv(servers[i], &byte, 1, MSG_DONTWAIT), 0);
}

/* ---- */

static void test_a_connection_is_kept_once(void **state)
{
	int fd = open_connection(NULL);
	assert_asked(fd, 1);
	begin();
	assert_asked(fd, 1);
	assert_int_equal(sockets.all[0].fd, fd);
	assert_true(is_open(0));
}

static void test_one_that_speaks_unasked_is_shut_down(void **state)
{
	int first = open_connection(NULL), second = open_connection(NULL);
	assert_asked(first, 1);
	assert_asked(second, 2);
	speak(1, second);
	begin();
	assert_asked(first, 2);
	assert_asked(second, 2);
	assert_true(is_open(0));
	assert_shut_down(1);
}

/* The same, to another server, from where a socket is bound. */
static int open_connection_to(struct end there, struct end *from)
{
	struct end usual = server;
	int usual_listener = listener;
	listener = listen_at(&there);
	assert_true(listener >= 0);
	server = there;
	int fd = open_connection(from);
	(void)close(listener);
	listener = usual_listener;
	server = usual;
	return fd;
}

/* Connections are known apart by both addresses and both ports. */
static void test_ends_that_are_alike(void **state)
{
	enum { COUNT = 4 };
	struct end own = at_v4(INADDR_LOOPBACK); /* nobody else has what is bound */
	struct end other_address = at_v4(INADDR_LOOPBACK + 1);
	struct end other_own = at_v4(INADDR_LOOPBACK + 2);
	int fds[COUNT] = {open_connection(&own)};
	assert_int_equal(getsockname(fds[0], &own.any, &own.size), 0);
	other_own.v4.sin_port = own.v4.sin_port;
	other_address.v4.sin_port = server.v4.sin_port;
	fds[1] = open_connection(&other_own);
	fds[2] = open_connection_to(other_address, &own);
	fds[3] = open_connection_to(at_v4(INADDR_LOOPBACK), &own);
	for (size_t i = 0; i < COUNT; i++)
		assert_asked(fds[i], i + 1);
	for (size_t i = 0; i < COUNT; i++) {
		assert_int_equal(sockets.all[i].fd, fds[i]);
		speak(i, fds[i]);
		begin();
		assert_asked(fds[i], COUNT);
		assert_shut_down(i);
		for (size_t k = i + 1; k < COUNT; k++)
			assert_true(is_open(k));
	}
}

static void test_ends_of_version_6(void **state)
{
	struct end end = at_v6();
	int fd = listen_at(&end);
	if (fd < 0)
		skip();
	(void)close(listener);
	listener = fd;
	server = end;
	fd = open_connection(NULL);
	assert_asked(fd, 1);
	speak(0, fd);
	begin();
	assert_asked(fd, 1);
	assert_shut_down(0);
}

/* Of several that a transfer opens, as for a name with several addresses, one is connected. Those
 * that are not are closed by libcurl itself. */
static void test_sockets_that_are_not_connected(void **state)
{
	int closed = open_socket(AF_INET);
	int fd = open_connection(NULL);
	int idle = open_socket(AF_INET), late = open_socket(AF_INET);
	assert_int_equal(close(closed), 0);
	assert_int_equal(close(late), 0);
	assert_asked(fd, 1);
	assert_int_equal(sockets.all[0].fd, fd);
	assert_int_equal(close(idle), 0);
}

static void test_more_are_opened_than_are_remembered(void **state)
{
	int lost = open_connection(NULL), fd = -1;
	for (int i = 0; i < HTTP_SOCKETS_OPENED_MAX; i++)
		fd = open_connection(NULL);
	assert_asked(fd, 1);
	/* Nobody's to look at. */
	assert_asked(lost, 1);
	assert_int_equal(close(lost), 0);
	assert_int_equal(opening.opened[0], fd);
	for (size_t i = 1; i < HTTP_SOCKETS_OPENED_MAX; i++)
		assert_asked(opening.opened[i], i + 1);
}

static void test_many_are_kept(void **state)
{
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		begin();
		assert_asked(open_connection(NULL), i + 1);
	}
	assert_int_equal(told.close(&sockets, sockets.all[7].fd), 0);
	assert_int_equal(sockets.count, CONNECTIONS_MAX - 1);
}

static void test_no_socket_is_to_be_had(void **state)
{
	assert_int_equal(open_socket(-1), CURL_SOCKET_BAD);
	assert_int_equal(opening.count, 0);
}

/* The question does not go out: nobody would see what comes before the next. */
static void test_no_memory_to_keep_one(void **state)
{
	int fd = open_connection(NULL);
	allocations_fail_after(0);
	int answer = ask(fd);
	allocations_heal();
	assert_int_equal(answer, CURL_PREREQFUNC_ABORT);
	assert_int_equal(sockets.count, 0);
	assert_asked(fd, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_a_connection_is_kept_once),
			TEST(test_one_that_speaks_unasked_is_shut_down),
			TEST(test_ends_that_are_alike),
			TEST(test_ends_of_version_6),
			TEST(test_sockets_that_are_not_connected),
			TEST(test_more_are_opened_than_are_remembered),
			TEST(test_many_are_kept),
			TEST(test_no_socket_is_to_be_had),
			TEST(test_no_memory_to_keep_one),
	};
	return cmocka_run_group_tests_name("drivers/http_sockets", tests, NULL, NULL);
}
