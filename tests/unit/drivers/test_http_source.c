/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP source, of which the test is the server: what only the inside shows, such as names that
 * take long to resolve, and time that is used up. What a server can do wrong is in
 * tests/integration/test_http.py.
 */
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <curl/curl.h>

#include "pipeline/base/diag.h"
#include "tests/unit/drivers/http_fixture.h"

#define MS     UINT64_C(1000000)
#define SECOND (1000 * MS)

/* ---- what the linker puts in the place of others */

static bool watching_fails;

int __real_sd_event_add_io(sd_event *event, sd_event_source **ret, int fd, uint32_t events,
		sd_event_io_handler_t handler, void *user);
int __wrap_sd_event_add_io(sd_event *event, sd_event_source **ret, int fd, uint32_t events,
		sd_event_io_handler_t handler, void *user);
int __wrap_sd_event_add_io(sd_event *event, sd_event_source **ret, int fd, uint32_t events,
		sd_event_io_handler_t handler, void *user)
{
	if (watching_fails)
		return -ENOMEM;
	return __real_sd_event_add_io(event, ret, fd, events, handler, user);
}

static bool acting_fails;

CURLMcode __real_curl_multi_socket_action(
		CURLM *multi, curl_socket_t fd, int mask, int *ret_running);
CURLMcode __wrap_curl_multi_socket_action(
		CURLM *multi, curl_socket_t fd, int mask, int *ret_running);
CURLMcode __wrap_curl_multi_socket_action(
		CURLM *multi, curl_socket_t fd, int mask, int *ret_running)
{
	return acting_fails ? CURLM_OUT_OF_MEMORY
			    : __real_curl_multi_socket_action(multi, fd, mask, ret_running);
}

static sem_t resolving, resolve;
static atomic_int resolvers; /* threads that wait for the latter */

/* A name that resolves when the test says so, and one of two addresses; all others as ever. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **ret)
{
	int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	*(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
	if (strcmp(node, "two.example") == 0) {
		int r = next("127.0.0.1", service, hints, ret);
		return r ? r : next("127.0.0.2", service, hints, &(*ret)->ai_next);
	}
	if (strcmp(node, "slow.example") != 0)
		return next(node, service, hints, ret);
	resolvers++;
	(void)sem_post(&resolving);
	while (sem_wait(&resolve) != 0)
		;
	resolvers--;
	return EAI_NONAME;
}

/* 0, or: nobody listens at 127.0.0.1, and to 127.0.0.2 it goes from this port of 127.0.0.1, as the
 * kernel may choose. Else from any that nobody else has. */
static in_port_t shared_port;

static int share_port(int fd)
{
	struct sockaddr_in own = {.sin_family = AF_INET,
			.sin_port = shared_port,
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	return bind(fd, (struct sockaddr *)&own, sizeof(own));
}

int connect(int fd, __CONST_SOCKADDR_ARG peer, socklen_t size)
{
	const struct sockaddr *address = peer.__sockaddr__;
	int (*next)(int, const struct sockaddr *, socklen_t);
	*(void **)&next = dlsym(RTLD_NEXT, "connect");
	struct sockaddr_in to;
	const int on = 1;
	if (address->sa_family != AF_INET)
		return next(fd, address, size);
	memcpy(&to, address, sizeof(to));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (shared_port && to.sin_addr.s_addr == htonl(INADDR_LOOPBACK)) {
		errno = ECONNREFUSED;
		return -1;
	}
	return share_port(fd) < 0 ? -1 : next(fd, address, size);
}

/* ---- */

/* No thread that a test has left in there is met by the next one. */
static void end_resolvers(void)
{
	for (int i = resolvers; i > 0; i--)
		(void)sem_post(&resolve);
	while (resolvers > 0)
		(void)sched_yield();
}

static int tear_down(void **state)
{
	int result = fixture_tear_down(state);
	end_resolvers();
	return result;
}

static void test_created(void **state)
{
	struct fixture *f = *state;
	assert_ptr_equal(f->resource->driver, &http_driver);
	assert_string_equal(f->resource->name, "south");
	assert_false(f->resource->required);
	assert_true(f->source->without_target);
	assert_true(f->source->without_body);
	assert_int_equal(f->source->template_count, 1);
	assert_int_equal(f->source->templates[0].use, TEMPLATE_URL);
}

static void test_limits_of_its_own(void **state)
{
	static const struct {
		uint64_t max_body;
		uint32_t bytes;
	} cases[] = {{500, 500}, {100000, 100000}, {100001, 100000}};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct diag diag;
		diag_init(&diag, &f->arena);
		struct option_value *values = fixture_options(f, "http://a/", &diag);
		values[HTTP_MAX_BODY].given = true;
		values[HTTP_MAX_BODY].number = cases[i].max_body;
		struct resource *resource = fixture_create(f, values, &diag);
		assert_non_null(resource);
		assert_int_equal(resource->source->limits->bytes, cases[i].bytes);
		http_driver.free(resource);
	}
}

