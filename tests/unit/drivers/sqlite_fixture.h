/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The SQLite driver on a real loop and a real file, and a second connection that writes to the file
 * and holds its lock. Whatever is waited for is an event; the only times are those after which a
 * test has failed.
 */
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/async/scope.h"
#include "pipeline/base/arena.h"
#include "pipeline/base/diag.h"
#include "pipeline/base/json.h"
#include "pipeline/base/log.h"
#include "pipeline/base/options.h"
#include "pipeline/drivers/driver.h"
#include "pipeline/resources/database.h"
#include "tests/unit/loop/loop_fixture.h"

#define RESOURCE_LINE 3 /* where the database stands in the configuration */
#define QUERY_LINE    20

#define QUERIES_MAX 64

struct sqlite_fixture {
	struct loop_fixture f;
	struct account account;
	struct json_limits limits;
	struct log log;
	struct driver_context context;
	struct arena arena;
	struct diag diag;
	struct option_value options[3];
	struct option_map map;
	struct resource *resource;
	struct database *database;
	struct query *queries[QUERIES_MAX]; /* to be freed when the resource has ended */
	size_t query_count;
	char directory[32];
	char path[64];
	sqlite3 *writer;
	struct frame parent; /* of all jobs, the owner of the root scope */
	struct scope root;
	bool idle; /* the root scope is over */
	int log_lines;
	char last_line[1024];
};

/*
 * The tests' setup and teardown: a file with a table `product`, and a resource of two connections
 * that isn't open.
 */
int sqlite_fixture_set_up(void **state);
int sqlite_fixture_tear_down(void **state);

/*
 * Ends the resource that is there, if there is one, and makes one for path. NULL after an error in
 * diag.
 */
struct resource *sqlite_fixture_create(
		struct sqlite_fixture *f, struct text path, uint32_t connections);

/* By the second connection. */
void sqlite_fixture_exec(struct sqlite_fixture *f, const char *sql);

/* The file becomes something else than a database. */
void sqlite_fixture_overwrite(struct sqlite_fixture *f);

/* A spec for the SQL, its parameters found, to be changed before query(). */
struct query_spec *sqlite_fixture_spec(struct sqlite_fixture *f, const char *sql);
struct query *sqlite_fixture_query(struct sqlite_fixture *f, const struct query_spec *spec);

/* The same in one. */
struct query *sqlite_fixture_sql(struct sqlite_fixture *f, const char *sql);

/* Opens; must succeed. */
void sqlite_fixture_open(struct sqlite_fixture *f);

/* Opens; must fail, with as many errors, the first of which is at the line and holds the words. */
void sqlite_fixture_open_fails(
		struct sqlite_fixture *f, size_t errors, unsigned line, const char *words);

/* A job in scope that is not started. values may be NULL where the query has no parameters. */
struct job *sqlite_fixture_job(struct sqlite_fixture *f, struct scope *scope, struct query *query,
		const struct sql_value *values);

/* Starts it in a turn. */
void sqlite_fixture_start_job(struct sqlite_fixture *f, struct job *job);

/* The same in one. */
struct job *sqlite_fixture_start(struct sqlite_fixture *f, struct scope *scope, struct query *query,
		const struct sql_value *values);

/* Runs the loop until it has ended. */
void sqlite_fixture_wait(struct sqlite_fixture *f, struct job *job);

/*
 * Starts one in the root scope and runs the loop until it has ended with that row (or NULL: without
 * one) and status.
 */
void sqlite_fixture_expect_row(struct sqlite_fixture *f, struct query *query,
		const struct sql_value *values, const char *row);
void sqlite_fixture_expect(struct sqlite_fixture *f, struct query *query, enum status status,
		const char *message);

/* The last line of the log holds these words. */
void sqlite_fixture_expect_logged(const struct sqlite_fixture *f, const char *words);

/* A scope below the root, and its end from outside. */
struct scope *sqlite_fixture_scope(struct sqlite_fixture *f, uint64_t deadline);
void sqlite_fixture_cancel(struct sqlite_fixture *f, struct scope *scope);

/* Waits, without the loop, until so many statements have begun. */
void sqlite_fixture_wait_begun(struct sqlite_fixture *f, uint64_t statements);
