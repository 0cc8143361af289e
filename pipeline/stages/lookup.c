/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stage `lookup`: one query with bound values. A permit bounds how many run; it is held until
 * the job has really ended, even when nobody waits for the answer any more, because until then the
 * database is still at work.
 */
#include "pipeline/stages/lookup.h"

#include <inttypes.h>

#include "pipeline/async/async.h"
#include "pipeline/async/scope.h"
#include "pipeline/async/semaphore.h"
#include "pipeline/base/arena.h"
#include "pipeline/base/buffer.h"
#include "pipeline/resources/database.h"
#include "pipeline/stages/compiler.h"
#include "pipeline/stages/lookup_bind.h"

struct lookup {
	struct stage stage;
	struct database *database;
	struct query_spec spec;
	struct query *query;
	struct template **bound; /* to each of the query's names */
	struct semaphore semaphore;
	bool missing_is_null;
};

struct lookup_frame {
	struct stage_frame base;
	struct permit permit;
	struct job *job; /* NULL until the permit is there */
	struct sql_value *values;
	struct blob_hold row;
};

static struct lookup *lookup_of(const struct stage_frame *frame)
{
	return container_of(frame->stage, struct lookup, stage);
}

/* The job has ended: what it held is given back now, whoever still wants the answer. */
static enum progress take_row(struct lookup_frame *self)
{
	struct lookup *lookup = lookup_of(&self->base);
	struct job *job = self->job;
	struct outcome outcome = job->frame.outcome;
	permit_release(&self->permit);
	if (job->result)
		run_hold_blob(self->base.run, &self->row, job->result);
	job->result = NULL;
	if (outcome.status == STATUS_NOT_FOUND && lookup->missing_is_null)
		outcome = outcome_ok(value_of(TEXT("null")));
	return frame_done(&self->base.frame, outcome);
}

static enum progress run_job(struct lookup_frame *self)
{
	struct lookup *lookup = lookup_of(&self->base);
	struct run *run = self->base.run;
	self->job = arena_zalloc(run->arena, lookup->database->job_size);
	if (!self->job) {
		permit_release(&self->permit);
		return frame_done(&self->base.frame, run_out_of_memory());
	}
	lookup->database->ops->job_init(self->job, lookup->query, run->arena, &self->base.frame,
			self->base.frame.scope);
	self->job->values = self->values;
	self->job->id = run->id;
	return frame_start(&self->job->frame) == DONE ? take_row(self) : PENDING;
}

static enum progress permitted(struct lookup_frame *self)
{
	struct outcome outcome = self->permit.frame.outcome;
	self->base.run->queue_ns += self->permit.waited_ns;
	if (outcome.status == STATUS_OK)
		return run_job(self);
	if (outcome.status == STATUS_RESOURCE_EXHAUSTED)
		return stage_fail(&self->base, STATUS_RESOURCE_EXHAUSTED,
				self->permit.shed ? "the queue is too slow" : "the queue is full");
	return frame_done(&self->base.frame, outcome);
}

static enum progress lookup_start(struct frame *frame)
{
	struct lookup_frame *self = container_of(frame, struct lookup_frame, base.frame);
	struct lookup *lookup = lookup_of(&self->base);
	if (self->base.run->used_up)
		return stage_may_not_wait(&self->base);
	self->values = lookup_bind(&lookup->spec, lookup->bound, &self->base);
	if (!self->values)
		return DONE;
	permit_init(&self->permit, &lookup->semaphore, frame, frame->scope);
	return frame_start(&self->permit.frame) == DONE ? permitted(self) : PENDING;
}

static enum progress lookup_resume(struct frame *frame, struct frame *child)
{
	struct lookup_frame *self = container_of(frame, struct lookup_frame, base.frame);
	return child == &self->permit.frame ? permitted(self) : take_row(self);
}

static uint64_t lookup_queued_since(const struct stage_frame *frame)
{
	const struct lookup_frame *self = container_of(frame, struct lookup_frame, base);
	bool waits = self->base.frame.state == FRAME_WAITING && !self->job;
	return waits ? self->permit.since : 0;
}

static void compile_columns(
		struct compiler *compiler, struct lookup *lookup, const struct option_list *columns)
{
	if (!columns)
		return;
	struct text *names = arena_alloc(compiler->arena, columns->count * sizeof(*names));
	if (!names) {
		diag_error(compiler->diag, columns->place, "out of memory");
		return;
	}
	for (size_t i = 0; i < columns->count; i++)
		names[i] = columns->values[i].text;
	lookup->spec.json_columns = names;
	lookup->spec.json_column_count = columns->count;
}

enum { ROWS_FIRST, ROWS_ALL };
enum { MISSING_ERROR, MISSING_NULL };

static const char *const rows_choices[] = {"first", "all", NULL};
static const char *const missing_choices[] = {"error", "null", NULL};

static void compile_bounds(
		struct compiler *compiler, struct lookup *lookup, const struct option_map *options)
{
	const struct option_value *concurrency = option_get(options, "concurrency");
	uint32_t connections = lookup->database->connections;
	uint32_t permits = concurrency->given ? (uint32_t)concurrency->number : connections;
	if (permits > connections)
		diag_warning(compiler->diag, concurrency->place,
				"\"concurrency\" is over the %u connections of \"%s\": what is "
				"over waits inside it",
				connections, lookup->database->name);
	semaphore_init(&lookup->semaphore, compiler->context->async, permits,
			(uint32_t)option_number(options, "queue"));
	const struct option_value *codel = option_get(options, "codel");
	if (codel->given)
		codel_init(&lookup->semaphore.codel, option_number(codel->map, "target"),
				option_number(codel->map, "interval"));
}

