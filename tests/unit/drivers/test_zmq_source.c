/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

#include <cmocka.h>

#include "tests/unit/allocations.h"
#include "tests/unit/drivers/zmq_fixture.h"

#define MS UINT64_C(1000000)

static void assert_text(struct text text, const char *expected)
{
	assert_non_null(text.data);
	assert_int_equal(text.size, strlen(expected));
	assert_memory_equal(text.data, expected, text.size);
}

static void assert_failed(const struct ask *ask, enum status status, const char *message)
{
	assert_int_equal(ask->frame.outcome.status, status);
	assert_non_null(ask->frame.outcome.fault);
	assert_int_equal(ask->frame.outcome.fault->status, status);
	assert_text(ask->frame.outcome.fault->message, message);
}

static void test_endpoints(void **state)
{
	static const struct {
		const char *endpoint;
		bool good;
	} endpoints[] = {
			{"tcp://127.0.0.1:6001", true},
			{"tcp://[::1]:1", true},
			{"tcp://north.example:65535", true},
			{"ipc:///run/north", true},
			{"tcp://127.0.0.1:65536", false},
			{"tcp://127.0.0.1:0", false},
			{"tcp://127.0.0.1:", false},
			{"tcp://127.0.0.1:*", false},
			{"tcp://127.0.0.1", false},
			{"tcp://:6001", false},
			{"tcp://*:6001", false},
			{"tcp://", false},
			{"ipc://", false},
			{"udp://127.0.0.1:6001", false},
			{"inproc://north", false},
			{"127.0.0.1:6001", false},
			{"", false},
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(endpoints) / sizeof(*endpoints); i++) {
		struct diag diag;
		diag_init(&diag, &f->arena);
		const struct option_map *options =
				fixture_options(f, text_of(endpoints[i].endpoint));
		struct resource *resource = zmq_driver.create(&f->context, "south", options, &diag);
		assert_int_equal(resource != NULL, endpoints[i].good);
		assert_int_equal(diag.errors, !endpoints[i].good);
		if (resource)
			zmq_driver.free(resource); /* as under --check: never opened */
		else
			assert_int_equal(diag.first->place.line, 7);
	}
}

static void test_an_endpoint_with_a_null(void **state)
{
	struct fixture *f = *state;
	struct diag diag;
	diag_init(&diag, &f->arena);
	const struct option_map *options = fixture_options(f, TEXT("ipc:///run/north\0"));
	assert_null(zmq_driver.create(&f->context, "south", options, &diag));
	assert_int_equal(diag.errors, 1);
}

static void test_created(void **state)
{
	struct fixture *f = *state;
	assert_ptr_equal(f->resource->driver, &zmq_driver);
	assert_string_equal(f->resource->name, "north");
	assert_true(f->resource->required);
	assert_false(f->resource->ready);
	assert_text(f->source->target, "quote");
	assert_null(f->source->body);
	assert_false(f->source->stats.up);
}

/* What zmq_connect() does not take is found when the source is opened, and stands at its line. */
static void test_open_fails(void **state)
{
	struct fixture *f = *state;
	struct diag diag;
	diag_init(&diag, &f->arena);
	const struct option_map *options = fixture_options(f, TEXT("tcp://no host:6001"));
	struct resource *resource = zmq_driver.create(&f->context, "south", options, &diag);
	assert_non_null(resource);
	zmq_driver.open(resource, &diag);
	assert_int_equal(diag.errors, 1);
	assert_int_equal(diag.first->place.line, 7);
	assert_non_null(strstr(diag.first->message,
			"source \"south\" cannot connect to tcp://no host:6001"));
	assert_true(zmq_driver.close(resource, 0));
	zmq_driver.free(resource);
}

static void test_not_connected(void **state)
{
	struct fixture *f = *state;
	struct ask *ask = fixture_ask(f, &f->scope, NULL);
	assert_int_equal(fixture_start(f, ask), DONE);
	assert_failed(ask, STATUS_UNAVAILABLE, "not connected");
	assert_int_equal(f->source->stats.refused, 1);
	assert_int_equal(f->source->stats.asked, 0);
}

static bool pong_was_read(const struct fixture *f)
{
	return f->source->stats.late == 1;
}

