/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/base/histogram.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct histogram histogram;
static struct histogram pair[2];

static int set_up(void **state)
{
	memset(&histogram, 0, sizeof(histogram));
	memset(pair, 0, sizeof(pair));
	return 0;
}

static void test_empty(void **state)
{
	assert_int_equal(histogram_quantile(&histogram, 0), 0);
	assert_int_equal(histogram_quantile(&histogram, 0.5), 0);
	assert_int_equal(histogram_quantile(&histogram, 1), 0);
}

/* The largest number is recorded too, so that `max` does not hide how wide the bucket is. */
static uint64_t bound_over(uint64_t value)
{
	memset(&histogram, 0, sizeof(histogram));
	histogram_record(&histogram, value);
	histogram_record(&histogram, UINT64_MAX);
	return histogram_quantile(&histogram, 0.5);
}

static void assert_bounded(uint64_t value)
{
	uint64_t bound = bound_over(value);
	assert_true(bound >= value);
	assert_true(bound - value <= value / 16);
}

static void test_error_is_bounded(void **state)
{
	for (uint64_t value = 0; value < 5000; value++)
		assert_bounded(value);
	for (int bit = 5; bit < 64; bit++) {
		uint64_t power = 1ULL << bit;
		assert_bounded(power - 1);
		assert_bounded(power);
		assert_bounded(power + 1);
		assert_bounded(power + power / 2);
		assert_bounded(power + power / 16);
	}
	assert_bounded(UINT64_MAX);
}

static void test_small_values_are_exact(void **state)
{
	for (uint64_t value = 0; value < 32; value++)
		assert_int_equal(bound_over(value), value);
}

static void test_quantiles(void **state)
{
	for (uint64_t value = 1; value <= 20; value++)
		histogram_record(&histogram, value);
	assert_int_equal(histogram.count, 20);
	assert_int_equal(histogram.sum, 210);
	assert_int_equal(histogram.max, 20);
	assert_int_equal(histogram_quantile(&histogram, 0), 1);
	assert_int_equal(histogram_quantile(&histogram, 0.05), 1);
	assert_int_equal(histogram_quantile(&histogram, 0.051), 2);
	assert_int_equal(histogram_quantile(&histogram, 0.5), 10);
	assert_int_equal(histogram_quantile(&histogram, 0.99), 20);
	assert_int_equal(histogram_quantile(&histogram, 1), 20);
}

static void test_odd_quantiles(void **state)
{
	histogram_record(&histogram, 3);
	histogram_record(&histogram, 5);
	assert_int_equal(histogram_quantile(&histogram, -1), 3);
	assert_int_equal(histogram_quantile(&histogram, 2), 5);
	assert_int_equal(histogram_quantile(&histogram, NAN), 3);
}

static void test_no_quantile_is_over_max(void **state)
{
	histogram_record(&histogram, 1000000);
	assert_int_equal(histogram_quantile(&histogram, 1), 1000000);
}

/* Those of two together are those of one with the values of both. */
static void test_quantiles_of_two(void **state)
{
	static const double shares[] = {0, 0.01, 0.25, 0.5, 0.5, 0.99, 1};
	enum { COUNT = sizeof(shares) / sizeof(shares[0]) };
	static struct histogram both;
	uint64_t quantiles[COUNT];
	memset(&both, 0, sizeof(both));
	for (uint64_t i = 0; i < 1000; i++) {
		histogram_quantiles(pair, shares, COUNT, quantiles);
		for (size_t j = 0; j < COUNT; j++)
			assert_int_equal(quantiles[j], histogram_quantile(&both, shares[j]));
		uint64_t value = i * i * i * 7919 % 1000003;
		histogram_record(&pair[i % 3 == 0], value);
		histogram_record(&both, value);
	}
}

static void test_quantiles_of_one_of_two(void **state)
{
	static const double shares[] = {0.5, 1};
	uint64_t quantiles[2];
	histogram_quantiles(pair, shares, 2, quantiles);
	assert_int_equal(quantiles[0], 0);
	assert_int_equal(quantiles[1], 0);
	histogram_record(&pair[1], 0);
	histogram_quantiles(pair, shares, 2, quantiles);
	assert_int_equal(quantiles[0], 0);
	assert_int_equal(quantiles[1], 0);
	histogram_record(&pair[1], UINT64_MAX);
	histogram_quantiles(pair, shares, 2, quantiles);
	assert_int_equal(quantiles[0], 0);
	assert_true(quantiles[1] == UINT64_MAX);
}

static void test_a_full_bucket_stays_full(void **state)
{
	histogram.buckets[1] = UINT32_MAX - 1;
	histogram.buckets[2] = 10;
	histogram.count = UINT32_MAX + 9ULL;
	histogram_record(&histogram, 1);
	histogram_record(&histogram, 1);
	assert_int_equal(histogram.buckets[1], UINT32_MAX);
	assert_int_equal(histogram.count, UINT32_MAX + 11ULL);
	histogram_record(&histogram, 2);
	assert_int_equal(histogram_quantile(&histogram, 0.5), 1);
	assert_int_equal(histogram_quantile(&histogram, 1), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_setup(test_empty, set_up),
			cmocka_unit_test_setup(test_error_is_bounded, set_up),
			cmocka_unit_test_setup(test_small_values_are_exact, set_up),
			cmocka_unit_test_setup(test_quantiles, set_up),
			cmocka_unit_test_setup(test_odd_quantiles, set_up),
			cmocka_unit_test_setup(test_no_quantile_is_over_max, set_up),
			cmocka_unit_test_setup(test_quantiles_of_two, set_up),
			cmocka_unit_test_setup(test_quantiles_of_one_of_two, set_up),
			cmocka_unit_test_setup(test_a_full_bucket_stays_full, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
