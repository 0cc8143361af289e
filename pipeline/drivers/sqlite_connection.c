/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection, opened by the loop and then used by one worker.
 *
 * While a job runs its `cancelled` is the only thing that ends it early: the progress handler looks
 * at it while SQLite computes, the busy handler while another process holds the lock (the progress
 * handler isn't called then). sqlite3_interrupt() would be lost where it comes between two
 * statements, and sqlite3_busy_timeout() would sleep through a cancel.
 */
#include "pipeline/drivers/sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/base/blob.h"

/* Some tens of microseconds of SQLite's virtual machine. */
#define OPERATIONS_PER_LOOK 1000

/* Who lets go of a lock tells nobody, so it is tried again: soon at first, then every 10 ms. */
#define LOCK_WAIT_MAX_MS 10

/* Even where less may be returned, a query may compute with values of that size: a column may hold
 * much of which little is wanted, and SQL's printf() gives NULL, which nobody would take for an
 * error, where its text would be larger. */
#define VALUES_MAX_LEAST (UINT32_C(16) << 20)

/* A buffer that held an uncommonly large row isn't kept. */
#define OUT_KEPT_MAX 65536

/* ---- what SQLite calls */

static int on_progress(void *user)
{
	struct sqlite_connection *connection = user;
	return connection->job && atomic_load(&connection->job->cancelled);
}

static struct timespec after_ms(int ms)
{
	uint64_t at = loop_now() + (uint64_t)ms * 1000000U;
	return (struct timespec){(time_t)(at / 1000000000U), (long)(at % 1000000000U)};
}

/*
 * Nonzero: try again. Without a job it is the loop that opens the connection, and the loop doesn't
 * wait.
 */
static int on_busy(void *user, int tries)
{
	struct sqlite_connection *connection = user;
	struct sqlite *sqlite = connection->sqlite;
	if (connection->job == NULL)
		return 0;
	struct timespec until = after_ms(tries < LOCK_WAIT_MAX_MS ? tries + 1 : LOCK_WAIT_MAX_MS);
	pthread_mutex_lock(&sqlite->lock);
	if (!atomic_load(&connection->job->cancelled))
		(void)pthread_cond_timedwait(&sqlite->cancelled, &sqlite->lock, &until);
	int again = !atomic_load(&connection->job->cancelled);
	pthread_mutex_unlock(&sqlite->lock);
	return again;
}

void sqlite_job_interrupt(struct sqlite *sqlite, struct sqlite_job *job)
{
	pthread_mutex_lock(&sqlite->lock);
	atomic_store(&job->cancelled, true);
	pthread_cond_broadcast(&sqlite->cancelled);
	pthread_mutex_unlock(&sqlite->lock);
}

static void count_one(_Atomic uint32_t *running, _Atomic uint32_t *highest)
{
	uint32_t now = atomic_fetch_add(running, 1) + 1;
	uint32_t seen = atomic_load(highest);
	while (seen < now && !atomic_compare_exchange_weak(highest, &seen, now))
		continue;
}

/*
 * A statement has begun; maybe one that a virtual table runs for its own purposes, which isn't
 * counted.
 */
static int on_statement(unsigned kind, void *user, void *stmt, void *sql)
{
	struct sqlite_connection *connection = user;
	if (connection->job == NULL || connection->begun)
		return 0;
	struct query *query = connection->job->job.query;
	if (query->index >= connection->statement_count ||
			stmt != connection->statements[query->index].stmt)
		return 0; /* or it is the preparing of a statement that reads the schema */
	connection->begun = true;
	count_one(&connection->sqlite->running, &connection->sqlite->database.running_highest);
	count_one(&query->running, &query->running_highest);
	/* Last: whoever sees the statement counted sees that it runs. */
	atomic_fetch_add(&connection->sqlite->database.queries, 1);
	return 0;
}

static void count_end(struct sqlite_connection *connection, struct query *query)
{
	if (!connection->begun)
		return;
	connection->begun = false;
	atomic_fetch_sub(&connection->sqlite->running, 1);
	atomic_fetch_sub(&query->running, 1);
}

/* ---- opening */

/*
 * The message of a result code that is the database's failure and not the query's; NULL for all
 * others.
 */
static const char *database_failure(int code, enum status *ret_status)
{
	*ret_status = STATUS_UNAVAILABLE;
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return "the database is locked";
	case SQLITE_CANTOPEN:
	case SQLITE_CORRUPT:
	case SQLITE_FULL: /* of what a query puts aside */
	case SQLITE_IOERR:
	case SQLITE_NOTADB:
	case SQLITE_READONLY: /* another's journal is to be rolled back first */
		return "the database cannot be read";
	case SQLITE_NOMEM:
		*ret_status = STATUS_RESOURCE_EXHAUSTED;
		return "out of memory";
	default:
		*ret_status = STATUS_INTERNAL;
		return NULL;
	}
}

