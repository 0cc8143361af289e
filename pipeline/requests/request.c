/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request from its message to the end of its work. One that is DONE at once never enters the
 * table and arms no deadline. One that waits is in flight until its reply has left, and its memory
 * stays until nothing goes on in its scope.
 */
#include "pipeline/requests/internal.h"

#include <assert.h>

#include "pipeline/requests/record_members.h"

static enum progress on_resume(struct frame *frame, struct frame *child);
static void on_idle(struct scope *scope);

static const struct frame_ops request_ops = {.resume = on_resume};

static void request_free(struct request *request)
{
	struct engine *engine = request->engine;
	struct generation *generation = request->generation;
	run_deinit(&request->run);
	struct arena arena = request->arena;
	arena_pool_give(&engine->arenas, &arena);
	if (generation)
		generation_leave(generation);
}

void request_leave(struct request *request)
{
	in_flight_remove(request);
	request->client = NULL;
	request->state = REQUEST_ENDED;
	if (request->idle)
		request_free(request);
	else
		request->engine->counts.reaping++;
}

static void on_idle(struct scope *scope)
{
	struct request *request = container_of(scope, struct request, scope);
	request->idle = true;
	if (request->state != REQUEST_ENDED)
		return;
	request->engine->counts.reaping--;
	request_free(request);
}

/* How it is answered: a large reply would be held in memory of its own until the client has read
 * it, which is not to be had once memory is used up. */
static struct outcome answer_of(struct request *request, struct outcome outcome)
{
	if (outcome.status != STATUS_OK || outcome.value.text.size < REPLY_LARGE ||
			!admission_memory_used_up(request->engine))
		return outcome;
	return outcome_fault(&request->arena, STATUS_RESOURCE_EXHAUSTED, (struct text){NULL, 0},
			TEXT("too much memory in use for so large a reply"));
}

/* Its work is over, or not wanted any more: answers, and lets the rest of its scope end by itself.
 */
static void finish(struct request *request, const struct outcome *outcome, enum reason reason)
{
	struct outcome answer = answer_of(request, *outcome);
	if (reason == REASON_NONE || reason == DEADLINE)
		admission_learn(request->engine, request, outcome);
	record_cut(request->pipeline, &request->run);
	enum left left = reply_request(request, &answer, reason, true);
	if (reason != REASON_NONE)
		scope_cancel(&request->scope, reason);
	if (request->delivery)
		delivery_end(request);
	scope_close(&request->scope);
	if (left == LEFT_HELD)
		return;
	if (request->delivery && request->delivery->held.reply)
		outbox_withdraw(&request->delivery->held);
	request_leave(request);
}

static enum status status_of(enum reason reason)
{
	if (reason == DEADLINE)
		return STATUS_DEADLINE_EXCEEDED;
	return reason == DRAIN ? STATUS_UNAVAILABLE : STATUS_CANCELLED;
}

void request_cut(struct request *request, enum reason reason)
{
	/* At its deadline nothing else ends a request, though the wheel may be a tick behind. */
	if (reason != GONE && request->scope.deadline <= request->engine->async->now)
		reason = DEADLINE;
	if (reason == ASKED)
		request->engine->counts.cancelled++;
	struct outcome outcome = outcome_status(status_of(reason));
	if (reason == DRAIN)
		outcome = outcome_fault(&request->arena, STATUS_UNAVAILABLE, (struct text){NULL, 0},
				TEXT("draining"));
	finish(request, &outcome, reason);
}

static enum progress on_resume(struct frame *frame, struct frame *child)
{
	struct request *request = container_of(frame, struct request, frame);
	if (!child) {
		request_cut(request, request->scope.reason);
		return PENDING;
	}
	struct delivery *delivery = request->delivery;
	if (delivery && child == &delivery->wait.frame) {
		if (request->state == REQUEST_RUNNING)
			delivery_go_on(request);
		return PENDING;
	}
	struct outcome outcome = pipeline_outcome(request->pipeline, request->run.root);
	if (delivery && delivery->lost)
		outcome = run_out_of_memory();
	finish(request, &outcome, REASON_NONE);
	return PENDING;
}

/* A slice of the message, in the copy of it. */
static struct text moved(struct text slice, struct text message, const char *copy)
{
	return (struct text){copy + (slice.data - message.data), slice.size};
}

