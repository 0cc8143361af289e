/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trace is to be the same each time, so it holds nothing of addresses, and of what is random only
 * that it is there.
 */
#include "tests/sim/trace.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/async/scope.h"
#include "pipeline/stages/stage.h"

static void append_time(struct trace *trace)
{
	uint64_t us = (trace->harness->world.async.now - WORLD_START) / 1000;
	char fraction[8] = "";
	char text[32];
	if (us % 1000 > 0)
		(void)snprintf(fraction, sizeof(fraction), ".%03u", (unsigned)(us % 1000));
	for (size_t end = strlen(fraction); end > 0 && fraction[end - 1] == '0'; end--)
		fraction[end - 1] = '\0';
	(void)snprintf(text, sizeof(text), "%" PRIu64 "%s", us / 1000, fraction);
	buffer_append_format(&trace->text, "%8s", text);
}

/* False: nothing is to be written. */
static bool begin(struct trace *trace)
{
	if (trace->stopped)
		return false;
	append_time(trace);
	buffer_append(&trace->text, TEXT("   "));
	return true;
}

static void end(struct trace *trace)
{
	buffer_append_char(&trace->text, '\n');
}

static void append_bytes(struct trace *trace, struct text bytes)
{
	for (size_t i = 0; i < bytes.size; i++) {
		unsigned char c = (unsigned char)bytes.data[i];
		if (c == '\n')
			buffer_append(&trace->text, TEXT(" | "));
		else if (c < ' ' || c == 0x7f)
			buffer_append_format(&trace->text, "\\x%02x", c);
		else
			buffer_append_char(&trace->text, bytes.data[i]);
	}
}

static void append_formatted(struct trace *trace, const char *format, va_list args)
		__attribute__((format(printf, 2, 0)));

static void append_formatted(struct trace *trace, const char *format, va_list args)
{
	char *line = NULL;
	int size = vasprintf(&line, format, args);
	if (size < 0) {
		trace->text.failed = true;
		return;
	}
	append_bytes(trace, (struct text){line, (size_t)size});
	free(line);
	end(trace);
}

void trace_input(struct trace *trace, const char *format, ...)
{
	va_list args;
	if (trace->stopped)
		return;
	va_start(args, format);
	append_time(trace);
	buffer_append(&trace->text, TEXT(" > "));
	append_formatted(trace, format, args);
	va_end(args);
}

void trace_event(struct trace *trace, const char *format, ...)
{
	va_list args;
	if (!begin(trace))
		return;
	va_start(args, format);
	append_formatted(trace, format, args);
	va_end(args);
}

static void append_name(struct trace *trace, const struct peer *peer)
{
	size_t i = (size_t)(peer - trace->harness->peers);
	if (trace->names[i].data)
		buffer_append(&trace->text, trace->names[i]);
	else
		buffer_append_format(&trace->text, "c%zu", i + 1);
}

/* The header with `retry_ms=*`, because its value is random, and the body. */
static void append_reply(struct trace *trace, struct text reply)
{
	const struct text key = TEXT(" retry_ms=");
	const char *lf = memchr(reply.data, '\n', reply.size);
	size_t header = lf ? (size_t)(lf - reply.data) : reply.size;
	const char *at = memmem(reply.data, header, key.data, key.size);
	if (at) {
		size_t before = (size_t)(at - reply.data) + key.size;
		append_bytes(trace, (struct text){reply.data, before});
		buffer_append_char(&trace->text, '*');
		for (; before < header && reply.data[before] != ' '; before++)
			;
		reply = (struct text){reply.data + before, reply.size - before};
	}
	append_bytes(trace, reply);
}

static void append_sql_value(struct trace *trace, const struct sql_value *value)
{
	struct buffer *text = &trace->text;
	switch (value->kind) {
	case SQL_NULL:
		buffer_append(text, TEXT("null"));
		break;
	case SQL_BOOLEAN:
		buffer_append(text, value->integer ? TEXT("true") : TEXT("false"));
		break;
	case SQL_INTEGER:
		buffer_append_format(text, "%" PRId64, value->integer);
		break;
	case SQL_REAL:
		buffer_append_format(text, "%.17g", value->real);
		break;
	case SQL_TEXT:
		buffer_append_json_string(text, value->text);
		break;
	}
}

