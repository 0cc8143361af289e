/* SPDX-License-Identifier: Apache-2.0 */
/* A limit that follows from how long requests take. */
#include "pipeline/requests/adaptive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)

static struct adaptive adaptive;
static uint64_t now;

static int set_up(void **state)
{
	adaptive_init(&adaptive, 20, 200);
	now = 1000000 * MS;
	return 0;
}

/* A window of requests that take so long, with as many in flight; the limit after it. */
static uint64_t window(uint64_t took_ms, uint64_t in_flight)
{
	uint64_t limit = 0;
	for (int i = 0; i < 20; i++) {
		now += 10 * MS;
		limit = adaptive_sample(&adaptive, now, took_ms * MS, in_flight);
	}
	return limit;
}

static uint64_t windows(int count, uint64_t took_ms, uint64_t in_flight)
{
	uint64_t limit = 0;
	while (count-- > 0)
		limit = window(took_ms, in_flight);
	return limit;
}

static void test_it_begins_at_its_least(void **state)
{
	assert_int_equal(adaptive_sample(&adaptive, now, MS, 20), 20);
}

static void test_it_grows_while_they_take_as_long_as_usual(void **state)
{
	uint64_t last = 20;
	for (int i = 0; i < 20; i++) {
		uint64_t limit = windows(4, 10, last);
		assert_true(limit > last);
		last = limit;
	}
	assert_int_equal(windows(1000, 10, 200), 200);
}

static void test_it_shrinks_when_they_take_longer(void **state)
{
	uint64_t high = windows(100, 10, 200);
	uint64_t low = windows(10, 40, 200);
	assert_true(high > 80 && low < high * 2 / 3);
	/* Never below its least. */
	assert_true(windows(100, 10000, 200) >= 20);
	/* And it comes back. */
	assert_true(windows(300, 10, 200) > low);
}

static void test_a_little_longer_is_usual(void **state)
{
	uint64_t high = windows(50, 10, 200);
	assert_true(windows(5, 14, 200) > high);
}

static void test_of_a_limit_that_is_not_met_nothing_is_learned(void **state)
{
	uint64_t limit = windows(50, 10, 200);
	assert_int_equal(windows(100, 10, limit / 2 - 1), limit);
	assert_int_equal(windows(10, 1000, limit / 2 - 1), limit);
}

static void test_a_limit_that_is_half_met_is_learned_from(void **state)
{
	(void)window(10, 10);
	assert_true(adaptive.limit > 20);
}

static void test_a_window_is_over_at_its_end(void **state)
{
	for (int i = 0; i < 10; i++)
		(void)adaptive_sample(&adaptive, now, MS, 20);
	assert_int_equal(adaptive.samples, 0);
	now += 100 * MS;
	for (int i = 0; i < 10; i++)
		(void)adaptive_sample(&adaptive, now - 1, MS, 20);
	assert_int_equal(adaptive.samples, 10);
	(void)adaptive_sample(&adaptive, now, MS, 20);
	assert_int_equal(adaptive.samples, 0);
}

static void test_few_samples_are_waited_for(void **state)
{
	(void)windows(20, 10, 200);
	uint64_t limit = window(10, 200);
	uint64_t seen = adaptive.samples;
	for (uint64_t i = seen; i < 9; i++) {
		now += 1000 * MS;
		assert_int_equal(adaptive_sample(&adaptive, now, 1000 * MS, 200), limit);
	}
	now += 1000 * MS;
	assert_true(adaptive_sample(&adaptive, now, 1000 * MS, 200) < limit);
}

static void test_what_takes_no_time(void **state)
{
	assert_true(windows(100, 0, 200) > 20);
}

static uint64_t usual_us(void)
{
	return (uint64_t)(adaptive.usual_ns / 1000);
}

/* An overload is answered long before it counts as usual. */
static void test_what_is_usual_follows_slowly(void **state)
{
	(void)window(10, 200);
	assert_int_equal(usual_us(), 10000);
	(void)window(40, 200);
	assert_in_range(usual_us(), 10195, 10205);
	(void)windows(1500, 40, 200);
	assert_in_range(usual_us(), 39900, 40000);
	assert_int_equal(windows(100, 40, 200), 200);
}

/* A twentieth a window, as long as it is more than twice what things take. */
static void test_what_is_usual_comes_down_faster(void **state)
{
	(void)windows(10, 40, 200);
	(void)window(10, 200);
	assert_in_range(usual_us(), 35800, 36000);
	(void)windows(20, 10, 200);
	assert_in_range(usual_us(), 15000, 20000);
}

/* The same of requests that fail after so long. */
static uint64_t failures(uint64_t took_ms)
{
	uint64_t limit = 0;
	for (int i = 0; i < 20; i++) {
		now += 10 * MS;
		limit = adaptive_failed(&adaptive, now, took_ms * MS, 200);
	}
	return limit;
}

static void test_slow_failures_are_slow(void **state)
{
	uint64_t high = windows(100, 10, 200);
	uint64_t low = high;
	for (int i = 0; i < 10; i++)
		low = failures(40);
	assert_true(low < high * 2 / 3);
	assert_in_range(usual_us(), 10195, 13000);
}

/* Not even where nothing else happens. */
static void test_failures_that_are_not_slow_say_nothing(void **state)
{
	uint64_t high = windows(50, 10, 200);
	double limit = adaptive.limit;
	for (int i = 0; i < 50; i++) {
		assert_int_equal(failures(1), high);
		assert_int_equal(failures(15), high);
	}
	assert_true(limit <= adaptive.limit && adaptive.limit <= limit);
	assert_int_equal(usual_us(), 10000);
	(void)failures(16);
	assert_true(usual_us() > 10000);
}

/* Nothing is slow before it is known what is usual. */
static void test_what_fails_first_says_nothing(void **state)
{
	assert_int_equal(failures(1000), 20);
	assert_int_equal(usual_us(), 0);
}

#define adaptive_test(function) cmocka_unit_test_setup(function, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
			adaptive_test(test_it_begins_at_its_least),
			adaptive_test(test_it_grows_while_they_take_as_long_as_usual),
			adaptive_test(test_it_shrinks_when_they_take_longer),
			adaptive_test(test_a_little_longer_is_usual),
			adaptive_test(test_of_a_limit_that_is_not_met_nothing_is_learned),
			adaptive_test(test_a_limit_that_is_half_met_is_learned_from),
			adaptive_test(test_a_window_is_over_at_its_end),
			adaptive_test(test_few_samples_are_waited_for),
			adaptive_test(test_what_takes_no_time),
			adaptive_test(test_what_is_usual_follows_slowly),
			adaptive_test(test_what_is_usual_comes_down_faster),
			adaptive_test(test_slow_failures_are_slow),
			adaptive_test(test_failures_that_are_not_slow_say_nothing),
			adaptive_test(test_what_fails_first_says_nothing),
	};
	return cmocka_run_group_tests_name("requests/adaptive", tests, NULL, NULL);
}
