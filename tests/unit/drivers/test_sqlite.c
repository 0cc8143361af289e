/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/base/blob.h"
#include "pipeline/drivers/sqlite.h"
#include "tests/unit/drivers/sqlite_fixture.h"

#define FOREVER UINT64_MAX
#define MS	UINT64_C(1000000)

#define ENDLESS                                                                                    \
	"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c WHERE n " \
	"< 0"

static const char by_sku[] = "SELECT sku, price, qty FROM product WHERE sku = :sku";

static struct sql_value text_value(struct text text)
{
	return (struct sql_value){.kind = SQL_TEXT, .text = text};
}

/* One worker only. */
static void use_one(struct sqlite_fixture *f)
{
	assert_non_null(sqlite_fixture_create(f, text_of(f->path), 1));
}

static void release(struct job *job)
{
	job->result = blob_unref(job->result);
}

static void test_a_row_or_none(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, by_sku);
	struct sql_value there = text_value(TEXT("a-1")), missing = text_value(TEXT("c-3"));
	sqlite_fixture_open(f);
	sqlite_fixture_expect_row(f, query, &there, "{\"sku\":\"a-1\",\"price\":9.5,\"qty\":3}");
	sqlite_fixture_expect_row(f, query, &missing, NULL);
	sqlite_fixture_expect_row(f, query, &there, "{\"sku\":\"a-1\",\"price\":9.5,\"qty\":3}");
	assert_int_equal(f->database->queries, 3);
	assert_int_equal(f->log_lines, 0);
}

static void test_only_the_first_row(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, "SELECT sku FROM product ORDER BY sku DESC");
	sqlite_fixture_open(f);
	sqlite_fixture_expect_row(f, query, NULL, "{\"sku\":\"b-2\"}");
}

static struct query *all_rows(struct sqlite_fixture *f, const char *sql, uint32_t rows_max)
{
	struct query_spec *spec = sqlite_fixture_spec(f, sql);
	spec->all_rows = true;
	spec->rows_max = rows_max;
	return sqlite_fixture_query(f, spec);
}

static void test_all_rows(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *some = all_rows(f, "SELECT sku FROM product ORDER BY sku", 2);
	struct query *none = all_rows(f, "SELECT sku FROM product WHERE price > 1000", 2);
	struct query *many = all_rows(f, "SELECT a.sku FROM product a, product b", 3);
	sqlite_fixture_open(f);
	sqlite_fixture_expect_row(f, some, NULL, "[{\"sku\":\"a-1\"},{\"sku\":\"b-2\"}]");
	sqlite_fixture_expect_row(f, none, NULL, "[]");
	sqlite_fixture_expect(f, many, STATUS_INTERNAL, "the query returns too many rows");
	sqlite_fixture_expect_logged(f, "more than 3 rows");
}

static struct query *bounded(struct sqlite_fixture *f, const char *sql, uint32_t bytes_max)
{
	struct query_spec *spec = sqlite_fixture_spec(f, sql);
	spec->all_rows = true;
	spec->bytes_max = bytes_max;
	return sqlite_fixture_query(f, spec);
}

static void test_bytes_are_bounded(void **state)
{
	static const char too_many[] = "the query returns too many bytes";
	struct sqlite_fixture *f = *state;
	const char *two = "SELECT sku FROM product ORDER BY sku";
	struct query *fits = bounded(f, two, 29);
	struct query *over = bounded(f, two, 28);
	struct query *value = bounded(f, "SELECT printf('%.*c', 2000000, 'x') AS x", 1000);
	struct query *huge = bounded(f, "SELECT zeroblob(500000000) AS x", 1000);
	struct query *inner = bounded(f, "SELECT length(printf('%.*c', 2000000, 'x')) AS n", 20);
	sqlite_fixture_open(f);
	sqlite_fixture_expect_row(f, fits, NULL, "[{\"sku\":\"a-1\"},{\"sku\":\"b-2\"}]");
	sqlite_fixture_expect(f, over, STATUS_INTERNAL, too_many);
	sqlite_fixture_expect_logged(f, "more than 28 bytes");
	sqlite_fixture_expect(f, value, STATUS_INTERNAL, too_many);
	sqlite_fixture_expect(f, huge, STATUS_INTERNAL, too_many);
	sqlite_fixture_expect_logged(f, "string or blob too big");
	sqlite_fixture_expect_row(f, inner, NULL, "[{\"n\":2000000}]");
}

