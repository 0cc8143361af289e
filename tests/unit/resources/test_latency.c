/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/resources/latency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct latency latency;

static int set_up(void **state)
{
	memset(&latency, 0, sizeof(latency));
	return 0;
}

static void record(uint64_t ns, int count)
{
	for (int i = 0; i < count; i++)
		latency_record(&latency, ns);
}

/* At most a sixteenth too high. */
static void assert_near(uint64_t quantile, uint64_t exact)
{
	assert_true(quantile >= exact);
	assert_true(quantile <= exact + exact / 16);
}

static void test_nothing_is_known_at_first(void **state)
{
	record(1000, LATENCY_EVERY - 1);
	assert_int_equal(latency.known, 0);
	record(1000, 1);
	assert_int_equal(latency.known, LATENCY_EVERY);
	for (int i = 0; i < QUANTILES; i++)
		assert_near(latency.quantiles[i], 1000);
}

static void test_quantiles(void **state)
{
	for (uint64_t i = 1; i <= 400; i++)
		latency_record(&latency, i * 1000000);
	assert_int_equal(latency.known, 400);
	assert_near(latency.quantiles[P50], 200000000);
	assert_near(latency.quantiles[P75], 300000000);
	assert_near(latency.quantiles[P90], 360000000);
	assert_near(latency.quantiles[P95], 380000000);
	assert_near(latency.quantiles[P99], 396000000);
}

static void test_looked_at_now_and_then(void **state)
{
	record(1000, LATENCY_EVERY);
	record(1000000, LATENCY_EVERY - 1);
	assert_near(latency.quantiles[P99], 1000);
	record(1000000, 1);
	assert_near(latency.quantiles[P99], 1000000);
}

/* Of a full window nothing is left when another two have been filled. */
static void test_forgets_the_old(void **state)
{
	record(1000000, LATENCY_WINDOW);
	record(1000, LATENCY_WINDOW);
	assert_near(latency.quantiles[P99], 1000000);
	record(1000, LATENCY_EVERY);
	assert_near(latency.quantiles[P99], 1000);
	assert_true(latency.known <= 2 * LATENCY_WINDOW);
	record(2000, 10 * LATENCY_WINDOW);
	assert_true(latency.known >= LATENCY_WINDOW && latency.known <= 2 * LATENCY_WINDOW);
	assert_near(latency.quantiles[P50], 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_setup(test_nothing_is_known_at_first, set_up),
			cmocka_unit_test_setup(test_quantiles, set_up),
			cmocka_unit_test_setup(test_looked_at_now_and_then, set_up),
			cmocka_unit_test_setup(test_forgets_the_old, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
