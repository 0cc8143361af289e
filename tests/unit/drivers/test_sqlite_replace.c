/* SPDX-License-Identifier: Apache-2.0 */
/* A database file that is replaced while the daemon runs, by one that will do and by ones that will
 * not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipeline/base/blob.h"
#include "pipeline/drivers/sqlite.h"
#include "tests/unit/allocations.h"
#include "tests/unit/drivers/sqlite_fixture.h"

/* ---- what the linker puts in the place of others */

/* What happens just before the driver looks at a path for the n-th time from now, counted down;
 * 0: nothing. In whichever thread that is. */
static atomic_int looks;
static void (*happens)(struct sqlite_fixture *f);
static struct sqlite_fixture *whom;

/* So much later than it was does a file seem to have changed. */
static struct timespec later;

int __real_stat64(const char *path, struct stat *ret);
int __wrap_stat64(const char *path, struct stat *ret);
int __wrap_stat64(const char *path, struct stat *ret)
{
	if (looks > 0 && --looks == 0)
		happens(whom);
	int result = __real_stat64(path, ret);
	ret->st_ctim.tv_sec += later.tv_sec;
	ret->st_ctim.tv_nsec += later.tv_nsec;
	return result;
}

static void before_look(struct sqlite_fixture *f, int n, void (*function)(struct sqlite_fixture *f))
{
	whom = f;
	happens = function;
	looks = n;
}

static int watching_fails;

int __real_sd_event_add_inotify(sd_event *event, sd_event_source **ret, const char *path,
		uint32_t mask, sd_event_inotify_handler_t handler, void *user);
int __wrap_sd_event_add_inotify(sd_event *event, sd_event_source **ret, const char *path,
		uint32_t mask, sd_event_inotify_handler_t handler, void *user);
int __wrap_sd_event_add_inotify(sd_event *event, sd_event_source **ret, const char *path,
		uint32_t mask, sd_event_inotify_handler_t handler, void *user)
{
	if (watching_fails)
		return watching_fails;
	return __real_sd_event_add_inotify(event, ret, path, mask, handler, user);
}

/* ---- */

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

static void put_another(struct sqlite_fixture *f)
{
	replace(f, NEW_FILE "INSERT INTO product VALUES ('a-1', 11)");
}

static void put_a_worse(struct sqlite_fixture *f)
{
	replace(f, "CREATE TABLE other(x)");
}

static void take_away(struct sqlite_fixture *f)
{
	assert_int_equal(unlink(f->path), 0);
}

static bool lasts(struct sqlite_fixture *f)
{
	return f->resource->driver->lasts(f->resource);
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

static void test_another_of_the_same_size_too(void **state)
{
	struct sqlite_fixture *f = *state;
	(void)sqlite_fixture_sql(f, PRICE);
	sqlite_fixture_open(f);
	put_a_worse(f);
	for (int i = 1; i <= 3; i++) {
		assert_false(lasts(f));
		assert_false(lasts(f));
		assert_int_equal(f->log_lines, i);
		later.tv_nsec = i == 1;
		later.tv_sec = i == 2;
	}
	later = (struct timespec){0};
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

/* As when something has happened to the path; whether what stands there is what is used. */
static bool look(struct sqlite_fixture *f)
{
	return sqlite_look(container_of(f->resource, struct sqlite, resource));
}

static void lock(struct sqlite_fixture *f, sqlite3 **ret)
{
	assert_int_equal(sqlite3_open(f->path, ret), SQLITE_OK);
	assert_int_equal(sqlite3_exec(*ret, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
}

static void unlock(sqlite3 *locker)
{
	assert_int_equal(sqlite3_exec(locker, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(locker), SQLITE_OK);
}

/* The same, but another process holds the new one's lock at first. */
static void test_one_that_is_locked_in_place_of_one_that_was_never_open(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, "SELECT cost FROM product");
	sqlite3 *locker;
	sqlite_fixture_open_fails(f, 1, QUERY_LINE, "no such column: cost");
	f->resource->failed = true;
	replace(f, "CREATE TABLE product(cost); INSERT INTO product VALUES (8)");
	lock(f, &locker);
	assert_true(look(f));
	assert_true(f->resource->failed && !f->resource->ready);
	assert_int_equal(f->log_lines, 0);
	unlock(locker);
	loop_fixture_run_until(&f->f, is_ready, f);
	sqlite_fixture_expect_row(f, query, NULL, "{\"cost\":8}");
}

/* It is opened when its turn comes, not when something happens to the path. */
static void test_one_that_comes_while_the_first_is_locked(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, PRICE);
	sqlite3 *locker;
	lock(f, &locker);
	f->resource->driver->open(f->resource, &f->diag);
	assert_false(f->resource->ready);
	replace(f, NEW_FILE "INSERT INTO product VALUES ('a-1', 5)");
	assert_false(look(f));
	assert_false(f->resource->ready || f->resource->failed);
	unlock(locker);
	sqlite_fixture_open(f);
	sqlite_fixture_expect_row(f, query, NULL, "{\"price\":5.0}");
}

/* What was found in one is nothing against the other, which is looked at in its turn. */
static void test_another_comes_while_one_is_tried(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, PRICE);
	sqlite_fixture_open(f);
	put_a_worse(f);
	before_look(f, 2, put_another);
	assert_false(lasts(f));
	assert_int_equal(looks, 0);
	assert_int_equal(f->log_lines, 0);
	wait_for(f, "a replaced database is used");
	sqlite_fixture_expect_row(f, query, NULL, "{\"price\":11.0}");
	assert_int_equal(f->database->replaced, 1);
}

static void test_it_goes_while_it_is_tried(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, PRICE);
	sqlite_fixture_open(f);
	put_another(f);
	before_look(f, 2, take_away);
	assert_false(lasts(f));
	assert_int_equal(looks, 0);
	assert_int_equal(f->database->replaced, 0);
	sqlite_fixture_expect_row(f, query, NULL, "{\"price\":9.5}");
	/* What is not there is no other file. */
	assert_true(lasts(f));
}

/* A worker opens no file that the loop has not tried: it stays with what it has. */
static void expect_left(
		struct sqlite_fixture *f, int look, void (*function)(struct sqlite_fixture *))
{
	assert_non_null(sqlite_fixture_create(f, text_of(f->path), 1));
	struct query *query = sqlite_fixture_sql(f, PRICE);
	sqlite_fixture_open(f);
	replace(f, NEW_FILE "INSERT INTO product VALUES ('a-1', 12)");
	wait_for(f, "a replaced database is used");
	before_look(f, look, function);
	sqlite_fixture_expect_row(f, query, NULL, "{\"price\":9.5}");
	assert_int_equal(looks, 0);
}

static void test_another_comes_before_a_worker_opens_the_first(void **state)
{
	expect_left(*state, 1, put_a_worse);
}

static void test_another_comes_while_a_worker_opens_the_first(void **state)
{
	expect_left(*state, 2, put_a_worse);
}

static void test_it_goes_before_a_worker_opens_it(void **state)
{
	expect_left(*state, 1, take_away);
}

static void test_nobody_is_told_who_does_not_want_to_know(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, PRICE);
	sqlite_fixture_open(f);
	f->log.level = LOG_LEVEL_ERROR;
	put_a_worse(f);
	assert_false(lasts(f));
	put_another(f);
	assert_true(lasts(f));
	assert_int_equal(f->log_lines, 0);
	sqlite_fixture_expect_row(f, query, NULL, "{\"price\":11.0}");
}