static void test_a_row_on_its_way_is_accounted(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, "SELECT hex(zeroblob(100000)) AS big");
	sqlite_fixture_open(f);
	struct job *job = sqlite_fixture_start(f, &f->root, query, NULL);
	sqlite_fixture_wait(f, job);
	assert_int_equal(f->account.used, blob_cost(job->result));
	assert_true(f->account.used > 200000);
	release(job);
	assert_int_equal(f->account.used, 0);
}

static bool is_charged(void *user)
{
	return ((struct sqlite_fixture *)user)->account.used > 100000;
}

/* Of rows that never end. */
static void test_rows_that_grow_are_accounted(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query_spec *spec = sqlite_fixture_spec(f,
			"SELECT printf('%.*c', 1000, 'x') AS x, (SELECT count(*) FROM (WITH "
			"RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
			"SELECT i FROM n)) AS n FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
			"SELECT i + 1 FROM n) SELECT i FROM n)");
	spec->all_rows = true;
	spec->rows_max = UINT32_MAX;
	spec->bytes_max = 1 << 29;
	struct query *query = sqlite_fixture_query(f, spec);
	sqlite_fixture_open(f);
	struct scope *scope = sqlite_fixture_scope(f, SCOPE_FOREVER);
	struct job *job = sqlite_fixture_start(f, scope, query, NULL);
	loop_fixture_run_until(&f->f, is_charged, f);
	assert_int_not_equal(job->frame.state, FRAME_ENDED);
	sqlite_fixture_cancel(f, scope);
	sqlite_fixture_wait(f, job);
	assert_int_equal(f->account.used, 0);
}

#define JOBS 7

static void test_as_many_run_as_there_are_connections(void **state)
{
	struct sqlite_fixture *f = *state;
	assert_non_null(sqlite_fixture_create(f, text_of(f->path), 3));
	struct query *first = sqlite_fixture_sql(f, by_sku);
	struct query *second = sqlite_fixture_sql(f, "SELECT name FROM product WHERE sku = 'a-1'");
	struct sql_value sku = text_value(TEXT("a-1"));
	struct job *jobs[JOBS];
	sqlite_fixture_open(f);
	sqlite_fixture_exec(f, "BEGIN EXCLUSIVE");
	for (int i = 0; i < JOBS; i++)
		jobs[i] = sqlite_fixture_start(
				f, &f->root, i < 2 ? first : second, i < 2 ? &sku : NULL);
	sqlite_fixture_wait_begun(f, 3);
	assert_int_equal(f->database->queries, 3);
	assert_int_equal(f->database->running_highest, 3);
	sqlite_fixture_exec(f, "COMMIT");
	for (int i = 0; i < JOBS; i++) {
		sqlite_fixture_wait(f, jobs[i]);
		assert_int_equal(jobs[i]->frame.outcome.status, STATUS_OK);
		release(jobs[i]);
	}
	assert_int_equal(f->database->queries, JOBS);
	assert_int_equal(f->database->running_highest, 3);
	assert_int_equal(f->database->ops->query_running_highest(first), 2);
	assert_in_range(f->database->ops->query_running_highest(second), 1, 3);
}

static void expect_cancelled(const struct job *job)
{
	assert_int_equal(job->frame.state, FRAME_ENDED);
	assert_int_equal(job->frame.outcome.status, STATUS_CANCELLED);
	assert_null(job->result);
}

