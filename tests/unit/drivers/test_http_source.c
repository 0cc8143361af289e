/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both ends of an HTTP source in one thread: the driver on a real loop, and a server that the test
 * reads and writes. What only the inside shows: names that take long to resolve, memory that is
 * out. What a server can do wrong is in tests/integration/test_http.py.
 */
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipeline/async/async.h"
#include "pipeline/async/scope.h"
#include "pipeline/base/arena.h"
#include "pipeline/base/live.h"
#include "pipeline/drivers/driver.h"
#include "pipeline/loop/loop.h"
#include "pipeline/resources/source.h"
#include "tests/unit/allocations.h"

/* After so long, what a test waits for will not come. */
#define FAILED_US UINT64_C(20000000)

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
 * kernel may choose. */
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
	return shared_port && share_port(fd) < 0 ? -1 : next(fd, address, size);
}

/* ---- the driver's end */

struct fixture {
	struct async async;
	struct loop loop;
	struct arena arena;
	struct json_limits limits;
	struct driver_context context;
	struct resource *resource;
	struct source *source;
	struct frame parent; /* of all asks, the owner of the root scope */
	struct scope scope;
	bool idle;
	unsigned ended;
	char last_event[64];
	const char *host;
	int listener;
	int connection; /* -1: none */
	int port;
	char request[4096];
	size_t request_size;
};

static enum progress on_resume(struct frame *frame, struct frame *child)
{
	if (child)
		container_of(frame, struct fixture, parent)->ended++;
	return PENDING;
}

static void on_idle(struct scope *scope)
{
	container_of(scope, struct fixture, scope)->idle = true;
}

static void on_event(void *user, const char *event, struct text name, const char *reason)
{
	struct fixture *f = user;
	(void)snprintf(f->last_event, sizeof(f->last_event), "%s %.*s: %s", event, TEXT_ARG(name),
			reason);
}

static struct resource *create(struct fixture *f, const char *url, struct diag *diag)
{
	const struct place place = {"sluice.yaml", 7, 11};
	static const char *const keys[] = {"http", "method", "body", "headers", "connections",
			"queue", "max_body", "required", "ca"};
	const size_t count = sizeof(keys) / sizeof(*keys);
	struct option_value *values = arena_zalloc(&f->arena, count * sizeof(*values));
	struct option_map *map = arena_zalloc(&f->arena, sizeof(*map));
	assert_non_null(values);
	assert_non_null(map);
	for (size_t i = 0; i < count; i++)
		values[i] = (struct option_value){.name = text_of(keys[i]), .place = place};
	values[0].template = template_compile(text_of(url), false, place, &f->arena, diag);
	values[4].number = 2;
	values[5].number = 10;
	*map = (struct option_map){place, values, count};
	return http_driver.create(&f->context, "south", map, diag);
}

/* At an address of this host, and a port; 0: one that is free, and *port is it then. */
static int listen_at(uint32_t host, int *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
			.sin_port = htons((in_port_t)*port),
			.sin_addr.s_addr = htonl(host)};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(listener >= 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 16), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	*port = ntohs(address.sin_port);
	return listener;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct diag diag;
	char url[64];
	assert_non_null(f);
	*state = f;
	async_init(&f->async, loop_now(), 1);
	assert_int_equal(loop_init(&f->loop, &f->async), 0);
	arena_init(&f->arena, NULL);
	f->limits = (struct json_limits){.bytes = 100000, .depth = 8, .values = 100};
	f->context = (struct driver_context){
			.loop = &f->loop, .limits = &f->limits, .event = on_event, .user = f};
	static const struct frame_ops parent_ops = {.resume = on_resume};
	frame_init_root(&f->parent, &parent_ops);
	scope_init_root(&f->scope, &f->async, NULL, &f->parent, SCOPE_FOREVER, on_idle);
	f->host = "127.0.0.1";
	f->listener = listen_at(INADDR_LOOPBACK, &f->port);
	f->connection = -1;
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/${x}", f->port);
	diag_init(&diag, &f->arena);
	f->resource = create(f, url, &diag);
	assert_non_null(f->resource);
	f->source = f->resource->source;
	return 0;
}