static void test_ready(void **state)
{
	struct fixture *f = *state;
	fixture_rise(f);
	assert_true(f->source->stats.up);
	assert_false(f->resource->ready);
	/*
	 * UNAVAILABLE is no readiness, and no other answer follows; the next connection asks again.
	 *
	 */
	fixture_say(f, "%" PRIu64 " UNAVAILABLE us=3", f->number);
	fixture_say(f, "%" PRIu64 " OK us=3", f->number);
	fixture_run_until(f, pong_was_read);
	assert_false(f->resource->ready);
	fixture_fall(f);
	fixture_run_until_event(f, "source_down north");
	fixture_rise(f);
	fixture_say(f, "%" PRIu64 " UNIMPLEMENTED us=3", f->number);
	fixture_run_until_event(f, "source_ready north");
	assert_true(f->resource->ready);
}

static void test_value(void **state)
{
	struct fixture *f = *state;
	fixture_rise_ready(f);
	struct ask *ask = fixture_asked(f, "{\"symbol\":\"AAPL\"}");
	assert_int_equal(f->source->stats.pending, 1);
	char expected[64];
	(void)snprintf(expected, sizeof(expected), "quote %" PRIu64 " -\n{\"symbol\":\"AAPL\"}",
			f->number);
	assert_string_equal(f->request, expected);
	fixture_say(f, "%" PRIu64 " OK us=3\n {\"price\": 187.23} ", f->number);
	fixture_run_until_ended(f, 1);
	const struct outcome *outcome = &ask->frame.outcome;
	assert_int_equal(outcome->status, STATUS_OK);
	assert_false(outcome->partial);
	assert_text(outcome->value.text, "{\"price\": 187.23}");
	assert_non_null(outcome->value.json);
	assert_int_equal(json_kind(outcome->value.json, outcome->value.index), JSON_OBJECT);
	assert_int_equal(f->source->stats.asked, 1);
	assert_int_equal(f->source->stats.answered, 1);
	assert_int_equal(f->source->stats.failed, 0);
	assert_int_equal(f->source->stats.pending, 0);
}

/* Answers find their asks whatever order they come in; no body is no value. */
static void test_out_of_order(void **state)
{
	struct fixture *f = *state;
	fixture_rise_ready(f);
	struct ask *first = fixture_asked(f, NULL);
	uint64_t number = f->number;
	struct ask *second = fixture_asked(f, NULL);
	fixture_say(f, "%" PRIu64 " OK us=3 partial=1\n[2]", f->number);
	fixture_say(f, "%" PRIu64 " OK us=3", number);
	fixture_run_until_ended(f, 2);
	assert_ptr_equal(f->ended[0], second);
	assert_ptr_equal(f->ended[1], first);
	assert_text(second->frame.outcome.value.text, "[2]");
	assert_true(second->frame.outcome.partial);
	assert_int_equal(first->frame.outcome.status, STATUS_OK);
	assert_false(value_present(&first->frame.outcome.value));
}