/* While the lock is held. */
static void test_cancelled_in_the_queue_it_never_runs(void **state)
{
	struct sqlite_fixture *f = *state;
	use_one(f);
	struct query *query = sqlite_fixture_sql(f, "SELECT name FROM product");
	struct scope *scope = sqlite_fixture_scope(f, SCOPE_FOREVER);
	sqlite_fixture_open(f);
	sqlite_fixture_exec(f, "BEGIN EXCLUSIVE");
	struct job *runs = sqlite_fixture_start(f, &f->root, query, NULL);
	struct job *waits = sqlite_fixture_start(f, scope, query, NULL);
	sqlite_fixture_wait_begun(f, 1);
	sqlite_fixture_cancel(f, scope);
	expect_cancelled(waits);
	sqlite_fixture_exec(f, "COMMIT");
	sqlite_fixture_wait(f, runs);
	release(runs);
	sqlite_fixture_expect_row(f, query, NULL, "{\"name\":\"Anvil\"}");
	assert_int_equal(f->database->queries, 2);
}

/*
 * The worker is free again while the lock is still held: a query that needs no lock gets through.
 */
static void test_cancelled_behind_a_lock_it_ends_at_once(void **state)
{
	struct sqlite_fixture *f = *state;
	use_one(f);
	struct query *query = sqlite_fixture_sql(f, "SELECT name FROM product");
	struct query *free = sqlite_fixture_sql(f, "SELECT 1 AS one");
	sqlite_fixture_open(f);
	sqlite_fixture_exec(f, "BEGIN EXCLUSIVE");
	for (uint64_t i = 0; i < 5; i++) {
		struct scope *scope = sqlite_fixture_scope(f, SCOPE_FOREVER);
		struct job *job = sqlite_fixture_start(f, scope, query, NULL);
		sqlite_fixture_wait_begun(f, 2 * i + 1);
		assert_int_equal(job->frame.state, FRAME_WAITING);
		sqlite_fixture_cancel(f, scope);
		sqlite_fixture_wait(f, job);
		expect_cancelled(job);
		sqlite_fixture_expect_row(f, free, NULL, "{\"one\":1}");
	}
	sqlite_fixture_exec(f, "COMMIT");
	sqlite_fixture_expect_row(f, query, NULL, "{\"name\":\"Anvil\"}");
	assert_int_equal(f->log_lines, 0);
}

static void test_cancelled_while_it_computes(void **state)
{
	struct sqlite_fixture *f = *state;
	use_one(f);
	struct query *endless = sqlite_fixture_sql(f, ENDLESS);
	struct query *query = sqlite_fixture_sql(f, "SELECT 1 AS one");
	struct scope *scope = sqlite_fixture_scope(f, SCOPE_FOREVER);
	sqlite_fixture_open(f);
	struct job *job = sqlite_fixture_start(f, scope, endless, NULL);
	sqlite_fixture_wait_begun(f, 1);
	sqlite_fixture_cancel(f, scope);
	sqlite_fixture_wait(f, job);
	expect_cancelled(job);
	sqlite_fixture_expect_row(f, query, NULL, "{\"one\":1}");
	assert_int_equal(f->log_lines, 0);
}

static void test_a_deadline_cancels(void **state)
{
	struct sqlite_fixture *f = *state;
	use_one(f);
	struct query *endless = sqlite_fixture_sql(f, ENDLESS);
	struct query *locked = sqlite_fixture_sql(f, "SELECT name FROM product");
	sqlite_fixture_open(f);
	sqlite_fixture_exec(f, "BEGIN EXCLUSIVE");
	struct query *queries[] = {endless, locked};
	for (int i = 0; i < 2; i++) {
		struct scope *scope = sqlite_fixture_scope(f, loop_now() + 5 * MS);
		struct job *job = sqlite_fixture_start(f, scope, queries[i], NULL);
		sqlite_fixture_wait(f, job);
		expect_cancelled(job);
		assert_int_equal(scope->reason, TIMEOUT);
		scope_close(scope);
	}
	sqlite_fixture_exec(f, "COMMIT");
}

