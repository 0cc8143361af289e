/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For the files sqlite*.c only. sqlite.c is the driver, on the loop, and sqlite_job.c a query that
 * is run, as the loop sees it; sqlite_run.c is how a worker runs it, and sqlite_handlers.c what
 * SQLite calls meanwhile. sqlite_connection.c opens what it is run on; sqlite_statement.c is one
 * prepared query of one connection, and sqlite_row.c writes its rows as JSON; sqlite_growing.c
 * accounts for them meanwhile. sqlite_replace.c notices that the file was replaced.
 *
 * A connection and its statements belong to the loop until the workers are started, then to their
 * worker, and to the loop again when the workers have ended. What is named when they run already is
 * prepared by each worker when it first runs it, and before that, to see whether it can be, on a
 * connection of the loop's. A job belongs to its worker from when it is taken out of the queue
 * until it comes back; only `cancelled` is looked at from both sides.
 */
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pipeline/base/buffer.h"
#include "pipeline/drivers/driver.h"
#include "pipeline/loop/workers.h"
#include "pipeline/resources/database.h"

struct sqlite_connection;

/* Which file stands at a path. While it is open, device and inode are enough: when it is not, the
 * inode may be another's at once. */
struct sqlite_file {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
};

struct query {
	struct sqlite *sqlite;
	const struct query_spec *spec;
	struct link link; /* among its database's */
	size_t index; /* of its statement, in each connection; free for another when it is freed */
	uint64_t number; /* of no other query, ever: tells whose statement stands there */
	bool proven;	 /* it was prepared once, on some connection */
	_Atomic uint32_t running;
	_Atomic uint32_t running_highest;
	const char *logged; /* the message of its last failure in the log */
	uint64_t logged_at;
};

struct sqlite {
	struct resource resource;
	struct database database;
	const struct driver_context *context;
	char *path;
	struct link queries;		       /* in the order they were named */
	uint64_t query_numbers;		       /* given so far */
	struct sqlite_connection *connections; /* as many as the database has; NULL: not open */
	struct workers *workers;
	bool told_unwatched;
	_Atomic uint32_t running; /* statements, at this moment */
	uint32_t jobs;		  /* given to the workers and not back */
	atomic_size_t growing;	  /* bytes of rows that they are writing, */
	size_t charged;		  /* how much of that stands in limits.bytes, */
	sd_event_source *look;	  /* and the timer that looks at it; NULL: there are no jobs */
	struct file_watch *watch;
	sd_event_source *retry;	    /* to look at a file again that another has locked */
	struct sqlite_file file;    /* that is used; it changes under the lock */
	_Atomic uint64_t files;	    /* how many have been taken after the first */
	struct sqlite_file refused; /* the last that was found unusable */
	/* Who waits for another's lock waits here for a cancel. */
	pthread_mutex_t lock;
	pthread_cond_t cancelled;
};

/*
 * Why a job has failed. message is static and for who asked; detail is for the log, to be freed,
 * and may be NULL.
 */
struct sqlite_failure {
	enum status status; /* OK: it has not */
	const char *message;
	char *detail;
};

struct sqlite_job {
	struct job job;
	struct work work;
	atomic_bool cancelled; /* set under the database's lock */
	struct sqlite_failure failure;
	struct blob *row; /* NULL without a failure: no row */
};

struct sqlite_column {
	size_t at; /* of `"name":` in the heads */
	size_t size;
	bool json;
};

struct sqlite_statement {
	const struct query_spec *spec;
	uint64_t query; /* its number; 0: none is prepared here */
	sqlite3_stmt *stmt;
	int *parameters; /* SQLite's number of each of spec's */
	struct sqlite_column *columns;
	int column_count;
	struct buffer heads;
	int prepared_again; /* how often, when the columns were read */
};

struct sqlite_connection {
	struct sqlite *sqlite;
	sqlite3 *db;
	struct sqlite_statement *statements; /* by their queries' indices */
	size_t statement_count;
	struct sqlite_job *job; /* that runs; NULL: none */
	bool begun;		/* its statement has begun and is counted as running */
	uint64_t files;		/* the sqlite's when it was opened */
	struct buffer out;	/* the row that is being written, */
	size_t growing;		/* and what of it is counted in the sqlite's */
};

/* OPEN_LOCKED: another holds it now, and later it may go well. OPEN_LATER: the same, for another
 * reason. OPEN_SHORT: the same, for memory or the like is out. OPEN_FAILED: diag says why. */
enum sqlite_open { OPEN_DONE, OPEN_LOCKED, OPEN_LATER, OPEN_SHORT, OPEN_FAILED };

/* The queries of those that count: all, or what was named since the database was opened. */
enum sqlite_queries { QUERIES_ALL, QUERIES_NEW };

