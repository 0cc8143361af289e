/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks of an HTTP source: a permit, then a call. A call that is cancelled ends its transfer on the
 * spot, which closes the connection, so the server sees it; the permit goes to the next one then.
 */
#include <errno.h>

#include "pipeline/async/async.h"
#include "pipeline/base/arena.h"
#include "pipeline/drivers/asking.h"
#include "pipeline/drivers/http.h"
#include "pipeline/drivers/http_status.h"
#include "pipeline/drivers/http_text.h"

#define ABSENT ((struct text){NULL, 0})

struct http_ask {
	struct ask ask;
	struct permit permit;
	struct http_call call;
};

#define MESSAGE(literal)                                                                           \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}

/* The last one is for all else. */
static const struct http_failure failures[] = {
		{CURLE_COULDNT_RESOLVE_HOST, STATUS_UNAVAILABLE, true,
				MESSAGE("its name does not resolve")},
		{CURLE_COULDNT_CONNECT, STATUS_UNAVAILABLE, true, MESSAGE("cannot be connected")},
		{CURLE_OPERATION_TIMEDOUT, STATUS_UNAVAILABLE, true,
				MESSAGE("cannot be connected in time")},
		{CURLE_PEER_FAILED_VERIFICATION, STATUS_UNAVAILABLE, true,
				MESSAGE("its certificate is not trusted")},
		{CURLE_SSL_CACERT_BADFILE, STATUS_UNAVAILABLE, true,
				MESSAGE("the file that `ca` names holds no certificate")},
		{CURLE_SSL_CONNECT_ERROR, STATUS_UNAVAILABLE, true, MESSAGE("does not speak TLS")},
		{CURLE_SEND_ERROR, STATUS_UNAVAILABLE, false, MESSAGE("connection lost")},
		{CURLE_RECV_ERROR, STATUS_UNAVAILABLE, false, MESSAGE("connection lost")},
		{CURLE_GOT_NOTHING, STATUS_UNAVAILABLE, false,
				MESSAGE("connection lost without an answer")},
		{CURLE_PARTIAL_FILE, STATUS_UNAVAILABLE, false,
				MESSAGE("connection lost within its answer")},
		{CURLE_ABORTED_BY_CALLBACK, STATUS_RESOURCE_EXHAUSTED, false,
				MESSAGE("out of memory")},
		{CURLE_OUT_OF_MEMORY, STATUS_RESOURCE_EXHAUSTED, false, MESSAGE("out of memory")},
		{CURLE_FILESIZE_EXCEEDED, STATUS_INTERNAL, false,
				MESSAGE("its answer is too large")},
		{CURLE_OK, STATUS_INTERNAL, false, MESSAGE("its answer is not HTTP")},
};

const struct http_failure *http_failure(CURLcode code)
{
	const struct http_failure *failure = failures;
	while (failure->code != code && failure->code != CURLE_OK)
		failure++;
	return failure;
}

static struct http_ask *ask_of(const struct ask *ask)
{
	return container_of(ask, struct http_ask, ask);
}

static struct http_source *source_of(const struct ask *ask)
{
	return container_of(ask->source, struct http_source, source);
}

/* ---- a call */

static struct http_call *call_of(struct frame *frame)
{
	return container_of(frame, struct http_call, frame);
}

static enum progress call_start(struct frame *frame)
{
	struct http_call *call = call_of(frame);
	uint64_t budget_ms = asking_budget_ms(frame->scope);
	if (budget_ms == 0)
		return frame_done(frame, asking_too_late(call->ask));
	if (http_transfer_start(call, budget_ms) < 0)
		return frame_done(frame, outcome_status(STATUS_RESOURCE_EXHAUSTED));
	asking_sent(call->ask);
	return PENDING;
}

static void finish(struct http_call *call, CURLcode result, struct outcome outcome)
{
	http_transfer_end(call, result);
	call->source->source.stats.pending--;
	call->frame.outcome = outcome;
	frame_finish(&call->frame);
}

static void call_cancel(struct frame *frame, enum reason reason)
{
	struct http_call *call = call_of(frame);
	transfers_stop(&call->source->transfers, &call->transfer);
	call->source->source.stats.cancelled++;
	finish(call, CURLE_OK, outcome_status(STATUS_CANCELLED));
}

static const struct frame_ops call_ops = {.start = call_start, .cancel = call_cancel};

static struct outcome refused_by_server(struct http_call *call, long code, struct text body)
{
	const struct ask *ask = call->ask;
	struct http_meaning meaning = http_meaning(code);
	struct text message = asking_error(ask, body);
	if (code <= 399) /* below 200 is none, says libcurl, or not the last */
		message = arena_format(
				ask->arena, "it redirects (%ld), which is not followed", code);
	else if (!message.data)
		message = arena_format(ask->arena, "it answered %ld", code);
	if (!message.data)
		return outcome_status(STATUS_RESOURCE_EXHAUSTED);
	if (meaning.timeout)
		return outcome_timeout(ask->arena, ABSENT, message);
	return asking_failed(ask, meaning.status, message);
}

