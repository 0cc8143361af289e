/* SPDX-License-Identifier: Apache-2.0 */
/*
 * It keeps the promises of a real driver's jobs: a row is a blob, charged to an account and handed
 * to the parent; a job that was cancelled ends CANCELLED whatever its worker says.
 */
#include "tests/sim/scripted_database.h"

#include <stdlib.h>

#include "pipeline/async/async.h"
#include "pipeline/async/scope.h"
#include "pipeline/base/arena.h"
#include "pipeline/base/blob.h"

static struct scripted_job *job_of(struct frame *frame)
{
	return container_of(frame, struct scripted_job, job.frame);
}

static struct outcome row_outcome(struct scripted_job *job, const char *json)
{
	struct blob *row = blob_copy(text_of(json));
	if (!row)
		return outcome_status(STATUS_RESOURCE_EXHAUSTED);
	blob_charge(row, job->job.query->database->account);
	job->job.result = row;
	struct outcome outcome = outcome_ok(value_of(blob_text(row)));
	outcome.blob = row;
	return outcome;
}

static struct outcome outcome_of(struct scripted_job *job, enum status status, const char *text)
{
	if (status == STATUS_OK)
		return row_outcome(job, text);
	if (!text)
		return outcome_status(status);
	return outcome_fault(job->job.arena, status, job->job.query->spec->stage, text_of(text));
}

static void count_start(struct query *query)
{
	struct scripted_database *database = query->database;
	database->database.queries++;
	if (++query->running > query->running_highest)
		query->running_highest = query->running;
	if (++database->running > database->database.running_highest)
		database->database.running_highest = database->running;
}

static enum progress start(struct frame *frame)
{
	struct scripted_job *job = job_of(frame);
	struct scripted_database *database = job->job.query->database;
	if (database->at_once)
		return frame_done(frame, outcome_of(job, database->at_once->status,
							 database->at_once->text));
	count_start(job->job.query);
	job->number = ++database->started;
	job->since = frame->scope->async->now;
	list_append(&database->jobs, &job->link);
	if (database->watch && database->watch->job_started)
		database->watch->job_started(database->watch->user, job);
	return PENDING;
}

static void finish(struct scripted_job *job, struct outcome outcome)
{
	link_remove(&job->link);
	job->job.query->running--;
	job->job.query->database->running--;
	job->job.frame.outcome = outcome;
	frame_finish(&job->job.frame);
}

static void cancel(struct frame *frame, enum reason reason)
{
	struct scripted_job *job = job_of(frame);
	struct scripted_database *database = job->job.query->database;
	job->cancelled = reason;
	database->cancelled++;
	if (database->watch && database->watch->job_cancelled)
		database->watch->job_cancelled(database->watch->user, job);
	if (!database->stubborn)
		finish(job, outcome_status(STATUS_CANCELLED));
}

void scripted_job_end(struct scripted_job *job, enum status status, const char *text)
{
	if (job->cancelled != REASON_NONE)
		finish(job, outcome_status(STATUS_CANCELLED));
	else
		finish(job, outcome_of(job, status, text));
}

static void job_init(struct job *job, struct query *query, struct arena *arena,
		struct frame *parent, struct scope *scope)
{
	static const struct frame_ops ops = {.start = start, .cancel = cancel};
	struct scripted_job *scripted = container_of(job, struct scripted_job, job);
	*scripted = (struct scripted_job){.job = {.query = query, .arena = arena}};
	link_init(&scripted->link);
	frame_init(&job->frame, &ops, parent, scope);
}

static struct query *query_new(struct database *database, const struct query_spec *spec)
{
	struct scripted_database *scripted =
			container_of(database, struct scripted_database, database);
	struct query *query = calloc(1, sizeof(*query));
	if (!query)
		return NULL;
	query->database = scripted;
	query->spec = spec;
	query->generation = scripted->generation;
	list_append(&scripted->queries, &query->link);
	return query;
}

static void query_free(struct query *query)
{
	link_remove(&query->link);
	free(query);
}

static uint32_t query_running_highest(const struct query *query)
{
	return query->running_highest;
}

void scripted_database_init(struct scripted_database *database, const char *name,
		uint32_t connections, struct account *account)
{
	static const struct database_ops ops = {
			.query_new = query_new,
			.query_free = query_free,
			.job_init = job_init,
			.query_running_highest = query_running_highest,
	};
	*database = (struct scripted_database){
			.database = {.ops = &ops,
					.name = name,
					.job_size = sizeof(struct scripted_job),
					.connections = connections},
			.account = account,
	};
	link_init(&database->queries);
	link_init(&database->jobs);
}

void scripted_database_deinit(struct scripted_database *database)
{
	while (!list_empty(&database->queries))
		link_remove(database->queries.next);
}

struct scripted_job *scripted_job(const struct scripted_database *database, size_t n)
{
	const struct link *link = database->jobs.next;
	while (link != &database->jobs && n-- > 0)
		link = link->next;
	return link == &database->jobs ? NULL : container_of(link, struct scripted_job, link);
}

struct scripted_job *scripted_job_find(const struct scripted_database *database, uint64_t number)
{
	for (const struct link *link = database->jobs.next; link != &database->jobs;
			link = link->next) {
		struct scripted_job *job = container_of(link, struct scripted_job, link);
		if (job->number == number)
			return job;
	}
	return NULL;
}

const struct sql_value *scripted_job_value(const struct scripted_job *job, struct text name)
{
	const struct query_spec *spec = job->job.query->spec;
	for (size_t i = 0; i < spec->parameter_count; i++) {
		if (text_equal(spec->parameters[i], name))
			return &job->job.values[i];
	}
	return NULL;
}

const struct query_spec *scripted_job_spec(const struct scripted_job *job)
{
	return job->job.query->spec;
}

struct scripted_database *scripted_job_database(const struct scripted_job *job)
{
	return job->job.query->database;
}