static void test_trace_and_target(void **state)
{
	struct fixture *f = *state;
	fixture_rise_ready(f);
	struct ask *ask = fixture_ask(f, &f->scope, "{}");
	ask->target = TEXT("last");
	ask->trace = TEXT("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
	assert_int_equal(fixture_start(f, ask), PENDING);
	fixture_receive(f);
	char expected[128];
	(void)snprintf(expected, sizeof(expected), "last %" PRIu64 " - trace=%.*s\n{}", f->number,
			TEXT_ARG(ask->trace));
	assert_string_equal(f->request, expected);
}

static void test_errors(void **state)
{
	static const char umlauts[] =
			"üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü";
	struct fixture *f = *state;
	fixture_rise_ready(f);
	struct ask *ask = fixture_asked(f, NULL);
	fixture_say(f, "%" PRIu64 " NOT_FOUND us=3\n{\"error\":\"no \\u0041APL here\"}", f->number);
	fixture_run_until_ended(f, 1);
	assert_failed(ask, STATUS_NOT_FOUND, "no AAPL here");

	/* It may ask to be left alone, at most for so long as a request may live. */
	static const struct {
		const char *said;
		uint64_t ms;
	} waits[] = {{"7", 7}, {"9999999999999", 999999999}, {"x", 0}};
	for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
		ask = fixture_asked(f, NULL);
		fixture_say(f, "%" PRIu64 " UNAVAILABLE us=3 retry_ms=%s", f->number,
				waits[i].said);
		fixture_run_until_ended(f, 1);
		assert_failed(ask, STATUS_UNAVAILABLE, "UNAVAILABLE");
		assert_int_equal(ask->frame.outcome.fault->retry_ns, waits[i].ms * 1000000);
	}

	static const char *const silent[] = {
			"", "\n", "\nnot JSON", "\n{\"error\":3}", "\n{\"error\":\"\"}", "\n[]"};
	for (size_t i = 0; i < sizeof(silent) / sizeof(*silent); i++) {
		ask = fixture_asked(f, NULL);
		fixture_say(f, "%" PRIu64 " RESOURCE_EXHAUSTED us=3%s", f->number, silent[i]);
		fixture_run_until_ended(f, 1);
		assert_failed(ask, STATUS_RESOURCE_EXHAUSTED, "RESOURCE_EXHAUSTED");
	}

	/* A text too long is cut between two characters: "x" and 255 of two bytes each. */
	ask = fixture_asked(f, NULL);
	fixture_say(f, "%" PRIu64 " INTERNAL us=3\n{\"error\":\"x%s%s%s%s%s\"}", f->number, umlauts,
			umlauts, umlauts, umlauts, umlauts);
	fixture_run_until_ended(f, 1);
	assert_int_equal(ask->frame.outcome.status, STATUS_INTERNAL);
	assert_int_equal(ask->frame.outcome.fault->message.size, 511);
	assert_int_equal(f->source->stats.failed, f->source->stats.answered);
}

static void test_bad_bodies(void **state)
{
	struct fixture *f = *state;
	char large[BODY_MAX + 2];
	memset(large, ' ', sizeof(large));
	large[0] = '1';
	large[sizeof(large) - 1] = '\0';
	const struct {
		const char *body;
		const char *message;
	} bodies[] = {
			{"{\"price\":", "its answer is not JSON: expected a value at byte 9"},
			{"{\"a\":1,\"a\":2}", "its answer is not JSON: duplicate name at byte 7"},
			{"[[[[[[[[[0]]]]]]]]]",
					"its answer is not JSON: nested too deeply at byte 8"},
			{large, "its answer is too large"},
	};
	fixture_rise_ready(f);
	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
		struct ask *ask = fixture_asked(f, NULL);
		fixture_say(f, "%" PRIu64 " OK us=3\n%s", f->number, bodies[i].body);
		fixture_run_until_ended(f, 1);
		assert_failed(ask, STATUS_INTERNAL, bodies[i].message);
		assert_int_equal(f->source->stats.failed, i + 1);
	}
	/* What too large an error says is not read. */
	struct ask *ask = fixture_asked(f, NULL);
	fixture_say(f, "%" PRIu64 " NOT_FOUND us=3\n{\"error\":\"none\"}%s", f->number, large);
	fixture_run_until_ended(f, 1);
	assert_failed(ask, STATUS_NOT_FOUND, "NOT_FOUND");
	/* The largest body that is allowed. */
	large[BODY_MAX] = '\0';
	ask = fixture_asked(f, NULL);
	fixture_say(f, "%" PRIu64 " OK us=3\n%s", f->number, large);
	fixture_run_until_ended(f, 1);
	assert_int_equal(ask->frame.outcome.status, STATUS_OK);
	assert_text(ask->frame.outcome.value.text, "1");
}

