/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/drivers/http_fixture.h"

#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipeline/base/diag.h"
#include "pipeline/base/live.h"

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

struct option_value *fixture_options(struct fixture *f, const char *url, struct diag *diag)
{
	const struct place place = {"sluice.yaml", 7, 11};
	static const char *const keys[HTTP_OPTIONS] = {"http", "method", "body", "headers",
			"connections", "queue", "max_body", "required", "ca"};
	struct option_value *values = arena_zalloc(&f->arena, HTTP_OPTIONS * sizeof(*values));
	assert_non_null(values);
	for (size_t i = 0; i < HTTP_OPTIONS; i++)
		values[i] = (struct option_value){.name = text_of(keys[i]), .place = place};
	values[HTTP_URL].template = template_compile(text_of(url), false, place, &f->arena, diag);
	values[HTTP_CONNECTIONS].number = 2;
	values[HTTP_QUEUE].number = 10;
	return values;
}

struct resource *fixture_create(
		struct fixture *f, const struct option_value *values, struct diag *diag)
{
	struct option_map *map = arena_zalloc(&f->arena, sizeof(*map));
	assert_non_null(map);
	*map = (struct option_map){values[0].place, values, HTTP_OPTIONS};
	return http_driver.create(&f->context, "south", map, diag);
}

/* At an address of this host, and a port; 0: one that is free, and *port is it then. */
int fixture_listen_at(uint32_t host, int *port)
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

int fixture_set_up(void **state)
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
	f->listener = fixture_listen_at(INADDR_LOOPBACK, &f->port);
	f->connection = -1;
	f->answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "5\r\n[1,2,\r\n3\r\n 3]\r\n0\r\n\r\n";
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/${x}", f->port);
	diag_init(&diag, &f->arena);
	f->resource = fixture_create(f, fixture_options(f, url, &diag), &diag);
	assert_non_null(f->resource);
	f->source = f->resource->source;
	return 0;
}

void fixture_turn(struct fixture *f, uint64_t us)
{
	assert_true(sd_event_run(f->loop.event, us) >= 0);
}

int fixture_tear_down(void **state)
{
	struct fixture *f = *state;
	loop_enter(&f->loop);
	scope_cancel(&f->scope, DRAIN);
	scope_close(&f->scope);
	loop_leave(&f->loop);
	while (!f->idle)
		fixture_turn(f, FAILED_US);
	assert_int_equal(f->source->stats.pending, 0);
	assert_true(http_driver.close(f->resource, loop_now()));
	http_driver.free(f->resource);
	(void)close(f->listener);
	if (f->connection >= 0)
		(void)close(f->connection);
	loop_deinit(&f->loop);
	arena_deinit(&f->arena);
	free(f);
	return live_report();
}

void fixture_open(struct resource *resource)
{
	struct arena arena;
	struct diag diag;
	arena_init(&arena, NULL);
	diag_init(&diag, &arena);
	http_driver.open(resource, &diag);
	assert_int_equal(diag.errors, 0);
	arena_deinit(&arena);
}

struct ask *fixture_start(struct fixture *f, struct source *source, struct scope *scope,
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

bool fixture_is_readable(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	return poll(&poll_fd, 1, 0) > 0;
}

void fixture_accept(struct fixture *f)
{
	while (!fixture_is_readable(f->listener))
		fixture_turn(f, 1000);
	if (f->connection >= 0)
		(void)close(f->connection);
	f->connection = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(f->connection >= 0);
}

/* The connection's end, or a whole request. */
bool fixture_hear(struct fixture *f)
{
	f->request_size = 0;
	for (;;) {
		while (!fixture_is_readable(f->connection))
			fixture_turn(f, 1000);
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

void fixture_say(struct fixture *f, const char *text)
{
	size_t size = strlen(text);
	assert_int_equal(send(f->connection, text, size, MSG_NOSIGNAL), size);
}

void fixture_run_until_ended(struct fixture *f, unsigned count)
{
	while (f->ended < count)
		fixture_turn(f, FAILED_US);
	assert_int_equal(f->ended, count);
	f->ended = 0;
}

void fixture_serve(struct fixture *f)
{
	if (fixture_is_readable(f->listener)) {
		if (f->connection >= 0)
			(void)close(f->connection);
		f->connection = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
		f->request_size = 0;
	}
	if (f->connection < 0 || !fixture_is_readable(f->connection))
		return;
	ssize_t size = recv(f->connection, f->request + f->request_size,
			sizeof(f->request) - 1 - f->request_size, 0);
	f->request_size += size > 0 ? (size_t)size : 0;
	f->request[f->request_size] = '\0';
	if (size <= 0) {
		(void)close(f->connection);
		f->connection = -1;
	} else if (strstr(f->request, "\r\n\r\n")) {
		fixture_say(f, f->answer);
		f->request_size = 0;
	}
}