static void test_every_header_that_is_wrong_is_told(void **state)
{
	struct fixture *f = *state;
	struct diag diag;
	diag_init(&diag, &f->arena);
	const struct option_value headers[] = {
			{.name = TEXT("a b")}, {.name = TEXT("Fine")}, {.name = TEXT("Host")}};
	const struct option_map map = {{"sluice.yaml", 9, 3}, headers, 3};
	struct option_value *values = fixture_options(f, "http://a/", &diag);
	values[HTTP_HEADERS].map = &map;
	assert_null(fixture_create(f, values, &diag));
	assert_int_equal(diag.errors, 2);
}

static void test_it_is_connected_once_when_it_is_opened(void **state)
{
	struct fixture *f = *state;
	fixture_open(f->resource);
	fixture_open(f->resource); /* one is under way */
	fixture_accept(f);
	while (!f->resource->ready)
		fixture_turn(f, FAILED_US);
	assert_true(f->source->stats.up);
	assert_string_equal(f->last_event, "source_ready south: connected");
	assert_false(fixture_hear(f));
	fixture_open(f->resource);
	assert_false(fixture_is_readable(f->listener));
}

static void test_a_probe_that_fails_is_followed_by_another(void **state)
{
	struct fixture *f = *state;
	(void)close(f->listener);
	fixture_open(f->resource);
	uint64_t until = loop_now() + UINT64_C(300000000);
	while (loop_now() < until && !f->resource->ready)
		fixture_turn(f, 10000);
	assert_false(f->resource->ready);
	assert_string_equal(f->last_event, "");
	fixture_open(f->resource); /* and is closed while it is under way */
}

static void test_asked_and_asked_again(void **state)
{
	struct fixture *f = *state;
	fixture_open(f->resource);
	fixture_accept(f);
	for (int i = 0; i < 3; i++) {
		struct ask *ask = fixture_start(f, f->source, &f->scope, PENDING);
		if (i == 0)
			fixture_accept(f);
		assert_true(fixture_hear(f));
		assert_non_null(strstr(f->request, "GET /q HTTP/1.1\r\n"));
		assert_null(strstr(f->request, "Sluice-Budget")); /* there is no limit */
		fixture_say(f, OK_7);
		fixture_run_until_ended(f, 1);
		assert_int_equal(ask->frame.outcome.status, STATUS_OK);
		assert_true(text_equal(ask->frame.outcome.value.text, TEXT("7")));
	}
	assert_int_equal(f->source->stats.connected, 1);
}

/* Asks once, and is given these bytes. */
static const struct ask *ask_once(struct fixture *f, const char *response)
{
	fixture_open(f->resource);
	fixture_accept(f);
	struct ask *ask = fixture_start(f, f->source, &f->scope, PENDING);
	fixture_accept(f);
	assert_true(fixture_hear(f));
	fixture_say(f, response);
	fixture_run_until_ended(f, 1);
	return ask;
}