/* Garbage harms the ask that it names, if it names one, and no other. */
static void test_garbage(void **state)
{
	struct fixture *f = *state;
	fixture_rise_ready(f);
	struct ask *named = fixture_asked(f, NULL);
	fixture_say(f, "%" PRIu64 " FINE us=3\n1", f->number);
	fixture_run_until_ended(f, 1);
	assert_failed(named, STATUS_INTERNAL, "its answer is no reply: the status is unknown");
	assert_int_equal(f->source->stats.garbage, 1);

	struct ask *unharmed = fixture_asked(f, NULL);
	fixture_say(f, "%s", "");
	fixture_say(f, "{\"price\":1}");
	fixture_say(f, "- INVALID_ARGUMENT us=3");
	assert_int_equal(zmq_send(f->router, f->peer, f->peer_size, ZMQ_SNDMORE), f->peer_size);
	assert_int_equal(zmq_send(f->router, "", 0, ZMQ_SNDMORE), 0);
	fixture_say(f, "%" PRIu64 " OK us=3\n1", f->number);
	fixture_say(f, "0%" PRIu64 " OK us=3\n2", f->number);
	fixture_say(f, "%" PRIu64 " OK us=3\n3", f->number);
	fixture_run_until_ended(f, 1);
	assert_text(unharmed->frame.outcome.value.text, "3");
	assert_int_equal(f->source->stats.garbage, 4);
	assert_int_equal(f->source->stats.late, 2);
}

/* A part is no answer, and no more is the reply that ends the parts. */
static void test_parts(void **state)
{
	struct fixture *f = *state;
	fixture_rise_ready(f);
	struct ask *ask = fixture_asked(f, NULL);
	fixture_say(f, "%" PRIu64 " MORE us=3 seq=1\n{\"a\":1}", f->number);
	fixture_say(f, "%" PRIu64 " MORE us=4 seq=2\n{\"b\":1}", f->number);
	fixture_say(f, "%" PRIu64 " OK us=5 parts=2\n{}", f->number);
	fixture_run_until_ended(f, 1);
	assert_failed(ask, STATUS_INTERNAL,
			"its answer is no reply: it is a part, and no parts were asked for");
	struct ask *next = fixture_asked(f, NULL);
	fixture_say(f, "%" PRIu64 " OK us=3\n1", f->number);
	fixture_run_until_ended(f, 1);
	assert_text(next->frame.outcome.value.text, "1");
	assert_int_equal(f->source->stats.garbage, 2);
	assert_int_equal(f->source->stats.late, 1);
}

static void test_twice(void **state)
{
	struct fixture *f = *state;
	fixture_rise_ready(f);
	struct ask *ask = fixture_asked(f, NULL);
	fixture_say(f, "%" PRIu64 " OK us=3\n1", f->number);
	fixture_say(f, "%" PRIu64 " OK us=3\n2", f->number);
	fixture_say(f, "%" PRIu64 " OK us=3\n3", f->number + 1000);
	struct ask *next = fixture_asked(f, NULL);
	fixture_say(f, "%" PRIu64 " OK us=3\n4", f->number);
	fixture_run_until_ended(f, 2);
	assert_text(ask->frame.outcome.value.text, "1");
	assert_text(next->frame.outcome.value.text, "4");
	assert_int_equal(f->source->stats.answered, 2);
	assert_int_equal(f->source->stats.late, 2);
}

static void test_cancel(void **state)
{
	struct fixture *f = *state;
	fixture_rise_ready(f);
	struct scope scope;
	scope_init(&scope, &f->scope, &f->parent, SCOPE_FOREVER, DEADLINE);
	struct ask *ask = fixture_ask(f, &scope, NULL);
	assert_int_equal(fixture_start(f, ask), PENDING);
	fixture_receive(f);
	uint64_t number = f->number;
	loop_enter(&f->loop);
	scope_cancel(&scope, LOST);
	scope_close(&scope);
	loop_leave(&f->loop);
	/* The frame has ended, though the source has not heard of it. */
	assert_int_equal(ask->frame.state, FRAME_ENDED);
	assert_int_equal(ask->frame.outcome.status, STATUS_CANCELLED);
	assert_int_equal(f->source->stats.cancelled, 1);
	fixture_receive(f);
	char expected[64];
	(void)snprintf(expected, sizeof(expected), "$cancel %" PRIu64 " -", number);
	assert_string_equal(f->request, expected);

	/* It answers too late, and the next ask has its own answer. */
	struct ask *next = fixture_asked(f, NULL);
	fixture_say(f, "%" PRIu64 " OK us=3\n1", number);
	fixture_say(f, "%" PRIu64 " OK us=3\n2", f->number);
	fixture_run_until_ended(f, 1);
	assert_text(next->frame.outcome.value.text, "2");
	assert_int_equal(f->source->stats.late, 1);
	assert_int_equal(f->source->stats.answered, 1);
}