static void turn(struct fixture *f, uint64_t us)
{
	assert_true(sd_event_run(f->loop.event, us) >= 0);
}

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
	struct fixture *f = *state;
	loop_enter(&f->loop);
	scope_cancel(&f->scope, DRAIN);
	scope_close(&f->scope);
	loop_leave(&f->loop);
	while (!f->idle)
		turn(f, FAILED_US);
	assert_int_equal(f->source->stats.pending, 0);
	assert_true(http_driver.close(f->resource, loop_now()));
	http_driver.free(f->resource);
	(void)close(f->listener);
	if (f->connection >= 0)
		(void)close(f->connection);
	end_resolvers();
	loop_deinit(&f->loop);
	arena_deinit(&f->arena);
	free(f);
	return live_report();
}

static void open_source(struct resource *resource)
{
	struct arena arena;
	struct diag diag;
	arena_init(&arena, NULL);
	diag_init(&diag, &arena);
	http_driver.open(resource, &diag);
	assert_int_equal(diag.errors, 0);
	arena_deinit(&arena);
}

static struct ask *start(struct fixture *f, struct source *source, struct scope *scope,
		enum progress expected)
{
	struct ask *ask = arena_alloc(&f->arena, source->ask_size);
	struct text *texts = arena_alloc(&f->arena, sizeof(*texts));
	assert_non_null(ask);
	assert_non_null(texts);
	char *url = arena_alloc(&f->arena, 64);
	*texts = (struct text){url, (size_t)snprintf(url, 64, "http://%s:%d/q", f->host, f->port)};
	source->ops->ask_init(ask, source, &f->arena, &f->parent, scope);
	ask->texts = texts;
	loop_enter(&f->loop);
	enum progress progress = frame_start(&ask->frame);
	loop_leave(&f->loop);
	assert_int_equal(progress, expected);
	return ask;
}

/* ---- the server's end */

static bool is_readable(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	return poll(&poll_fd, 1, 0) > 0;
}

static void accept_connection(struct fixture *f)
{
	while (!is_readable(f->listener))
		turn(f, 1000);
	if (f->connection >= 0)
		(void)close(f->connection);
	f->connection = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(f->connection >= 0);
}

/* The connection's end, or a whole request. */
static bool hear(struct fixture *f)
{
	f->request_size = 0;
	for (;;) {
		while (!is_readable(f->connection))
			turn(f, 1000);
		ssize_t size = recv(f->connection, f->request + f->request_size,
				sizeof(f->request) - 1 - f->request_size, 0);
		if (size <= 0)
			return false;
		f->request_size += (size_t)size;
		f->request[f->request_size] = '\0';
		if (strstr(f->request, "\r\n\r\n"))
			return true;
	}
}

static void say(struct fixture *f, const char *text)
{
	size_t size = strlen(text);
	assert_int_equal(send(f->connection, text, size, MSG_NOSIGNAL), size);
}

static void run_until_ended(struct fixture *f, unsigned count)
{
	while (f->ended < count)
		turn(f, FAILED_US);
	assert_int_equal(f->ended, count);
	f->ended = 0;
}

#define OK_7 "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n7"

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

static void test_it_is_connected_once_when_it_is_opened(void **state)
{
	struct fixture *f = *state;
	open_source(f->resource);
	open_source(f->resource); /* one is under way */
	accept_connection(f);
	while (!f->resource->ready)
		turn(f, FAILED_US);
	assert_true(f->source->stats.up);
	assert_string_equal(f->last_event, "source_ready south: connected");
	assert_false(hear(f));
	open_source(f->resource);
	assert_false(is_readable(f->listener));
}

static void test_a_probe_that_fails_is_followed_by_another(void **state)
{
	struct fixture *f = *state;
	(void)close(f->listener);
	open_source(f->resource);
	uint64_t until = loop_now() + UINT64_C(300000000);
	while (loop_now() < until && !f->resource->ready)
		turn(f, 10000);
	assert_false(f->resource->ready);
	assert_string_equal(f->last_event, "");
	open_source(f->resource); /* and is closed while it is under way */
}

