/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/drivers/zmq_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

#include "pipeline/base/live.h"
#include "pipeline/base/options.h"
#include "pipeline/loop/network.h"

/* After so long, what a test waits for will not come. */
#define FAILED_MS 20000

/* ---- the driver's end */

static enum progress on_ended(struct frame *frame, struct frame *child)
{
	struct fixture *f = container_of(frame, struct fixture, parent);
	if (!child)
		return PENDING;
	assert_true(f->ended_count < ENDED_MAX);
	f->ended[f->ended_count++] = container_of(child, struct ask, frame);
	return PENDING;
}

static const struct frame_ops parent_ops = {.resume = on_ended};

static void on_idle(struct scope *scope)
{
	container_of(scope, struct fixture, scope)->idle = true;
}

static void on_event(void *user, const char *event, struct text name, const char *reason)
{
	struct fixture *f = user;
	assert_non_null(reason);
	(void)snprintf(f->last_event, sizeof(f->last_event), "%s %.*s", event, TEXT_ARG(name));
}

const struct option_map *fixture_options(struct fixture *f, struct text endpoint)
{
	const struct place place = {"sluice.yaml", 7, 11};
	struct option_value *values = arena_zalloc(&f->arena, 4 * sizeof(*values));
	struct option_map *map = arena_zalloc(&f->arena, sizeof(*map));
	assert_non_null(values);
	assert_non_null(map);
	values[0] = (struct option_value){
			.name = TEXT("zmq"), .place = place, .given = true, .text = endpoint};
	values[1] = (struct option_value){
			.name = TEXT("target"), .place = place, .text = TEXT("quote")};
	values[2] = (struct option_value){.name = TEXT("body"), .place = place};
	values[3] = (struct option_value){.name = TEXT("required"), .place = place, .number = 1};
	*map = (struct option_map){place, values, 4};
	return map;
}

static void init_context(struct fixture *f)
{
	f->limits = (struct json_limits){.bytes = BODY_MAX, .depth = 8, .values = 100};
	f->context = (struct driver_context){.loop = &f->loop,
			.zmq = f->zmq,
			.limits = &f->limits,
			.account = &f->account,
			.event = on_event,
			.user = f};
}

int fixture_set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	*state = f;
	async_init(&f->async, loop_now(), 1);
	assert_int_equal(loop_init(&f->loop, &f->async), 0);
	f->zmq = network_new();
	assert_non_null(f->zmq);
	arena_init(&f->arena, NULL);
	init_context(f);
	frame_init_root(&f->parent, &parent_ops);
	scope_init_root(&f->scope, &f->async, NULL, &f->parent, SCOPE_FOREVER, on_idle);

	(void)snprintf(f->directory, sizeof(f->directory), "/tmp/sluice-zmq-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	(void)snprintf(f->endpoint, sizeof(f->endpoint), "ipc://%s/north", f->directory);
	struct diag diag;
	diag_init(&diag, &f->arena);
	f->resource = zmq_driver.create(
			&f->context, "north", fixture_options(f, text_of(f->endpoint)), &diag);
	assert_non_null(f->resource);
	f->source = f->resource->source;
	zmq_driver.open(f->resource, &diag);
	assert_int_equal(diag.errors, 0);
	return 0;
}

static bool is_idle(const struct fixture *f)
{
	return f->idle;
}

int fixture_tear_down(void **state)
{
	struct fixture *f = *state;
	loop_enter(&f->loop);
	scope_cancel(&f->scope, DRAIN);
	scope_close(&f->scope);
	loop_leave(&f->loop);
	fixture_run_until(f, is_idle);
	assert_int_equal(f->source->stats.pending, 0);
	assert_true(zmq_driver.close(f->resource, loop_now()));
	assert_int_equal(f->account.used, 0);
	zmq_driver.free(f->resource);
	if (f->router)
		fixture_fall(f);
	assert_true(network_end(f->zmq, UINT64_MAX));
	(void)unlink(f->endpoint + sizeof("ipc://") - 1);
	assert_int_equal(rmdir(f->directory), 0);
	loop_deinit(&f->loop);
	arena_deinit(&f->arena);
	free(f);
	assert_int_equal(live_report(), 0);
	return 0;
}

