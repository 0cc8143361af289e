/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks of a ZeroMQ source: a line goes out under a number, and a reply with that number ends the
 * frame. An ask is in `pending` exactly while its frame waits, and whoever takes it out there ends
 * it: the reply, a cancel, or the loss of the connection. What comes for a number afterwards finds
 * nothing, so no answer can reach a frame that has ended.
 */
#include "pipeline/drivers/zmq_ask.h"

#include <errno.h>

#include "pipeline/async/async.h"
#include "pipeline/async/scope.h"
#include "pipeline/base/arena.h"
#include "pipeline/base/buffer.h"

#define NS_PER_MS UINT64_C(1000000)

/* Bytes kept of a source's own error text, which goes into the reply of each branch that failed. */
#define ERROR_MAX 512

#define ABSENT ((struct text){NULL, 0})

static struct zmq_source *source_of(const struct zmq_ask *ask)
{
	return container_of(ask->ask.source, struct zmq_source, source);
}

static struct zmq_ask *ask_of(struct frame *frame)
{
	return container_of(frame, struct zmq_ask, ask.frame);
}

/*
 * zmq_send() looks at most once a millisecond for what the network threads have told the socket, so
 * a connection that has just come up, or room that was just given back, may not be known to it yet.
 * Asking for ZMQ_EVENTS always looks.
 */
static void look(struct zsocket *socket)
{
	int events;
	size_t size = sizeof(events);
	(void)zmq_getsockopt(socket->socket, ZMQ_EVENTS, &events, &size);
	socket->dirty = true;
}

int zmq_ask_send(struct zmq_source *zs, struct text target, uint64_t number, uint64_t budget_ms,
		struct text trace, struct text body)
{
	char header[WIRE_HEADER_MAX + 1];
	char digits[20];
	struct text id = {digits, (size_t)(format_u64(digits, number) - digits)};
	const struct wire_request_keys keys = {.trace = trace};
	char *end = wire_write_request(header, target, id, budget_ms, &keys, body.size > 0);
	size_t header_size = (size_t)(end - header);
	zmq_msg_t message;
	if (zmq_msg_init_size(&message, header_size + body.size) != 0)
		return -ENOMEM;
	memcpy(zmq_msg_data(&message), header, header_size);
	if (body.size > 0)
		memcpy((char *)zmq_msg_data(&message) + header_size, body.data, body.size);
	int r = zsocket_send(&zs->socket, &message, 0);
	if (r == -EAGAIN) {
		look(&zs->socket);
		r = zsocket_send(&zs->socket, &message, 0);
	}
	if (r < 0)
		(void)zmq_msg_close(&message);
	return r;
}

static struct outcome failed(struct zmq_ask *ask, enum status status, struct text message)
{
	return outcome_fault(ask->ask.arena, status, ABSENT, message);
}

static struct outcome refused(struct zmq_ask *ask, struct text why)
{
	ask->ask.source->stats.refused++;
	return failed(ask, STATUS_UNAVAILABLE, why);
}

/* The milliseconds to hand on; 0: none are left. */
static uint64_t budget_of(const struct scope *scope)
{
	uint64_t left = scope_left(scope, scope->async->now);
	if (left == SCOPE_FOREVER)
		return WIRE_BUDGET_NONE;
	return left > SOURCE_MARGIN_NS ? (left - SOURCE_MARGIN_NS) / NS_PER_MS : 0;
}

static enum progress start(struct frame *frame)
{
	struct zmq_ask *ask = ask_of(frame);
	struct zmq_source *zs = source_of(ask);
	if (!zs->source.stats.up)
		return frame_done(frame, refused(ask, TEXT("not connected")));
	uint64_t budget_ms = budget_of(frame->scope);
	if (budget_ms == 0)
		return frame_done(frame, failed(ask, STATUS_DEADLINE_EXCEEDED,
							 TEXT("no time is left to ask")));
	uint64_t number = pending_number(&zs->pending);
	int r = zmq_ask_send(zs, ask->ask.target, number, budget_ms, ask->ask.trace, ask->ask.body);
	if (r == -ENOMEM)
		return frame_done(frame, outcome_status(STATUS_RESOURCE_EXHAUSTED));
	/* Its queue is full, or its connection is lost and the monitor has not said so yet. */
	if (r < 0)
		return frame_done(frame, refused(ask, TEXT("takes no questions at the moment")));
	pending_add(&zs->pending, &ask->entry, number);
	zs->source.stats.asked++;
	zs->source.stats.pending++;
	return PENDING;
}

/* Ends an ask that waits. */
static void finish(struct zmq_source *zs, struct zmq_ask *ask, struct outcome outcome)
{
	pending_remove(&zs->pending, &ask->entry);
	zs->source.stats.pending--;
	ask->ask.frame.outcome = outcome;
	frame_finish(&ask->ask.frame);
}

