/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/drivers/sqlite_fixture.h"

static void test_a_database_without_queries(void **state)
{
	struct sqlite_fixture *f = *state;
	assert_false(f->resource->ready);
	assert_true(f->resource->required);
	assert_int_equal(f->database->connections, 2);
	sqlite_fixture_open(f);
	sqlite_fixture_open(f);
}

static void test_a_missing_file_is_not_made(void **state)
{
	struct sqlite_fixture *f = *state;
	assert_non_null(sqlite_fixture_create(f, TEXT("/nonexistent/catalog.db"), 1));
	sqlite_fixture_open_fails(
			f, 1, RESOURCE_LINE, "/nonexistent/catalog.db: No such file or directory");

	sqlite3_close(f->writer);
	f->writer = NULL;
	assert_int_equal(unlink(f->path), 0);
	assert_non_null(sqlite_fixture_create(f, text_of(f->path), 1));
	sqlite_fixture_sql(f, "SELECT 1");
	sqlite_fixture_open_fails(f, 1, RESOURCE_LINE, "No such file or directory");
	assert_int_equal(access(f->path, F_OK), -1);
}

/* There may be some again, so it may be opened again, and it is said once. */
static void test_no_descriptors_are_left(void **state)
{
	struct sqlite_fixture *f = *state;
	struct rlimit usual, none;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
	none = (struct rlimit){0, usual.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (int k = 0; k < 2; k++)
		f->resource->driver->open(f->resource, &f->diag);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
	assert_false(f->resource->ready);
	assert_non_null(strstr(f->resource->trouble, "descriptors"));
	assert_int_equal(f->diag.errors, 1);
	f->resource->driver->open(f->resource, &f->diag);
	assert_true(f->resource->ready);
	assert_null(f->resource->trouble);
}

static void test_a_directory(void **state)
{
	struct sqlite_fixture *f = *state;
	assert_non_null(sqlite_fixture_create(f, text_of(f->directory), 1));
	sqlite_fixture_open_fails(f, 1, RESOURCE_LINE, "cannot be opened: /tmp/sqlite-");
}

static void test_a_file_that_is_no_database(void **state)
{
	struct sqlite_fixture *f = *state;
	sqlite3_close(f->writer);
	f->writer = NULL;
	sqlite_fixture_overwrite(f);
	sqlite_fixture_open_fails(f, 1, RESOURCE_LINE, "file is not a database");
}

static void test_a_path_that_is_none(void **state)
{
	struct sqlite_fixture *f = *state;
	assert_null(sqlite_fixture_create(f, TEXT(""), 1));
	assert_null(sqlite_fixture_create(f, TEXT("/tmp/a\0b"), 1));
	assert_int_equal(f->diag.errors, 2);
	assert_int_equal(f->diag.first->place.line, RESOURCE_LINE);
}

static void test_every_wrong_query_is_named(void **state)
{
	struct sqlite_fixture *f = *state;
	sqlite_fixture_sql(f, "SELECT sku FROM product");
	struct query_spec *other = sqlite_fixture_spec(f, "SELECT colour FROM product");
	other->place.line = QUERY_LINE + 7;
	sqlite_fixture_query(f, other);
	sqlite_fixture_sql(f, "SELEKT sku FROM product");
	f->resource->driver->open(f->resource, &f->diag);
	assert_false(f->resource->ready);
	assert_int_equal(f->diag.errors, 2);
	diag_sort(&f->diag);
	const struct diag_item *first = f->diag.first;
	assert_int_equal(first->place.line, QUERY_LINE);
	assert_string_equal(first->message,
			"the query cannot be prepared: near \"SELEKT\": syntax error");
	assert_int_equal(first->next->place.line, QUERY_LINE + 7);
	assert_string_equal(first->next->message,
			"the query cannot be prepared: no such column: colour");
}

static void refuse(struct sqlite_fixture *f, const char *sql, const char *words)
{
	assert_non_null(sqlite_fixture_create(f, text_of(f->path), 1));
	sqlite_fixture_sql(f, sql);
	sqlite_fixture_open_fails(f, 1, QUERY_LINE, words);
}

static void test_queries_that_are_refused(void **state)
{
	struct sqlite_fixture *f = *state;
	refuse(f, "SELECT 1; SELECT 2", "more than one statement");
	refuse(f, "SELECT 1; garbage", "more than one statement");
	refuse(f, "", "it is empty");
	refuse(f, "-- nothing", "it is empty");
	refuse(f, "INSERT INTO product(sku) VALUES ('x')", "only reads");
	refuse(f, "DELETE FROM product RETURNING sku", "only reads");
	refuse(f, "BEGIN", "only reads");
	refuse(f, "ATTACH ':memory:' AS other", "only reads");
	refuse(f, "PRAGMA journal_mode = WAL", "only reads");
	refuse(f, "SELECT sku FROM product WHERE sku = ?",
			"its parameter ? is not of the form :name");
	refuse(f, "SELECT sku FROM product WHERE sku = ?2", "is not of the form :name");
	refuse(f, "SELECT :sku, ?", "its parameter ? is not of the form :name");
	refuse(f, "SELECT :sku, @sku", "its parameter @sku is not of the form :name");
	refuse(f, "SELECT sku FROM product WHERE sku = @sku",
			"its parameter @sku is not of the form :name");
	refuse(f, "SELECT sku FROM product WHERE sku = $sku",
			"its parameter $sku is not of the form :name");
	refuse(f, "SELECT sku FROM product WHERE sku = :a::b",
			"its parameter :a::b is not of the form :name");
	refuse(f, "SELECT sku, name AS sku FROM product", "two columns named \"sku\"");
	refuse(f, "SELECT a.sku, b.sku FROM product a, product b", "two columns named \"sku\"");
	refuse(f, "SELECT sku, load_extension('x') FROM product, nowhere",
			"no such table: nowhere");
}

static void test_a_nul_in_a_query(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query_spec *spec = sqlite_fixture_spec(f, "SELECT 1");
	spec->sql = TEXT("SELECT 1\0, 2");
	sqlite_fixture_query(f, spec);
	sqlite_fixture_open_fails(f, 1, QUERY_LINE, "NUL");
}

static void test_queries_that_are_taken(void **state)
{
	struct sqlite_fixture *f = *state;
	sqlite_fixture_sql(f, "SELECT 1;");
	sqlite_fixture_sql(f, "  SELECT 1 ; /* that */ -- is all\n ");
	sqlite_fixture_sql(f, "WITH p AS (SELECT * FROM product) SELECT * FROM p");
	sqlite_fixture_sql(f, "VALUES (1, 2)");
	sqlite_fixture_sql(f, "SELECT ':a'':b' AS \":c\", [sku] AS [:d], `name` AS `:e`, 1 /*/ :f "
			      "*/ AS g -- :h\n, :i AS i "
			      "FROM product WHERE name = ':j' || :k1_ä$");
	sqlite_fixture_sql(
			f, "SELECT sku, SKU AS SKU FROM product WHERE sku = :sku AND name > :sku");
	sqlite_fixture_open(f);
}

static void test_a_json_column_that_is_not_returned(void **state)
{
	struct sqlite_fixture *f = *state;
	static const struct text names[] = {{"symbols", 7}, {"extra", 5}};
	struct query_spec *spec = sqlite_fixture_spec(f, "SELECT sku, symbols FROM product");
	spec->json_columns = names;
	spec->json_column_count = 2;
	sqlite_fixture_query(f, spec);
	sqlite_fixture_open_fails(
			f, 1, QUERY_LINE, "it returns no column \"extra\", which `json` names");
}

static void test_a_locked_file_may_be_opened_later(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, "SELECT name FROM product WHERE sku = 'a-1'");
	sqlite_fixture_exec(f, "BEGIN EXCLUSIVE");
	for (int i = 0; i < 3; i++) {
		f->resource->driver->open(f->resource, &f->diag);
		assert_false(f->resource->ready);
		assert_int_equal(f->diag.errors, 0);
	}
	assert_int_equal(f->log_lines, 1);
	sqlite_fixture_expect_logged(f, "locked");
	struct job *job = sqlite_fixture_start(f, &f->root, query, NULL);
	assert_int_equal(job->frame.state, FRAME_ENDED);
	assert_int_equal(job->frame.outcome.status, STATUS_UNAVAILABLE);
	sqlite_fixture_exec(f, "COMMIT");
	sqlite_fixture_open(f);
	sqlite_fixture_expect_row(f, query, NULL, "{\"name\":\"Anvil\"}");
}