static void test_asked_and_asked_again(void **state)
{
	struct fixture *f = *state;
	open_source(f->resource);
	accept_connection(f);
	for (int i = 0; i < 3; i++) {
		struct ask *ask = start(f, f->source, &f->scope, PENDING);
		if (i == 0)
			accept_connection(f);
		assert_true(hear(f));
		assert_non_null(strstr(f->request, "GET /q HTTP/1.1\r\n"));
		assert_null(strstr(f->request, "Sluice-Budget")); /* there is no limit */
		say(f, OK_7);
		run_until_ended(f, 1);
		assert_int_equal(ask->frame.outcome.status, STATUS_OK);
		assert_true(text_equal(ask->frame.outcome.value.text, TEXT("7")));
	}
	assert_int_equal(f->source->stats.connected, 1);
}

static void assert_answer(struct fixture *f, const struct ask *ask, const char *expected)
{
	run_until_ended(f, 1);
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
	f->listener = listen_at(INADDR_LOOPBACK + 1, &f->port);
	struct ask *ask = start(f, f->source, &f->scope, PENDING);
	accept_connection(f);
	(void)close(f->listener);
	f->listener = listener;
	shared_port = 0;
	assert_true(hear(f));
	say(f, OK_7);
	assert_answer(f, ask, "7");
	return first;
}