/*
 * The request and what it reads of the message, in an arena of its own; *ret_body is left as it is
 * where there is none. NULL when memory is out.
 */
static struct request *request_new(struct engine *engine, struct client *client,
		struct text envelope, const struct wire_request *wire, struct text message,
		uint64_t received, struct text *ret_body)
{
	struct arena arena;
	if (!arena_pool_take(&engine->arenas, &arena))
		return NULL;
	struct request *request = arena_alloc(&arena, sizeof(*request));
	char *copy = arena_alloc(&arena, envelope.size + message.size);
	if (!request || !copy) {
		arena_pool_give(&engine->arenas, &arena);
		return NULL;
	}
	memcpy(copy, message.data, message.size);
	if (envelope.size > 0)
		memcpy(copy + message.size, envelope.data, envelope.size);
	frame_init_root(&request->frame, &request_ops);
	request->arena = arena;
	request->engine = engine;
	request->client = client;
	request->delivery = NULL;
	request->received = received;
	request->generation = engine->generation;
	generation_enter(request->generation);
	request->envelope = (struct text){copy + message.size, envelope.size};
	request->bytes_in = message.size;
	request->state = REQUEST_RUNNING;
	request->listed = false;
	request->idle = false;
	request->run = (struct run){
			.async = engine->async,
			.arena = &request->arena,
			.log = engine->log,
			.id = moved(wire->id, message, copy),
			.fresh = wire->fresh,
	};
	if (wire->trace.data)
		request->run.trace = moved(wire->trace, message, copy);
	if (wire->body.size > 0)
		*ret_body = moved(wire->body, message, copy);
	return request;
}

/* The body as a view. False: *ret_outcome is the answer. */
static bool read_body(struct request *request, struct text body, struct json *ret,
		struct outcome *ret_outcome)
{
	const struct json_limits *limits = &request->engine->limits.json;
	struct text no_stage = {NULL, 0};
	struct json_error error;
	if (!json_parse(ret, &request->arena, body, limits, &error)) {
		if (error.message == json_out_of_memory)
			*ret_outcome = run_out_of_memory();
		else
			*ret_outcome = outcome_failed(&request->arena, STATUS_INVALID_ARGUMENT,
					no_stage, "the body is not JSON: %s at byte %zu",
					error.message, error.at);
		return false;
	}
	if (json_kind(ret, 0) == JSON_OBJECT)
		return true;
	*ret_outcome = outcome_fault(&request->arena, STATUS_INVALID_ARGUMENT, no_stage,
			TEXT("the body must be a JSON object"));
	return false;
}

/* Checks the body and lays the pipeline's activation out. in_parts: the answer is wanted so. */
static void prepare(struct request *request, struct text body, bool in_parts)
{
	struct outcome *outcome = &request->frame.outcome;
	struct json *json = arena_alloc(&request->arena, sizeof(*json));
	void *memory = arena_zalloc(&request->arena, layout_size(&request->pipeline->layout));
	if (!json || !memory || (in_parts && !delivery_open(request)))
		*outcome = run_out_of_memory();
	else if (read_body(request, body, json, outcome))
		request->run.root = pipeline_enter(request->pipeline, memory, &request->run,
				value_at(json, 0), outcome);
}

/* Answers what never waited, and frees it unless its reply must wait or losers are still ending. */
static void finish_at_once(struct request *request, struct outcome outcome)
{
	struct outcome answer = answer_of(request, outcome);
	bool refused = answer.status == STATUS_RESOURCE_EXHAUSTED ||
		       answer.status == STATUS_INVALID_ARGUMENT;
	enum left left = reply_request(request, &answer, REASON_NONE, !refused);
	if (request->delivery)
		delivery_end(request);
	if (request->scope.count > 0) {
		scope_close(&request->scope);
	} else {
		scope_deinit(&request->scope);
		request->idle = true;
	}
	if (left == LEFT_HELD)
		in_flight_add(request);
	else
		request_leave(request);
}

static bool is_late(const struct engine *engine, uint64_t deadline)
{
	return deadline <= engine->async->now;
}

/* Why a request is refused when it is its turn, which nobody knows before; without a message it
 * isn't. */
