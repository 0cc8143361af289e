/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is out, at every place where the driver asks for some. SQLite's own is not touched.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/base/blob.h"
#include "tests/unit/allocations.h"
#include "tests/unit/drivers/sqlite_fixture.h"

#define TRIES_MAX 1000

static int tear_down(void **state)
{
	allocations_heal();
	return sqlite_fixture_tear_down(state);
}

/* For each number of allocations that succeed, until none fails any more. */
static void test_create_and_name_a_query(void **state)
{
	struct sqlite_fixture *f = *state;
	const struct query_spec *spec = sqlite_fixture_spec(f, "SELECT 1");
	struct query *query = NULL;
	unsigned successes = 0;
	for (; query == NULL && successes < TRIES_MAX; successes++) {
		allocations_fail_after(successes);
		if (sqlite_fixture_create(f, text_of(f->path), 2))
			query = f->database->ops->query_new(f->database, spec);
		else
			assert_true(f->diag.errors > 0);
		allocations_heal();
	}
	assert_in_range(successes, 2, TRIES_MAX - 1);
	f->queries[f->query_count++] = query;
}

static void test_open(void **state)
{
	struct sqlite_fixture *f = *state;
	unsigned successes = 0;
	sqlite_fixture_sql(f, "SELECT sku, price FROM product WHERE sku = :sku");
	sqlite_fixture_sql(f, "SELECT name FROM product");
	for (; !f->resource->ready && successes < TRIES_MAX; successes++) {
		allocations_fail_after(successes);
		f->resource->driver->open(f->resource, &f->diag);
		allocations_heal();
		assert_true(f->resource->ready || f->resource->trouble);
	}
	assert_in_range(successes, 5, TRIES_MAX - 1);
	/* However often it was tried, it is said once. */
	assert_int_equal(f->diag.errors, 1);
}

/* It is none of ours. */
static void test_open_without_memory_for_sqlite(void **state)
{
	struct sqlite_fixture *f = *state;
	sqlite_fixture_sql(f, "SELECT name FROM product");
	(void)sqlite3_hard_heap_limit64(sqlite3_memory_used() + 1000);
	for (int k = 0; k < 2; k++) {
		f->resource->driver->open(f->resource, &f->diag);
		assert_false(f->resource->ready);
		assert_non_null(f->resource->trouble);
	}
	(void)sqlite3_hard_heap_limit64(0);
	assert_int_equal(f->diag.errors, 1);
	assert_non_null(strstr(f->diag.first->message, "out of memory"));
	f->resource->driver->open(f->resource, &f->diag);
	assert_true(f->resource->ready);
	assert_int_equal(f->diag.errors, 1);
}

/* Runs the query until none fails any more: it ends like that then, and for want of memory before.
 */
static void run_with_failures(
		struct sqlite_fixture *f, struct query_spec *spec, enum status expected)
{
	struct query *query = sqlite_fixture_query(f, spec);
	unsigned successes = 0, failed;
	sqlite_fixture_open(f);
	do {
		struct job *job = sqlite_fixture_job(f, &f->root, query, NULL);
		allocations_fail_after(successes++);
		sqlite_fixture_start_job(f, job);
		sqlite_fixture_wait(f, job);
		failed = allocations_failed();
		allocations_heal();
		enum status status = job->frame.outcome.status;
		if (status == STATUS_OK)
			blob_unref(job->result);
		if (status != expected)
			assert_int_equal(status, STATUS_RESOURCE_EXHAUSTED);
		assert_true(status == expected || failed > 0);
	} while (failed > 0 && successes < TRIES_MAX);
	assert_in_range(successes, 2, TRIES_MAX - 1);
}

static const struct text json_columns[] = {{"j", 1}};

static void test_run(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query_spec *spec =
			sqlite_fixture_spec(f, "SELECT hex(zeroblob(3000)) AS big, '[1,2]' AS j");
	spec->json_columns = json_columns;
	spec->json_column_count = 1;
	run_with_failures(f, spec, STATUS_OK);
}

static void test_a_column_that_is_not_json(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query_spec *spec = sqlite_fixture_spec(f, "SELECT 'x' AS j");
	spec->json_columns = json_columns;
	spec->json_column_count = 1;
	run_with_failures(f, spec, STATUS_INTERNAL);
}

static void test_too_many_rows(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query_spec *spec = sqlite_fixture_spec(f, "SELECT 1 UNION ALL SELECT 2");
	spec->all_rows = true;
	spec->rows_max = 1;
	run_with_failures(f, spec, STATUS_INTERNAL);
}

static void test_too_many_bytes(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query_spec *spec = sqlite_fixture_spec(f, "SELECT 'xyz' AS x");
	spec->bytes_max = 10;
	run_with_failures(f, spec, STATUS_INTERNAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sqlite_fixture_set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_create_and_name_a_query),
			TEST(test_open),
			TEST(test_open_without_memory_for_sqlite),
			TEST(test_run),
			TEST(test_a_column_that_is_not_json),
			TEST(test_too_many_rows),
			TEST(test_too_many_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
