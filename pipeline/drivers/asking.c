/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A source is not trusted more than a client: its bodies keep the same limits, and what is wrong
 * with one is INTERNAL, because the client has no part in it.
 */
#include "pipeline/drivers/asking.h"

#include "pipeline/async/async.h"
#include "pipeline/async/scope.h"
#include "pipeline/base/arena.h"

#define NS_PER_MS UINT64_C(1000000)

/* Bytes kept of a source's own error text, which goes into the reply of each branch that failed. */
#define ERROR_MAX 512

#define ABSENT ((struct text){NULL, 0})

uint64_t asking_budget_ms(const struct scope *scope)
{
	uint64_t left = scope_left(scope, scope->async->now);
	if (left == SCOPE_FOREVER)
		return ASKING_FOREVER;
	return left > SOURCE_MARGIN_NS ? (left - SOURCE_MARGIN_NS) / NS_PER_MS : 0;
}

void asking_sent(struct ask *ask)
{
	ask->source->stats.asked++;
	ask->source->stats.pending++;
	ask->sent = true;
	ask->sent_at = ask->frame.scope->async->now;
}

struct outcome asking_failed(const struct ask *ask, enum status status, struct text message)
{
	return outcome_fault(ask->arena, status, ABSENT, message);
}

struct outcome asking_too_late(const struct ask *ask)
{
	return asking_failed(ask, STATUS_DEADLINE_EXCEEDED, TEXT("no time is left to ask"));
}

struct outcome asking_value(const struct ask *ask, struct text body)
{
	const struct json_limits *limits = ask->source->limits;
	if (body.size == 0)
		return outcome_ok(VALUE_NONE);
	if (body.size > limits->bytes)
		return asking_failed(ask, STATUS_INTERNAL, TEXT("its answer is too large"));
	struct json *json = arena_alloc(ask->arena, sizeof(*json));
	if (!json)
		return outcome_status(STATUS_RESOURCE_EXHAUSTED);
	struct json_error error;
	if (json_parse(json, ask->arena, body, limits, &error))
		return outcome_ok(value_at(json, 0));
	if (error.message == json_out_of_memory)
		return outcome_status(STATUS_RESOURCE_EXHAUSTED);
	return outcome_failed(ask->arena, STATUS_INTERNAL, ABSENT,
			"its answer is not JSON: %s at byte %zu", error.message, error.at);
}

/* At most ERROR_MAX bytes of t, which is UTF-8, and no part of a character. */
static struct text shortened(struct text t)
{
	if (t.size <= ERROR_MAX)
		return t;
	t.size = ERROR_MAX;
	while ((t.data[t.size] & 0xc0) == 0x80)
		t.size--;
	return t;
}

struct text asking_error(const struct ask *ask, struct text body)
{
	const struct json_limits *limits = ask->source->limits;
	struct json json;
	struct json_error error;
	if (body.size == 0 || !json_parse(&json, ask->arena, body, limits, &error))
		return ABSENT;
	uint32_t at = json_member(&json, 0, TEXT("error"));
	if (at == JSON_NONE || json_kind(&json, at) != JSON_STRING)
		return ABSENT;
	struct text said = json_string(&json, at, ask->arena);
	return said.size > 0 ? shortened(said) : ABSENT;
}
