/* SPDX-License-Identifier: Apache-2.0 */
/* A database file that is replaced while the daemon runs, by one that will do and by ones that will
 * not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipeline/base/blob.h"
#include "tests/unit/drivers/sqlite_fixture.h"

#define PRICE	 "SELECT price FROM product WHERE sku = 'a-1'"
#define NEW_FILE "CREATE TABLE product(sku TEXT PRIMARY KEY, price REAL);"

/* Puts a file beside the database's, made by these statements. */
static const char *make_beside(struct sqlite_fixture *f, const char *sql)
{
	static char path[80];
	sqlite3 *db;
	(void)snprintf(path, sizeof(path), "%s.new", f->path);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return path;
}

static void replace(struct sqlite_fixture *f, const char *sql)
{
	assert_int_equal(rename(make_beside(f, sql), f->path), 0);
}

static bool has_logged(void *user)
{
	return ((struct sqlite_fixture *)user)->log_lines > 0;
}

static bool is_ready(void *user)
{
	return ((struct sqlite_fixture *)user)->resource->ready;
}

/* Until something is said of it. */
static void wait_for(struct sqlite_fixture *f, const char *words)
{
	loop_fixture_run_until(&f->f, has_logged, f);
	sqlite_fixture_expect_logged(f, words);
	f->log_lines = 0;
}

static void test_a_new_file_is_used(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, PRICE);
	sqlite_fixture_open(f);
	sqlite_fixture_expect_row(f, query, NULL, "{\"price\":9.5}");
	for (int i = 1; i <= 5; i++) {
		char sql[200], row[40];
		(void)snprintf(sql, sizeof(sql), NEW_FILE "INSERT INTO product VALUES ('a-1', %d)",
				i);
		(void)snprintf(row, sizeof(row), "{\"price\":%d.0}", i);
		replace(f, sql);
		wait_for(f, "a replaced database is used database=catalog");
		/* On each connection. */
		for (int k = 0; k < 4; k++)
			sqlite_fixture_expect_row(f, query, NULL, row);
		assert_int_equal(f->database->replaced, i);
	}
}

static void test_queries_that_run_end_on_the_old_one(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, PRICE);
	struct query *counting = sqlite_fixture_sql(f,
			"SELECT count(*) AS n, (SELECT count(*) FROM product) AS products FROM "
			"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
			"300000) SELECT i FROM n)");
	sqlite_fixture_open(f);
	struct job *job = sqlite_fixture_start(f, &f->root, counting, NULL);
	sqlite_fixture_wait_begun(f, 1);
	replace(f, NEW_FILE "INSERT INTO product VALUES ('a-1', 7)");
	wait_for(f, "a replaced database is used");
	sqlite_fixture_wait(f, job);
	assert_int_equal(job->frame.outcome.status, STATUS_OK);
	assert_string_equal(job->result->data, "{\"n\":300000,\"products\":2}");
	blob_unref(job->result);
	sqlite_fixture_expect_row(f, query, NULL, "{\"price\":7.0}");
	sqlite_fixture_expect_row(f, query, NULL, "{\"price\":7.0}");
}

static void test_one_that_lacks_the_table_is_refused(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, PRICE);
	sqlite_fixture_open(f);
	replace(f, "CREATE TABLE other(x)");
	wait_for(f, "a replaced database cannot be used, and the one before stays open "
		    "database=catalog");
	sqlite_fixture_expect_logged(f, "no such table: product");
	for (int k = 0; k < 4; k++)
		sqlite_fixture_expect_row(f, query, NULL, "{\"price\":9.5}");
	replace(f, NEW_FILE "INSERT INTO product VALUES ('a-1', 8)");
	wait_for(f, "a replaced database is used");
	sqlite_fixture_expect_row(f, query, NULL, "{\"price\":8.0}");
	assert_int_equal(f->database->replaced, 1);
}

static void test_one_that_is_no_database_is_refused(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, PRICE);
	const char *path = make_beside(f, "CREATE TABLE t(x)");
	sqlite_fixture_open(f);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	for (int i = 0; i < 100; i++)
		(void)fputs("this is not a database\n", file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(rename(path, f->path), 0);
	wait_for(f, "file is not a database");
	sqlite_fixture_expect_row(f, query, NULL, "{\"price\":9.5}");
}

/* Writes one file's bytes over another's. */
static void overwrite(const char *from, const char *to)
{
	char bytes[65536];
	FILE *in = fopen(from, "r"), *out = fopen(to, "r+");
	assert_non_null(in);
	assert_non_null(out);
	size_t size = fread(bytes, 1, sizeof(bytes), in);
	assert_int_equal(fwrite(bytes, 1, size, out), size);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(fclose(in), 0);
}

