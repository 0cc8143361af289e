/* SPDX-License-Identifier: Apache-2.0 */
/* What is equal, and which number is the greater. */
#include "pipeline/base/json_compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void test_numbers_are_in_order(void **state)
{
	/* Each is less than the next. */
	static const char *const rising[] = {"-1e400", "-123.5", "-123.4999999999999999999999",
			"-2", "-1.5", "-1e-5", "-1e-6", "-1e-400", "0", "1e-9999999999999999999999",
			"1e-400", "0.00099", "0.001", "0.0011", "0.5", "1", "1.0000000000000000001",
			"1.5", "9", "10", "10.01", "11", "99.9e1", "1e3", "1001",
			"9007199254740992", "9007199254740993", "9007199254740993.5", "1e400",
			"1.0e+9999999999999999999999"};
	for (size_t i = 0; i < COUNT(rising); i++) {
		for (size_t k = 0; k < COUNT(rising); k++) {
			int order = json_compare_numbers(text_of(rising[i]), text_of(rising[k]));
			assert_int_equal(order > 0, i > k);
			assert_int_equal(order < 0, i < k);
		}
	}
}

static void test_numbers_have_many_spellings(void **state)
{
	static const char *const spellings[][5] = {
			{"0", "-0", "0.0", "0e7", "-0.000E-3"},
			{"1", "1.0", "1e0", "10e-1", "0.1e1"},
			{"-1500", "-1.5e3", "-15e+2", "-1500.000", "-0.0015E6"},
			{"1e0000000000000000000000002", "100", "1E2", "100.0", "1000e-1"},
	};
	for (size_t n = 0; n < COUNT(spellings); n++) {
		for (size_t i = 0; i < 5; i++) {
			for (size_t k = 0; k < 5; k++)
				assert_true(json_equal(text_of(spellings[n][i]),
						text_of(spellings[n][k])));
		}
	}
}

static void test_strings_are_characters(void **state)
{
	assert_true(json_equal(TEXT("\"a/\xc3\xa9\\n\""), TEXT("\"\\u0061\\/\\u00e9\\u000a\"")));
	assert_true(json_equal(TEXT("\"\""), TEXT("\"\"")));
	assert_false(json_equal(TEXT("\"a\""), TEXT("\"A\"")));
	assert_false(json_equal(TEXT("\"a\""), TEXT("\"ab\"")));
	assert_false(json_equal(TEXT("\"\\\\n\""), TEXT("\"\\n\"")));
}

static void test_kinds_differ(void **state)
{
	static const char *const values[] = {"null", "true", "false", "1", "\"1\"", "\"null\""};
	for (size_t i = 0; i < COUNT(values); i++) {
		for (size_t k = 0; k < COUNT(values); k++)
			assert_int_equal(
					json_equal(text_of(values[i]), text_of(values[k])), i == k);
	}
	assert_false(json_equal(TEXT("[]"), TEXT("[]")));
	assert_false(json_equal(TEXT("{}"), TEXT("{}")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_numbers_are_in_order),
			cmocka_unit_test(test_numbers_have_many_spellings),
			cmocka_unit_test(test_strings_are_characters),
			cmocka_unit_test(test_kinds_differ),
	};
	return cmocka_run_group_tests_name("base/json_compare", tests, NULL, NULL);
}