/*
 * The budget is what is left, less the margin, rounded down; where that is nothing, nothing is
 * sent.
 */
static void test_budget(void **state)
{
	static const struct {
		uint64_t left_ns;
		unsigned budget_ms; /* 0: not sent */
	} cases[] = {{1, 0}, {2 * MS, 0}, {3 * MS - 1, 0}, {3 * MS, 1}, {60000 * MS - 1, 59997},
			{UINT64_MAX / 2, 999999999}};
	struct fixture *f = *state;
	fixture_rise_ready(f);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct scope *scope = arena_alloc(&f->arena, sizeof(*scope));
		assert_non_null(scope);
		loop_enter(&f->loop);
		scope_init(scope, &f->scope, &f->parent, f->async.now + cases[i].left_ns, TIMEOUT);
		struct ask *ask = fixture_ask(f, scope, "{}");
		enum progress progress = frame_start(&ask->frame);
		if (progress == PENDING)
			scope_cancel(scope, ASKED);
		scope_close(scope);
		loop_leave(&f->loop);
		if (cases[i].budget_ms == 0) {
			assert_int_equal(progress, DONE);
			assert_failed(ask, STATUS_DEADLINE_EXCEEDED, "no time is left to ask");
			continue;
		}
		assert_int_equal(progress, PENDING);
		fixture_receive(f);
		char expected[64];
		(void)snprintf(expected, sizeof(expected), "quote %" PRIu64 " %u\n{}", f->number,
				cases[i].budget_ms);
		assert_string_equal(f->request, expected);
		fixture_receive(f); /* the cancel */
	}
	assert_int_equal(f->source->stats.refused, 0);
}

/* When the scope's own deadline comes, the source is told. */
static void test_deadline(void **state)
{
	struct fixture *f = *state;
	fixture_rise_ready(f);
	struct scope scope;
	loop_enter(&f->loop);
	scope_init(&scope, &f->scope, &f->parent, f->async.now + 20 * MS, TIMEOUT);
	struct ask *ask = fixture_ask(f, &scope, NULL);
	assert_int_equal(frame_start(&ask->frame), PENDING);
	loop_leave(&f->loop);
	while (ask->frame.state != FRAME_ENDED)
		assert_true(sd_event_run(f->loop.event, UINT64_MAX) > 0);
	assert_int_equal(ask->frame.outcome.status, STATUS_CANCELLED);
	fixture_receive(f);
	fixture_receive(f);
	assert_memory_equal(f->request, "$cancel ", 8);
	loop_enter(&f->loop);
	scope_close(&scope);
	loop_leave(&f->loop);
}

static void test_dies(void **state)
{
	struct fixture *f = *state;
	fixture_rise_ready(f);
	struct ask *first = fixture_asked(f, NULL);
	struct ask *second = fixture_asked(f, NULL);
	fixture_fall(f);
	fixture_run_until_ended(f, 2);
	assert_ptr_equal(f->ended[0], first);
	assert_ptr_equal(f->ended[1], second);
	assert_failed(first, STATUS_UNAVAILABLE, "connection lost");
	assert_failed(second, STATUS_UNAVAILABLE, "connection lost");
	assert_string_equal(f->last_event, "source_down north");
	assert_false(f->source->stats.up);
	assert_int_equal(f->source->stats.pending, 0);

	struct ask *third = fixture_ask(f, &f->scope, NULL);
	assert_int_equal(fixture_start(f, third), DONE);
	assert_failed(third, STATUS_UNAVAILABLE, "not connected");
}

/* A required source that is silent is asked again, and each of its answers is known for what it is.
 */
static void test_is_asked_again(void **state)
{
	struct fixture *f = *state;
	struct diag diag;
	diag_init(&diag, &f->arena);
	fixture_rise(f);
	f->resource->required = true;
	zmq_driver.open(f->resource, &diag);
	fixture_receive(f);
	uint64_t number = f->number;
	f->resource->required = false; /* of such, nobody waits for an answer */
	zmq_driver.open(f->resource, &diag);
	fixture_say(f, "%" PRIu64 " OK us=3", number);
	fixture_say(f, "%" PRIu64 " OK us=3", number);
	fixture_run_until_event(f, "source_ready north");
	f->resource->required = true;
	zmq_driver.open(f->resource, &diag);
	struct ask *ask = fixture_asked(f, "1"); /* and no third ping before it */
	fixture_say(f, "%" PRIu64 " OK us=3\n1", f->number);
	fixture_run_until_ended(f, 1);
	assert_text(ask->frame.outcome.value.text, "1");
	assert_int_equal(f->source->stats.late, 0);
}

