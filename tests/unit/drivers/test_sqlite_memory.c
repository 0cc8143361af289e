/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is out, at every place where the driver, or SQLite for it, asks for some.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/base/blob.h"
#include "tests/unit/allocations.h"
#include "tests/unit/drivers/sqlite_fixture.h"

#define TRIES_MAX	 1000
#define SQLITE_TRIES_MAX 10000

/* How many of SQLite's own allocations succeed before one fails; below 0: it has. */
#define SQLITE_HEALED INT_MAX

static sqlite3_mem_methods sqlite_memory;
static atomic_int sqlite_left = SQLITE_HEALED;

static bool sqlite_fails(void)
{
	return sqlite_left != SQLITE_HEALED && sqlite_left-- == 0;
}

static void *sqlite_allocate(int size)
{
	return sqlite_fails() ? NULL : sqlite_memory.xMalloc(size);
}

static void *sqlite_resize(void *block, int size)
{
	return sqlite_fails() ? NULL : sqlite_memory.xRealloc(block, size);
}

/* Before anything else of SQLite. */
static void take_sqlite_memory(void)
{
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_memory), SQLITE_OK);
	sqlite3_mem_methods methods = sqlite_memory;
	methods.xMalloc = sqlite_allocate;
	methods.xRealloc = sqlite_resize;
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), SQLITE_OK);
}

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

/* Whatever SQLite does without once, nothing is found to be wrong. */
static void test_open_without_memory_for_sqlite(void **state)
{
	struct sqlite_fixture *f = *state;
	int successes = 0;
	bool failed = true;
	assert_non_null(sqlite_fixture_create(f, text_of(f->path), 1));
	sqlite_fixture_sql(f, "SELECT name FROM product; -- and no more");
	for (; failed && successes < SQLITE_TRIES_MAX; successes++) {
		sqlite_left = successes;
		f->resource->driver->open(f->resource, &f->diag);
		failed = sqlite_left < 0;
		sqlite_left = SQLITE_HEALED;
		assert_true(f->resource->ready || (failed && f->resource->trouble));
		/* Some it can do without. */
		if (f->resource->ready)
			assert_true(f->resource->driver->close(f->resource, UINT64_MAX));
	}
	assert_in_range(successes, 50, SQLITE_TRIES_MAX - 1);
	for (const struct diag_item *item = f->diag.first; item; item = item->next)
		assert_non_null(strstr(item->message, "out of memory"));
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

/* Of what SQLite does without, nothing is given that is not the row. */
static void test_run_without_memory_for_sqlite(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query =
			sqlite_fixture_sql(f, "SELECT hex(zeroblob(4)) || sku AS x FROM product "
					      "UNION SELECT 'z' ORDER BY 1");
	int successes = 0;
	bool failed = true;
	sqlite_fixture_open(f);
	for (; failed && successes < SQLITE_TRIES_MAX; successes++) {
		struct job *job = sqlite_fixture_job(f, &f->root, query, NULL);
		sqlite_left = successes;
		sqlite_fixture_start_job(f, job);
		sqlite_fixture_wait(f, job);
		failed = sqlite_left < 0;
		sqlite_left = SQLITE_HEALED;
		if (job->frame.outcome.status == STATUS_OK) {
			assert_true(text_equal(job->frame.outcome.value.text,
					TEXT("{\"x\":\"00000000a-1\"}")));
			blob_unref(job->result);
		} else {
			assert_int_equal(job->frame.outcome.status, STATUS_RESOURCE_EXHAUSTED);
			assert_true(failed);
		}
	}
	assert_in_range(successes, 5, SQLITE_TRIES_MAX - 1);
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
			TEST(test_run_without_memory_for_sqlite),
			TEST(test_a_column_that_is_not_json),
			TEST(test_too_many_rows),
			TEST(test_too_many_bytes),
	};
	take_sqlite_memory();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