/* An inode is given to another file as soon as nobody has the one before. */
static void test_another_with_the_same_inode_is_told_of(void **state)
{
	struct sqlite_fixture *f = *state;
	(void)sqlite_fixture_sql(f, PRICE);
	sqlite_fixture_open(f);
	const char *path = make_beside(f, "CREATE TABLE t(x)");
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	for (int i = 0; i < 10; i++)
		(void)fputs("this is not a database\n", file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(rename(path, f->path), 0);
	wait_for(f, "file is not a database");
	overwrite(make_beside(f, "CREATE TABLE other(x)"), f->path);
	wait_for(f, "no such table: product");
	assert_int_equal(unlink(path), 0);
}

static void test_a_file_that_is_gone_changes_nothing(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, PRICE);
	sqlite_fixture_open(f);
	assert_int_equal(unlink(f->path), 0);
	sqlite_fixture_expect_row(f, query, NULL, "{\"price\":9.5}");
	replace(f, NEW_FILE "INSERT INTO product VALUES ('a-1', 6)");
	wait_for(f, "a replaced database is used");
	sqlite_fixture_expect_row(f, query, NULL, "{\"price\":6.0}");
}

static void test_one_that_is_locked_after_it_was_taken(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, PRICE);
	sqlite3 *locker;
	sqlite_fixture_open(f);
	replace(f, NEW_FILE "INSERT INTO product VALUES ('a-1', 4)");
	wait_for(f, "a replaced database is used");
	assert_int_equal(sqlite3_open(f->path, &locker), SQLITE_OK);
	assert_int_equal(sqlite3_exec(locker, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	for (int k = 0; k < 4; k++)
		sqlite_fixture_expect_row(f, query, NULL, "{\"price\":9.5}");
	assert_int_equal(sqlite3_exec(locker, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	for (int k = 0; k < 4; k++)
		sqlite_fixture_expect_row(f, query, NULL, "{\"price\":4.0}");
	assert_int_equal(sqlite3_close(locker), SQLITE_OK);
}

static void test_one_that_is_locked_is_taken_when_it_is_free(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, PRICE);
	const char *path = make_beside(f, NEW_FILE "INSERT INTO product VALUES ('a-1', 5)");
	sqlite3 *locker;
	sqlite_fixture_open(f);
	assert_int_equal(sqlite3_open(path, &locker), SQLITE_OK);
	assert_int_equal(sqlite3_exec(locker, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(rename(path, f->path), 0);
	/* The answer comes later than what was told of the directory before. */
	for (int k = 0; k < 4; k++)
		sqlite_fixture_expect_row(f, query, NULL, "{\"price\":9.5}");
	assert_int_equal(f->database->replaced, 0);
	assert_int_equal(sqlite3_exec(locker, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	wait_for(f, "a replaced database is used");
	sqlite_fixture_expect_row(f, query, NULL, "{\"price\":5.0}");
	assert_int_equal(sqlite3_close(locker), SQLITE_OK);
}

/* However it ends. */
static void run_once(struct sqlite_fixture *f, struct query *query)
{
	struct job *job = sqlite_fixture_start(f, &f->root, query, NULL);
	sqlite_fixture_wait(f, job);
	if (job->frame.outcome.status == STATUS_OK)
		blob_unref(job->result);
}

static void test_one_that_there_is_no_memory_for_is_taken_when_there_is(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, PRICE);
	sqlite_fixture_open(f);
	const char *path = make_beside(f, NEW_FILE "INSERT INTO product VALUES ('a-1', 5)");
	(void)sqlite3_hard_heap_limit64(sqlite3_memory_used() + 1000);
	assert_int_equal(rename(path, f->path), 0);
	/* The end comes later than what was told of the directory before. */
	for (int k = 0; k < 4; k++)
		run_once(f, query);
	(void)sqlite3_hard_heap_limit64(0);
	assert_int_equal(f->database->replaced, 0);
	wait_for(f, "a replaced database is used");
	sqlite_fixture_expect_row(f, query, NULL, "{\"price\":5.0}");
}

/* What only another file can answer, and one that can't do for what is asked already. */
static void test_one_that_comes_while_a_query_is_added(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, PRICE);
	sqlite_fixture_open(f);
	replace(f, "CREATE TABLE other(x); INSERT INTO other VALUES (1)");
	struct query *other = sqlite_fixture_sql(f, "SELECT x FROM other");
	for (int k = 0; k < 2; k++) {
		f->resource->driver->open(f->resource, &f->diag);
		assert_int_equal(f->diag.errors, 0);
		assert_true(f->resource->ready && f->resource->behind);
		assert_string_equal(f->resource->trouble, "its file has just been replaced");
	}
	sqlite_fixture_expect_row(f, query, NULL, "{\"price\":9.5}");
	replace(f, NEW_FILE "INSERT INTO product VALUES ('a-1', 2);"
			    "CREATE TABLE other(x); INSERT INTO other VALUES (3)");
	sqlite_fixture_open(f);
	assert_false(f->resource->behind);
	assert_null(f->resource->trouble);
	sqlite_fixture_expect_row(f, query, NULL, "{\"price\":2.0}");
	sqlite_fixture_expect_row(f, other, NULL, "{\"x\":3}");
}

static bool lasts(struct sqlite_fixture *f)
{
	return f->resource->driver->lasts(f->resource);
}

static void expect_refused(struct sqlite_fixture *f, int log_lines, const char *words)
{
	assert_false(lasts(f));
	assert_int_equal(f->log_lines, log_lines);
	sqlite_fixture_expect_logged(f, words);
}

static void test_each_one_that_is_refused_is_told_of_once(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, PRICE);
	sqlite_fixture_open(f);
	assert_true(lasts(f));
	replace(f, "CREATE TABLE other(x)");
	expect_refused(f, 1, "no such table: product");
	expect_refused(f, 1, "no such table: product");
	replace(f, "CREATE TABLE product(sku)");
	expect_refused(f, 2, "no such column: price");
	expect_refused(f, 2, "no such column: price");
	sqlite_fixture_expect_row(f, query, NULL, "{\"price\":9.5}");
	assert_int_equal(f->database->replaced, 0);
	replace(f, NEW_FILE "INSERT INTO product VALUES ('a-1', 1)");
	assert_true(lasts(f));
	assert_int_equal(f->log_lines, 3);
	sqlite_fixture_expect_logged(f, "a replaced database is used");
	sqlite_fixture_expect_row(f, query, NULL, "{\"price\":1.0}");
	assert_int_equal(f->database->replaced, 1);
}

/* Nothing is open yet: each that is put there is tried, and told of where it will not do either. */
static void test_others_in_place_of_one_that_was_never_open(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, "SELECT cost FROM product");
	sqlite_fixture_open_fails(f, 1, QUERY_LINE, "no such column: cost");
	f->resource->failed = true;
	replace(f, "CREATE TABLE other(x)");
	wait_for(f, "a replaced database cannot be used either database=catalog");
	sqlite_fixture_expect_logged(f, "no such table: product");
	replace(f, NEW_FILE);
	wait_for(f, "no such column: cost");
	assert_true(f->resource->failed && !f->resource->ready);
	replace(f, "CREATE TABLE product(cost); INSERT INTO product VALUES (7)");
	loop_fixture_run_until(&f->f, is_ready, f);
	assert_false(f->resource->failed);
	sqlite_fixture_expect_row(f, query, NULL, "{\"cost\":7}");
}

static void test_a_path_without_a_directory(void **state)
{
	struct sqlite_fixture *f = *state;
	char before[256];
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(f->directory), 0);
	assert_non_null(sqlite_fixture_create(f, TEXT("catalog.db"), 1));
	struct query *query = sqlite_fixture_sql(f, PRICE);
	sqlite_fixture_open(f);
	replace(f, NEW_FILE "INSERT INTO product VALUES ('a-1', 4)");
	wait_for(f, "a replaced database is used");
	sqlite_fixture_expect_row(f, query, NULL, "{\"price\":4.0}");
	assert_int_equal(chdir(before), 0);
}

static void test_a_file_beside_it_is_passed_over(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, PRICE);
	sqlite_fixture_open(f);
	const char *path = make_beside(f, "CREATE TABLE other(x)");
	sqlite_fixture_expect_row(f, query, NULL, "{\"price\":9.5}");
	assert_int_equal(unlink(path), 0);
	sqlite_fixture_exec(f, "UPDATE product SET price = 3");
	sqlite_fixture_expect_row(f, query, NULL, "{\"price\":3.0}");
	assert_int_equal(f->log_lines, 0);
	assert_int_equal(f->database->replaced, 0);
}

#define sqlite_test(function)                                                                      \
	cmocka_unit_test_setup_teardown(function, sqlite_fixture_set_up, sqlite_fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			sqlite_test(test_a_new_file_is_used),
			sqlite_test(test_queries_that_run_end_on_the_old_one),
			sqlite_test(test_one_that_lacks_the_table_is_refused),
			sqlite_test(test_one_that_is_no_database_is_refused),
			sqlite_test(test_a_file_that_is_gone_changes_nothing),
			sqlite_test(test_another_with_the_same_inode_is_told_of),
			sqlite_test(test_one_that_is_locked_after_it_was_taken),
			sqlite_test(test_one_that_is_locked_is_taken_when_it_is_free),
			sqlite_test(test_one_that_there_is_no_memory_for_is_taken_when_there_is),
			sqlite_test(test_one_that_comes_while_a_query_is_added),
			sqlite_test(test_each_one_that_is_refused_is_told_of_once),
			sqlite_test(test_others_in_place_of_one_that_was_never_open),
			sqlite_test(test_a_path_without_a_directory),
			sqlite_test(test_a_file_beside_it_is_passed_over),
	};
	return cmocka_run_group_tests_name("drivers/sqlite_replace", tests, NULL, NULL);
}