/* What is late is no answer to a `$ping` that is due. */
static void test_another_answer_than_to_a_ping(void **state)
{
	struct fixture *f = *state;
	fixture_rise(f);
	fixture_say(f, "%" PRIu64 " OK us=3", f->number + 1000);
	fixture_say(f, "%" PRIu64 " OK us=3", f->number);
	fixture_run_until_event(f, "source_ready north");
	assert_int_equal(f->source->stats.late, 1);
}

/* A source that comes back hears nothing of what was asked before, and needs no second `$ping`. */
static void test_comes_back(void **state)
{
	struct fixture *f = *state;
	fixture_rise_ready(f);
	(void)fixture_asked(f, "\"before\"");
	fixture_fall(f);
	fixture_run_until_ended(f, 1);
	assert_int_equal(fixture_start(f, fixture_ask(f, &f->scope, "\"meanwhile\"")), DONE);
	fixture_rise(f);
	assert_true(f->source->stats.up);
	struct ask *ask = fixture_asked(f, "\"after\"");
	assert_non_null(strstr(f->request, "\"after\""));
	fixture_say(f, "%" PRIu64 " OK us=3\ntrue", f->number);
	fixture_run_until_ended(f, 1);
	assert_text(ask->frame.outcome.value.text, "true");
}

/* Where there is no memory for an answer, its ask ends all the same. */
static void test_no_memory(void **state)
{
	struct fixture *f = *state;
	fixture_rise_ready(f);
	struct arena empty;
	arena_init(&empty, NULL);
	struct ask *value = fixture_asked(f, NULL);
	value->arena = &empty;
	fixture_say(f, "%" PRIu64 " OK us=3\n1", f->number);
	struct ask *error = fixture_asked(f, NULL);
	error->arena = &empty;
	fixture_say(f, "%" PRIu64 " NOT_FOUND us=3\n{\"error\":\"none\"}", f->number);
	allocations_fail_after(0);
	fixture_run_until_ended(f, 2);
	allocations_heal();
	assert_int_equal(value->frame.outcome.status, STATUS_RESOURCE_EXHAUSTED);
	assert_int_equal(error->frame.outcome.status, STATUS_NOT_FOUND);
	assert_int_equal(empty.bytes, 0);
}

/* Larger than what libzmq holds by itself. */
static void test_no_memory_to_ask(void **state)
{
	struct fixture *f = *state;
	fixture_rise_ready(f);
	char body[301];
	memset(body, '1', sizeof(body) - 1);
	body[sizeof(body) - 1] = '\0';
	struct ask *ask = fixture_ask(f, &f->scope, body);
	allocations_fail_after(0);
	enum progress progress = fixture_start(f, ask);
	allocations_heal();
	assert_int_equal(progress, DONE);
	assert_int_equal(ask->frame.outcome.status, STATUS_RESOURCE_EXHAUSTED);
	assert_int_equal(f->source->stats.asked, 0);
	assert_int_equal(f->account.used, 0);
}

static void test_create_without_memory(void **state)
{
	struct fixture *f = *state;
	const struct option_map *options = fixture_options(f, TEXT("tcp://127.0.0.1:6001"));
	for (unsigned successes = 0; successes < 3; successes++) {
		struct arena arena;
		struct diag diag;
		arena_init(&arena, NULL);
		assert_non_null(arena_alloc(&arena, 1)); /* there is memory for the error */
		diag_init(&diag, &arena);
		allocations_fail_after(successes);
		struct resource *resource = zmq_driver.create(&f->context, "north", options, &diag);
		allocations_heal();
		assert_null(resource);
		assert_int_equal(diag.errors, 1);
		assert_string_equal(diag.first->message, "out of memory");
		arena_deinit(&arena);
	}
}

