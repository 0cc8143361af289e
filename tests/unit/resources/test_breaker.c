/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/resources/breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS	UINT64_C(1000000)
#define START	(1000000 * MS)
#define WITHIN	(1000 * MS)
#define OPEN_NS (500 * MS)

static const struct breaker_settings settings = {
		.failures = 10, .of = 20, .within = WITHIN, .open = OPEN_NS};

static struct breaker breaker;

static int set_up(void **state)
{
	breaker_init(&breaker, &settings);
	return 0;
}

static void end(uint64_t now, int count, enum breaker_end how)
{
	for (int i = 0; i < count; i++) {
		enum breaker_pass pass = breaker_ask(&breaker, now);
		assert_int_equal(pass, BREAKER_PASSED);
		breaker_ended(&breaker, now, pass, how);
	}
}

static void open_it(uint64_t now)
{
	end(now, 18, BREAKER_GOOD);
	end(now, 2, BREAKER_FAILED);
	assert_int_equal(breaker.state, BREAKER_OPEN);
}

static void test_opens_at_the_share(void **state)
{
	end(START, 18, BREAKER_GOOD);
	end(START, 1, BREAKER_FAILED);
	assert_int_equal(breaker.state, BREAKER_CLOSED);
	end(START, 1, BREAKER_FAILED);
	assert_int_equal(breaker.state, BREAKER_OPEN);
	assert_int_equal(breaker.opened, 1);
	assert_int_equal(breaker_ask(&breaker, START), BREAKER_REFUSED);
}

static void test_stays_closed_below_the_share(void **state)
{
	end(START, 181, BREAKER_GOOD);
	end(START, 19, BREAKER_FAILED);
	assert_int_equal(breaker.state, BREAKER_CLOSED); /* 19 of 200 */
	end(START, 1, BREAKER_FAILED);
	assert_int_equal(breaker.state, BREAKER_CLOSED); /* 20 of 201 */
	end(START, 1, BREAKER_FAILED);
	assert_int_equal(breaker.state, BREAKER_OPEN); /* 21 of 202 */
}

/* A good end may be the one that makes them enough. */
static void test_few_are_not_enough(void **state)
{
	end(START, 19, BREAKER_FAILED);
	assert_int_equal(breaker.state, BREAKER_CLOSED);
	end(START, 1, BREAKER_GOOD);
	assert_int_equal(breaker.state, BREAKER_OPEN);
}

static void test_forgets_what_is_old(void **state)
{
	end(START, 19, BREAKER_FAILED);
	end(START + WITHIN, 1, BREAKER_FAILED);
	assert_int_equal(breaker.state, BREAKER_CLOSED);
	/* The first of ten steps is gone, and nine are not. */
	end(START + WITHIN + WITHIN * 9 / 10, 19, BREAKER_FAILED);
	assert_int_equal(breaker.state, BREAKER_OPEN);
}

static void test_forgets_step_by_step(void **state)
{
	for (uint64_t i = 0; i < 1000; i++)
		end(START + i * WITHIN / 10, 1, BREAKER_FAILED); /* never 20 in ten steps */
	assert_int_equal(breaker.state, BREAKER_CLOSED);
	end(START + 100 * WITHIN, 9, BREAKER_FAILED);
	assert_int_equal(breaker.state, BREAKER_CLOSED);
	end(START + 5000 * WITHIN, 19, BREAKER_FAILED);
	assert_int_equal(breaker.state, BREAKER_CLOSED);
}

static void test_cancelled_is_no_failure(void **state)
{
	end(START, 1000, BREAKER_CANCELLED);
	assert_int_equal(breaker.state, BREAKER_CLOSED);
	end(START, 19, BREAKER_FAILED);
	assert_int_equal(breaker.state, BREAKER_CLOSED); /* nor does it count among the ended */
}

static void test_lets_one_through(void **state)
{
	open_it(START);
	assert_int_equal(breaker_ask(&breaker, START + OPEN_NS - 1), BREAKER_REFUSED);
	assert_false(breaker_passes(&breaker, START + OPEN_NS - 1));
	assert_true(breaker_passes(&breaker, START + OPEN_NS));
	assert_int_equal(breaker_ask(&breaker, START + OPEN_NS), BREAKER_TRIAL);
	assert_int_equal(breaker.state, BREAKER_HALF_OPEN);
	assert_false(breaker_passes(&breaker, START + OPEN_NS));
	assert_int_equal(breaker_ask(&breaker, START + 100 * OPEN_NS), BREAKER_REFUSED);
}

static void test_trial_closes_it(void **state)
{
	open_it(START);
	enum breaker_pass pass = breaker_ask(&breaker, START + OPEN_NS);
	breaker_ended(&breaker, START + OPEN_NS, pass, BREAKER_GOOD);
	assert_int_equal(breaker.state, BREAKER_CLOSED);
	end(START + OPEN_NS, 19, BREAKER_FAILED); /* all before is forgotten */
	assert_int_equal(breaker.state, BREAKER_CLOSED);
}

