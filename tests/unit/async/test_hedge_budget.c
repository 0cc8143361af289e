/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/async/hedge_budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct hedge_budget budget;

static void take_all(void)
{
	while (hedge_budget_take(&budget))
		;
}

static void test_starts_with_what_is_kept(void **state)
{
	hedge_budget_init(&budget, 5);
	for (int i = 0; i < HEDGE_BUDGET_KEPT; i++)
		assert_true(hedge_budget_take(&budget));
	assert_false(hedge_budget_take(&budget));
}

static void test_earns_a_share(void **state)
{
	hedge_budget_init(&budget, 5);
	take_all();
	for (int i = 0; i < 19; i++)
		hedge_budget_earn(&budget);
	assert_false(hedge_budget_take(&budget));
	hedge_budget_earn(&budget);
	assert_true(hedge_budget_take(&budget));
	assert_false(hedge_budget_take(&budget));
}

static void test_never_gives_more_than_the_share(void **state)
{
	hedge_budget_init(&budget, 7);
	int taken = 0;
	for (int i = 0; i < 10000; i++) {
		hedge_budget_earn(&budget);
		taken += hedge_budget_take(&budget);
	}
	assert_in_range(taken, 700, 700 + HEDGE_BUDGET_KEPT);
}

static void test_keeps_only_so_much(void **state)
{
	hedge_budget_init(&budget, 100);
	for (int i = 0; i < 100000; i++)
		hedge_budget_earn(&budget);
	int taken = 0;
	while (hedge_budget_take(&budget))
		taken++;
	assert_int_equal(taken, HEDGE_BUDGET_KEPT);
}

static void test_none(void **state)
{
	hedge_budget_init(&budget, 0);
	hedge_budget_earn(&budget);
	assert_false(hedge_budget_take(&budget));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_starts_with_what_is_kept),
			cmocka_unit_test(test_earns_a_share),
			cmocka_unit_test(test_never_gives_more_than_the_share),
			cmocka_unit_test(test_keeps_only_so_much),
			cmocka_unit_test(test_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