/* Its row is there, but the loop has not seen it yet. */
static void test_cancelled_when_it_is_done(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, "SELECT name FROM product");
	struct scope *scope = sqlite_fixture_scope(f, SCOPE_FOREVER);
	sqlite_fixture_open(f);
	loop_fixture_run_idle(&f->f);
	struct job *job = sqlite_fixture_start(f, scope, query, NULL);
	wait_readable(sd_event_get_fd(f->f.loop.event));
	sqlite_fixture_cancel(f, scope);
	sqlite_fixture_wait(f, job);
	expect_cancelled(job);
	assert_int_equal(f->account.used, 0);
}

static void test_a_scope_that_is_cancelled_before(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, "SELECT name FROM product");
	struct scope *scope = sqlite_fixture_scope(f, SCOPE_FOREVER);
	sqlite_fixture_open(f);
	loop_enter(&f->f.loop);
	scope_cancel(scope, ASKED);
	loop_leave(&f->f.loop);
	expect_cancelled(sqlite_fixture_start(f, scope, query, NULL));
	assert_int_equal(f->database->queries, 0);
	scope_close(scope);
}

static void test_a_table_that_goes_and_comes_back(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, "SELECT name FROM product");
	sqlite_fixture_open(f);
	sqlite_fixture_expect_row(f, query, NULL, "{\"name\":\"Anvil\"}");
	sqlite_fixture_exec(f, "ALTER TABLE product RENAME TO away");
	sqlite_fixture_expect(f, query, STATUS_INTERNAL, "the query failed");
	assert_int_equal(f->log_lines, 1);
	sqlite_fixture_expect_logged(f, "database=catalog");
	sqlite_fixture_expect_logged(f, f->path);
	assert_non_null(strstr(
			f->last_line, "stage=product/1.lookup sql=SELECT name FROM product"));
	sqlite_fixture_expect_logged(f, "no such table: product");
	sqlite_fixture_exec(f, "ALTER TABLE away RENAME TO product");
	sqlite_fixture_expect_row(f, query, NULL, "{\"name\":\"Anvil\"}");
}

static void test_columns_that_change(void **state)
{
	struct sqlite_fixture *f = *state;
	use_one(f);
	sqlite_fixture_exec(f, "CREATE TABLE t(a); INSERT INTO t VALUES (1)");
	struct query *query = sqlite_fixture_sql(f, "SELECT * FROM t");
	struct query *twice = sqlite_fixture_sql(f, "SELECT *, 7 AS b FROM t");
	sqlite_fixture_open(f);
	sqlite_fixture_expect_row(f, query, NULL, "{\"a\":1}");
	sqlite_fixture_expect_row(f, twice, NULL, "{\"a\":1,\"b\":7}");
	sqlite_fixture_exec(f, "ALTER TABLE t ADD COLUMN b DEFAULT 2");
	sqlite_fixture_expect_row(f, query, NULL, "{\"a\":1,\"b\":2}");
	for (int i = 0; i < 2; i++)
		sqlite_fixture_expect(f, twice, STATUS_INTERNAL, "the query failed");
	sqlite_fixture_expect_logged(f, "two columns named \"b\"");
	sqlite_fixture_exec(f, "ALTER TABLE t RENAME COLUMN b TO c");
	sqlite_fixture_expect_row(f, twice, NULL, "{\"a\":1,\"c\":2,\"b\":7}");
}

