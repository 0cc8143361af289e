/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trial ends as a request does: it answers as soon as its steps have ended or its scope has run
 * out, and what it held goes when its scope is idle. Only its answer stays until the test ends.
 */
#include "tests/unit/stages/trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/base/buffer.h"

struct world world;
struct account account;
void (*before_answer)(void);
static struct arena_pool arenas;
static struct trial *trials;

int set_up(void **state)
{
	account = (struct account){.max = SIZE_MAX};
	arena_pool_init(&arenas, &account, 16);
	trials = NULL;
	before_answer = NULL;
	world_init_clock(&world);
	return world_init(&world, &account, &arenas) ? 0 : -1;
}

static void free_trials(void)
{
	while (trials) {
		struct trial *trial = trials;
		trials = trial->next;
		free(trial->answer);
		free(trial);
	}
}

int tear_down(void **state)
{
	for (struct trial *trial = trials; trial; trial = trial->next) {
		if (!trial->answer)
			cut(trial);
	}
	bool clean = world_deinit(&world);
	free_trials();
	arena_pool_deinit(&arenas);
	return clean && account.used == 0 ? 0 : -1;
}

void load(const char *yaml)
{
	bool loaded = world_load(&world, yaml);
	assert_string_equal(world_problems(&world), "");
	assert_true(loaded);
}

void load_fanout(const char *options)
{
	char yaml[1024];
	(void)snprintf(yaml, sizeof(yaml), "pipelines:\n  p:\n    steps:\n      - fanout: {%s}\n",
			options);
	load(yaml);
}

static void say(struct trial *trial, const struct outcome *outcome)
{
	struct buffer buffer;
	if (before_answer)
		before_answer();
	buffer_init(&buffer);
	buffer_append(&buffer, status_text(outcome->status));
	if (trial->run.cache.data)
		buffer_append_format(&buffer, " cache=%.*s", TEXT_ARG(trial->run.cache));
	if (outcome->partial)
		buffer_append(&buffer, TEXT(" partial=1"));
	if (outcome->status != STATUS_OK || value_present(&outcome->value))
		buffer_append_char(&buffer, ' ');
	if (outcome->status == STATUS_OK)
		buffer_append(&buffer, outcome->value.text);
	else
		outcome_append_error(&buffer, outcome);
	buffer_append_char(&buffer, '\0');
	assert_false(buffer.failed);
	assert_null(trial->answer);
	trial->status = outcome->status;
	trial->answer = buffer.data;
}

static void let_go(struct trial *trial)
{
	run_deinit(&trial->run);
	arena_pool_give(&arenas, &trial->arena);
}

static void on_idle(struct scope *scope)
{
	let_go(container_of(scope, struct trial, scope));
}

static void finish(struct trial *trial, struct outcome outcome, enum reason reason)
{
	say(trial, &outcome);
	if (reason != REASON_NONE)
		scope_cancel(&trial->scope, reason);
	scope_close(&trial->scope);
}

void cut(struct trial *trial)
{
	finish(trial, outcome_status(STATUS_CANCELLED), ASKED);
}

static enum progress on_resume(struct frame *frame, struct frame *child)
{
	struct trial *trial = container_of(frame, struct trial, frame);
	if (child)
		finish(trial, pipeline_outcome(trial->pipeline, trial->activation), REASON_NONE);
	else
		finish(trial, outcome_status(STATUS_DEADLINE_EXCEEDED), trial->scope.reason);
	return PENDING;
}

static enum progress start_steps(struct trial *trial, struct outcome *ret)
{
	void *memory = arena_zalloc(&trial->arena, layout_size(&trial->pipeline->layout));
	*ret = run_out_of_memory();
	if (!memory)
		return DONE;
	trial->activation = pipeline_enter(
			trial->pipeline, memory, &trial->run, value_at(trial->body, 0), ret);
	trial->run.root = trial->activation;
	if (!trial->activation)
		return DONE;
	if (pipeline_start(trial->pipeline, &trial->run, trial->activation, &trial->frame,
			    &trial->scope) == PENDING)
		return PENDING;
	*ret = pipeline_outcome(trial->pipeline, trial->activation);
	return DONE;
}

void run(struct trial *trial)
{
	struct outcome outcome;
	if (start_steps(trial, &outcome) == DONE)
		finish(trial, outcome, REASON_NONE);
}

static const struct json *parse(struct arena *arena, const char *body)
{
	struct json *json = arena_alloc(arena, sizeof(*json));
	struct json_error error;
	assert_non_null(json);
	assert_true(json_parse(json, arena, text_of(body), &world.limits, &error));
	return json;
}

struct trial *prepare(const char *pipeline, const char *body, uint64_t budget_ms)
{
	static const struct frame_ops ops = {.resume = on_resume};
	struct trial *trial = calloc(1, sizeof(*trial));
	assert_non_null(trial);
	trial->next = trials;
	trials = trial;
	trial->pipeline = pipelines_find(world.pipelines, text_of(pipeline));
	assert_non_null(trial->pipeline);
	assert_true(arena_pool_take(&arenas, &trial->arena));
	trial->body = parse(&trial->arena, body);
	trial->run = (struct run){
			.async = &world.async,
			.arena = &trial->arena,
			.id = TEXT("1"),
	};
	uint64_t deadline = budget_ms == FOREVER ? SCOPE_FOREVER
						 : world.async.now + budget_ms * WORLD_MS;
	frame_init_root(&trial->frame, &ops);
	scope_init_root(&trial->scope, &world.async, NULL, &trial->frame, deadline, on_idle);
	return trial;
}

struct trial *start(const char *pipeline, const char *body, uint64_t budget_ms)
{
	struct trial *trial = prepare(pipeline, body, budget_ms);
	run(trial);
	return trial;
}

struct trial *start_without_waiting(const char *pipeline, const char *body)
{
	struct trial *trial = prepare(pipeline, body, FOREVER);
	trial->run.used_up = "too many requests in flight";
	run(trial);
	return trial;
}

const char *answer(struct trial *trial)
{
	(void)world_turn(&world);
	return trial->answer ? trial->answer : "";
}

struct scripted_job *job(size_t n)
{
	(void)world_turn(&world);
	struct scripted_job *found = scripted_job(&world.catalog, n);
	assert_non_null(found);
	return found;
}

struct scripted_ask *ask(const struct scripted_source *source, size_t n)
{
	(void)world_turn(&world);
	struct scripted_ask *found = scripted_ask(source, n);
	assert_non_null(found);
	return found;
}

void row(size_t n, const char *json)
{
	scripted_job_end(job(n), STATUS_OK, json);
}

void quote(const struct scripted_source *source, size_t n, const char *json)
{
	scripted_ask_end(ask(source, n), STATUS_OK, json);
}

void quote_partly(const struct scripted_source *source, size_t n, const char *json)
{
	scripted_ask_end_partly(ask(source, n), json);
}

void refuse(const struct scripted_source *source, size_t n, enum status status, const char *text)
{
	scripted_ask_end(ask(source, n), status, text);
}
