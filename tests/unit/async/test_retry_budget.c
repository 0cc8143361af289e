/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/async/retry_budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct retry_budget budget;

static void take(int times)
{
	while (times-- > 0)
		retry_budget_failed(&budget);
}

static void succeed(int times)
{
	while (times-- > 0)
		retry_budget_succeeded(&budget);
}

static void test_more_than_half_must_be_left(void **state)
{
	retry_budget_init(&budget, 10);
	assert_int_equal(retry_budget_tokens(&budget), 10);
	take(4);
	assert_int_equal(retry_budget_tokens(&budget), 6);
	assert_true(retry_budget_allows(&budget));
	take(1);
	assert_false(retry_budget_allows(&budget));
	succeed(1);
	assert_true(retry_budget_allows(&budget));
}

static void test_a_success_gives_back_a_tenth(void **state)
{
	retry_budget_init(&budget, 10);
	take(6);
	succeed(10);
	assert_int_equal(retry_budget_tokens(&budget), 5);
	assert_false(retry_budget_allows(&budget));
	succeed(1);
	assert_true(retry_budget_allows(&budget));
}

static void test_it_has_a_bottom_and_a_top(void **state)
{
	retry_budget_init(&budget, 3);
	take(100);
	assert_int_equal(retry_budget_tokens(&budget), 0);
	succeed(15);
	assert_false(retry_budget_allows(&budget));
	succeed(1);
	assert_true(retry_budget_allows(&budget));
	succeed(1000);
	assert_int_equal(retry_budget_tokens(&budget), 3);
	take(1);
	assert_true(retry_budget_allows(&budget));
	take(1);
	assert_false(retry_budget_allows(&budget));
}

static void test_one_token_allows_until_it_is_gone(void **state)
{
	retry_budget_init(&budget, 1);
	assert_true(retry_budget_allows(&budget));
	take(1);
	assert_false(retry_budget_allows(&budget));
	succeed(5);
	assert_false(retry_budget_allows(&budget));
	succeed(1);
	assert_true(retry_budget_allows(&budget));
}

static void test_without_tokens_there_is_no_bound(void **state)
{
	retry_budget_init(&budget, 0);
	take(100);
	assert_true(retry_budget_allows(&budget));
	succeed(1);
	assert_true(retry_budget_allows(&budget));
	assert_int_equal(retry_budget_tokens(&budget), 0);
}

static void test_the_largest(void **state)
{
	retry_budget_init(&budget, RETRY_BUDGET_MAX);
	assert_int_equal(retry_budget_tokens(&budget), RETRY_BUDGET_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_more_than_half_must_be_left),
			cmocka_unit_test(test_a_success_gives_back_a_tenth),
			cmocka_unit_test(test_it_has_a_bottom_and_a_top),
			cmocka_unit_test(test_one_token_allows_until_it_is_gone),
			cmocka_unit_test(test_without_tokens_there_is_no_bound),
			cmocka_unit_test(test_the_largest),
	};
	return cmocka_run_group_tests_name("async/retry_budget", tests, NULL, NULL);
}