static struct outcome answer_of(struct http_call *call)
{
	struct text body = buffer_text(&call->body);
	long code = 0;
	(void)curl_easy_getinfo(call->transfer.easy, CURLINFO_RESPONSE_CODE, &code);
	http_source_up(call->source, "answered");
	if (http_meaning(code).status == STATUS_OK)
		return asking_value(call->ask, body);
	return refused_by_server(call, code, body);
}

static struct outcome trouble_of(const struct http_call *call)
{
	if (call->trouble == HTTP_NO_MEMORY)
		return outcome_status(STATUS_RESOURCE_EXHAUSTED);
	return asking_failed(call->ask, STATUS_INTERNAL,
			call->trouble == HTTP_TOO_LARGE ? TEXT("its answer is too large")
							: TEXT("its headers are too large"));
}

static struct outcome failure_of(struct http_call *call, CURLcode result)
{
	struct source_stats *stats = &call->source->source.stats;
	const struct http_failure *failure = http_failure(result);
	if (failure->down)
		http_source_down(call->source, failure->message.data);
	if (failure->status == STATUS_UNAVAILABLE)
		stats->lost++;
	else if (failure->code == CURLE_OK)
		stats->garbage++;
	return asking_failed(call->ask, failure->status, failure->message);
}

/* A connection that is lost within the headers is the end of an answer to libcurl. */
void http_call_ended(struct http_call *call, CURLcode result)
{
	if (result == CURLE_OK && !call->headed)
		result = CURLE_PARTIAL_FILE;
	struct source_stats *stats = &call->source->source.stats;
	struct outcome outcome;
	if (call->trouble != HTTP_FINE)
		outcome = trouble_of(call);
	else if (result == CURLE_OK)
		outcome = answer_of(call);
	else
		outcome = failure_of(call, result);
	if (result == CURLE_OK || outcome.status == STATUS_INTERNAL) {
		stats->answered++;
		stats->failed += outcome.status != STATUS_OK;
	}
	finish(call, result, outcome);
}

/* ---- an ask */

/* What its values make impossible, whatever the server would say. */
static const char *unfit(const struct ask *ask)
{
	const char *why = http_url_unfit(ask->texts[0]);
	for (uint32_t i = 1; i < ask->source->template_count && !why; i++)
		why = http_header_unfit(ask->texts[i]);
	return why;
}

static enum progress call_is_over(struct http_ask *self)
{
	permit_release(&self->permit);
	return frame_done(&self->ask.frame, self->call.frame.outcome);
}

static enum progress permitted(struct http_ask *self)
{
	struct ask *ask = &self->ask;
	struct outcome outcome = self->permit.frame.outcome;
	if (outcome.status == STATUS_RESOURCE_EXHAUSTED) {
		ask->source->stats.refused++;
		return frame_done(&ask->frame, asking_failed(ask, STATUS_RESOURCE_EXHAUSTED,
							       TEXT("its queue is full")));
	}
	if (outcome.status != STATUS_OK)
		return frame_done(&ask->frame, outcome);
	self->call = (struct http_call){.ask = ask, .source = source_of(ask)};
	frame_init(&self->call.frame, &call_ops, &ask->frame, ask->frame.scope);
	return frame_start(&self->call.frame) == DONE ? call_is_over(self) : PENDING;
}

static enum progress start(struct frame *frame)
{
	struct ask *ask = container_of(frame, struct ask, frame);
	struct http_ask *self = ask_of(ask);
	const char *why = unfit(ask);
	if (why)
		return frame_done(frame, asking_failed(ask, STATUS_INVALID_ARGUMENT, text_of(why)));
	if (asking_budget_ms(frame->scope) == 0)
		return frame_done(frame, asking_too_late(ask));
	permit_init(&self->permit, &source_of(ask)->semaphore, frame, frame->scope);
	return frame_start(&self->permit.frame) == DONE ? permitted(self) : PENDING;
}

static enum progress resume(struct frame *frame, struct frame *child)
{
	struct http_ask *self = ask_of(container_of(frame, struct ask, frame));
	return child == &self->permit.frame ? permitted(self) : call_is_over(self);
}

static const struct frame_ops frame_ops = {.start = start, .resume = resume};

static void ask_init(struct ask *ask, struct source *source, struct arena *arena,
		struct frame *parent, struct scope *scope)
{
	*ask = (struct ask){.source = source, .arena = arena};
	frame_init(&ask->frame, &frame_ops, parent, scope);
}

const struct source_ops http_source_ops = {.ask_init = ask_init};
const size_t http_ask_size = sizeof(struct http_ask);