static void append_job(struct trace *trace, const struct scripted_job *job)
{
	buffer_append_format(&trace->text, "%s.%" PRIu64, scripted_job_database(job)->database.name,
			job->number);
}

static void on_job_started(void *user, struct scripted_job *job)
{
	struct trace *trace = user;
	const struct query_spec *spec = job->job.query->spec;
	if (!begin(trace))
		return;
	append_job(trace, job);
	buffer_append(&trace->text, TEXT(" starts"));
	for (size_t i = 0; i < spec->parameter_count; i++) {
		buffer_append(&trace->text, i == 0 ? TEXT(": ") : TEXT(" "));
		buffer_append(&trace->text, spec->parameters[i]);
		buffer_append_char(&trace->text, '=');
		append_sql_value(trace, &job->job.values[i]);
	}
	end(trace);
}

static void on_job_cancelled(void *user, struct scripted_job *job)
{
	struct trace *trace = user;
	if (!begin(trace))
		return;
	append_job(trace, job);
	buffer_append_format(&trace->text, " cancelled: %s", reason_name(job->cancelled));
	end(trace);
}

static void append_ask(struct trace *trace, const struct scripted_ask *ask)
{
	buffer_append_format(&trace->text, "%s.%" PRIu64, ask->ask.source->name, ask->number);
}

/* Whole milliseconds, as a driver would send them. */
static uint64_t budget_of(const struct scope *scope)
{
	uint64_t left = scope_left(scope, scope->async->now);
	return left > SOURCE_MARGIN_NS ? (left - SOURCE_MARGIN_NS) / WORLD_MS : 0;
}

static void on_ask_started(void *user, struct scripted_ask *ask)
{
	struct trace *trace = user;
	if (!begin(trace))
		return;
	append_ask(trace, ask);
	buffer_append(&trace->text, TEXT(" asked: "));
	buffer_append(&trace->text, ask->ask.target);
	for (uint32_t i = 0; i < ask->ask.source->template_count; i++)
		append_bytes(trace, ask->ask.texts[i]);
	if (ask->ask.body.data) {
		buffer_append_char(&trace->text, ' ');
		append_bytes(trace, ask->ask.body);
	}
	buffer_append_format(&trace->text, " within %" PRIu64, budget_of(ask->ask.frame.scope));
	if (ask->ask.trace.data)
		buffer_append_format(&trace->text, " trace=%.*s", TEXT_ARG(ask->ask.trace));
	end(trace);
}

static void on_ask_cancelled(void *user, struct scripted_ask *ask)
{
	struct trace *trace = user;
	if (!begin(trace))
		return;
	append_ask(trace, ask);
	buffer_append_format(&trace->text, " cancelled: %s", reason_name(ask->cancelled));
	end(trace);
}

static void on_reply_taken(void *user, struct peer *peer, struct text envelope, struct text reply)
{
	struct trace *trace = user;
	if (!begin(trace))
		return;
	append_name(trace, peer);
	buffer_append(&trace->text, TEXT(" < "));
	if (envelope.size > 0)
		buffer_append_format(&trace->text, "[%.*s] ", TEXT_ARG(envelope));
	append_reply(trace, reply);
	end(trace);
}

/* Only the head of a reply that did not arrive: it may be told of often. */
static void append_unsent(struct trace *trace, struct text reply)
{
	const char *lf = memchr(reply.data, '\n', reply.size);
	append_reply(trace, (struct text){reply.data, lf ? (size_t)(lf - reply.data) : reply.size});
	end(trace);
}

static void on_reply_refused(void *user, struct peer *peer, struct text envelope, struct text reply)
{
	struct trace *trace = user;
	if (!begin(trace))
		return;
	append_name(trace, peer);
	buffer_append(&trace->text, TEXT(" does not take: "));
	append_unsent(trace, reply);
}

static void on_reply_gone(void *user, struct peer *peer, struct text envelope, struct text reply)
{
	struct trace *trace = user;
	if (!begin(trace))
		return;
	append_name(trace, peer);
	buffer_append(&trace->text, TEXT(" is gone: "));
	append_unsent(trace, reply);
}