/* Whether what has failed so would not, were there more of what others have taken. */
static bool is_short(int primary, int error)
{
	return primary == SQLITE_NOMEM || error == ENOMEM || error == EMFILE || error == ENFILE;
}

static enum sqlite_open failed(struct sqlite_connection *connection, int code, struct diag *diag)
{
	struct resource *resource = &connection->sqlite->resource;
	int primary = code & 0xff;
	if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED || primary == SQLITE_PROTOCOL)
		return OPEN_LOCKED;
	int error = primary == SQLITE_CANTOPEN || primary == SQLITE_IOERR
				    ? sqlite3_system_errno(connection->db)
				    : 0;
	if (is_short(primary, error))
		return OPEN_SHORT;
	diag_error(diag, resource->place, "database \"%s\" cannot be opened: %s: %s",
			resource->name, connection->sqlite->path,
			error ? strerror(error) : sqlite3_errstr(code));
	return OPEN_FAILED;
}

/* What the schema of a file may do is bounded by these, since anybody may have made the file. */
static int configure(struct sqlite_connection *connection)
{
	sqlite3 *db = connection->db;
	int code = sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_busy_handler(db, on_busy, connection);
	if (code == SQLITE_OK)
		code = sqlite3_trace_v2(db, SQLITE_TRACE_STMT, on_statement, connection);
	sqlite3_progress_handler(db, OPERATIONS_PER_LOOK, on_progress, connection);
	return code;
}

