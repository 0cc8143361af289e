/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/live.h"
#include "tests/unit/allocations.h"

static struct arena arena;
static struct buffer buffer;

static int set_up_heap(void **state)
{
	arena_init(&arena, NULL);
	buffer_init(&buffer);
	return 0;
}

static int set_up_arena(void **state)
{
	arena_init(&arena, NULL);
	buffer_init_arena(&buffer, &arena);
	return 0;
}

static int tear_down(void **state)
{
	allocations_heal();
	buffer_deinit(&buffer);
	arena_deinit(&arena);
	return live_report();
}

static void assert_holds(struct text expected)
{
	struct text text = buffer_text(&buffer);
	assert_non_null(text.data);
	assert_int_equal(text.size, expected.size);
	assert_memory_equal(text.data, expected.data, expected.size);
}

static void test_empty(void **state)
{
	assert_holds(TEXT(""));
	buffer_append(&buffer, TEXT(""));
	buffer_append(&buffer, (struct text){NULL, 0});
	assert_holds(TEXT(""));
}

static void test_append(void **state)
{
	buffer_append(&buffer, TEXT("a\0b"));
	buffer_append_char(&buffer, ' ');
	buffer_append_u64(&buffer, 0);
	buffer_append_char(&buffer, ' ');
	buffer_append_u64(&buffer, UINT64_MAX);
	buffer_append_format(&buffer, "|%s|%03d|", "x", 7);
	buffer_append_format(&buffer, "%s", "");
	assert_holds(TEXT("a\0b 0 18446744073709551615|x|007|"));
	buffer_clear(&buffer);
	assert_holds(TEXT(""));
	buffer_append(&buffer, TEXT("again"));
	assert_holds(TEXT("again"));
}

static void test_growth_keeps_what_is_there(void **state)
{
	for (int i = 0; i < 100000; i++)
		buffer_append_char(&buffer, (char)('a' + i % 26));
	struct text text = buffer_text(&buffer);
	assert_int_equal(text.size, 100000);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(text.data[i], 'a' + i % 26);
}

static void test_growth_over_what_stands_behind(void **state)
{
	buffer_append(&buffer, TEXT("begins"));
	assert_non_null(arena_alloc(&arena, 1));
	buffer_append_format(&buffer, "%1000s", "ends");
	struct text text = buffer_text(&buffer);
	assert_int_equal(text.size, 1006);
	assert_memory_equal(text.data, "begins ", 7);
	assert_memory_equal(text.data + 1002, "ends", 4);
}

static void test_a_long_format(void **state)
{
	buffer_append_char(&buffer, '<');
	buffer_append_format(&buffer, "%0500d", 1);
	buffer_append_char(&buffer, '>');
	struct text text = buffer_text(&buffer);
	assert_int_equal(text.size, 502);
	assert_memory_equal(text.data + 499, "01>", 3);
}

static void test_failure_sticks(void **state)
{
	buffer_append(&buffer, TEXT("good"));
	buffer_append(&buffer, (struct text){"huge", SIZE_MAX});
	assert_true(buffer.failed);
	buffer_append_char(&buffer, 'x');
	buffer_append_u64(&buffer, 1);
	buffer_append_format(&buffer, "%d", 1);
	buffer_append_json_string(&buffer, TEXT("x"));
	assert_null(buffer_text(&buffer).data);
	assert_int_equal(buffer_text(&buffer).size, 0);
	buffer_clear(&buffer);
	buffer_append(&buffer, TEXT("good"));
	assert_holds(TEXT("good"));
}

static void test_memory_that_is_out(void **state)
{
	allocations_fail_after(0);
	buffer_append_format(&buffer, "%d", 1);
	assert_null(buffer_text(&buffer).data);
	buffer_clear(&buffer);
	allocations_fail_after(1);
	buffer_append_char(&buffer, 'a');
	assert_holds(TEXT("a"));
	for (int i = 0; i < 5000; i++)
		buffer_append_char(&buffer, 'b');
	assert_true(buffer.failed);
	assert_null(buffer_text(&buffer).data);
}

static void test_json_string(void **state)
{
#define BAD "\xef\xbf\xbd"
	static const struct {
		struct text text;
		const char *json;
	} cases[] = {
			{{"", 0}, "\"\""},
			{{NULL, 0}, "\"\""},
			{{"plain text", 10}, "\"plain text\""},
			{{"\"\\/", 3}, "\"\\\"\\\\/\""},
			{{"\b\f\n\r\t", 5}, "\"\\b\\f\\n\\r\\t\""},
			{{"\0\x01\x1f\x7f", 4}, "\"\\u0000\\u0001\\u001f\x7f\""},
			{{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9},
					"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
			{{"a\xff"
			  "b",
					 3},
					"\"a" BAD "b\""},
			{{"\xe2\x82", 2}, "\"" BAD BAD "\""},
			{{"\xed\xa0\x80", 3}, "\"" BAD BAD BAD "\""},
			{{"\xc3\"", 2}, "\"" BAD "\\\"\""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buffer_clear(&buffer);
		buffer_append_json_string(&buffer, cases[i].text);
		assert_holds(text_of(cases[i].json));
	}
}

static void test_format_u64(void **state)
{
	static const struct {
		uint64_t number;
		const char *text;
	} cases[] = {{0, "0"}, {9, "9"}, {10, "10"}, {99, "99"}, {100, "100"},
			{1234567890, "1234567890"}, {UINT64_MAX, "18446744073709551615"}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char room[20];
		size_t size = (size_t)(format_u64(room, cases[i].number) - room);
		assert_true(text_equal((struct text){room, size}, text_of(cases[i].text)));
	}
}

static void test_deinit_is_safe_twice(void **state)
{
	buffer_append(&buffer, TEXT("x"));
	buffer_deinit(&buffer);
	buffer_deinit(&buffer);
	assert_holds(TEXT(""));
}

int main(void)
{
#define TEST(name)                                                                                 \
	{#name "/heap", name, set_up_heap, tear_down, NULL},                                       \
	{                                                                                          \
#name "/arena", name, set_up_arena, tear_down, NULL                                \
	}
	const struct CMUnitTest tests[] = {
			TEST(test_empty),
			TEST(test_append),
			TEST(test_growth_keeps_what_is_there),
			TEST(test_growth_over_what_stands_behind),
			TEST(test_a_long_format),
			TEST(test_failure_sticks),
			TEST(test_memory_that_is_out),
			TEST(test_json_string),
			TEST(test_deinit_is_safe_twice),
			cmocka_unit_test(test_format_u64),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
