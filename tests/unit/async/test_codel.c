/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/async/codel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS	 UINT64_C(1000000)
#define TARGET	 (5 * MS)
#define INTERVAL (100 * MS)
#define START	 (1000000 * MS)

static struct codel codel;

static int set_up(void **state)
{
	codel_init(&codel, TARGET, INTERVAL);
	return 0;
}

/* At so many milliseconds from the start. */
static bool drops(uint64_t ms, uint64_t waited)
{
	return codel_drops(&codel, START + ms * MS, waited);
}

static void test_off(void **state)
{
	codel_init(&codel, 0, 0);
	for (uint64_t ms = 0; ms < 1000; ms++)
		assert_false(drops(ms, 1000 * MS));
}

static void test_a_long_queue_is_dropped_from_in_the_next_interval(void **state)
{
	for (uint64_t ms = 0; ms < 100; ms++)
		assert_false(drops(ms, 11 * MS));
	for (uint64_t ms = 100; ms < 1000; ms++)
		assert_true(drops(ms, 11 * MS));
}

static void test_only_what_waited_twice_the_target_is(void **state)
{
	for (uint64_t ms = 0; ms <= 100; ms++)
		assert_int_equal(drops(ms, 11 * MS), ms == 100);
	assert_false(drops(101, 2 * TARGET));
	assert_true(drops(102, 2 * TARGET + 1));
	assert_false(drops(103, TARGET + 1));
}

static void test_one_short_wait_makes_an_interval_good(void **state)
{
	for (uint64_t ms = 0; ms < 100; ms++)
		assert_false(drops(ms, ms == 50 ? TARGET : 50 * MS));
	for (uint64_t ms = 100; ms < 200; ms++)
		assert_false(drops(ms, 50 * MS));
	assert_true(drops(200, 50 * MS));
	assert_false(drops(250, TARGET));
	/* The good one is of this interval, so the next is. */
	assert_true(drops(260, 50 * MS));
	assert_false(drops(300, 50 * MS));
	assert_false(drops(399, 50 * MS));
	assert_true(drops(400, 50 * MS));
}

static void test_the_target_itself_is_good(void **state)
{
	for (uint64_t ms = 0; ms < 300; ms++)
		assert_false(drops(ms, ms % 10 ? 50 * MS : TARGET));
}

static void test_so_is_a_wait_that_ends_an_interval(void **state)
{
	for (uint64_t ms = 0; ms < 100; ms++)
		assert_false(drops(ms, 50 * MS));
	assert_false(drops(100, TARGET));
	for (uint64_t ms = 101; ms < 200; ms++)
		assert_false(drops(ms, 50 * MS));
}

static void test_a_queue_that_was_empty_since_is_begun_anew(void **state)
{
	for (uint64_t ms = 0; ms < 100; ms++)
		assert_false(drops(ms, 50 * MS));
	assert_false(drops(5000, 0));
	assert_false(drops(5001, 50 * MS));
}

static void test_a_slow_queue_is_dropped_from(void **state)
{
	assert_false(drops(0, 500 * MS));
	for (uint64_t ms = 1000; ms < 10000; ms += 1000)
		assert_true(drops(ms, 500 * MS));
}

#define codel_test(function) cmocka_unit_test_setup(function, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
			codel_test(test_off),
			codel_test(test_a_long_queue_is_dropped_from_in_the_next_interval),
			codel_test(test_only_what_waited_twice_the_target_is),
			codel_test(test_one_short_wait_makes_an_interval_good),
			codel_test(test_the_target_itself_is_good),
			codel_test(test_so_is_a_wait_that_ends_an_interval),
			codel_test(test_a_queue_that_was_empty_since_is_begun_anew),
			codel_test(test_a_slow_queue_is_dropped_from),
	};
	return cmocka_run_group_tests_name("async/codel", tests, NULL, NULL);
}