struct ask *fixture_ask(struct fixture *f, struct scope *scope, const char *body)
{
	struct ask *ask = arena_alloc(&f->arena, f->source->ask_size);
	assert_non_null(ask);
	f->source->ops->ask_init(ask, f->source, &f->arena, &f->parent, scope);
	ask->target = TEXT("quote");
	ask->body = text_of(body);
	return ask;
}

enum progress fixture_start(struct fixture *f, struct ask *ask)
{
	loop_enter(&f->loop);
	enum progress progress = frame_start(&ask->frame);
	loop_leave(&f->loop);
	return progress;
}

struct ask *fixture_asked(struct fixture *f, const char *body)
{
	struct ask *ask = fixture_ask(f, &f->scope, body);
	assert_int_equal(fixture_start(f, ask), PENDING);
	fixture_receive(f);
	return ask;
}

void fixture_run_until(struct fixture *f, bool (*holds)(const struct fixture *f))
{
	while (!holds(f))
		assert_true(sd_event_run(f->loop.event, FAILED_MS * UINT64_C(1000)) > 0);
}

void fixture_run_until_ended(struct fixture *f, size_t count)
{
	while (f->ended_count < count)
		assert_true(sd_event_run(f->loop.event, FAILED_MS * UINT64_C(1000)) > 0);
	assert_int_equal(f->ended_count, count);
	f->ended_count = 0;
}

void fixture_run_until_event(struct fixture *f, const char *event)
{
	while (strcmp(f->last_event, event) != 0)
		assert_true(sd_event_run(f->loop.event, FAILED_MS * UINT64_C(1000)) > 0);
}

/* ---- the source's end */

static void listen_again(struct fixture *f)
{
	const int timeout_ms = FAILED_MS;
	const int linger_ms = 0;
	f->router = zmq_socket(f->zmq, ZMQ_ROUTER);
	assert_non_null(f->router);
	assert_int_equal(zmq_setsockopt(f->router, ZMQ_RCVTIMEO, &timeout_ms, sizeof(timeout_ms)),
			0);
	assert_int_equal(zmq_setsockopt(f->router, ZMQ_LINGER, &linger_ms, sizeof(linger_ms)), 0);
	if (f->reads)
		assert_int_equal(zmq_setsockopt(f->router, ZMQ_RCVHWM, &f->reads, sizeof(f->reads)),
				0);
	assert_int_equal(zmq_bind(f->router, f->endpoint), 0);
}

void fixture_rise(struct fixture *f)
{
	bool ping = !f->resource->ready;
	listen_again(f);
	fixture_run_until_event(f, "source_up north");
	if (!ping)
		return;
	fixture_receive(f);
	char expected[64];
	(void)snprintf(expected, sizeof(expected), "$ping %lu -", (unsigned long)f->number);
	assert_string_equal(f->request, expected);
}

void fixture_rise_ready(struct fixture *f)
{
	fixture_rise(f);
	fixture_say(f, "%lu OK us=3", (unsigned long)f->number);
	fixture_run_until_event(f, "source_ready north");
}

void fixture_fall(struct fixture *f)
{
	assert_int_equal(zmq_close(f->router), 0);
	f->router = NULL;
}

void fixture_receive(struct fixture *f)
{
	int size = zmq_recv(f->router, f->peer, sizeof(f->peer), 0);
	assert_true(size > 0);
	f->peer_size = (size_t)size;
	size = zmq_recv(f->router, f->request, sizeof(f->request) - 1, 0);
	assert_true(size > 0 && (size_t)size < sizeof(f->request));
	f->request[size] = '\0';
	const char *id = strchr(f->request, ' ');
	assert_non_null(id);
	f->number = strtoull(id + 1, NULL, 10);
}

void fixture_say(struct fixture *f, const char *format, ...)
{
	char text[4096];
	va_list arguments;
	va_start(arguments, format);
	int size = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	assert_true(size >= 0 && (size_t)size < sizeof(text));
	assert_int_equal(zmq_send(f->router, f->peer, f->peer_size, ZMQ_SNDMORE), f->peer_size);
	assert_int_equal(zmq_send(f->router, text, (size_t)size, 0), size);
}