static int open_file(struct sqlite_connection *connection)
{
	int code = sqlite3_open_v2(connection->sqlite->path, &connection->db,
			SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (code == SQLITE_OK)
		code = configure(connection);
	/* The first that looks into the file: whether it is a database, and free to be read. */
	if (code == SQLITE_OK)
		code = sqlite3_exec(connection->db, "PRAGMA schema_version", NULL, NULL, NULL);
	return code;
}

/* Room for a statement at that index. */
static bool make_room(struct sqlite_connection *connection, size_t index)
{
	size_t count = connection->statement_count;
	if (index < count)
		return true;
	struct sqlite_statement *statements =
			reallocarray(connection->statements, index + 1, sizeof(*statements));
	if (statements == NULL)
		return false;
	memset(statements + count, 0, (index + 1 - count) * sizeof(*statements));
	connection->statements = statements;
	connection->statement_count = index + 1;
	return true;
}

/* The query's statement, prepared if need be in place of one whose query is no more. A result code;
 * *ret_error as of sqlite_statement_init(). */
static int prepare(
		struct sqlite_connection *connection, const struct query *query, char **ret_error)
{
	*ret_error = NULL;
	if (!make_room(connection, query->index))
		return SQLITE_NOMEM;
	struct sqlite_statement *statement = &connection->statements[query->index];
	if (statement->query == query->number)
		return SQLITE_OK;
	sqlite_statement_deinit(statement);
	int code = sqlite_statement_init(statement, connection->db, query->spec, ret_error);
	if (code == SQLITE_OK)
		statement->query = query->number;
	else
		sqlite_statement_deinit(statement);
	return code;
}

static enum sqlite_open prepare_query(
		struct sqlite_connection *connection, struct query *query, struct diag *diag)
{
	char *error;
	enum status status;
	int code = prepare(connection, query, &error);
	if (code == SQLITE_OK)
		return OPEN_DONE;
	enum sqlite_open result = OPEN_FAILED;
	if (database_failure(code, &status))
		result = failed(connection, code, diag);
	else
		diag_error(diag, query->spec->place, "the query cannot be prepared: %s",
				error ? error : "out of memory");
	free(error);
	return result;
}

enum sqlite_open sqlite_connection_open(struct sqlite_connection *connection, struct sqlite *sqlite,
		enum sqlite_queries which, struct diag *diag)
{
	connection->sqlite = sqlite;
	connection->files = atomic_load(&sqlite->files);
	buffer_init(&connection->out);
	int code = open_file(connection);
	if (code != SQLITE_OK)
		return failed(connection, code, diag);
	enum sqlite_open result = OPEN_DONE;
	for (struct link *at = sqlite->queries.next; at != &sqlite->queries; at = at->next) {
		struct query *query = container_of(at, struct query, link);
		if (which == QUERIES_NEW && query->proven)
			continue;
		enum sqlite_open one = prepare_query(connection, query, diag);
		if (one == OPEN_LOCKED || one == OPEN_SHORT)
			return one;
		if (one == OPEN_FAILED)
			result = one; /* and what is wrong with the others is said, too */
	}
	return result;
}

static void close_file(struct sqlite_connection *connection)
{
	for (size_t i = 0; i < connection->statement_count; i++)
		sqlite_statement_deinit(&connection->statements[i]);
	free(connection->statements);
	connection->statements = NULL;
	connection->statement_count = 0;
	(void)sqlite3_close(connection->db);
	connection->db = NULL;
}

void sqlite_connection_close(struct sqlite_connection *connection)
{
	if (connection->sqlite == NULL)
		return;
	close_file(connection);
	buffer_deinit(&connection->out);
	*connection = (struct sqlite_connection){0};
}

/*
 * Opens the file that the loop has taken since this one was opened. Where it can't be opened just
 * now, or yet another stands at its path, the old one stays until the next job: it will do, so
 * there is no job yet that would wait for another's lock. SQLite's handlers are bound to the
 * connection, so it is the old file that is put aside meanwhile.
 */
static void follow(struct sqlite_connection *connection)
{
	struct sqlite *sqlite = connection->sqlite;
	uint64_t files = atomic_load(&sqlite->files);
	if (connection->files == files)
		return;
	struct sqlite_connection old = *connection;
	connection->db = NULL;
	connection->statements = NULL;
	connection->statement_count = 0;
	bool opened = sqlite_file_is_current(sqlite) && open_file(connection) == SQLITE_OK &&
		      sqlite_file_is_current(sqlite);
	if (opened) {
		connection->files = files;
		close_file(&old);
	} else {
		close_file(connection);
		connection->db = old.db;
		connection->statements = old.statements;
		connection->statement_count = old.statement_count;
	}
}

/* ---- running */

static const char too_many_bytes[] = "the query returns too many bytes";

/* By a result code. detail is taken over. */
static void fail(struct sqlite_job *job, int code, char *detail)
{
	const char *message = database_failure(code, &job->failure.status);
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
	follow(connection);
	connection->job = job;
	int code = prepare(connection, query, &error);
	if (code == SQLITE_OK)
		run_statement(connection, &connection->statements[query->index]);
	else
		fail(job, code, error);
	count_end(connection, query);
	connection->job = NULL;
	if (connection->out.failed || connection->out.capacity > OUT_KEPT_MAX)
		buffer_deinit(&connection->out);
	buffer_clear(&connection->out);
	count_bytes(connection, 0);
}
