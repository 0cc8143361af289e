/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is out at each allocation of SQLite and of ours in turn, where a worker prepares a
 * query and binds texts that are converted: the job then ends for want of it, or is right. And what
 * fails alone when something is wrong anyway: then only the words for it are lacking.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipeline/base/blob.h"
#include "tests/unit/allocations.h"
#include "tests/unit/drivers/sqlite_fixture.h"
#include "tests/unit/sweep.h"

/* ---- SQLite's allocations */

static sqlite3_mem_methods usual;

static void *own_malloc(int size)
{
	return allocations_fail() ? NULL : usual.xMalloc(size);
}

static void *own_realloc(void *block, int size)
{
	return allocations_fail() ? NULL : usual.xRealloc(block, size);
}

static void use_own_memory(void)
{
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &usual), SQLITE_OK);
	sqlite3_mem_methods own = usual;
	own.xMalloc = own_malloc;
	own.xRealloc = own_realloc;
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &own), SQLITE_OK);
	/* A store of its own would hide most of them. */
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0), SQLITE_OK);
}

/* ---- */

static struct sqlite_fixture *f;

static struct job *run_failing(struct query *query, const struct sql_value *values)
{
	struct job *job = sqlite_fixture_job(f, &f->root, query, values);
	sweep_fail();
	sqlite_fixture_start_job(f, job);
	sqlite_fixture_wait(f, job);
	allocations_heal();
	return job;
}

static bool run(struct query *query, const struct sql_value *values, const char *row)
{
	struct job *job = run_failing(query, values);
	bool good = job->frame.outcome.status == STATUS_OK;
	if (good) {
		assert_string_equal(job->result->data, row);
		blob_unref(job->result);
	} else if (job->frame.outcome.status != STATUS_RESOURCE_EXHAUSTED) {
		fail_msg("%s", f->last_line);
	}
	return good;
}

/* One that is named when the workers run is prepared by them. */
static bool run_in_turn(void)
{
	const struct sql_value values[] = {{.kind = SQL_TEXT, .text = TEXT("!")},
			{.kind = SQL_TEXT, .text = TEXT("Anv\xc3\xadl")}};
	assert_non_null(sqlite_fixture_create(f, text_of(f->path), 1));
	diag_init(&f->diag, &f->arena);
	sqlite_fixture_open(f);
	struct query *query = sqlite_fixture_sql(
			f, "SELECT name || :tail AS n FROM t WHERE name = :name");
	sqlite_fixture_open(f);
	return run(query, values, "{\"n\":\"Anv\xc3\xadl!\"}");
}

/* Texts are converted on their way in and out. */
static void test_run(void **state)
{
	f = *state;
	assert_int_equal(sqlite3_close(f->writer), SQLITE_OK);
	(void)unlink(f->path);
	assert_int_equal(sqlite3_open(f->path, &f->writer), SQLITE_OK);
	sqlite_fixture_exec(f, "PRAGMA encoding = 'UTF-16'; CREATE TABLE t(name TEXT);"
			       "INSERT INTO t VALUES ('Anv\xc3\xadl')");
	assert_true(sweep_allocations(run_in_turn) > 100);
}

/* By a worker that keeps what it has written for the next, so the words are all that it asks for.
 */
static bool refuse_in_turn(void)
{
	struct job *job = run_failing(f->queries[0], NULL);
	enum status status = job->frame.outcome.status;
	assert_true(status == STATUS_INTERNAL || status == STATUS_RESOURCE_EXHAUSTED);
	return status == STATUS_INTERNAL;
}

static void test_too_many_bytes(void **state)
{
	f = *state;
	assert_non_null(sqlite_fixture_create(f, text_of(f->path), 1));
	struct query_spec *spec = sqlite_fixture_spec(f, "SELECT 'xyz' AS x");
	spec->bytes_max = 10;
	sqlite_fixture_query(f, spec);
	sqlite_fixture_open(f);
	(void)sweep_allocations(refuse_in_turn);
}

static bool open_in_turn(void)
{
	struct diag diag;
	diag_init(&diag, &f->arena);
	sweep_fail();
	f->resource->driver->open(f->resource, &diag);
	allocations_heal();
	assert_false(f->resource->ready);
	return diag.first && strstr(diag.first->message, "no such column: cost");
}

static void test_a_query_that_is_wrong(void **state)
{
	f = *state;
	sqlite_fixture_sql(f, "SELECT cost FROM product");
	(void)sweep_allocations(open_in_turn);
}

/* What it serves it goes on to serve, and what is new is told of each time. */
static void test_a_query_that_is_added(void **state)
{
	f = *state;
	struct query *query = sqlite_fixture_sql(f, "SELECT price FROM product LIMIT 1");
	sqlite_fixture_open(f);
	struct query *added = sqlite_fixture_sql(f, "SELECT sku FROM product LIMIT 1");
	for (size_t i = 1; i <= 2; i++) {
		allocations_fail_after(0);
		f->resource->driver->open(f->resource, &f->diag);
		allocations_heal();
		assert_int_equal(f->diag.errors, i);
		assert_true(f->resource->ready);
	}
	diag_init(&f->diag, &f->arena);
	sqlite_fixture_open(f);
	sqlite_fixture_expect_row(f, query, NULL, "{\"price\":9.5}");
	sqlite_fixture_expect_row(f, added, NULL, "{\"sku\":\"a-1\"}");
}

#define TEST(name)                                                                                 \
	cmocka_unit_test_setup_teardown(name, sqlite_fixture_set_up, sqlite_fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(test_run), TEST(test_too_many_bytes),
			TEST(test_a_query_that_is_wrong), TEST(test_a_query_that_is_added)};
	use_own_memory();
	return cmocka_run_group_tests_name("drivers/sqlite_own_memory", tests, NULL, NULL);
}
