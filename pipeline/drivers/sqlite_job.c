/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One query that is to be run, as the loop sees it: it is given to the workers, and taken back or
 * interrupted.
 *
 * A job that has been cancelled ends CANCELLED whatever its worker says: the loop saw the cancel
 * first.
 */
#include <stdlib.h>

#include "pipeline/async/async.h"
#include "pipeline/base/blob.h"
#include "pipeline/base/log.h"
#include "pipeline/drivers/sqlite.h"

/*
 * The same failure of the same query stands in the log at most once in this time: clients could
 * fill a disk with it.
 */
#define LOG_EVERY_NS 1000000000U

static struct sqlite_job *job_of(struct frame *frame)
{
	return container_of(frame, struct sqlite_job, job.frame);
}

static enum progress job_start(struct frame *frame)
{
	struct sqlite_job *job = job_of(frame);
	struct query *query = job->job.query;
	if (!query->sqlite->resource.ready)
		return frame_done(frame, outcome_fault(job->job.arena, STATUS_UNAVAILABLE,
							 query->spec->stage,
							 TEXT("the database is not open")));
	sqlite_job_given(query->sqlite);
	workers_give(query->sqlite->workers, &job->work);
	return PENDING;
}

static void job_cancel(struct frame *frame, enum reason reason)
{
	struct sqlite_job *job = job_of(frame);
	struct sqlite *sqlite = job->job.query->sqlite;
	if (workers_take_back(sqlite->workers, &job->work)) {
		sqlite_job_is_back(sqlite);
		frame->outcome = outcome_status(STATUS_CANCELLED);
		frame_finish(frame);
	} else {
		sqlite_job_interrupt(sqlite, job);
	}
}

void sqlite_job_init(struct job *job, struct query *query, struct arena *arena,
		struct frame *parent, struct scope *scope)
{
	static const struct frame_ops ops = {.start = job_start, .cancel = job_cancel};
	struct sqlite_job *sqlite_job = container_of(job, struct sqlite_job, job);
	*sqlite_job = (struct sqlite_job){.job = {.query = query, .arena = arena}};
	frame_init(&job->frame, &ops, parent, scope);
}

static void log_failure(const struct sqlite_job *job)
{
	struct query *query = job->job.query;
	const struct sqlite_failure *failure = &job->failure;
	const struct sqlite *sqlite = query->sqlite;
	uint64_t now = sqlite->context->loop->async->now;
	if (query->logged == failure->message && now - query->logged_at < LOG_EVERY_NS)
		return;
	query->logged = failure->message;
	query->logged_at = now;
	log_line(sqlite->context->log, LOG_LEVEL_WARNING, failure->message,
			{"database", text_of(sqlite->resource.name)},
			{"file", text_of(sqlite->path)}, {"id", job->job.id},
			{"stage", query->spec->stage}, {"sql", query->spec->sql},
			{"error", text_of(failure->detail ? failure->detail : failure->message)});
}

static struct outcome outcome_of(struct sqlite_job *job)
{
	struct query *query = job->job.query;
	const struct sqlite_failure *failure = &job->failure;
	if (failure->status != STATUS_OK) {
		log_failure(job);
		return outcome_fault(job->job.arena, failure->status, query->spec->stage,
				text_of(failure->message));
	}
	if (job->row == NULL)
		return outcome_status(STATUS_NOT_FOUND);
	blob_charge(job->row, query->sqlite->context->account);
	job->job.result = job->row;
	struct outcome outcome = outcome_ok(value_of(blob_text(job->row)));
	outcome.blob = job->row;
	return outcome;
}

void sqlite_job_done(void *user, struct work *work)
{
	struct sqlite_job *job = container_of(work, struct sqlite_job, work);
	struct frame *frame = &job->job.frame;
	sqlite_job_is_back(job->job.query->sqlite);
	if (atomic_load(&job->cancelled)) {
		blob_unref(job->row);
		frame->outcome = outcome_status(STATUS_CANCELLED);
	} else {
		frame->outcome = outcome_of(job);
	}
	free(job->failure.detail);
	frame_finish(frame);
}