/*
 * A source that reads nothing is refused further asks once libzmq's queue is full, and all end when
 * they are cancelled.
 */
static void test_full_queue(void **state)
{
	struct fixture *f = *state;
	fixture_rise_ready(f);
	loop_enter(&f->loop);
	struct ask *ask;
	do {
		ask = fixture_ask(f, &f->scope, NULL);
	} while (frame_start(&ask->frame) == PENDING);
	assert_failed(ask, STATUS_UNAVAILABLE, "takes no questions at the moment");
	assert_int_equal(f->source->stats.refused, 1);
	/* What libzmq holds is counted back in halves of its limit. */
	assert_true(f->source->stats.pending >= 50000);
	assert_int_equal(f->source->stats.pending, f->source->stats.asked);
	loop_leave(&f->loop);
}

/* A `$ping` for which there is no room is sent the next time. */
static void test_full_queue_and_a_ping(void **state)
{
	struct fixture *f = *state;
	struct diag diag;
	struct scope scope;
	fixture_rise(f);
	diag_init(&diag, &f->arena);
	f->resource->required = true;
	scope_init(&scope, &f->scope, &f->parent, SCOPE_FOREVER, DEADLINE);
	loop_enter(&f->loop);
	struct ask *ask;
	do {
		ask = fixture_ask(f, &scope, NULL);
	} while (frame_start(&ask->frame) == PENDING);
	zmq_driver.open(f->resource, &diag);
	assert_int_equal(diag.errors, 0);
	scope_cancel(&scope, LOST);
	scope_close(&scope);
	loop_leave(&f->loop);
	fixture_fall(f);
	fixture_run_until_event(f, "source_down north");
	fixture_rise_ready(f);
	assert_true(f->resource->ready);
}

#define LARGE	 ((size_t)64 << 10)
#define SENT_MAX ((size_t)16 << 20) /* bytes on their way */

static char *large_body(struct fixture *f, size_t size)
{
	char *body = arena_alloc(&f->arena, size + 1);
	assert_non_null(body);
	memset(body, '1', size);
	body[size] = '\0';
	return body;
}

static bool is_all_gone(const struct fixture *f)
{
	return f->account.used == 0;
}

/* The same of bytes, which count for limits.bytes until libzmq is done with them. */
static void test_bytes_on_their_way(void **state)
{
	struct fixture *f = *state;
	struct scope scope;
	f->reads = 1;
	fixture_rise_ready(f);
	const char *body = large_body(f, LARGE);
	scope_init(&scope, &f->scope, &f->parent, SCOPE_FOREVER, DEADLINE);
	loop_enter(&f->loop);
	struct ask *ask;
	do {
		ask = fixture_ask(f, &scope, body);
		assert_true(f->source->stats.asked < 2000);
	} while (frame_start(&ask->frame) == PENDING);
	assert_failed(ask, STATUS_UNAVAILABLE, "takes no questions at the moment");
	assert_in_range(f->account.used, SENT_MAX - 2 * LARGE, SENT_MAX);
	scope_cancel(&scope, LOST);
	scope_close(&scope);
	loop_leave(&f->loop);
	assert_true(f->account.used > 0);
	fixture_fall(f);
	fixture_run_until(f, is_all_gone);
}

/* Reads it at the source's end, whatever its size. */
static void receive_large(struct fixture *f, size_t size)
{
	zmq_msg_t message;
	f->peer_size = (size_t)zmq_recv(f->router, f->peer, sizeof(f->peer), 0);
	assert_in_range(f->peer_size, 1, sizeof(f->peer));
	assert_int_equal(zmq_msg_init(&message), 0);
	assert_true(zmq_msg_recv(&message, f->router, 0) > 0);
	const char *data = zmq_msg_data(&message);
	const char *body = memchr(data, '\n', zmq_msg_size(&message));
	assert_non_null(body++);
	assert_int_equal(zmq_msg_size(&message) - (size_t)(body - data), size);
	f->number = strtoull(strchr(data, ' ') + 1, NULL, 10);
	assert_int_equal(zmq_msg_close(&message), 0);
}

/*
 * What is larger than all that may be on its way goes out, where nothing else is, and nothing more
 * until it is gone. Before it a few that are too small to count hold the source up.
 */
