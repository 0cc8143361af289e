/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What SQLite calls while a job runs.
 *
 * The job's `cancelled` is the only thing that ends it early: the progress handler looks at it
 * while SQLite computes, the busy handler while another process holds the lock (the progress
 * handler isn't called then). sqlite3_interrupt() would be lost where it comes between two
 * statements, and sqlite3_busy_timeout() would sleep through a cancel.
 */
#include "pipeline/drivers/sqlite.h"

/* Some tens of microseconds of SQLite's virtual machine. */
#define OPERATIONS_PER_LOOK 1000

/* Who lets go of a lock tells nobody, so it is tried again: soon at first, then every 10 ms. */
#define LOCK_WAIT_MAX_MS 10

static int on_progress(void *user)
{
	struct sqlite_connection *connection = user;
	return connection->job && atomic_load(&connection->job->cancelled);
}

static struct timespec after_ms(int ms)
{
	return loop_timespec(loop_now() + (uint64_t)ms * 1000000U);
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

void sqlite_handlers_end(struct sqlite_connection *connection, struct query *query)
{
	if (!connection->begun)
		return;
	connection->begun = false;
	atomic_fetch_sub(&connection->sqlite->running, 1);
	atomic_fetch_sub(&query->running, 1);
}

int sqlite_handlers_set(struct sqlite_connection *connection)
{
	sqlite3 *db = connection->db;
	int code = sqlite3_busy_handler(db, on_busy, connection);
	if (code == SQLITE_OK)
		code = sqlite3_trace_v2(db, SQLITE_TRACE_STMT, on_statement, connection);
	sqlite3_progress_handler(db, OPERATIONS_PER_LOOK, on_progress, connection);
	return code;
}