static void test_a_file_that_was_wrong_may_be_opened_later(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, "SELECT n FROM later");
	sqlite_fixture_open_fails(f, 1, QUERY_LINE, "no such table: later");
	sqlite_fixture_exec(f, "CREATE TABLE later(n); INSERT INTO later VALUES (5)");
	sqlite_fixture_open(f);
	sqlite_fixture_expect_row(f, query, NULL, "{\"n\":5}");
}

/* How this process has the file open: so many times, and only to read. */
static void check_descriptors(const char *path, int expected)
{
	int open = 0;
	for (int fd = 0; fd < 1024; fd++) {
		char link[32], target[64];
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		ssize_t size = readlink(link, target, sizeof(target));
		if (size != (ssize_t)strlen(path) || memcmp(target, path, (size_t)size) != 0)
			continue;
		open++;
		assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	}
	assert_int_equal(open, expected);
}

static void test_a_connection_for_each_worker_and_none_that_writes(void **state)
{
	struct sqlite_fixture *f = *state;
	sqlite3_close(f->writer);
	f->writer = NULL;
	assert_non_null(sqlite_fixture_create(f, text_of(f->path), 3));
	sqlite_fixture_open(f);
	check_descriptors(f->path, 3);
	sqlite_fixture_open(f);
	check_descriptors(f->path, 3);
}

