/* SPDX-License-Identifier: Apache-2.0 */
/* When a source is spared what need not be asked of it. */
#include "pipeline/resources/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define TOKENS 10

static struct source source;

static int set_up(void **state)
{
	source = (struct source){0};
	retry_budget_init(&source.spare, TOKENS);
	return 0;
}

static void end(unsigned count, enum breaker_end how)
{
	while (count-- > 0)
		source_ended(&source, 0, source_ask(&source, 0), how);
}

static unsigned count_spared(bool slow)
{
	unsigned count = 0;
	while (source_spared(&source, slow))
		assert_true(++count < 1000);
	return count;
}

/* How often it is spared before it may be asked; the same of one that would answer too late. */
static unsigned spared(void)
{
	return count_spared(false);
}

static unsigned spared_slow(void)
{
	return count_spared(true);
}

static void test_half_of_the_tokens_are_failures_enough(void **state)
{
	end(4, BREAKER_FAILED);
	assert_int_equal(spared(), 0);
	end(1, BREAKER_FAILED);
	assert_true(source_spared(&source, false));
}

/* One that always fails is asked at most one of 51 that it need not be asked. */
static void test_a_sick_one_is_asked_once_in_a_while(void **state)
{
	end(5, BREAKER_FAILED);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(spared(), 50);
		assert_false(source_spared(&source, false)); /* until it is asked */
		end(1, BREAKER_FAILED);
	}
}

/* Nor does it matter how many ask at that moment: only one may. */
static void test_one_at_a_time_is_asked(void **state)
{
	end(5, BREAKER_FAILED);
	assert_int_equal(spared(), 50);
	(void)source_ask(&source, 0);
	assert_true(source_spared(&source, false));
}

static void test_good_answers_make_it_be_asked_more_often(void **state)
{
	static const unsigned times[] = {50, 25, 12, 6, 3, 1, 1, 1};
	end(9, BREAKER_FAILED);
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		assert_int_equal(spared(), times[i]);
		end(1, BREAKER_GOOD);
	}
	assert_int_equal(spared(), 1);
	end(1, BREAKER_CANCELLED); /* which says nothing of it */
	assert_int_equal(spared(), 1);
	end(1, BREAKER_FAILED);
	assert_int_equal(spared(), 50);
}

/* However much has failed of one that is well again, it comes back. */
static void test_a_healthy_one_comes_back(void **state)
{
	unsigned all = 0;
	end(1000, BREAKER_FAILED);
	for (unsigned count = 0; (count = spared()) > 0; end(1, BREAKER_GOOD)) {
		all += count;
		assert_true(all < 1000);
	}
	assert_int_equal(retry_budget_tokens(&source.spare), TOKENS / 2);
	assert_int_equal(all, 50 + 25 + 12 + 6 + 3 + (TOKENS / 2 * 10 + 1 - 5));
}

static void test_what_must_be_asked_is_told_as_well(void **state)
{
	end(5, BREAKER_FAILED);
	for (int i = 0; i < 49; i++)
		assert_true(source_spared(&source, false));
	end(1, BREAKER_FAILED); /* it was asked anyway: nobody needs to find out */
	assert_int_equal(spared(), 50);
}

static void test_good_answers_to_what_must_be_asked_halve_nothing(void **state)
{
	end(9, BREAKER_FAILED);
	end(3, BREAKER_GOOD);
	assert_int_equal(spared(), 50);
}

static void test_a_slow_one_is_asked_once_in_a_while(void **state)
{
	end(20, BREAKER_GOOD);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(spared_slow(), 50);
		end(1, BREAKER_LATE);
	}
}

static void test_answers_in_time_make_it_be_asked_more_often(void **state)
{
	static const unsigned times[] = {50, 25, 12, 6, 3, 1, 1};
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		assert_int_equal(spared_slow(), times[i]);
		end(1, BREAKER_GOOD);
	}
	assert_int_equal(spared_slow(), 1);
	end(1, BREAKER_CANCELLED); /* which says nothing of it */
	assert_int_equal(spared_slow(), 1);
	end(1, BREAKER_LATE);
	assert_int_equal(spared_slow(), 50);
}

/* Who must ask it may have had even less time. */
static void test_what_must_be_asked_late_breaks_no_row(void **state)
{
	assert_int_equal(spared_slow(), 50);
	end(1, BREAKER_GOOD);
	end(1, BREAKER_LATE);
	assert_int_equal(spared_slow(), 25);
}

/* That it was once in time says nothing of the next time that it is slow. */
static void test_one_that_is_quick_again_begins_anew(void **state)
{
	assert_int_equal(spared_slow(), 50);
	end(1, BREAKER_GOOD);
	assert_int_equal(spared(), 0);
	assert_int_equal(spared_slow(), 50);
}

/* However the two mix: it is one count. */
static void test_one_that_is_slow_and_fails_is_spared_for_both(void **state)
{
	end(5, BREAKER_FAILED);
	for (int i = 0; i < 25; i++) {
		assert_true(source_spared(&source, false));
		assert_true(source_spared(&source, true));
	}
	assert_false(source_spared(&source, true));
	assert_false(source_spared(&source, false));
}

static void test_without_tokens_it_is_never_spared(void **state)
{
	retry_budget_init(&source.spare, 0);
	end(1000, BREAKER_FAILED);
	assert_false(source_spared(&source, false));
}

#define source_test(function) cmocka_unit_test_setup(function, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
			source_test(test_half_of_the_tokens_are_failures_enough),
			source_test(test_a_sick_one_is_asked_once_in_a_while),
			source_test(test_one_at_a_time_is_asked),
			source_test(test_good_answers_make_it_be_asked_more_often),
			source_test(test_a_healthy_one_comes_back),
			source_test(test_what_must_be_asked_is_told_as_well),
			source_test(test_good_answers_to_what_must_be_asked_halve_nothing),
			source_test(test_a_slow_one_is_asked_once_in_a_while),
			source_test(test_answers_in_time_make_it_be_asked_more_often),
			source_test(test_what_must_be_asked_late_breaks_no_row),
			source_test(test_one_that_is_quick_again_begins_anew),
			source_test(test_one_that_is_slow_and_fails_is_spared_for_both),
			source_test(test_without_tokens_it_is_never_spared),
	};
	return cmocka_run_group_tests_name("resources/source", tests, NULL, NULL);
}
