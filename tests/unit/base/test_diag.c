/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/base/diag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/live.h"
#include "tests/unit/allocations.h"

static struct arena arena;
static struct diag diag;

static int set_up(void **state)
{
	arena_init(&arena, NULL);
	diag_init(&diag, &arena);
	return 0;
}

static int tear_down(void **state)
{
	allocations_heal();
	arena_deinit(&arena);
	return live_report();
}

static void assert_prints(const char *expected)
{
	char *written = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&written, &size);
	assert_non_null(stream);
	diag_print(&diag, stream);
	assert_int_equal(fclose(stream), 0);
	assert_string_equal(written, expected);
	free(written);
}

static struct place at(const char *file, unsigned line, unsigned column)
{
	return (struct place){file, line, column};
}

static void test_empty(void **state)
{
	diag_sort(&diag);
	assert_prints("");
	assert_int_equal(diag.errors, 0);
	assert_int_equal(diag.warnings, 0);
}

static void test_print(void **state)
{
	diag_error(&diag, at("a.yaml", 3, 7), "unknown key \"%s\"", "tll");
	diag_warning(&diag, at("a.yaml", 0, 0), "is empty");
	diag_error(&diag, at(NULL, 0, 0), "no file");
	diag_error(&diag, at(NULL, 4, 2), "from memory");
	assert_prints("a.yaml:3:7: error: unknown key \"tll\"\n"
		      "a.yaml: warning: is empty\n"
		      "error: no file\n"
		      "4:2: error: from memory\n");
	assert_int_equal(diag.errors, 3);
	assert_int_equal(diag.warnings, 1);
}

static void test_a_message_is_one_line(void **state)
{
	diag_error(&diag, at("a.yaml", 1, 2), "\"%s\"\n", "a\tb\r\n\x1b[0m\x7f\xc3\xa9");
	assert_prints("a.yaml:1:2: error: \"a?b???[0m?\xc3\xa9\"?\n");
}

static void test_sort(void **state)
{
	diag_error(&diag, at("b", 1, 1), "1");
	diag_error(&diag, at("a", 2, 9), "2");
	diag_error(&diag, at("a", 10, 1), "3");
	diag_error(&diag, at("a", 2, 10), "4");
	diag_error(&diag, at("a", 0, 0), "5");
	diag_sort(&diag);
	assert_prints("a: error: 5\na:2:9: error: 2\na:2:10: error: 4\na:10:1: error: 3\nb:1:1: "
		      "error: 1\n");
	diag_error(&diag, at("c", 1, 1), "added behind the last");
	diag_sort(&diag);
	assert_prints("a: error: 5\na:2:9: error: 2\na:2:10: error: 4\na:10:1: error: 3\nb:1:1: "
		      "error: 1\n"
		      "c:1:1: error: added behind the last\n");
}

static void test_equal_places_keep_their_order(void **state)
{
	for (unsigned i = 0; i < 1000; i++)
		diag_error(&diag, at("a", 1 + (i * 7919) % 10, 1), "%u", i);
	diag_sort(&diag);
	unsigned seen = 1;
	for (const struct diag_item *item = diag.first; item->next; item = item->next, seen++) {
		const struct diag_item *next = item->next;
		assert_true(item->place.line <= next->place.line);
		if (item->place.line == next->place.line)
			assert_true(strtoul(item->message, NULL, 10) <
					strtoul(next->message, NULL, 10));
	}
	assert_int_equal(seen, 1000);
}

static void test_an_error_counts_where_memory_is_out(void **state)
{
	allocations_fail_after(0);
	diag_error(&diag, at("a", 1, 1), "lost");
	diag_warning(&diag, at("a", 1, 1), "lost");
	assert_int_equal(diag.errors, 1);
	assert_int_equal(diag.warnings, 1);
	allocations_heal();
	assert_prints("error: no memory to say what is wrong\n");
}

static void test_nearest(void **state)
{
	static const char *const names[] = {
			"cache", "lookup", "fanout", "call", "timeout", "concurrency"};
	static const struct {
		const char *written;
		const char *hint;
	} cases[] = {
			{"cache", "; did you mean \"cache\"?"},
			{"cahce", "; did you mean \"cache\"?"},	 /* swapped */
			{"caches", "; did you mean \"cache\"?"}, /* one too many */
			{"cach", "; did you mean \"cache\"?"},	 /* one too few */
			{"cashe", "; did you mean \"cache\"?"},	 /* another */
			{"conccurency", "; did you mean \"concurrency\"?"},
			{"fan-out", "; did you mean \"fanout\"?"},
			{"fan_outs", "; did you mean \"fanout\"?"}, /* 2 of 8 */
			{"loop", ""},
			{"cat", ""},
			{"xyz", ""},
			{"", ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nearest nearest;
		nearest_init(&nearest, text_of(cases[i].written));
		for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++)
			nearest_see(&nearest, text_of(names[j]));
		assert_string_equal(nearest_hint(&nearest, &arena), cases[i].hint);
	}
}

static void test_the_nearest_wins_and_the_first_of_equals(void **state)
{
	struct nearest nearest;
	nearest_init(&nearest, TEXT("message"));
	nearest_see(&nearest, TEXT("massages"));
	assert_true(text_equal(nearest.best, TEXT("massages")));
	nearest_see(&nearest, TEXT("messages"));
	nearest_see(&nearest, TEXT("massage"));
	assert_true(text_equal(nearest.best, TEXT("messages")));
	assert_int_equal(nearest.distance, 1);
}

static void test_long_names_are_passed_over(void **state)
{
	static const char name[] =
			"0123456789012345678901234567890123456789012345678901234567890123x";
	struct nearest nearest;
	nearest_init(&nearest, (struct text){name, 64});
	nearest_see(&nearest, (struct text){name, 65});
	assert_null(nearest.best.data);
	nearest_see(&nearest, (struct text){name + 1, 64});
	assert_ptr_equal(nearest.best.data, name + 1);
	assert_int_equal(nearest.distance, 2);
	nearest_init(&nearest, (struct text){name, 65});
	nearest_see(&nearest, (struct text){name, 64});
	assert_null(nearest.best.data);
}

static void test_no_memory_for_a_hint(void **state)
{
	struct nearest nearest;
	nearest_init(&nearest, TEXT("kache"));
	nearest_see(&nearest, TEXT("cache"));
	allocations_fail_after(0);
	assert_string_equal(nearest_hint(&nearest, &arena), "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_empty),
			TEST(test_print),
			TEST(test_a_message_is_one_line),
			TEST(test_sort),
			TEST(test_equal_places_keep_their_order),
			TEST(test_an_error_counts_where_memory_is_out),
			TEST(test_nearest),
			TEST(test_the_nearest_wins_and_the_first_of_equals),
			TEST(test_long_names_are_passed_over),
			TEST(test_no_memory_for_a_hint),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