/* As old servers do it. */
static void test_lines_that_end_without_a_carriage_return(void **state)
{
	const struct ask *ask = ask_once(*state, "HTTP/1.1 200 OK\nContent-Length: 1\n\n7");
	assert_true(text_equal(ask->frame.outcome.value.text, TEXT("7")));
}

static void assert_failed(const struct ask *ask, enum status status, const char *message)
{
	assert_int_equal(ask->frame.outcome.status, status);
	assert_non_null(ask->frame.outcome.fault);
	assert_true(text_equal(ask->frame.outcome.fault->message, text_of(message)));
}

static void test_a_code_below_all_others_is_none(void **state)
{
	const struct ask *ask = ask_once(*state, "HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n");
	assert_failed(ask, STATUS_INTERNAL, "its answer is not HTTP");
}

static void assert_answer(struct fixture *f, const struct ask *ask, const char *expected)
{
	fixture_run_until_ended(f, 1);
	assert_int_equal(ask->frame.outcome.status, STATUS_OK);
	assert_true(text_equal(ask->frame.outcome.value.text, text_of(expected)));
}

/* Asks at another address than the connection that it is busy with, from the same port. */
static int ask_from_the_same_port(struct fixture *f)
{
	struct sockaddr_in own = {.sin_family = AF_INET};
	socklen_t size = sizeof(own);
	assert_int_equal(getpeername(f->connection, (struct sockaddr *)&own, &size), 0);
	shared_port = own.sin_port;
	int first = f->connection, listener = f->listener;
	f->connection = -1;
	f->listener = fixture_listen_at(INADDR_LOOPBACK + 1, &f->port);
	struct ask *ask = fixture_start(f, f->source, &f->scope, PENDING);
	fixture_accept(f);
	(void)close(f->listener);
	f->listener = listener;
	shared_port = 0;
	assert_true(fixture_hear(f));
	fixture_say(f, OK_7);
	assert_answer(f, ask, "7");
	return first;
}