static void cancel(struct frame *frame, enum reason reason)
{
	struct zmq_ask *ask = ask_of(frame);
	struct zmq_source *zs = source_of(ask);
	/* Only a help to the source: where it can't be sent, the answer is dropped all the same. */
	(void)zmq_ask_send(
			zs, TEXT("$cancel"), ask->entry.number, WIRE_BUDGET_NONE, ABSENT, ABSENT);
	zs->source.stats.cancelled++;
	finish(zs, ask, outcome_status(STATUS_CANCELLED));
}

static const struct frame_ops frame_ops = {.start = start, .cancel = cancel};

static void ask_init(struct ask *ask, struct source *source, struct arena *arena,
		struct frame *parent, struct scope *scope)
{
	*ask = (struct ask){.source = source, .arena = arena};
	frame_init(&ask->frame, &frame_ops, parent, scope);
}

const struct source_ops zmq_ask_source_ops = {.ask_init = ask_init};

/* At most ERROR_MAX bytes of t, and no part of a character. */
static struct text shortened(struct text t)
{
	if (t.size <= ERROR_MAX)
		return t;
	t.size = ERROR_MAX;
	while (t.size > 0 && (t.data[t.size] & 0xc0) == 0x80)
		t.size--;
	return t;
}

/* What the source says went wrong; the status's name where nothing can be read. */
static struct text error_of(struct zmq_ask *ask, const struct wire_reply *reply)
{
	struct arena *arena = ask->ask.arena;
	const struct json_limits *limits = ask->ask.source->limits;
	struct text name = status_text(reply->status);
	if (!reply->body.data || reply->body.size > limits->bytes)
		return name;
	struct text body = arena_copy(arena, reply->body);
	struct json json;
	struct json_error error;
	if (!body.data || !json_parse(&json, arena, body, limits, &error))
		return name;
	uint32_t at = json_member(&json, 0, TEXT("error"));
	if (at == JSON_NONE || json_kind(&json, at) != JSON_STRING)
		return name;
	struct text said = json_string(&json, at, arena);
	return said.size > 0 ? shortened(said) : name;
}

/* The value of an OK reply: copied out of libzmq's message, checked, and viewed. */
static struct outcome value_of_body(struct zmq_ask *ask, struct text body)
{
	struct arena *arena = ask->ask.arena;
	const struct json_limits *limits = ask->ask.source->limits;
	if (!body.data)
		return outcome_ok(VALUE_NONE);
	if (body.size > limits->bytes)
		return failed(ask, STATUS_INTERNAL, TEXT("its answer is too large"));
	struct text copy = arena_copy(arena, body);
	struct json *json = arena_alloc(arena, sizeof(*json));
	if (!copy.data || !json)
		return outcome_status(STATUS_RESOURCE_EXHAUSTED);
	struct json_error error;
	if (json_parse(json, arena, copy, limits, &error))
		return outcome_ok(value_at(json, 0));
	if (error.message == json_out_of_memory)
		return outcome_status(STATUS_RESOURCE_EXHAUSTED);
	return outcome_failed(arena, STATUS_INTERNAL, ABSENT,
			"its answer is not JSON: %s at byte %zu", error.message, error.at);
}

static struct outcome outcome_of(
		struct zmq_ask *ask, const struct wire_reply *reply, const char *wrong)
{
	if (wrong)
		return outcome_failed(ask->ask.arena, STATUS_INTERNAL, ABSENT,
				"its answer is no reply: %s", wrong);
	if (reply->status != STATUS_OK)
		return failed(ask, reply->status, error_of(ask, reply));
	struct outcome outcome = value_of_body(ask, reply->body);
	outcome.partial = outcome.status == STATUS_OK && reply->partial;
	return outcome;
}

bool zmq_ask_answer(struct zmq_source *zs, uint64_t number, const struct wire_reply *reply,
		const char *wrong)
{
	struct pending_entry *entry = pending_find(&zs->pending, number);
	if (!entry)
		return false;
	struct zmq_ask *ask = container_of(entry, struct zmq_ask, entry);
	struct outcome outcome = outcome_of(ask, reply, wrong);
	zs->source.stats.answered++;
	if (outcome.status != STATUS_OK)
		zs->source.stats.failed++;
	finish(zs, ask, outcome);
	return true;
}

void zmq_ask_lose_all(struct zmq_source *zs)
{
	struct pending_entry *entry;
	while ((entry = pending_first(&zs->pending))) {
		struct zmq_ask *ask = container_of(entry, struct zmq_ask, entry);
		finish(zs, ask, failed(ask, STATUS_UNAVAILABLE, TEXT("connection lost")));
	}
}