/* Opens a connection, which is zeroed, and prepares these queries. To be closed even if it fails.
 */
enum sqlite_open sqlite_connection_open(struct sqlite_connection *connection, struct sqlite *sqlite,
		enum sqlite_queries which, struct diag *diag);

/* Whether the file at the path can be used for these: opens a connection of the loop's and prepares
 * them on it. */
enum sqlite_open sqlite_prove(struct sqlite *sqlite, enum sqlite_queries which, struct diag *diag);

/* Opens all connections and starts the workers. The resource is ready then, or nothing is open. */
enum sqlite_open sqlite_open_all(struct sqlite *sqlite, struct diag *diag);

/* Safe twice, and on a zeroed one. */
void sqlite_connection_close(struct sqlite_connection *connection);

/* The query's statement, prepared if need be in place of one whose query is no more. A result code;
 * *ret_error as of sqlite_statement_init(). */
int sqlite_connection_prepare(
		struct sqlite_connection *connection, const struct query *query, char **ret_error);

/* Opens the file that the loop has taken since this one was opened. Where it can't be opened just
 * now, or yet another stands at its path, the old one stays until the next job. */
void sqlite_connection_follow(struct sqlite_connection *connection);

/* The message of a result code that is the database's failure and not the query's; NULL for all
 * others. */
const char *sqlite_database_failure(int code, enum status *ret_status);

/* sqlite_handlers.c: when a connection is opened; a result code. */
int sqlite_handlers_set(struct sqlite_connection *connection);

/* The job's statement has ended, if it had begun. */
void sqlite_handlers_end(struct sqlite_connection *connection, struct query *query);

/* Tells a job that runs that it is not wanted any more. On the loop. */
void sqlite_job_interrupt(struct sqlite *sqlite, struct sqlite_job *job);

/* sqlite_run.c: the workers' run(): state is a connection, work a sqlite_job's. */
void sqlite_connection_run(void *state, struct work *work);

/* sqlite_job.c: the database's job_init(), and the workers' done(): user is the sqlite. */
void sqlite_job_init(struct job *job, struct query *query, struct arena *arena,
		struct frame *parent, struct scope *scope);
void sqlite_job_done(void *user, struct work *work);

/*
 * Prepares spec's SQL. SQLITE_OK, or a result code and in *ret_error what is wrong, to be freed
 * (NULL when memory is out). statement, which is zeroed, is to be deinitialised whatever is
 * returned.
 */
int sqlite_statement_init(struct sqlite_statement *statement, sqlite3 *db,
		const struct query_spec *spec, char **ret_error);
void sqlite_statement_deinit(struct sqlite_statement *statement);

/* Binds a job's values. The texts must stay until sqlite_statement_reset(). A result code. */
int sqlite_statement_bind(struct sqlite_statement *statement, const struct sql_value *values);

/*
 * To be called when the first row is there: SQLite prepares a statement again by itself when the
 * schema has changed. As sqlite_statement_init().
 */
int sqlite_statement_refresh(struct sqlite_statement *statement, char **ret_error);

void sqlite_statement_reset(struct sqlite_statement *statement);

/* ROW_VALUE: *ret_message (static) says what is wrong with the value in column *ret_column. */
enum sqlite_row { ROW_DONE, ROW_TOO_LARGE, ROW_NO_MEMORY, ROW_VALUE };

/*
 * Appends the row that the statement stands on as a JSON object; with it out may hold as many bytes
 * as its query may return. Beyond that no value is written.
 */
enum sqlite_row sqlite_row_append(struct buffer *out, const struct sqlite_statement *statement,
		const struct json_limits *limits, int *ret_column, const char **ret_message);

/* sqlite_growing.c: around what the workers are given, and when none runs any more. */
void sqlite_job_given(struct sqlite *sqlite);
void sqlite_job_is_back(struct sqlite *sqlite);
void sqlite_jobs_over(struct sqlite *sqlite);

/* sqlite_replace.c: from before the first connection is opened until the database is closed. Each
 * time it is opened: false when memory is out. */
bool sqlite_watch(struct sqlite *sqlite);
void sqlite_unwatch(struct sqlite *sqlite);

/* Looks at what stands at the path, and takes it if it will do. False: it is another file than that
 * which is open. */
bool sqlite_look(struct sqlite *sqlite);

/* A query is gone: a file that was refused may do without it. */
void sqlite_look_later(struct sqlite *sqlite);

/* False: there is none. */
bool sqlite_file_read(const char *path, struct sqlite_file *ret);

/* Whether the file that is to be used stands at the path. On any thread. */
bool sqlite_file_is_current(struct sqlite *sqlite);
