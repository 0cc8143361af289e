/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker runs a job on its connection: it reads the rows that are wanted, and of all that goes
 * wrong the first thing is what the job has failed with.
 */
#include "pipeline/drivers/sqlite.h"

#include <stdio.h>
#include <stdlib.h>

#include "pipeline/base/blob.h"

/* Even where less may be returned, a query may compute with values of that size: a column may hold
 * much of which little is wanted, and SQL's printf() gives NULL, which nobody would take for an
 * error, where its text would be larger. */
#define VALUES_MAX_LEAST (UINT32_C(16) << 20)

/* A buffer that held an uncommonly large row isn't kept. */
#define OUT_KEPT_MAX 65536

static const char too_many_bytes[] = "the query returns too many bytes";

/* By a result code. detail is taken over. */
static void fail(struct sqlite_job *job, int code, char *detail)
{
	const char *message = sqlite_database_failure(code, &job->failure.status);
	if (message == NULL)
		message = (code & 0xff) == SQLITE_TOOBIG ? too_many_bytes : "the query failed";
	job->failure.message = message;
	job->failure.detail = detail;
}

static void fail_value(struct sqlite_job *job, sqlite3_stmt *stmt, int column, const char *what)
{
	const char *name = sqlite3_column_name(stmt, column);
	job->failure.status = STATUS_INTERNAL;
	job->failure.message = "a value cannot be written as JSON";
	if (asprintf(&job->failure.detail, "column \"%s\": %s", name ? name : "", what) < 0)
		job->failure.detail = NULL;
}

static void fail_bytes(struct sqlite_job *job, uint32_t bytes_max)
{
	job->failure.status = STATUS_INTERNAL;
	job->failure.message = too_many_bytes;
	if (asprintf(&job->failure.detail, "more than %u bytes", (unsigned)bytes_max) < 0)
		job->failure.detail = NULL;
}

static void fail_rows(struct sqlite_job *job, uint32_t rows_max)
{
	job->failure.status = STATUS_INTERNAL;
	job->failure.message = "the query returns too many rows";
	if (asprintf(&job->failure.detail, "more than %u rows", (unsigned)rows_max) < 0)
		job->failure.detail = NULL;
}

/* The loop sees how large the rows get while they are written. */
static void count_bytes(struct sqlite_connection *connection, size_t bytes)
{
	if (bytes == connection->growing)
		return;
	atomic_fetch_add(&connection->sqlite->growing, bytes - connection->growing);
	connection->growing = bytes;
}

/*
 * Appends the row that the statement stands on; `rows` have been before it. False: the job has
 * failed.
 */
static bool append_row(struct sqlite_connection *connection, struct sqlite_statement *statement,
		uint32_t rows)
{
	struct sqlite_job *job = connection->job;
	int column;
	const char *what;
	char *error = NULL;
	int code = rows == 0 ? sqlite_statement_refresh(statement, &error) : SQLITE_OK;
	if (code != SQLITE_OK) {
		fail(job, code, error);
		return false;
	}
	if (statement->spec->all_rows && rows == statement->spec->rows_max) {
		fail_rows(job, statement->spec->rows_max);
		return false;
	}
	if (rows > 0)
		buffer_append_char(&connection->out, ',');
	enum sqlite_row appended = sqlite_row_append(&connection->out, statement,
			connection->sqlite->context->limits, &column, &what);
	count_bytes(connection, connection->out.capacity);
	if (appended == ROW_TOO_LARGE)
		fail_bytes(job, statement->spec->bytes_max);
	else if (appended == ROW_NO_MEMORY)
		fail(job, SQLITE_NOMEM, NULL);
	else if (appended == ROW_VALUE)
		fail_value(job, statement->stmt, column, what);
	return appended == ROW_DONE;
}

/* Steps through the rows that are wanted. False: the job has failed, or is not wanted any more. */
static bool read_rows(struct sqlite_connection *connection, struct sqlite_statement *statement,
		uint32_t *ret_rows)
{
	int code;
	*ret_rows = 0;
	while ((code = sqlite3_step(statement->stmt)) == SQLITE_ROW) {
		if (atomic_load(&connection->job->cancelled) ||
				!append_row(connection, statement, *ret_rows))
			return false;
		++*ret_rows;
		if (!statement->spec->all_rows)
			return true;
	}
	if (code != SQLITE_DONE)
		fail(connection->job, code, strdup(sqlite3_errmsg(connection->db)));
	return code == SQLITE_DONE;
}

static void read_statement(struct sqlite_connection *connection, struct sqlite_statement *statement)
{
	struct sqlite_job *job = connection->job;
	struct buffer *out = &connection->out;
	bool all = statement->spec->all_rows;
	uint32_t rows;
	int code = sqlite_statement_bind(statement, job->job.values);
	if (code != SQLITE_OK) {
		fail(job, code, strdup(sqlite3_errmsg(connection->db)));
		return;
	}
	if (all)
		buffer_append_char(out, '[');
	if (!read_rows(connection, statement, &rows) || (rows == 0 && !all))
		return;
	if (all)
		buffer_append_char(out, ']');
	if (!out->failed)
		job->row = blob_copy(buffer_text(out));
	if (job->row == NULL)
		fail(job, SQLITE_NOMEM, NULL);
}

/*
 * No value may be larger that SQLite computes on the way, or it would have its memory before it is
 * found too large to be returned.
 */
static void limit_values(struct sqlite_connection *connection, const struct query_spec *spec)
{
	uint32_t max = connection->sqlite->context->limits->bytes;
	max = spec->bytes_max > max ? spec->bytes_max : max;
	max = max > VALUES_MAX_LEAST ? max : VALUES_MAX_LEAST;
	(void)sqlite3_limit(connection->db, SQLITE_LIMIT_LENGTH, (int)max);
}

static void run_statement(struct sqlite_connection *connection, struct sqlite_statement *statement)
{
	limit_values(connection, statement->spec);
	read_statement(connection, statement);
	sqlite_statement_reset(statement);
}

void sqlite_connection_run(void *state, struct work *work)
{
	struct sqlite_connection *connection = state;
	struct sqlite_job *job = container_of(work, struct sqlite_job, work);
	if (atomic_load(&job->cancelled))
		return;
	struct query *query = job->job.query;
	char *error;
	sqlite_connection_follow(connection);
	connection->job = job;
	int code = sqlite_connection_prepare(connection, query, &error);
	if (code == SQLITE_OK)
		run_statement(connection, &connection->statements[query->index]);
	else
		fail(job, code, error);
	sqlite_handlers_end(connection, query);
	connection->job = NULL;
	if (connection->out.failed || connection->out.capacity > OUT_KEPT_MAX)
		buffer_deinit(&connection->out);
	buffer_clear(&connection->out);
	count_bytes(connection, 0);
}