static void test_one_failure_does_not_fill_the_log(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, "SELECT name FROM product");
	sqlite_fixture_open(f);
	sqlite_fixture_exec(f, "DROP TABLE product");
	for (int i = 0; i < 100; i++)
		sqlite_fixture_expect(f, query, STATUS_INTERNAL, "the query failed");
	assert_in_range(f->log_lines, 1, 99);
	/* After a while it is said again. */
	int before = f->log_lines;
	loop_enter(&f->f.loop);
	async_enter(&f->f.async, f->f.async.now + UINT64_C(10000000000));
	loop_leave(&f->f.loop);
	sqlite_fixture_expect(f, query, STATUS_INTERNAL, "the query failed");
	assert_int_equal(f->log_lines, before + 1);
}

/* Its cancel comes between the queue and the worker: nothing is opened, prepared or read. */
static void test_cancelled_as_it_is_taken_it_does_not_run(void **state)
{
	struct sqlite_connection connection = {0};
	struct sqlite_job job = {.cancelled = true};
	sqlite_connection_run(&connection, &job.work);
	assert_null(connection.db);
	assert_null(job.row);
	assert_int_equal(job.failure.status, STATUS_OK);
}

/* As one in what is a comment for SQLite alone would. */
static void test_a_parameter_that_stands_nowhere(void **state)
{
	static const struct text names[] = {{"other", 5}, {"sku", 3}};
	const struct sql_value values[] = {{.kind = SQL_INTEGER, .integer = 7},
			{.kind = SQL_TEXT, .text = TEXT("a-1")}};
	struct sqlite_fixture *f = *state;
	struct query_spec *spec =
			sqlite_fixture_spec(f, "SELECT price FROM product WHERE sku = :sku");
	spec->parameters = names;
	spec->parameter_count = 2;
	struct query *query = sqlite_fixture_query(f, spec);
	sqlite_fixture_open(f);
	sqlite_fixture_expect_row(f, query, values, "{\"price\":9.5}");
}

static void test_a_file_that_is_overwritten(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, "SELECT name FROM product");
	sqlite_fixture_open(f);
	sqlite_fixture_overwrite(f);
	sqlite_fixture_expect(f, query, STATUS_UNAVAILABLE, "the database cannot be read");
	assert_int_equal(f->log_lines, 1);
}

static void test_a_worker_that_does_not_come_back(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, "SELECT name FROM product");
	sqlite_fixture_open(f);
	sqlite_fixture_exec(f, "BEGIN EXCLUSIVE");
	struct job *job = sqlite_fixture_start(f, &f->root, query, NULL);
	sqlite_fixture_wait_begun(f, 1);
	assert_false(f->resource->driver->close(f->resource, loop_now()));
	sqlite_fixture_exec(f, "COMMIT");
	assert_true(f->resource->driver->close(f->resource, FOREVER));
	assert_int_equal(job->frame.outcome.status, STATUS_OK);
	release(job);
}

#define TEST(name)                                                                                 \
	cmocka_unit_test_setup_teardown(name, sqlite_fixture_set_up, sqlite_fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_a_row_or_none),
			TEST(test_only_the_first_row),
			TEST(test_all_rows),
			TEST(test_bytes_are_bounded),
			TEST(test_a_row_on_its_way_is_accounted),
			TEST(test_rows_that_grow_are_accounted),
			TEST(test_as_many_run_as_there_are_connections),
			TEST(test_cancelled_in_the_queue_it_never_runs),
			TEST(test_cancelled_behind_a_lock_it_ends_at_once),
			TEST(test_cancelled_while_it_computes),
			TEST(test_a_deadline_cancels),
			TEST(test_cancelled_when_it_is_done),
			TEST(test_a_scope_that_is_cancelled_before),
			TEST(test_a_table_that_goes_and_comes_back),
			TEST(test_columns_that_change),
			TEST(test_one_failure_does_not_fill_the_log),
			TEST(test_cancelled_as_it_is_taken_it_does_not_run),
			TEST(test_a_parameter_that_stands_nowhere),
			TEST(test_a_file_that_is_overwritten),
			TEST(test_a_worker_that_does_not_come_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
