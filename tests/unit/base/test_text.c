/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/base/text.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int sign(int x)
{
	return (x > 0) - (x < 0);
}

static void test_equal(void **state)
{
	assert_true(text_equal(TEXT("ab"), TEXT("ab")));
	assert_false(text_equal(TEXT("ab"), TEXT("ac")));
	assert_false(text_equal(TEXT("ab"), TEXT("a")));
	assert_true(text_equal(TEXT("a\0b"), TEXT("a\0b")));
	assert_false(text_equal(TEXT("a\0b"), TEXT("a\0c")));
	assert_true(text_equal(TEXT(""), (struct text){NULL, 0}));
}

static void test_of(void **state)
{
	assert_true(text_equal(text_of("abc"), TEXT("abc")));
	assert_non_null(text_of("").data);
	assert_null(text_of(NULL).data);
	assert_int_equal(text_of(NULL).size, 0);
}

static void test_begins_with(void **state)
{
	struct text absent = {NULL, 0};
	assert_true(text_begins_with(TEXT("ab"), TEXT("ab")));
	assert_true(text_begins_with(TEXT("abc"), TEXT("ab")));
	assert_false(text_begins_with(TEXT("a"), TEXT("ab")));
	assert_false(text_begins_with(TEXT("acb"), TEXT("ab")));
	assert_true(text_begins_with(TEXT("a"), TEXT("")));
	assert_true(text_begins_with(absent, absent));
	assert_false(text_begins_with(absent, TEXT("a")));
}

static void test_take(void **state)
{
	struct text rest = TEXT("a.b2..");
	assert_true(text_equal(text_take(&rest, '.'), TEXT("a")));
	assert_true(text_equal(text_take(&rest, '.'), TEXT("b2")));
	assert_true(text_equal(rest, TEXT(".")));
	assert_int_equal(text_take(&rest, '.').size, 0);
	assert_non_null(rest.data);
	assert_non_null(text_take(&rest, '.').data);
	assert_null(rest.data);
	assert_null(text_take(&rest, '.').data);
	rest = TEXT("abc");
	assert_true(text_equal(text_take(&rest, '.'), TEXT("abc")));
	assert_null(rest.data);
}

static void test_put(void **state)
{
	char room[8] = "";
	char *end = text_put(text_put(room, TEXT("ab")), TEXT("c"));
	assert_ptr_equal(end, room + 3);
	assert_ptr_equal(text_put(end, (struct text){NULL, 0}), end);
	assert_string_equal(room, "abc");
}

static void test_compare(void **state)
{
	static const struct {
		struct text a, b;
		int order;
	} cases[] = {
			{{"", 0}, {"", 0}, 0},
			{{NULL, 0}, {"", 0}, 0},
			{{"", 0}, {"a", 1}, -1},
			{{"a", 1}, {"b", 1}, -1},
			{{"ab", 2}, {"a", 1}, 1},
			{{"b", 1}, {"ab", 2}, 1},
			{{"\xff", 1}, {"a", 1}, 1},
			{{"a\0", 2}, {"a", 1}, 1},
			{{"a\0a", 3}, {"a\0b", 3}, -1},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(sign(text_compare(cases[i].a, cases[i].b)), cases[i].order);
		assert_int_equal(sign(text_compare(cases[i].b, cases[i].a)), -cases[i].order);
	}
}

static void test_to_u64(void **state)
{
	static const struct {
		const char *text;
		uint64_t number;
	} good[] = {
			{"0", 0},
			{"7", 7},
			{"007", 7},
			{"1234567890", 1234567890},
			{"9999999999999999999", 9999999999999999999U},
			{"0000000000000000000", 0},
	};
	static const char *const bad[] = {"", " ", "-1", "+1", "1 ", " 1", "1.0", "1e3", "0x10",
			"a", "1a", "\xb1", "00000000000000000000", "18446744073709551615"};
	uint64_t number;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(text_to_u64(text_of(good[i].text), &number));
		assert_int_equal(number, good[i].number);
	}
	number = 42;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(text_to_u64(text_of(bad[i]), &number));
	assert_false(text_to_u64(TEXT("1\0"), &number));
	assert_false(text_to_u64((struct text){NULL, 0}, &number));
	assert_int_equal(number, 42);
}

static void test_utf8_size(void **state)
{
	static const struct {
		struct text text;
		size_t size;
	} cases[] = {
			{{"", 0}, 0},
			{{NULL, 0}, 0},
			{{"\0", 1}, 1},
			{{"ab", 2}, 1},
			{{"\x7f", 1}, 1},
			{{"\x80", 1}, 0},
			{{"\xbf", 1}, 0},
			{{"\xc0\x80", 2}, 0}, /* U+0000, too long */
			{{"\xc1\xbf", 2}, 0}, /* U+007F, too long */
			{{"\xc2\x80", 2}, 2},
			{{"\xdf\xbf", 2}, 2},
			{{"\xc2", 1}, 0},
			{{"\xc2\x7f", 2}, 0},
			{{"\xc2\xc0", 2}, 0},
			{{"\xe0\x9f\xbf", 3}, 0}, /* U+07FF, too long */
			{{"\xe0\xa0\x80", 3}, 3},
			{{"\xe2\x82\xac and more", 12}, 3},
			{{"\xe2\x82", 2}, 0},
			{{"\xe2\x82\x41", 3}, 0},
			{{"\xed\x9f\xbf", 3}, 3},
			{{"\xed\xa0\x80", 3}, 0}, /* U+D800, a surrogate */
			{{"\xed\xbf\xbf", 3}, 0},
			{{"\xee\x80\x80", 3}, 3},
			{{"\xef\xbf\xbf", 3}, 3},
			{{"\xf0\x8f\xbf\xbf", 4}, 0}, /* U+FFFF, too long */
			{{"\xf0\x90\x80\x80", 4}, 4},
			{{"\xf4\x8f\xbf\xbf", 4}, 4},
			{{"\xf4\x90\x80\x80", 4}, 0}, /* U+110000 */
			{{"\xf0\x90\x80", 3}, 0},
			{{"\xf0\x90\x80\x20", 4}, 0},
			{{"\xf5\x80\x80\x80", 4}, 0},
			{{"\xff\xff\xff\xff", 4}, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(text_utf8_size(cases[i].text), cases[i].size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_equal),
			cmocka_unit_test(test_of),
			cmocka_unit_test(test_begins_with),
			cmocka_unit_test(test_take),
			cmocka_unit_test(test_put),
			cmocka_unit_test(test_compare),
			cmocka_unit_test(test_to_u64),
			cmocka_unit_test(test_utf8_size),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
