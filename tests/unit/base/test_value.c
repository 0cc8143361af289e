/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/base/value.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/live.h"
#include "tests/unit/allocations.h"

static struct arena arena;

static int set_up(void **state)
{
	arena_init(&arena, NULL);
	return 0;
}

static int tear_down(void **state)
{
	allocations_heal();
	arena_deinit(&arena);
	return live_report();
}

/* Up to three segments; the first that is absent ends them. */
static bool follow(
		struct value *value, const char *a, const char *b, const char *c, struct value *ret)
{
	struct text segments[] = {text_of(a), text_of(b), text_of(c)};
	size_t count = 0;
	while (count < 3 && segments[count].data)
		count++;
	return value_follow(value, segments, count, &arena, ret);
}

static void assert_leads(
		struct value *value, const char *a, const char *b, const char *c, const char *to)
{
	struct value found = VALUE_NONE;
	assert_true(follow(value, a, b, c, &found));
	assert_true(text_equal(found.text, text_of(to)));
}

static void test_presence(void **state)
{
	struct value none = VALUE_NONE;
	struct value null = value_of(TEXT("null"));
	assert_false(value_present(&none));
	assert_true(value_present(&null));
}

static void test_paths_that_lead_somewhere(void **state)
{
	struct value value = value_of(
			TEXT("{\"a\":{\"b\":[10,{\"0\":\"x\"},[]]},\"1\":null,\"\\u0063\":true}"));
	assert_leads(&value, "a", NULL, NULL, "{\"b\":[10,{\"0\":\"x\"},[]]}");
	assert_leads(&value, "a", "b", "0", "10");
	assert_leads(&value, "a", "b", "1", "{\"0\":\"x\"}");
	assert_leads(&value, "a", "b", "2", "[]");
	assert_leads(&value, "1", NULL, NULL, "null");
	assert_leads(&value, "c", NULL, NULL, "true");
}

static void test_paths_that_lead_nowhere(void **state)
{
	static const char *const paths[][3] = {
			{"b", NULL, NULL},
			{"", NULL, NULL},
			{"0", NULL, NULL},
			{"a", "c", NULL},
			{"a", "b", "1"},
			{"a", "b", "-0"},
			{"a", "b", "x"},
			{"a", "b", ""},
			{"a", "b", "4294967296"},
			{"a", "b", "18446744073709551616"},
			{"s", "0", NULL},
			{"s", "length", NULL},
			{"n", "0", NULL},
	};
	struct value value = value_of(TEXT("{\"a\":{\"b\":[10]},\"s\":\"text\",\"n\":null}"));
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		struct value found = VALUE_NONE;
		assert_false(follow(&value, paths[i][0], paths[i][1], paths[i][2], &found));
		assert_false(value_present(&found));
	}
}

static void test_no_segments_are_the_value_itself(void **state)
{
	struct value value = value_of(TEXT("[1]"));
	struct value found = VALUE_NONE;
	assert_true(value_follow(&value, NULL, 0, &arena, &found));
	assert_true(text_equal(found.text, TEXT("[1]")));
	assert_null(value.json);
	value = VALUE_NONE;
	assert_false(value_follow(&value, NULL, 0, &arena, &found));
	assert_false(follow(&value, "a", NULL, NULL, &found));
}

static void test_the_view_is_made_once(void **state)
{
	struct value value = value_of(TEXT("{\"a\":{\"b\":{\"c\":1}}}"));
	assert_null(value.json);
	assert_true(value_view(&value, &arena));
	const struct json *json = value.json;
	char *before = arena.at;
	struct value a, c;
	assert_true(follow(&value, "a", NULL, NULL, &a));
	assert_true(follow(&a, "b", "c", NULL, &c));
	assert_true(value_view(&c, &arena));
	assert_leads(&value, "a", "b", "c", "1");
	assert_ptr_equal(value.json, json);
	assert_ptr_equal(c.json, json);
	assert_ptr_equal(arena.at, before);
}

static void test_space_around_a_value_is_no_part_of_it(void **state)
{
	struct value value = value_of(TEXT(" \n[1] "));
	assert_true(value_view(&value, &arena));
	assert_true(text_equal(value.text, TEXT("[1]")));
}

static void test_what_is_not_json_after_all(void **state)
{
	struct value value = value_of(TEXT("{\"a\":1"));
	struct value found = VALUE_NONE;
	assert_false(value_view(&value, &arena));
	assert_false(follow(&value, "a", NULL, NULL, &found));
	assert_null(value.json);
}

static void test_memory_that_is_out(void **state)
{
	struct value value = value_of(TEXT("{\"a\":1}"));
	struct value found = VALUE_NONE;
	allocations_fail_after(0);
	assert_false(value_view(&value, &arena));
	assert_false(follow(&value, "a", NULL, NULL, &found));
	allocations_heal();
	assert_null(value.json);
	assert_leads(&value, "a", NULL, NULL, "1");
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_presence),
			TEST(test_paths_that_lead_somewhere),
			TEST(test_paths_that_lead_nowhere),
			TEST(test_no_segments_are_the_value_itself),
			TEST(test_the_view_is_made_once),
			TEST(test_space_around_a_value_is_no_part_of_it),
			TEST(test_what_is_not_json_after_all),
			TEST(test_memory_that_is_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
