/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/loop/file_watch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/allocations.h"
#include "tests/unit/loop/loop_fixture.h"

struct watched {
	struct loop_fixture f;
	struct file_watch *watch;
	char directory[32];
	char path[64];
	char beside[64];
	int told;
};

static void on_told(void *user)
{
	struct watched *w = user;
	assert_int_equal(w->f.loop.depth, 1);
	w->told++;
}

static void write_file(const char *path)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
	struct watched *w = calloc(1, sizeof(*w));
	int error;
	*state = w;
	loop_fixture_init(&w->f);
	(void)snprintf(w->directory, sizeof(w->directory), "/tmp/watch-XXXXXX");
	assert_non_null(mkdtemp(w->directory));
	(void)snprintf(w->path, sizeof(w->path), "%s/file", w->directory);
	(void)snprintf(w->beside, sizeof(w->beside), "%s/other", w->directory);
	w->watch = file_watch_new(&w->f.loop, w->path, on_told, w, &error);
	assert_non_null(w->watch);
	return 0;
}

static int tear_down(void **state)
{
	struct watched *w = *state;
	w->watch = file_watch_free(w->watch);
	(void)unlink(w->path);
	(void)unlink(w->beside);
	assert_int_equal(rmdir(w->directory), 0);
	loop_fixture_deinit(&w->f);
	free(w);
	return 0;
}

static bool was_told(void *user)
{
	return ((struct watched *)user)->told > 0;
}

static void test_a_rename_is_told(void **state)
{
	struct watched *w = *state;
	write_file(w->beside);
	assert_int_equal(rename(w->beside, w->path), 0);
	loop_fixture_run_until(&w->f, was_told, w);
	assert_int_equal(w->told, 1);
}

static void test_a_link_is_told(void **state)
{
	struct watched *w = *state;
	assert_int_equal(symlink("nowhere", w->path), 0);
	loop_fixture_run_until(&w->f, was_told, w);
}

/* What comes in its order behind them is told. */
static void test_others_are_passed_over(void **state)
{
	struct watched *w = *state;
	write_file(w->beside);
	assert_int_equal(unlink(w->beside), 0);
	assert_int_equal(symlink("nowhere", w->path), 0);
	loop_fixture_run_until(&w->f, was_told, w);
	assert_int_equal(w->told, 1);
}

/* Of what the kernel has dropped nobody knows what it was. */
static void test_more_happens_than_the_kernel_keeps(void **state)
{
	struct watched *w = *state;
	char another[64];
	unsigned max = 0;
	FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%u", &max), 1);
	assert_int_equal(fclose(file), 0);
	if (max > 100000)
		skip();
	(void)snprintf(another, sizeof(another), "%s/another", w->directory);
	/* The same twice in a row would be one event. */
	for (unsigned i = 0; i <= max / 2; i++) {
		write_file(w->beside);
		write_file(another);
	}
	assert_int_equal(unlink(another), 0);
	loop_fixture_run_until(&w->f, was_told, w);
}

/* It tells of itself, and not of the file. */
static void test_the_directory_goes(void **state)
{
	struct watched *w = *state;
	assert_int_equal(rmdir(w->directory), 0);
	while (sd_event_run(w->f.loop.event, 0) > 0)
		;
	assert_int_equal(w->told, 0);
	assert_int_equal(mkdir(w->directory, 0700), 0);
}

static void test_a_directory_that_is_not_there(void **state)
{
	struct watched *w = *state;
	int error = 0;
	assert_null(file_watch_new(&w->f.loop, "/nonexistent/file", on_told, w, &error));
	assert_int_equal(error, -ENOENT);
	assert_null(file_watch_new(&w->f.loop, "/dev/null/file", on_told, w, &error));
	assert_int_equal(error, -ENOTDIR);
	assert_null(file_watch_free(NULL));
}

static void test_memory_that_is_out(void **state)
{
	struct watched *w = *state;
	int error = 0;
	allocations_fail_after(0);
	struct file_watch *watch = file_watch_new(&w->f.loop, w->path, on_told, w, &error);
	allocations_heal();
	assert_null(watch);
	assert_int_equal(error, -ENOMEM);
}

#define watch_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			watch_test(test_a_rename_is_told),
			watch_test(test_a_link_is_told),
			watch_test(test_others_are_passed_over),
			watch_test(test_more_happens_than_the_kernel_keeps),
			watch_test(test_the_directory_goes),
			watch_test(test_a_directory_that_is_not_there),
			watch_test(test_memory_that_is_out),
	};
	return cmocka_run_group_tests_name("loop/file_watch", tests, NULL, NULL);
}