/* Ends a query that was made last. */
static void forget(struct sqlite_fixture *f)
{
	f->database->ops->query_free(f->queries[--f->query_count]);
}

/* What runs already goes on with its connections, and they learn what is named since. */
static void test_a_query_is_named_when_it_is_open(void **state)
{
	struct sqlite_fixture *f = *state;
	assert_non_null(sqlite_fixture_create(f, text_of(f->path), 1));
	struct query *first = sqlite_fixture_sql(f, "SELECT name FROM product WHERE sku = 'a-1'");
	sqlite_fixture_open(f);
	assert_false(f->resource->behind);
	for (int i = 0; i < 3; i++) {
		/* The second takes the first one's place, and so on. */
		struct query *next =
				sqlite_fixture_sql(f, i % 2 ? "SELECT 1 AS n" : "SELECT 2 AS m");
		assert_true(f->resource->ready && f->resource->behind);
		sqlite_fixture_open(f);
		assert_false(f->resource->behind);
		sqlite_fixture_expect_row(f, next, NULL, i % 2 ? "{\"n\":1}" : "{\"m\":2}");
		sqlite_fixture_expect_row(f, first, NULL, "{\"name\":\"Anvil\"}");
		sqlite_fixture_expect_row(f, next, NULL, i % 2 ? "{\"n\":1}" : "{\"m\":2}");
		forget(f);
	}
	sqlite3_close(f->writer);
	f->writer = NULL;
	check_descriptors(f->path, 1);
}

