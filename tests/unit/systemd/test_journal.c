/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal's address is fixed, so the linker's --wrap takes its place: here is what libsystemd
 * was handed.
 */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "systemd/journal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipeline/base/live.h"
#include "tests/unit/allocations.h"

#define FIELDS_MAX 8

static struct {
	char fields[FIELDS_MAX][64];
	size_t sizes[FIELDS_MAX];
	int count;
	int result;
} journal;

/* NOLINTBEGIN(readability-identifier-naming): this is the name that the linker knows. */
int __wrap_sd_journal_sendv(const struct iovec *vector, int count);

int __wrap_sd_journal_sendv(const struct iovec *vector, int count)
{
	assert_in_range(count, 1, FIELDS_MAX);
	journal.count = count;
	for (int i = 0; i < count; i++) {
		assert_true(vector[i].iov_len < sizeof(journal.fields[i]));
		memcpy(journal.fields[i], vector[i].iov_base, vector[i].iov_len);
		journal.fields[i][vector[i].iov_len] = '\0';
		journal.sizes[i] = vector[i].iov_len;
	}
	return journal.result;
}
/* NOLINTEND(readability-identifier-naming) */

/* stderr is a file of the test's own while it runs. */
struct test {
	FILE *file;
	int stderr_before;
};

static int set_up(void **state)
{
	struct test *test = calloc(1, sizeof(*test));
	assert_non_null(test);
	memset(&journal, 0, sizeof(journal));
	test->file = tmpfile();
	assert_non_null(test->file);
	test->stderr_before = dup(STDERR_FILENO);
	assert_true(dup2(fileno(test->file), STDERR_FILENO) >= 0);
	*state = test;
	return 0;
}

static int tear_down(void **state)
{
	struct test *test = *state;
	assert_true(dup2(test->stderr_before, STDERR_FILENO) >= 0);
	close(test->stderr_before);
	assert_int_equal(fclose(test->file), 0);
	unsetenv("JOURNAL_STREAM");
	free(test);
	assert_int_equal(live_report(), 0);
	return 0;
}

static void assert_stderr(struct test *test, const char *expected)
{
	char line[256];
	ssize_t size = pread(fileno(test->file), line, sizeof(line) - 1, 0);
	assert_true(size >= 0);
	line[size] = '\0';
	assert_string_equal(line, expected);
}

static void set_stream(uintmax_t device, uintmax_t inode)
{
	char stream[64];
	(void)snprintf(stream, sizeof(stream), "%ju:%ju", device, inode);
	assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
}

static void test_present_where_stderr_is_the_stream(void **state)
{
	struct stat stat;
	assert_int_equal(fstat(STDERR_FILENO, &stat), 0);
	assert_false(journal_present());
	set_stream(stat.st_dev, stat.st_ino);
	assert_true(journal_present());
	set_stream(stat.st_dev, (uintmax_t)stat.st_ino + 1);
	assert_false(journal_present());
}

static const struct log_field fields[] = {
		{"id", {"a\0b", 3}},
		{"after_ms", {"17", 2}},
		{"empty", {"", 0}},
		{NULL, {NULL, 0}},
};

static void test_a_line_with_fields(void **state)
{
	journal_write(NULL, LOG_LEVEL_WARNING, "source down", fields);
	assert_int_equal(journal.count, 5);
	assert_string_equal(journal.fields[0], "MESSAGE=source down");
	assert_string_equal(journal.fields[1], "PRIORITY=4");
	assert_int_equal(journal.sizes[2], sizeof("SLUICE_ID=a\0b") - 1);
	assert_memory_equal(journal.fields[2], "SLUICE_ID=a\0b", journal.sizes[2]);
	assert_string_equal(journal.fields[3], "SLUICE_AFTER_MS=17");
	assert_string_equal(journal.fields[4], "SLUICE_EMPTY=");
	assert_stderr(*state, "");
}

static void test_what_the_journal_refuses_goes_to_stderr(void **state)
{
	journal.result = -E2BIG;
	journal_write(NULL, LOG_LEVEL_NOTICE, "ready", &fields[1]);
	assert_stderr(*state, "level=notice msg=\"ready\" after_ms=17 empty=\"\"\n");
}

static void test_without_memory_it_says_so_on_stderr(void **state)
{
	allocations_fail_after(0);
	journal_write(NULL, LOG_LEVEL_NOTICE, "ready", fields);
	allocations_heal();
	assert_int_equal(journal.count, 0);
	assert_stderr(*state, "level=error msg=\"no memory for a log line\"\n");
}

/* The last field needs memory of its own. */
static void test_without_memory_for_a_field(void **state)
{
	static char large[10000];
	memset(large, 'x', sizeof(large));
	allocations_fail_after(1);
	journal_write(NULL, LOG_LEVEL_NOTICE, "ready",
			(struct log_field[]){{"large", {large, sizeof(large)}}, {NULL, {NULL, 0}}});
	allocations_heal();
	assert_int_equal(journal.count, 0);
	struct stat stat;
	assert_int_equal(fstat(STDERR_FILENO, &stat), 0);
	assert_true(stat.st_size > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_present_where_stderr_is_the_stream),
			TEST(test_a_line_with_fields),
			TEST(test_what_the_journal_refuses_goes_to_stderr),
			TEST(test_without_memory_it_says_so_on_stderr),
			TEST(test_without_memory_for_a_field),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