/* What comes unasked on the one is noticed there, and what comes on the other is its answer. */
static void test_two_connections_with_one_port(void **state)
{
	struct fixture *f = *state;
	open_source(f->resource);
	accept_connection(f);
	f->host = "two.example";
	struct ask *first = start(f, f->source, &f->scope, PENDING);
	accept_connection(f);
	assert_true(hear(f));
	int connection = ask_from_the_same_port(f);
	say(f, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n0");
	struct ask *third = start(f, f->source, &f->scope, PENDING);
	accept_connection(f);
	assert_true(hear(f));
	say(f, OK_7);
	assert_answer(f, third, "7");
	(void)close(f->connection);
	f->connection = connection;
	say(f, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
	assert_answer(f, first, "1");
}

static void cancel(struct fixture *f, struct scope *scope, const struct ask *ask)
{
	loop_enter(&f->loop);
	scope_cancel(scope, ASKED);
	scope_close(scope);
	loop_leave(&f->loop);
	while (ask->frame.state != FRAME_ENDED)
		turn(f, FAILED_US);
}

/* The loop goes on, and so does the thread: nobody waits for it, whoever is cancelled. */
static void test_a_name_that_takes_long_to_resolve(void **state)
{
	struct fixture *f = *state;
	struct diag diag;
	diag_init(&diag, &f->arena);
	struct resource *slow = create(f, "http://slow.example/", &diag);
	assert_non_null(slow);
	open_source(slow);
	struct scope scope;
	scope_init(&scope, &f->scope, &f->parent, SCOPE_FOREVER, TIMEOUT);
	f->host = "slow.example";
	struct ask *ask = start(f, slow->source, &scope, PENDING);
	for (int threads = 0; threads < 2;) {
		turn(f, 1000);
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
	struct ask *ask = start(f, source, &scope, PENDING);
	while (sem_trywait(&resolving) != 0)
		turn(f, 1000);
	cancel(f, &scope, ask);
	return ask;
}

/* As many as there are connections may be left behind; then none is begun. */
static void test_names_that_take_long_make_no_end_of_threads(void **state)
{
	struct fixture *f = *state;
	struct diag diag;
	diag_init(&diag, &f->arena);
	struct resource *slow = create(f, "http://slow.example/", &diag);
	assert_non_null(slow);
	open_source(slow);
	f->host = "slow.example";
	while (sem_trywait(&resolving) != 0) /* its probe */
		turn(f, 1000);
	for (int i = 0; i < 2; i++)
		assert_int_equal(ask_and_cancel(f, slow->source)->frame.outcome.status,
				STATUS_CANCELLED);
	struct ask *ask = start(f, slow->source, &f->scope, PENDING);
	run_until_ended(f, 1);
	assert_int_equal(ask->frame.outcome.status, STATUS_UNAVAILABLE);
	assert_true(text_equal(
			ask->frame.outcome.fault->message, TEXT("its name does not resolve")));
	assert_int_equal(sem_trywait(&resolving), -1);
	assert_true(http_driver.close(slow, loop_now()));
	http_driver.free(slow);
}

static void test_a_socket_that_cannot_be_watched(void **state)
{
	struct fixture *f = *state;
	open_source(f->resource);
	accept_connection(f);
	watching_fails = true;
	struct ask *ask = start(f, f->source, &f->scope, PENDING);
	run_until_ended(f, 1);
	watching_fails = false;
	assert_int_equal(ask->frame.outcome.status, STATUS_RESOURCE_EXHAUSTED);
	/* The next one is none the worse for it. */
	ask = start(f, f->source, &f->scope, PENDING);
	while (!f->ended) {
		accept_connection(f);
		if (hear(f))
			break;
	}
	say(f, OK_7);
	run_until_ended(f, 1);
	assert_int_equal(ask->frame.outcome.status, STATUS_OK);
}

/* A server that answers whatever comes, whenever it comes. */
static void serve(struct fixture *f)
{
	if (is_readable(f->listener)) {
		if (f->connection >= 0)
			(void)close(f->connection);
		f->connection = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
		f->request_size = 0;
	}
	if (f->connection < 0 || !is_readable(f->connection))
		return;
	ssize_t size = recv(f->connection, f->request + f->request_size,
			sizeof(f->request) - 1 - f->request_size, 0);
	f->request_size += size > 0 ? (size_t)size : 0;
	f->request[f->request_size] = '\0';
	if (size <= 0) {
		(void)close(f->connection);
		f->connection = -1;
	} else if (strstr(f->request, "\r\n\r\n")) {
		say(f, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		       "5\r\n[1,2,\r\n3\r\n 3]\r\n0\r\n\r\n");
		f->request_size = 0;
	}
}

/* Whether it went well while one allocation of the driver failed. Not one of libcurl: in 7.88 what
 * comes after that is a division by zero. */
static bool ask_while_one_fails(struct fixture *f, unsigned allocation)
{
	unsigned before = f->ended;
	struct ask *ask = arena_zalloc(&f->arena, f->source->ask_size);
	struct arena arena;
	struct text text = {.data = NULL};
	char url[64];
	text = (struct text){url, (size_t)snprintf(url, 64, "http://127.0.0.1:%d/q", f->port)};
	arena_init(&arena, NULL);
	f->source->ops->ask_init(ask, f->source, &arena, &f->parent, &f->scope);
	ask->texts = &text;
	allocations_fail_once_after(allocation);
	loop_enter(&f->loop);
	enum progress progress = frame_start(&ask->frame);
	loop_leave(&f->loop);
	while (progress == PENDING && f->ended == before) {
		turn(f, 100);
		serve(f);
	}
	bool failed = allocations_failed() > 0;
	allocations_heal();
	struct outcome outcome = ask->frame.outcome;
	if (outcome.status == STATUS_OK)
		assert_true(text_equal(outcome.value.text, TEXT("[1,2, 3]")));
	else
		assert_true(failed && (outcome.status == STATUS_RESOURCE_EXHAUSTED ||
						      outcome.status == STATUS_UNAVAILABLE));
	arena_deinit(&arena);
	return !failed;
}

static void test_memory_that_is_out(void **state)
{
	struct fixture *f = *state;
	open_source(f->resource);
	while (!f->resource->ready) {
		turn(f, 1000);
		serve(f);
	}
	unsigned allocation = 0;
	while (!ask_while_one_fails(f, allocation))
		allocation++;
	assert_true(allocation >= 2);
	f->ended = 0;
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_created),
			TEST(test_it_is_connected_once_when_it_is_opened),
			TEST(test_a_probe_that_fails_is_followed_by_another),
			TEST(test_asked_and_asked_again),
			TEST(test_two_connections_with_one_port),
			TEST(test_a_name_that_takes_long_to_resolve),
			TEST(test_names_that_take_long_make_no_end_of_threads),
			TEST(test_a_socket_that_cannot_be_watched),
			TEST(test_memory_that_is_out),
	};
	(void)sem_init(&resolving, 0, 0);
	(void)sem_init(&resolve, 0, 0);
	return cmocka_run_group_tests_name("drivers/http_source", tests, NULL, NULL);
}