static void lookup_compile(
		struct compiler *compiler, struct stage *stage, const struct option_map *options)
{
	struct lookup *lookup = container_of(stage, struct lookup, stage);
	const struct option_value *query = option_get(options, "query");
	const struct option_value *bytes = option_get(options, "max_bytes");
	lookup->database = compile_database(compiler, option_get(options, "in"));
	lookup->missing_is_null = option_get(options, "missing")->choice == MISSING_NULL;
	lookup->spec = (struct query_spec){
			.sql = query->text,
			.place = query->place,
			.stage = stage->path,
			.all_rows = option_get(options, "rows")->choice == ROWS_ALL,
			.rows_max = (uint32_t)option_number(options, "max_rows"),
			.bytes_max = bytes->given ? (uint32_t)bytes->number
						  : compiler->context->limits->bytes,
	};
	compile_columns(compiler, lookup, option_get(options, "json")->list);
	lookup->bound = lookup_bind_compile(
			compiler, &lookup->spec, option_get(options, "params")->map);
	if (!lookup->database)
		return;
	compile_bounds(compiler, lookup, options);
	lookup->query = lookup->database->ops->query_new(lookup->database, &lookup->spec);
	if (!lookup->query)
		diag_error(compiler->diag, options->place, "out of memory");
}

static void lookup_free(struct stage *stage)
{
	struct lookup *lookup = container_of(stage, struct lookup, stage);
	if (lookup->query)
		lookup->database->ops->query_free(lookup->query);
}

static void lookup_write_stats(const struct stage *stage, struct buffer *buffer)
{
	const struct lookup *lookup = container_of(stage, struct lookup, stage);
	const struct semaphore *semaphore = &lookup->semaphore;
	buffer_append_format(buffer,
			"\"running\":%" PRIu32 ",\"running_highest\":%" PRIu32
			",\"permits\":%" PRIu32 ",\"waiting\":%" PRIu32
			",\"waiting_highest\":%" PRIu32 ",\"granted\":%" PRIu64
			",\"refused\":%" PRIu64 ",\"shed\":%" PRIu64 ",\"waited_us\":%" PRIu64,
			semaphore->held,
			lookup->database->ops->query_running_highest(lookup->query),
			semaphore->permits, semaphore->waiting, semaphore->waiting_highest,
			semaphore->granted, semaphore->refused, semaphore->shed,
			semaphore->waited_ns / 1000);
}

static const struct option codel_options[] = {
		{.key = "target",
				.kind = OPTION_DURATION,
				.fallback = "5ms",
				.min = 1000,
				.max = OPTION_DURATION_MAX / 2,
				.help = "the longest wait that one in an interval must stay below"},
		{.key = "interval",
				.kind = OPTION_DURATION,
				.fallback = "100ms",
				.min = 1000000,
				.max = OPTION_DURATION_MAX,
				.help = "after one in which none did, waits over twice the target "
					"are dropped for as long"},
		{.key = NULL},
};

const struct option lookup_options[] = {
		{.key = "in",
				.kind = OPTION_RESOURCE,
				.resource = "database",
				.required = true,
				.help = "the database to ask"},
		{.key = "query",
				.kind = OPTION_QUERY,
				.required = true,
				.help = "SQL; `:name` is bound to ${name}"},
		{.key = "params",
				.kind = OPTION_TEMPLATES,
				.help = "what `:name` is bound to, where it is not ${name}"},
		{.key = "json",
				.kind = OPTION_WORD,
				.list = true,
				.help = "columns whose text is JSON"},
		{.key = "rows",
				.kind = OPTION_CHOICE,
				.choices = rows_choices,
				.fallback = "first",
				.help = "`first`: the first row, an object; `all`: an array of "
					"all"},
		{.key = "max_rows",
				.kind = OPTION_NUMBER,
				.fallback = "1000",
				.min = 1,
				.max = 1000000,
				.help = "with `rows: all`; more is INTERNAL"},
		{.key = "max_bytes",
				.kind = OPTION_SIZE,
				.min = 1,
				.max = 1 << 29,
				.help = "bytes of what it gives; `limits.message` if not given; "
					"more is INTERNAL"},
		{.key = "missing",
				.kind = OPTION_CHOICE,
				.choices = missing_choices,
				.fallback = "error",
				.help = "`null`: no row is null and not NOT_FOUND"},
		{.key = "concurrency",
				.kind = OPTION_NUMBER,
				.min = 1,
				.max = 1000,
				.help = "how many run at once; the database's connections if not "
					"given"},
		{.key = "queue",
				.kind = OPTION_NUMBER,
				.fallback = "1000",
				.max = 1000000000,
				.help = "how many wait; beyond it RESOURCE_EXHAUSTED"},
		{.key = "codel",
				.kind = OPTION_MAP,
				.table = codel_options,
				.help = "drop what has waited too long in a queue that is never "
					"short; off unless given"},
		{.key = NULL},
};

const struct stage_type lookup_type = {
		.name = "lookup",
		.stage_size = sizeof(struct lookup),
		.frame_size = sizeof(struct lookup_frame),
		.ops = {.start = lookup_start, .resume = lookup_resume},
		.queued_since = lookup_queued_since,
		.compile = lookup_compile,
		.free = lookup_free,
		.write_stats = lookup_write_stats,
};
