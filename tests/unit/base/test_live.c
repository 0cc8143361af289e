/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/base/live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#ifndef SLUICE_COUNTED
#define COUNTED 0
#else
#define COUNTED 1
#endif

static void test_kinds_are_counted_apart(void **state)
{
	assert_int_equal(live_report(), 0);
	live_add(LIVE_FRAMES, 3);
	assert_int_equal(live_report(), COUNTED);
	live_add(LIVE_TIMERS, 1);
	assert_int_equal(live_report(), 2 * COUNTED);
	live_add(LIVE_FRAMES, -2);
	live_add(LIVE_FRAMES, -1);
	assert_int_equal(live_report(), COUNTED);
	live_add(LIVE_TIMERS, -1);
	assert_int_equal(live_report(), 0);
}

static void test_one_given_back_twice_is_reported(void **state)
{
	live_add(LIVE_PERMITS, -1);
	assert_int_equal(live_report(), COUNTED);
	live_add(LIVE_PERMITS, 1);
	assert_int_equal(live_report(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_kinds_are_counted_apart),
			cmocka_unit_test(test_one_given_back_twice_is_reported),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