static void refuse_at_its_turn(struct engine *engine, struct client *client, struct text envelope,
		uint64_t deadline, struct refusal *refusal)
{
	if (client->in_flight > 0 && in_flight_find(client, envelope, refusal->id)) {
		refusal->status = STATUS_INVALID_ARGUMENT;
		refusal->message = "a request with this id is in flight";
		refusal->keys.duplicate = true;
	} else if (is_late(engine, deadline)) {
		bool none = deadline == refusal->received;
		refusal->status = STATUS_DEADLINE_EXCEEDED;
		refusal->message = none ? "no time was given" : "deadline exceeded";
	}
}

/* False: it has been refused, and is no more. */
static bool admit(struct request *request)
{
	struct refusal refusal = {
			.id = request->run.id,
			.trace = request->run.trace,
			.pipeline = request->pipeline,
			.bytes_in = request->bytes_in,
			.received = request->received,
			.told = true,
	};
	refuse_at_its_turn(request->engine, request->client, request->envelope, request->deadline,
			&refusal);
	if (!refusal.message) {
		request->run.used_up = admission_used_up(request->client);
		return true;
	}
	reply_refuse(request->engine, request->client, request->envelope, &refusal);
	request_free(request);
	return false;
}

/* What its stages have ready already can leave when it is known by its id. Each of them has seen
 * whether it may wait. */
static void enter_flight(struct request *request)
{
	assert(!request->run.used_up);
	in_flight_add(request);
	if (request->delivery)
		delivery_go_on(request);
}

void request_start(struct request *request)
{
	if (!admit(request))
		return;
	scope_init_root(&request->scope, request->engine->async, NULL, &request->frame,
			request->deadline, on_idle);
	if (request->delivery)
		delivery_begin(request);
	if (!request->run.root)
		finish_at_once(request, request->frame.outcome);
	else if (pipeline_start(request->pipeline, &request->run, request->run.root,
				 &request->frame, &request->scope) == DONE)
		finish_at_once(request, pipeline_outcome(request->pipeline, request->run.root));
	else
		enter_flight(request);
}

/* Why this is answered before it becomes a request; without a message it isn't. */
static struct refusal refusal_of(
		struct engine *engine, const struct wire_request *wire, struct pipeline *pipeline)
{
	struct refusal refusal = {
			.id = wire->id, .trace = wire->trace, .pipeline = pipeline, .told = true};
	if (engine->draining) {
		refusal.status = STATUS_UNAVAILABLE;
		refusal.message = "draining";
		refusal.keys.retry_ms = admission_retry_ms(engine, pipeline);
	} else if (!pipeline) {
		refusal.status = STATUS_UNIMPLEMENTED;
		refusal.message = "no such pipeline";
	} else if (wire->body.size > engine->limits.json.bytes) {
		refusal.status = STATUS_INVALID_ARGUMENT;
		refusal.message = "the body is over its limit";
		refusal.keys.max = engine->limits.json.bytes;
	}
	return refusal;
}

void request_receive(struct engine *engine, struct client *client, struct text envelope,
		const struct wire_request *wire, struct text message, uint64_t received)
{
	struct pipeline *pipeline = pipelines_find(engine->generation->pipelines, wire->target);
	struct refusal refusal = refusal_of(engine, wire, pipeline);
	struct request *request = NULL;
	struct text body = TEXT("{}");
	uint64_t deadline = 0;
	refusal.bytes_in = message.size;
	refusal.received = received;
	if (!refusal.message) {
		deadline = admission_deadline(engine, pipeline, wire->budget_ms, received);
		/* One that comes too late costs nothing but its answer. */
		if (is_late(engine, deadline)) {
			group_start(engine);
			refuse_at_its_turn(engine, client, envelope, deadline, &refusal);
		}
	}
	if (!refusal.message) {
		request = request_new(engine, client, envelope, wire, message, received, &body);
		if (!request) {
			refusal.status = STATUS_RESOURCE_EXHAUSTED;
			refusal.message = "out of memory";
			refusal.keys.retry_ms = admission_retry_ms(engine, pipeline);
		}
	}
	if (!request) {
		group_start(engine);
		reply_refuse(engine, client, envelope, &refusal);
		return;
	}
	request->pipeline = pipeline;
	request->deadline = deadline;
	prepare(request, body, wire->stream);
	group_add(request);
}