/* What comes unasked on the one is noticed there, and what comes on the other is its answer. */
static void test_two_connections_with_one_port(void **state)
{
	struct fixture *f = *state;
	fixture_open(f->resource);
	fixture_accept(f);
	f->host = "two.example";
	struct ask *first = fixture_start(f, f->source, &f->scope, PENDING);
	fixture_accept(f);
	assert_true(fixture_hear(f));
	int connection = ask_from_the_same_port(f);
	fixture_say(f, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n0");
	struct ask *third = fixture_start(f, f->source, &f->scope, PENDING);
	fixture_accept(f);
	assert_true(fixture_hear(f));
	fixture_say(f, OK_7);
	assert_answer(f, third, "7");
	(void)close(f->connection);
	f->connection = connection;
	fixture_say(f, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
	assert_answer(f, first, "1");
}

static void cancel(struct fixture *f, struct scope *scope, const struct ask *ask)
{
	loop_enter(&f->loop);
	scope_cancel(scope, ASKED);
	scope_close(scope);
	loop_leave(&f->loop);
	while (ask->frame.state != FRAME_ENDED)
		fixture_turn(f, FAILED_US);
}

/* Where less remains than the margin nothing is sent, and nobody waits for a connection. */
static void test_there_is_no_time_to_ask(void **state)
{
	struct fixture *f = *state;
	struct scope scope;
	fixture_open(f->resource);
	loop_enter(&f->loop);
	scope_init(&scope, &f->scope, &f->parent, f->async.now + MS, TIMEOUT);
	struct ask *ask = fixture_start(f, f->source, &scope, DONE);
	scope_close(&scope);
	loop_leave(&f->loop);
	assert_failed(ask, STATUS_DEADLINE_EXCEEDED, "no time is left to ask");
	assert_int_equal(f->source->stats.asked, 0);
}

static void test_time_is_used_up_by_waiting_for_a_connection(void **state)
{
	struct fixture *f = *state;
	struct scope first, last;
	fixture_open(f->resource);
	scope_init(&first, &f->scope, &f->parent, SCOPE_FOREVER, TIMEOUT);
	(void)fixture_start(f, f->source, &first, PENDING);
	(void)fixture_start(f, f->source, &f->scope, PENDING);
	uint64_t deadline = loop_now() + 60 * SECOND;
	scope_init(&last, &f->scope, &f->parent, deadline, TIMEOUT);
	struct ask *ask = fixture_start(f, f->source, &last, PENDING);
	loop_enter(&f->loop);
	async_enter(&f->async, deadline - MS);
	scope_cancel(&first, ASKED);
	scope_close(&first);
	loop_leave(&f->loop);
	while (ask->frame.state != FRAME_ENDED)
		fixture_turn(f, FAILED_US);
	assert_failed(ask, STATUS_DEADLINE_EXCEEDED, "no time is left to ask");
	assert_int_equal(f->source->stats.asked, 2);
	loop_enter(&f->loop);
	scope_close(&last);
	loop_leave(&f->loop);
}

/* The loop goes on, and so does the thread: nobody waits for it, whoever is cancelled. */
static void test_a_name_that_takes_long_to_resolve(void **state)
{
	struct fixture *f = *state;
	struct diag diag;
	diag_init(&diag, &f->arena);
	struct resource *slow =
			fixture_create(f, fixture_options(f, "http://slow.example/", &diag), &diag);
	assert_non_null(slow);
	fixture_open(slow);
	struct scope scope;
	scope_init(&scope, &f->scope, &f->parent, SCOPE_FOREVER, TIMEOUT);
	f->host = "slow.example";
	struct ask *ask = fixture_start(f, slow->source, &scope, PENDING);
	for (int threads = 0; threads < 2;) {
		fixture_turn(f, 1000);
		threads += sem_trywait(&resolving) == 0;
	}
	cancel(f, &scope, ask);
	assert_int_equal(ask->frame.outcome.status, STATUS_CANCELLED);
	/* Its probe still resolves. */
	assert_true(http_driver.close(slow, loop_now()));
	http_driver.free(slow);
}

static struct ask *ask_and_cancel(struct fixture *f, struct source *source)
{
	struct scope scope;
	scope_init(&scope, &f->scope, &f->parent, SCOPE_FOREVER, TIMEOUT);
	struct ask *ask = fixture_start(f, source, &scope, PENDING);
	while (sem_trywait(&resolving) != 0)
		fixture_turn(f, 1000);
	cancel(f, &scope, ask);
	return ask;
}

/* As many as there are connections may be left behind; then none is begun. */
static void test_names_that_take_long_make_no_end_of_threads(void **state)
{
	struct fixture *f = *state;
	struct diag diag;
	diag_init(&diag, &f->arena);
	struct resource *slow =
			fixture_create(f, fixture_options(f, "http://slow.example/", &diag), &diag);
	assert_non_null(slow);
	fixture_open(slow);
	f->host = "slow.example";
	while (sem_trywait(&resolving) != 0) /* its probe */
		fixture_turn(f, 1000);
	for (int i = 0; i < 2; i++)
		assert_int_equal(ask_and_cancel(f, slow->source)->frame.outcome.status,
				STATUS_CANCELLED);
	struct ask *ask = fixture_start(f, slow->source, &f->scope, PENDING);
	fixture_run_until_ended(f, 1);
	assert_failed(ask, STATUS_UNAVAILABLE, "its name does not resolve");
	assert_int_equal(sem_trywait(&resolving), -1);
	assert_true(http_driver.close(slow, loop_now()));
	http_driver.free(slow);
}

/* Nobody says when a thread that was left behind has ended, but that a resolver has given up by
 * then is certain. */
static void test_names_are_looked_up_again_when_resolvers_have_given_up(void **state)
{
	struct fixture *f = *state;
	struct diag diag;
	diag_init(&diag, &f->arena);
	struct resource *slow =
			fixture_create(f, fixture_options(f, "http://slow.example/", &diag), &diag);
	assert_non_null(slow);
	fixture_open(slow);
	f->host = "slow.example";
	while (sem_trywait(&resolving) != 0) /* its probe */
		fixture_turn(f, 1000);
	for (int i = 0; i < 2; i++)
		(void)ask_and_cancel(f, slow->source);
	loop_enter(&f->loop);
	async_enter(&f->async, f->async.now + 30 * SECOND);
	loop_leave(&f->loop);
	assert_int_equal(ask_and_cancel(f, slow->source)->frame.outcome.status, STATUS_CANCELLED);
	assert_true(http_driver.close(slow, loop_now()));
	http_driver.free(slow);
}

static void test_a_name_that_does_not_resolve(void **state)
{
	struct fixture *f = *state;
	fixture_open(f->resource);
	fixture_accept(f);
	f->host = "slow.example";
	struct ask *ask = fixture_start(f, f->source, &f->scope, PENDING);
	while (sem_trywait(&resolving) != 0)
		fixture_turn(f, 1000);
	(void)sem_post(&resolve);
	fixture_run_until_ended(f, 1);
	assert_failed(ask, STATUS_UNAVAILABLE, "its name does not resolve");
	assert_string_equal(f->last_event, "source_down south: its name does not resolve");
}

/* The next one is none the worse for what failed before. */
static void assert_next_is_answered(struct fixture *f)
{
	struct ask *ask = fixture_start(f, f->source, &f->scope, PENDING);
	do {
		fixture_accept(f);
	} while (!fixture_hear(f));
	fixture_say(f, OK_7);
	assert_answer(f, ask, "7");
}

static void test_a_socket_that_cannot_be_watched(void **state)
{
	struct fixture *f = *state;
	fixture_open(f->resource);
	fixture_accept(f);
	watching_fails = true;
	struct ask *ask = fixture_start(f, f->source, &f->scope, PENDING);
	fixture_run_until_ended(f, 1);
	watching_fails = false;
	assert_int_equal(ask->frame.outcome.status, STATUS_RESOURCE_EXHAUSTED);
	assert_next_is_answered(f);
}

/* It does not say which of them it is about. */
static void test_what_libcurl_fails_in_ends_all(void **state)
{
	struct fixture *f = *state;
	fixture_open(f->resource);
	fixture_accept(f);
	struct ask *first = fixture_start(f, f->source, &f->scope, PENDING);
	fixture_accept(f);
	assert_true(fixture_hear(f));
	struct ask *second = fixture_start(f, f->source, &f->scope, PENDING);
	acting_fails = true;
	fixture_run_until_ended(f, 2);
	acting_fails = false;
	assert_failed(first, STATUS_RESOURCE_EXHAUSTED, "out of memory");
	assert_failed(second, STATUS_RESOURCE_EXHAUSTED, "out of memory");
	assert_next_is_answered(f);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_created),
			TEST(test_limits_of_its_own),
			TEST(test_every_header_that_is_wrong_is_told),
			TEST(test_it_is_connected_once_when_it_is_opened),
			TEST(test_a_probe_that_fails_is_followed_by_another),
			TEST(test_asked_and_asked_again),
			TEST(test_lines_that_end_without_a_carriage_return),
			TEST(test_a_code_below_all_others_is_none),
			TEST(test_two_connections_with_one_port),
			TEST(test_there_is_no_time_to_ask),
			TEST(test_time_is_used_up_by_waiting_for_a_connection),
			TEST(test_a_name_that_takes_long_to_resolve),
			TEST(test_names_that_take_long_make_no_end_of_threads),
			TEST(test_names_are_looked_up_again_when_resolvers_have_given_up),
			TEST(test_a_name_that_does_not_resolve),
			TEST(test_a_socket_that_cannot_be_watched),
			TEST(test_what_libcurl_fails_in_ends_all),
	};
	(void)sem_init(&resolving, 0, 0);
	(void)sem_init(&resolve, 0, 0);
	return cmocka_run_group_tests_name("drivers/http_source", tests, NULL, NULL);
}