static void test_trial_opens_it_again(void **state)
{
	open_it(START);
	enum breaker_pass pass = breaker_ask(&breaker, START + OPEN_NS);
	breaker_ended(&breaker, START + OPEN_NS + MS, pass, BREAKER_FAILED);
	assert_int_equal(breaker.state, BREAKER_OPEN);
	assert_int_equal(breaker.opened, 2);
	assert_int_equal(breaker_ask(&breaker, START + 2 * OPEN_NS), BREAKER_REFUSED);
	assert_int_equal(breaker_ask(&breaker, START + 2 * OPEN_NS + MS), BREAKER_TRIAL);
}

static void test_cancelled_trial_is_tried_again(void **state)
{
	open_it(START);
	enum breaker_pass pass = breaker_ask(&breaker, START + OPEN_NS);
	breaker_ended(&breaker, START + OPEN_NS, pass, BREAKER_CANCELLED);
	assert_int_equal(breaker.state, BREAKER_OPEN);
	assert_int_equal(breaker.opened, 1);
	assert_int_equal(breaker_ask(&breaker, START + OPEN_NS), BREAKER_TRIAL);
}

/* Clients could fill a log with the others. */
static void test_of_trials_that_tell_nothing_the_first_is_news(void **state)
{
	open_it(START);
	assert_true(breaker_is_news(&breaker));
	for (int i = 0; i < 3; i++) {
		(void)breaker_ask(&breaker, START + OPEN_NS);
		assert_int_equal(breaker_is_news(&breaker), i == 0);
		breaker_ended(&breaker, START + OPEN_NS, BREAKER_TRIAL, BREAKER_CANCELLED);
		assert_false(breaker_is_news(&breaker));
	}
	(void)breaker_ask(&breaker, START + OPEN_NS);
	breaker_ended(&breaker, START + OPEN_NS, BREAKER_TRIAL, BREAKER_FAILED);
	assert_true(breaker_is_news(&breaker));
	(void)breaker_ask(&breaker, START + 2 * OPEN_NS);
	assert_true(breaker_is_news(&breaker));
	breaker_ended(&breaker, START + 2 * OPEN_NS, BREAKER_TRIAL, BREAKER_GOOD);
	assert_true(breaker_is_news(&breaker));
}

/* What was asked before it opened tells nothing of how it is now. */
static void test_latecomers_count_for_nothing(void **state)
{
	enum breaker_pass early = breaker_ask(&breaker, START);
	open_it(START);
	breaker_ended(&breaker, START, early, BREAKER_GOOD);
	assert_int_equal(breaker.state, BREAKER_OPEN);
	enum breaker_pass trial = breaker_ask(&breaker, START + OPEN_NS);
	breaker_ended(&breaker, START + OPEN_NS, early, BREAKER_FAILED);
	breaker_ended(&breaker, START + OPEN_NS, early, BREAKER_GOOD);
	assert_int_equal(breaker.state, BREAKER_HALF_OPEN);
	breaker_ended(&breaker, START + OPEN_NS, trial, BREAKER_GOOD);
	assert_int_equal(breaker.state, BREAKER_CLOSED);
}

static void test_cleared_never_opens(void **state)
{
	breaker = (struct breaker){.state = BREAKER_CLOSED};
	end(START, 1000, BREAKER_FAILED);
	assert_int_equal(breaker.state, BREAKER_CLOSED);
}

static void test_names(void **state)
{
	assert_string_equal(breaker_state_name(BREAKER_CLOSED), "closed");
	assert_string_equal(breaker_state_name(BREAKER_OPEN), "open");
	assert_string_equal(breaker_state_name(BREAKER_HALF_OPEN), "half_open");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_setup(test_opens_at_the_share, set_up),
			cmocka_unit_test_setup(test_stays_closed_below_the_share, set_up),
			cmocka_unit_test_setup(test_few_are_not_enough, set_up),
			cmocka_unit_test_setup(test_forgets_what_is_old, set_up),
			cmocka_unit_test_setup(test_forgets_step_by_step, set_up),
			cmocka_unit_test_setup(test_cancelled_is_no_failure, set_up),
			cmocka_unit_test_setup(test_lets_one_through, set_up),
			cmocka_unit_test_setup(test_trial_closes_it, set_up),
			cmocka_unit_test_setup(test_trial_opens_it_again, set_up),
			cmocka_unit_test_setup(test_cancelled_trial_is_tried_again, set_up),
			cmocka_unit_test_setup(
					test_of_trials_that_tell_nothing_the_first_is_news, set_up),
			cmocka_unit_test_setup(test_latecomers_count_for_nothing, set_up),
			cmocka_unit_test_setup(test_cleared_never_opens, set_up),
			cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