static void test_one_over_the_bound(void **state)
{
	enum { FEW = 10 };
	struct fixture *f = *state;
	const char *body = large_body(f, SENT_MAX);
	f->reads = 1;
	fixture_rise_ready(f);
	for (int i = 0; i < FEW; i++)
		assert_int_equal(fixture_start(f, fixture_ask(f, &f->scope, "1")), PENDING);
	assert_int_equal(f->account.used, 0);
	struct ask *ask = fixture_ask(f, &f->scope, body);
	assert_int_equal(fixture_start(f, ask), PENDING);
	assert_true(f->account.used > SENT_MAX);
	const char *more[] = {"1", body};
	for (int i = 0; i < 2; i++) {
		struct ask *other = fixture_ask(f, &f->scope, more[i]);
		assert_int_equal(fixture_start(f, other), DONE);
		assert_failed(other, STATUS_UNAVAILABLE, "takes no questions at the moment");
	}
	for (int i = 0; i < FEW; i++) {
		fixture_receive(f);
		fixture_say(f, "%" PRIu64 " OK us=3\n1", f->number);
	}
	receive_large(f, SENT_MAX);
	fixture_say(f, "%" PRIu64 " OK us=3\n2", f->number);
	fixture_run_until_ended(f, FEW + 1);
	assert_text(ask->frame.outcome.value.text, "2");
	fixture_run_until(f, is_all_gone);
	assert_int_equal(fixture_start(f, fixture_ask(f, &f->scope, body)), PENDING);
	receive_large(f, SENT_MAX);
	assert_int_equal(f->source->stats.refused, 2);
}

/* What a source says at once is taken in several turns where it is large: others are served in
 * between. */
static void test_large_answers_at_once(void **state)
{
	enum { MANY = 64, IN_A_TURN = ((size_t)1 << 20) / LARGE };
	struct fixture *f = *state;
	const char *body = large_body(f, LARGE);
	const uint64_t *heard = &f->source->stats.garbage;
	fixture_rise_ready(f);
	for (int i = 0; i < MANY; i++) {
		assert_true(zmq_send(f->router, f->peer, f->peer_size, ZMQ_SNDMORE) > 0);
		assert_int_equal(zmq_send(f->router, body, LARGE, 0), LARGE);
	}
	while (*heard < MANY) {
		uint64_t before = *heard;
		assert_true(sd_event_run(f->loop.event, UINT64_MAX) > 0);
		assert_true(*heard - before <= IN_A_TURN);
	}
}

int main(void)
{
#define SOURCE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
	const struct CMUnitTest tests[] = {
			SOURCE_TEST(test_endpoints),
			SOURCE_TEST(test_an_endpoint_with_a_null),
			SOURCE_TEST(test_created),
			SOURCE_TEST(test_open_fails),
			SOURCE_TEST(test_not_connected),
			SOURCE_TEST(test_ready),
			SOURCE_TEST(test_value),
			SOURCE_TEST(test_out_of_order),
			SOURCE_TEST(test_trace_and_target),
			SOURCE_TEST(test_errors),
			SOURCE_TEST(test_bad_bodies),
			SOURCE_TEST(test_garbage),
			SOURCE_TEST(test_parts),
			SOURCE_TEST(test_twice),
			SOURCE_TEST(test_cancel),
			SOURCE_TEST(test_budget),
			SOURCE_TEST(test_deadline),
			SOURCE_TEST(test_dies),
			SOURCE_TEST(test_is_asked_again),
			SOURCE_TEST(test_another_answer_than_to_a_ping),
			SOURCE_TEST(test_comes_back),
			SOURCE_TEST(test_no_memory),
			SOURCE_TEST(test_no_memory_to_ask),
			SOURCE_TEST(test_create_without_memory),
			SOURCE_TEST(test_full_queue),
			SOURCE_TEST(test_full_queue_and_a_ping),
			SOURCE_TEST(test_bytes_on_their_way),
			SOURCE_TEST(test_one_over_the_bound),
			SOURCE_TEST(test_large_answers_at_once),
	};
	return cmocka_run_group_tests_name("zmq source", tests, NULL, NULL);
}