static void test_what_is_named_then_may_be_wrong(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *first = sqlite_fixture_sql(f, "SELECT name FROM product WHERE sku = 'a-1'");
	sqlite_fixture_open(f);
	sqlite_fixture_sql(f, "SELECT colour FROM product");
	f->resource->driver->open(f->resource, &f->diag);
	assert_int_equal(f->diag.errors, 1);
	assert_string_equal(f->diag.first->message,
			"the query cannot be prepared: no such column: colour");
	assert_true(f->resource->ready && f->resource->behind);
	sqlite_fixture_expect_row(f, first, NULL, "{\"name\":\"Anvil\"}");
	forget(f);
	assert_false(f->resource->behind);
}

static void test_what_is_named_then_waits_for_a_lock(void **state)
{
	struct sqlite_fixture *f = *state;
	sqlite_fixture_open(f);
	sqlite_fixture_exec(f, "BEGIN EXCLUSIVE");
	struct query *query = sqlite_fixture_sql(f, "SELECT name FROM product WHERE sku = 'a-1'");
	f->resource->driver->open(f->resource, &f->diag);
	assert_true(f->resource->ready && f->resource->behind);
	sqlite_fixture_exec(f, "COMMIT");
	sqlite_fixture_open(f);
	assert_false(f->resource->behind);
	sqlite_fixture_expect_row(f, query, NULL, "{\"name\":\"Anvil\"}");
}

/* To read so many takes longer than is computed between two looks for a cancel. */
static void test_a_large_schema(void **state)
{
	struct sqlite_fixture *f = *state;
	sqlite_fixture_exec(f, "BEGIN");
	for (int i = 0; i < 500; i++) {
		char sql[64];
		(void)snprintf(sql, sizeof(sql), "CREATE TABLE t%d(x)", i);
		sqlite_fixture_exec(f, sql);
	}
	sqlite_fixture_exec(f, "COMMIT");
	struct query *query = sqlite_fixture_sql(f, "SELECT count(*) AS n FROM t499");
	sqlite_fixture_open(f);
	sqlite_fixture_expect_row(f, query, NULL, "{\"n\":0}");
}

static void test_extensions_can_not_be_loaded(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, "SELECT load_extension('x')");
	sqlite_fixture_open(f);
	sqlite_fixture_expect(f, query, STATUS_INTERNAL, "the query failed");
	sqlite_fixture_expect_logged(f, "not authorized");
}

/* What a file brings along may not call what only a query of ours may. */
static void test_a_schema_is_not_trusted(void **state)
{
	struct sqlite_fixture *f = *state;
	sqlite_fixture_exec(f, "CREATE VIEW odd AS SELECT * FROM pragma_database_list");
	sqlite_fixture_sql(f, "SELECT * FROM odd");
	sqlite_fixture_open_fails(f, 1, QUERY_LINE, "unsafe use of");
}

#define TEST(name)                                                                                 \
	cmocka_unit_test_setup_teardown(name, sqlite_fixture_set_up, sqlite_fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_a_database_without_queries),
			TEST(test_a_missing_file_is_not_made),
			TEST(test_no_descriptors_are_left),
			TEST(test_a_directory),
			TEST(test_a_file_that_is_no_database),
			TEST(test_a_path_that_is_none),
			TEST(test_every_wrong_query_is_named),
			TEST(test_queries_that_are_refused),
			TEST(test_a_nul_in_a_query),
			TEST(test_queries_that_are_taken),
			TEST(test_a_json_column_that_is_not_returned),
			TEST(test_a_locked_file_may_be_opened_later),
			TEST(test_a_file_that_was_wrong_may_be_opened_later),
			TEST(test_a_connection_for_each_worker_and_none_that_writes),
			TEST(test_a_query_is_named_when_it_is_open),
			TEST(test_what_is_named_then_may_be_wrong),
			TEST(test_what_is_named_then_waits_for_a_lock),
			TEST(test_a_large_schema),
			TEST(test_extensions_can_not_be_loaded),
			TEST(test_a_schema_is_not_trusted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
