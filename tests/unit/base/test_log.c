/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/allocations.h"

static char *written;
static size_t written_size;
static FILE *stream;
static struct log log_to_memory;

static int set_up(void **state)
{
	stream = open_memstream(&written, &written_size);
	log_to_memory = (struct log){log_to_stream, stream, LOG_LEVEL_INFO};
	return stream ? 0 : -1;
}

static int tear_down(void **state)
{
	allocations_heal();
	(void)fclose(stream);
	free(written);
	return 0;
}

static void assert_nothing_written(void)
{
	assert_int_equal(fflush(stream), 0);
	assert_int_equal(written_size, 0);
}

static void test_a_line(void **state)
{
	log_line(&log_to_memory, LOG_LEVEL_INFO, "source up", {"source", TEXT("north")},
			{"after_ms", TEXT("12")});
	assert_string_equal(written, "level=info msg=\"source up\" source=north after_ms=12\n");
}

static void test_a_line_without_fields(void **state)
{
	log_line(&log_to_memory, LOG_LEVEL_ERROR, "out");
	assert_string_equal(written, "level=error msg=\"out\"\n");
}

static void test_levels(void **state)
{
	log_line(&log_to_memory, LOG_LEVEL_DEBUG, "dropped");
	assert_nothing_written();
	log_to_memory.level = LOG_LEVEL_DEBUG;
	log_line(&log_to_memory, LOG_LEVEL_DEBUG, "d");
	log_line(&log_to_memory, LOG_LEVEL_NOTICE, "n");
	log_line(&log_to_memory, LOG_LEVEL_WARNING, "w");
	assert_string_equal(written,
			"level=debug msg=\"d\"\nlevel=notice msg=\"n\"\nlevel=warning msg=\"w\"\n");
}

static void test_quoting(void **state)
{
	static const struct {
		struct text value;
		const char *line;
	} cases[] = {
			{{"a/b:c,d", 7}, "level=info msg=\"m\" k=a/b:c,d\n"},
			{{"", 0}, "level=info msg=\"m\" k=\"\"\n"},
			{{NULL, 0}, "level=info msg=\"m\" k=\"\"\n"},
			{{"a b", 3}, "level=info msg=\"m\" k=\"a b\"\n"},
			{{"a=b", 3}, "level=info msg=\"m\" k=\"a=b\"\n"},
			{{"a\"b", 3}, "level=info msg=\"m\" k=\"a\\\"b\"\n"},
			{{"a\\b", 3}, "level=info msg=\"m\" k=\"a\\\\b\"\n"},
			{{"x\nlevel=error", 13}, "level=info msg=\"m\" k=\"x\\nlevel=error\"\n"},
			{{"\0\x1b[2J", 5}, "level=info msg=\"m\" k=\"\\u0000\\u001b[2J\"\n"},
			{{"a~", 2}, "level=info msg=\"m\" k=a~\n"},
			{{"\x7f", 1}, "level=info msg=\"m\" k=\"\x7f\"\n"},
			{{"\xc3\xa9", 2}, "level=info msg=\"m\" k=\"\xc3\xa9\"\n"},
			{{"\xff", 1}, "level=info msg=\"m\" k=\"\xef\xbf\xbd\"\n"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rewind(stream);
		log_line(&log_to_memory, LOG_LEVEL_INFO, "m", {"k", cases[i].value});
		assert_memory_equal(written, cases[i].line, strlen(cases[i].line));
		assert_int_equal(written_size, strlen(cases[i].line));
	}
}

static void test_a_log_that_goes_nowhere(void **state)
{
	log_to_memory.sink = NULL;
	log_line(&log_to_memory, LOG_LEVEL_ERROR, "nobody reads this");
	assert_nothing_written();
}

static void test_memory_that_is_out(void **state)
{
	allocations_fail_after(0);
	log_line(&log_to_memory, LOG_LEVEL_INFO, "lost");
	allocations_heal();
	assert_string_equal(written, "level=error msg=\"no memory for a log line\"\n");
}

static void test_a_rate(void **state)
{
	static const uint64_t second = 1000000000;
	struct log_rate rate = {0};
	uint64_t left_out = 99;
	assert_true(log_rate_pass(&rate, 5 * second, &left_out));
	assert_int_equal(left_out, 0);
	for (uint64_t i = 0; i < 7; i++)
		assert_false(log_rate_pass(&rate, 5 * second + i, &left_out));
	assert_false(log_rate_pass(&rate, 6 * second - 1, &left_out));
	assert_int_equal(left_out, 0);
	assert_true(log_rate_pass(&rate, 6 * second, &left_out));
	assert_int_equal(left_out, 8);
	assert_true(log_rate_pass(&rate, 7 * second, &left_out));
	assert_int_equal(left_out, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_a_line),
			TEST(test_a_line_without_fields),
			TEST(test_levels),
			TEST(test_quoting),
			TEST(test_a_log_that_goes_nowhere),
			TEST(test_memory_that_is_out),
			TEST(test_a_rate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