static void on_reply_discarded(void *user, struct peer *peer, struct text reply)
{
	struct trace *trace = user;
	if (!begin(trace))
		return;
	buffer_append(&trace->text, TEXT("dropped: "));
	append_unsent(trace, reply);
}

static void on_peer_stalled(void *user, struct peer *peer)
{
	struct trace *trace = user;
	if (!begin(trace))
		return;
	append_name(trace, peer);
	buffer_append(&trace->text, TEXT(" stalled"));
	end(trace);
}

static void write_stage(void *user, const struct stage_frame *frame, uint64_t flight)
{
	struct trace *trace = user;
	(void)begin(trace);
	buffer_append_format(&trace->text, "  %.*s", TEXT_ARG(frame->stage->path));
	if (frame->frame.state == FRAME_ENDED) {
		struct text status = status_text(frame->frame.outcome.status);
		buffer_append_format(&trace->text, " %.*s us=%" PRIu64, TEXT_ARG(status),
				(frame->frame.ended - frame->started) / 1000);
	} else {
		buffer_append(&trace->text, TEXT(" goes on"));
	}
	if (flight)
		buffer_append_format(&trace->text, " flight=%" PRIu64, flight);
	end(trace);
}

static void append_client(struct trace *trace, uint64_t number)
{
	const struct harness *harness = trace->harness;
	for (size_t i = 0; i < harness->peer_count; i++) {
		const struct peer *peer = &harness->peers[i];
		if (peer->client && client_number(peer->client) == number)
			append_name(trace, peer);
	}
}

/* `ended` and not a reply, for there are records of requests that get none. */
static void on_request_ended(void *user, const struct record *record)
{
	struct trace *trace = user;
	struct buffer *text = &trace->text;
	if (!trace->observe || !begin(trace))
		return;
	append_client(trace, record->client);
	struct text id = record->id.data ? record->id : TEXT("-");
	struct text name = record->pipeline ? record->pipeline->name : TEXT("-");
	struct text status = status_text(record->status);
	buffer_append_format(text, " %.*s ended: %.*s %.*s", TEXT_ARG(id), TEXT_ARG(name),
			TEXT_ARG(status));
	if (record->reason != REASON_NONE)
		buffer_append_format(text, " %s", reason_name(record->reason));
	buffer_append_format(text, " us=%" PRIu64, record->us);
	if (record->run)
		buffer_append_format(text,
				" losers=%" PRIu32 " wasted_us=%" PRIu64 " queue_us=%" PRIu64,
				record->run->losers, record->run->wasted_ns / 1000,
				record->run->queue_ns / 1000);
	end(trace);
	if (record->run)
		pipeline_visit(record->pipeline, record->run->root, write_stage, trace);
}

static void on_feed(void *user, const struct feed_event *event)
{
	struct trace *trace = user;
	if (!begin(trace))
		return;
	buffer_append_format(&trace->text, "%.*s {", TEXT_ARG(event->feed->topic));
	size_t start = trace->text.size;
	feed_event_write(event, &trace->text);
	if (trace->text.size > start)
		trace->text.data[start] = ' '; /* in place of a comma */
	buffer_append(&trace->text, TEXT(" }"));
	end(trace);
}

void trace_init(struct trace *trace, struct harness *harness)
{
	*trace = (struct trace){
			.harness = harness,
			.watch = {.job_started = on_job_started,
					.job_cancelled = on_job_cancelled,
					.ask_started = on_ask_started,
					.ask_cancelled = on_ask_cancelled,
					.reply_taken = on_reply_taken,
					.reply_refused = on_reply_refused,
					.reply_gone = on_reply_gone,
					.reply_discarded = on_reply_discarded,
					.request_ended = on_request_ended,
					.feed_told = on_feed,
					.peer_stalled = on_peer_stalled,
					.user = trace},
	};
	buffer_init(&trace->text);
	harness->world.watch = &trace->watch;
}

void trace_deinit(struct trace *trace)
{
	buffer_deinit(&trace->text);
}

void trace_name(struct trace *trace, const struct peer *peer, struct text name)
{
	trace->names[peer - trace->harness->peers] = name;
}
