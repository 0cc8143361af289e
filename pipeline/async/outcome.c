/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults are made where something goes wrong and only written out for a reply, so a request that
 * succeeds pays nothing for them.
 */
#include "pipeline/async/outcome.h"

#include <stdarg.h>
#include <stdio.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/buffer.h"
#include "pipeline/base/lesser.h"

/* Longer texts are cut: they go to a client, not to a log. */
#define MESSAGE_MAX 256

struct outcome outcome_fault(
		struct arena *arena, enum status status, struct text stage, struct text message)
{
	struct fault *fault = arena_alloc(arena, sizeof(*fault));
	if (fault)
		*fault = (struct fault){.status = status, .stage = stage, .message = message};
	return (struct outcome){.status = status, .fault = fault};
}

struct outcome outcome_retry(
		struct arena *arena, enum status status, struct text message, uint64_t retry_ns)
{
	struct fault *fault = arena_alloc(arena, sizeof(*fault));
	if (fault)
		*fault = (struct fault){.status = status, .message = message, .retry_ns = retry_ns};
	return (struct outcome){.status = status, .fault = fault};
}

struct outcome outcome_failed(
		struct arena *arena, enum status status, struct text stage, const char *format, ...)
{
	char text[MESSAGE_MAX];
	va_list args;
	va_start(args, format);
	int size = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (size < 0)
		size = 0;
	struct text message = arena_copy(
			arena, (struct text){text, lesser((size_t)size, sizeof(text) - 1)});
	return message.data ? outcome_fault(arena, status, stage, message) : outcome_status(status);
}

struct outcome outcome_timeout(struct arena *arena, struct text stage, struct text message)
{
	struct fault *fault = arena_alloc(arena, sizeof(*fault));
	if (fault)
		*fault = (struct fault){.status = STATUS_UNAVAILABLE,
				.timeout = true,
				.stage = stage,
				.message = message};
	return (struct outcome){.status = STATUS_UNAVAILABLE, .fault = fault};
}

struct outcome outcome_at_stage(struct arena *arena, struct outcome outcome, struct text stage)
{
	if (outcome.status == STATUS_OK || (outcome.fault && outcome.fault->stage.data))
		return outcome;
	struct fault *fault = arena_alloc(arena, sizeof(*fault));
	if (!fault)
		return outcome;
	*fault = outcome.fault ? *outcome.fault : (struct fault){.status = outcome.status};
	fault->stage = stage;
	fault->next = NULL;
	outcome.fault = fault;
	return outcome;
}

static struct text generic_message(enum status status)
{
	switch (status) {
	case STATUS_OK:
		return TEXT("ok");
	case STATUS_CANCELLED:
		return TEXT("cancelled");
	case STATUS_INVALID_ARGUMENT:
		return TEXT("invalid request");
	case STATUS_DEADLINE_EXCEEDED:
		return TEXT("deadline exceeded");
	case STATUS_NOT_FOUND:
		return TEXT("not found");
	case STATUS_PERMISSION_DENIED:
		return TEXT("not allowed");
	case STATUS_RESOURCE_EXHAUSTED:
		return TEXT("too much at once");
	case STATUS_UNIMPLEMENTED:
		return TEXT("no such thing here");
	case STATUS_INTERNAL:
		return TEXT("internal error");
	case STATUS_UNAVAILABLE:
		return TEXT("unavailable");
	case STATUS_UNAUTHENTICATED:
		return TEXT("not authenticated");
	case STATUS_COUNT:
		break;
	}
	return TEXT("unknown");
}

static void append_fault(struct buffer *buffer, enum status status, const struct fault *fault,
		bool with_status)
{
	struct text message =
			fault && fault->message.data ? fault->message : generic_message(status);
	buffer_append(buffer, TEXT("{\"error\":"));
	buffer_append_json_string(buffer, message);
	if (with_status) {
		buffer_append(buffer, TEXT(",\"status\":"));
		buffer_append_json_string(buffer, status_text(status));
	}
	if (fault && fault->stage.data) {
		buffer_append(buffer, TEXT(",\"stage\":"));
		buffer_append_json_string(buffer, fault->stage);
	}
	if (fault && fault->timeout)
		buffer_append(buffer, TEXT(",\"timeout\":true"));
	if (fault && fault->cause) {
		buffer_append(buffer, TEXT(",\"causes\":["));
		for (const struct fault *cause = fault->cause; cause; cause = cause->next) {
			if (cause != fault->cause)
				buffer_append_char(buffer, ',');
			append_fault(buffer, cause->status, cause, true);
		}
		buffer_append_char(buffer, ']');
	}
	buffer_append_char(buffer, '}');
}

void outcome_append_error(struct buffer *buffer, const struct outcome *outcome)
{
	append_fault(buffer, outcome->status, outcome->fault, false);
}
