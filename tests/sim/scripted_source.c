/* SPDX-License-Identifier: Apache-2.0 */
/*
 * It keeps the promises of a real driver's asks: a value is in the asker's arena and viewed, and
 * nothing is sent where no time remains.
 */
#include "tests/sim/scripted_source.h"

#include "pipeline/async/async.h"
#include "pipeline/async/scope.h"
#include "pipeline/base/arena.h"

#define NS_PER_MS UINT64_C(1000000)
#define ABSENT	  ((struct text){NULL, 0})

static struct scripted_ask *ask_of(struct frame *frame)
{
	return container_of(frame, struct scripted_ask, ask.frame);
}

static struct scripted_source *source_of(const struct scripted_ask *ask)
{
	return container_of(ask->ask.source, struct scripted_source, source);
}

static struct outcome answer(struct scripted_ask *ask, const char *json)
{
	struct arena *arena = ask->ask.arena;
	struct text copy = arena_copy(arena, text_of(json));
	struct json *view = arena_alloc(arena, sizeof(*view));
	struct json_error error;
	if (!copy.data || !view)
		return outcome_status(STATUS_RESOURCE_EXHAUSTED);
	if (json_parse(view, arena, copy, ask->ask.source->limits, &error))
		return outcome_ok(value_at(view, 0));
	if (error.message == json_out_of_memory)
		return outcome_status(STATUS_RESOURCE_EXHAUSTED);
	return outcome_failed(arena, STATUS_INTERNAL, ABSENT,
			"its answer is not JSON: %s at byte %zu", error.message, error.at);
}

static struct outcome outcome_of(struct scripted_ask *ask, enum status status, const char *text)
{
	if (status == STATUS_OK)
		return text ? answer(ask, text) : outcome_ok(VALUE_NONE);
	return outcome_fault(
			ask->ask.arena, status, ABSENT, text ? text_of(text) : status_text(status));
}

static bool no_time_is_left(const struct scope *scope)
{
	return scope_left(scope, scope->async->now) < SOURCE_MARGIN_NS + NS_PER_MS;
}

void scripted_ask_send(struct scripted_ask *ask)
{
	ask->ask.sent = true;
	ask->ask.sent_at = ask->ask.frame.scope->async->now;
}

static enum progress start(struct frame *frame)
{
	struct scripted_ask *ask = ask_of(frame);
	struct scripted_source *source = source_of(ask);
	if (source->at_once)
		return frame_done(frame,
				outcome_of(ask, source->at_once->status, source->at_once->text));
	if (no_time_is_left(frame->scope))
		return frame_done(frame, outcome_fault(ask->ask.arena, STATUS_DEADLINE_EXCEEDED,
							 ABSENT, TEXT("no time is left to ask")));
	ask->number = ++source->source.stats.asked;
	ask->since = frame->scope->async->now;
	if (!source->holds)
		scripted_ask_send(ask);
	source->source.stats.pending++;
	list_append(&source->asks, &ask->link);
	if (source->watch && source->watch->ask_started)
		source->watch->ask_started(source->watch->user, ask);
	return PENDING;
}

static void finish(struct scripted_ask *ask, struct outcome outcome)
{
	link_remove(&ask->link);
	ask->ask.source->stats.pending--;
	ask->ask.frame.outcome = outcome;
	frame_finish(&ask->ask.frame);
}

static void cancel(struct frame *frame, enum reason reason)
{
	struct scripted_ask *ask = ask_of(frame);
	struct scripted_source *source = source_of(ask);
	ask->cancelled = reason;
	source->source.stats.cancelled++;
	if (source->watch && source->watch->ask_cancelled)
		source->watch->ask_cancelled(source->watch->user, ask);
	if (!source->stubborn)
		finish(ask, outcome_status(STATUS_CANCELLED));
}

static bool was_cancelled(struct scripted_ask *ask)
{
	if (ask->cancelled == REASON_NONE)
		return false;
	finish(ask, outcome_status(STATUS_CANCELLED));
	return true;
}

static void end(struct scripted_ask *ask, struct outcome outcome)
{
	if (!ask->ask.sent)
		scripted_ask_send(ask);
	ask->ask.source->stats.answered++;
	if (outcome.status != STATUS_OK)
		ask->ask.source->stats.failed++;
	finish(ask, outcome);
}

void scripted_ask_end(struct scripted_ask *ask, enum status status, const char *text)
{
	if (!was_cancelled(ask))
		end(ask, outcome_of(ask, status, text));
}

void scripted_ask_end_partly(struct scripted_ask *ask, const char *json)
{
	if (was_cancelled(ask))
		return;
	struct outcome outcome = outcome_of(ask, STATUS_OK, json);
	outcome.partial = outcome.status == STATUS_OK;
	end(ask, outcome);
}

void scripted_ask_end_busy(
		struct scripted_ask *ask, enum status status, const char *text, uint64_t retry_ns)
{
	if (!was_cancelled(ask))
		end(ask, outcome_retry(ask->ask.arena, status,
					 text ? text_of(text) : status_text(status), retry_ns));
}

static void ask_init(struct ask *ask, struct source *source, struct arena *arena,
		struct frame *parent, struct scope *scope)
{
	static const struct frame_ops ops = {.start = start, .cancel = cancel};
	struct scripted_ask *scripted = container_of(ask, struct scripted_ask, ask);
	*scripted = (struct scripted_ask){.ask = {.source = source, .arena = arena}};
	link_init(&scripted->link);
	frame_init(&ask->frame, &ops, parent, scope);
}

void scripted_source_init(
		struct scripted_source *source, const char *name, const struct json_limits *limits)
{
	static const struct source_ops ops = {.ask_init = ask_init};
	*source = (struct scripted_source){
			.source = {.ops = &ops,
					.name = name,
					.ask_size = sizeof(struct scripted_ask),
					.limits = limits,
					.target = TEXT("quote"),
					.stats.up = true},
	};
	link_init(&source->asks);
}

void scripted_source_with_header(struct scripted_source *source, const struct template *header)
{
	source->own = (struct source_template){header, TEMPLATE_URL};
	source->source.templates = &source->own;
	source->source.template_count = 1;
}

void scripted_source_by_url(struct scripted_source *source, const struct template *url)
{
	scripted_source_with_header(source, url);
	source->source.target = (struct text){NULL, 0};
	source->source.without_target = true;
	source->source.without_body = true;
}

struct scripted_ask *scripted_ask(const struct scripted_source *source, size_t n)
{
	const struct link *link = source->asks.next;
	while (link != &source->asks && n-- > 0)
		link = link->next;
	return link == &source->asks ? NULL : container_of(link, struct scripted_ask, link);
}

struct scripted_ask *scripted_ask_find(const struct scripted_source *source, uint64_t number)
{
	for (const struct link *link = source->asks.next; link != &source->asks;
			link = link->next) {
		struct scripted_ask *ask = container_of(link, struct scripted_ask, link);
		if (ask->number == number)
			return ask;
	}
	return NULL;
}