/* It is used all the same, and said once. */
static void test_a_directory_that_cannot_be_watched(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, "SELECT cost FROM product");
	watching_fails = -ENOSPC;
	for (int i = 0; i < 2; i++)
		sqlite_fixture_open_fails(f, 1, QUERY_LINE, "no such column: cost");
	sqlite_fixture_expect_logged(f, "it will not be noticed when this database is replaced");
	sqlite_fixture_exec(f, "ALTER TABLE product RENAME COLUMN price TO cost");
	sqlite_fixture_open(f);
	watching_fails = 0;
	assert_int_equal(f->log_lines, 1);
	sqlite_fixture_expect_row(f, query, NULL, "{\"cost\":9.5}");
}

/* Of one that is not there the opening complains. */
static void test_no_directory_to_watch(void **state)
{
	struct sqlite_fixture *f = *state;
	assert_non_null(sqlite_fixture_create(f, TEXT("/dev/null/catalog.db"), 1));
	sqlite_fixture_open_fails(f, 1, RESOURCE_LINE, "Not a directory");
	assert_int_equal(f->log_lines, 0);
}

/* That says nothing of the file, which is tried again. */
static void test_there_is_no_memory_to_try_one(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, PRICE);
	sqlite_fixture_open(f);
	put_another(f);
	allocations_fail_after(0);
	assert_false(look(f));
	allocations_heal();
	assert_int_equal(f->log_lines, 0);
	wait_for(f, "a replaced database is used");
	sqlite_fixture_expect_row(f, query, NULL, "{\"price\":11.0}");
}

/* What it does while a statement is prepared is no query. */
static void test_a_virtual_table(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, PRICE);
	sqlite_fixture_open(f);
	replace(f, "CREATE VIRTUAL TABLE product USING fts5(sku, price);"
		   "INSERT INTO product VALUES ('a-1', '13')");
	wait_for(f, "a replaced database is used");
	for (uint64_t i = 1; i <= 4; i++) {
		sqlite_fixture_expect_row(f, query, NULL, "{\"price\":\"13\"}");
		assert_int_equal(f->database->queries, i);
	}
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
			sqlite_test(test_another_with_the_same_inode_is_told_of),
			sqlite_test(test_another_of_the_same_size_too),
			sqlite_test(test_a_file_that_is_gone_changes_nothing),
			sqlite_test(test_one_that_is_locked_after_it_was_taken),
			sqlite_test(test_one_that_is_locked_is_taken_when_it_is_free),
			sqlite_test(test_one_that_there_is_no_memory_for_is_taken_when_there_is),
			sqlite_test(test_one_that_comes_while_a_query_is_added),
			sqlite_test(test_each_one_that_is_refused_is_told_of_once),
			sqlite_test(test_others_in_place_of_one_that_was_never_open),
			sqlite_test(test_one_that_is_locked_in_place_of_one_that_was_never_open),
			sqlite_test(test_one_that_comes_while_the_first_is_locked),
			sqlite_test(test_another_comes_while_one_is_tried),
			sqlite_test(test_it_goes_while_it_is_tried),
			sqlite_test(test_another_comes_before_a_worker_opens_the_first),
			sqlite_test(test_another_comes_while_a_worker_opens_the_first),
			sqlite_test(test_it_goes_before_a_worker_opens_it),
			sqlite_test(test_nobody_is_told_who_does_not_want_to_know),
			sqlite_test(test_a_directory_that_cannot_be_watched),
			sqlite_test(test_no_directory_to_watch),
			sqlite_test(test_there_is_no_memory_to_try_one),
			sqlite_test(test_a_virtual_table),
			sqlite_test(test_a_path_without_a_directory),
			sqlite_test(test_a_file_beside_it_is_passed_over),
	};
	return cmocka_run_group_tests_name("drivers/sqlite_replace", tests, NULL, NULL);
}
