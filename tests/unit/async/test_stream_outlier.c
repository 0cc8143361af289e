/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/async/stream_outlier.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "pipeline/base/random.h"
#include "tests/unit/async/consumer.h"

#define NONE -1.0 /* an element without a reading */

static struct items_queue queue;
static struct stream_outlier outlier;
static double element_reading;

static bool reading(void *user, const void *element, double *ret)
{
	assert_ptr_equal(user, &element_reading);
	*ret = element_reading;
	return element_reading != NONE;
}

static const struct outlier_rule usual = {
		.over = 3, .least = 1, .memory = 100, .warmup = 10, .side = OUTLIER_ABOVE};

static void begin(struct outlier_rule rule)
{
	items_init(&queue, NULL, 1);
	stream_outlier_init(&outlier, &queue.queue.stream, &rule, reading, &element_reading);
}

/* With nothing learned yet. */
static void begin_anew(struct outlier_rule rule)
{
	stream_close(&outlier.stream, LOST);
	begin(rule);
}

static int tear_down(void **state)
{
	stream_close(&outlier.stream, LOST);
	return scripted_tear_down(state);
}

/* Whether an element with that reading is flagged. */
static bool flags(double read)
{
	void *element;
	element_reading = read;
	assert_int_equal(stream_queue_push(&queue.queue, &items[0]), QUEUE_TAKEN);
	bool flagged = stream_pull(&outlier.stream, &element) == STREAM_ITEM;
	if (flagged)
		assert_ptr_equal(element, &items[0]);
	return flagged;
}

/* So many readings of 90 and 110 in turn: mean 100, deviation 10. */
static void learn(int count)
{
	for (int i = 0; i < count; i++)
		assert_false(flags(i % 2 ? 110 : 90));
}

static bool close_to(double a, double b, double within)
{
	return fabs(a - b) <= within;
}

static void test_the_first_readings_are_simply_averaged(void **state)
{
	static const double readings[] = {4, 8, 15, 16, 23, 42};
	double sum = 0, squares = 0;
	begin(usual);
	for (int n = 1; n <= 6; n++) {
		assert_false(flags(readings[n - 1]));
		sum += readings[n - 1];
		squares += readings[n - 1] * readings[n - 1];
		assert_true(close_to(outlier.mean, sum / n, 1e-9));
		assert_true(close_to(outlier.variance, squares / n - (sum / n) * (sum / n), 1e-9));
		assert_int_equal(outlier.samples, n);
	}
}

/* From then on a reading weighs 1/memory, and each is worth a little less than the one after it:
 * held against the definition, over the whole sequence. */
static void test_later_ones_are_weighted_exponentially(void **state)
{
	enum { COUNT = 400, MEMORY = 20 };
	static double readings[COUNT], weights[COUNT];
	struct outlier_rule rule = usual;
	rule.memory = MEMORY;
	rule.over = 1000;
	begin(rule);
	async_init(&async, START, 7);
	for (int n = 0; n < COUNT; n++) {
		readings[n] = (double)random_below(&async.random, 1000);
		double weight = 1.0 / (n + 1 < MEMORY ? n + 1 : MEMORY);
		for (int i = 0; i < n; i++)
			weights[i] *= 1 - weight;
		weights[n] = weight;
		assert_false(flags(readings[n]));
	}
	double mean = 0, variance = 0, all = 0;
	for (int i = 0; i < COUNT; i++) {
		all += weights[i];
		mean += weights[i] * readings[i];
	}
	for (int i = 0; i < COUNT; i++)
		variance += weights[i] * (readings[i] - mean) * (readings[i] - mean);
	assert_true(close_to(all, 1, 1e-9));
	assert_true(close_to(outlier.mean, mean, 1e-6));
	assert_true(close_to(outlier.variance, variance, 1e-4));
}

static void test_nothing_is_flagged_while_it_warms_up(void **state)
{
	begin(usual);
	learn(9);
	assert_false(flags(1000));
	begin_anew(usual);
	learn(10);
	assert_true(flags(1000));
}

static void test_what_it_was_held_against(void **state)
{
	begin(usual);
	learn(50);
	assert_false(flags(129));
	begin_anew(usual);
	learn(50);
	assert_true(flags(131));
	assert_true(outlier.held.reading == 131);
	assert_true(close_to(outlier.held.mean, 100, 1e-9));
	assert_true(close_to(outlier.held.deviation, 10, 1e-9));
	assert_int_equal(outlier.held.samples, 50);
}

static void test_sides(void **state)
{
	static const bool expected[][2] = {[OUTLIER_ABOVE] = {true, false},
			[OUTLIER_BELOW] = {false, true},
			[OUTLIER_BOTH] = {true, true}};
	begin(usual);
	for (int side = OUTLIER_ABOVE; side <= OUTLIER_BOTH; side++) {
		for (int below = 0; below < 2; below++) {
			struct outlier_rule rule = usual;
			rule.side = (enum outlier_side)side;
			begin_anew(rule);
			learn(50);
			assert_int_equal(flags(below ? 60 : 140), expected[side][below]);
		}
	}
}

static void test_at_the_limit_nothing_is_flagged(void **state)
{
	begin(usual);
	for (int side = OUTLIER_ABOVE; side <= OUTLIER_BOTH; side++) {
		for (int below = 0; below < 2; below++) {
			struct outlier_rule rule = usual;
			rule.side = (enum outlier_side)side;
			begin_anew(rule);
			for (int i = 0; i < 20; i++)
				assert_false(flags(100));
			assert_false(flags(below ? 100 - rule.least : 100 + rule.least));
		}
	}
}

/* One monstrous reading does not hide the next. */
static void test_an_outlier_moves_the_limit_only_so_far(void **state)
{
	begin(usual);
	learn(100);
	assert_true(flags(1e12));
	assert_true(close_to(outlier.mean, 100.3, 0.01));
	assert_true(flags(140));
}

/* But a level that has changed for good is soon the usual one. */
static void test_a_new_level_becomes_the_usual(void **state)
{
	int flagged = 0;
	begin(usual);
	learn(100);
	for (int i = 0; i < 1000; i++)
		flagged += flags(i % 2 ? 1010 : 990);
	assert_in_range(flagged, 5, 100);
	assert_true(close_to(outlier.mean, 1000, 1));
}

/* What never varied has no deviation, so only `least` counts. */
static void test_readings_that_never_varied(void **state)
{
	struct outlier_rule rule = usual;
	rule.least = 50;
	begin(rule);
	for (int i = 0; i < 30; i++)
		assert_false(flags(10));
	assert_false(flags(60));
	assert_true(flags(1000));
	assert_true(outlier.mean > 10);
}

static void test_an_element_without_a_reading_is_passed_by(void **state)
{
	begin(usual);
	learn(20);
	double mean = outlier.mean;
	assert_false(flags(NONE));
	assert_int_equal(outlier.samples, 20);
	assert_true(outlier.mean == mean);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scripted_set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_the_first_readings_are_simply_averaged),
			TEST(test_later_ones_are_weighted_exponentially),
			TEST(test_nothing_is_flagged_while_it_warms_up),
			TEST(test_what_it_was_held_against),
			TEST(test_sides),
			TEST(test_at_the_limit_nothing_is_flagged),
			TEST(test_an_outlier_moves_the_limit_only_so_far),
			TEST(test_a_new_level_becomes_the_usual),
			TEST(test_readings_that_never_varied),
			TEST(test_an_element_without_a_reading_is_passed_by),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
