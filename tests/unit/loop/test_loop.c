/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/loop/loop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pipeline/base/live.h"
#include "tests/unit/loop/loop_fixture.h"

#define MS   UINT64_C(1000000)
#define HOUR (3600 * 1000 * MS)

struct test {
	struct loop_fixture f;
	struct timer timers[2];
	uint64_t fired[2]; /* when */
	int beats;
	int beats_wanted;
	sd_event_source *source;
	int signal;
};

static int set_up(void **state)
{
	struct test *test = calloc(1, sizeof(*test));
	assert_non_null(test);
	loop_fixture_init(&test->f);
	*state = test;
	return 0;
}

static int tear_down(void **state)
{
	struct test *test = *state;
	sd_event_source_disable_unref(test->source);
	loop_fixture_deinit(&test->f);
	loop_fixture_deinit(&test->f);
	free(test);
	return live_report();
}

static struct test *current; /* timers have no user */

static void on_timer(struct timer *timer)
{
	current->fired[timer - current->timers] = loop_now();
}

static void arm(struct test *test, int i, uint64_t at)
{
	current = test;
	timer_init(&test->timers[i], on_timer);
	loop_enter(&test->f.loop);
	timer_arm(&test->f.async.wheel, &test->timers[i], at);
	loop_leave(&test->f.loop);
}

static bool first_fired(void *user)
{
	return ((struct test *)user)->fired[0] > 0;
}

static bool second_fired(void *user)
{
	return ((struct test *)user)->fired[1] > 0;
}

static void test_a_deadline_wakes_the_loop_and_never_early(void **state)
{
	struct test *test = *state;
	uint64_t at = loop_now() + 3 * MS;
	arm(test, 0, at);
	loop_fixture_run_until(&test->f, first_fired, test);
	assert_true(test->fired[0] >= at);
}

static void test_an_earlier_deadline_moves_the_timer(void **state)
{
	struct test *test = *state;
	arm(test, 0, loop_now() + HOUR);
	uint64_t at = loop_now() + 2 * MS;
	arm(test, 1, at);
	loop_fixture_run_until(&test->f, second_fired, test);
	assert_true(test->fired[1] >= at);
	assert_int_equal(test->fired[0], 0);
	timer_disarm(&test->f.async.wheel, &test->timers[0]);
}

/* The timer was set for the first, which is gone when it comes; it must not be forgotten then. */
static void test_a_later_deadline_is_not_forgotten(void **state)
{
	struct test *test = *state;
	arm(test, 0, loop_now() + 2 * MS);
	uint64_t at = loop_now() + 9 * MS;
	arm(test, 1, at);
	timer_disarm(&test->f.async.wheel, &test->timers[0]);
	loop_fixture_run_until(&test->f, second_fired, test);
	assert_true(test->fired[1] >= at);
	assert_int_equal(test->fired[0], 0);
}

#define TASKS 5000

static int tasks_run;

static void count_task(struct task *task)
{
	tasks_run++;
}

static bool all_tasks_run(void *user)
{
	return tasks_run == TASKS;
}

static void add_tasks(struct test *test, struct task *tasks)
{
	tasks_run = 0;
	for (int i = 0; i < TASKS; i++) {
		tasks[i] = (struct task){.run = count_task};
		runner_add(&test->f.async.runner, &tasks[i]);
	}
}

static void test_what_the_runner_has_left_comes_in_further_turns(void **state)
{
	struct test *test = *state;
	struct task *tasks = calloc(TASKS, sizeof(*tasks));
	assert_non_null(tasks);
	loop_enter(&test->f.loop);
	add_tasks(test, tasks);
	loop_leave(&test->f.loop);
	assert_in_range(tasks_run, 1, TASKS - 1);
	loop_fixture_run_until(&test->f, all_tasks_run, NULL);
	free(tasks);
}

static void test_a_turn_inside_a_turn_is_the_same_turn(void **state)
{
	struct test *test = *state;
	struct task task = {.run = count_task};
	tasks_run = 0;
	loop_enter(&test->f.loop);
	uint64_t now = test->f.async.now;
	loop_enter(&test->f.loop);
	assert_int_equal(test->f.async.now, now);
	runner_add(&test->f.async.runner, &task);
	loop_leave(&test->f.loop);
	assert_int_equal(tasks_run, 0);
	loop_leave(&test->f.loop);
	assert_int_equal(tasks_run, 1);
}

/* Even what runs at its end. */
static void enter_again(struct task *task)
{
	uint64_t entered = current->f.loop.entered;
	loop_enter(&current->f.loop);
	assert_int_equal(current->f.loop.entered, entered);
	loop_leave(&current->f.loop);
	tasks_run++;
}

static void test_the_runner_is_inside_the_turn(void **state)
{
	struct test *test = *state;
	struct task tasks[2] = {{.run = enter_again}, {.run = count_task}};
	tasks_run = 0;
	current = test;
	loop_enter(&test->f.loop);
	runner_add(&test->f.async.runner, &tasks[0]);
	runner_add(&test->f.async.runner, &tasks[1]);
	loop_leave(&test->f.loop);
	assert_int_equal(tasks_run, 2);
}

static void on_beat(void *user)
{
	struct test *test = user;
	assert_int_equal(test->f.loop.depth, 1);
	if (++test->beats == test->beats_wanted)
		test->source = sd_event_source_disable_unref(test->source);
}

static bool source_gone(void *user)
{
	return ((struct test *)user)->source == NULL;
}

static void test_a_beat_comes_back_until_it_frees_itself(void **state)
{
	struct test *test = *state;
	uint64_t begin = loop_now();
	test->beats_wanted = 3;
	assert_int_equal(loop_every(&test->f.loop, 1 * MS, LOOP_PRIORITY_ANSWERS, on_beat, test,
					 &test->source),
			0);
	loop_fixture_run_until(&test->f, source_gone, test);
	assert_int_equal(test->beats, 3);
	assert_true(loop_now() - begin >= 3 * MS);
}

static void on_signal(void *user, int signal)
{
	struct test *test = user;
	assert_int_equal(test->f.loop.depth, 1);
	test->signal = signal;
	loop_exit(&test->f.loop, 7);
}

static void block(int signal)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signal);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
}

static void test_a_signal_ends_the_loop_with_a_code(void **state)
{
	struct test *test = *state;
	block(SIGUSR1);
	assert_int_equal(loop_signal(&test->f.loop, SIGUSR1, on_signal, test, &test->source), 0);
	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	assert_int_equal(loop_run(&test->f.loop), 7);
	assert_int_equal(test->signal, SIGUSR1);
}

static void test_a_signal_that_is_not_blocked_is_refused(void **state)
{
	struct test *test = *state;
	assert_true(loop_signal(&test->f.loop, SIGUSR2, on_signal, test, &test->source) < 0);
	assert_null(test->source);
}

/* Whoever closes things after the end must not leave tasks behind for a turn that never comes. */
static void test_after_the_end_a_turn_leaves_nothing(void **state)
{
	struct test *test = *state;
	struct task *tasks = calloc(TASKS, sizeof(*tasks));
	assert_non_null(tasks);
	loop_exit(&test->f.loop, 0);
	assert_int_equal(loop_run(&test->f.loop), 0);
	loop_enter(&test->f.loop);
	add_tasks(test, tasks);
	loop_leave(&test->f.loop);
	assert_int_equal(tasks_run, TASKS);
	free(tasks);
}

static void test_the_longest_turn_is_kept(void **state)
{
	struct test *test = *state;
	loop_enter(&test->f.loop);
	while (loop_now() - test->f.loop.entered < 2 * MS)
		continue;
	loop_leave(&test->f.loop);
	uint64_t longest = test->f.loop.lag_highest_ns;
	assert_true(longest >= 2 * MS);
	loop_enter(&test->f.loop);
	loop_leave(&test->f.loop);
	assert_true(test->f.loop.lag_highest_ns >= longest);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_a_deadline_wakes_the_loop_and_never_early),
			TEST(test_an_earlier_deadline_moves_the_timer),
			TEST(test_a_later_deadline_is_not_forgotten),
			TEST(test_what_the_runner_has_left_comes_in_further_turns),
			TEST(test_a_turn_inside_a_turn_is_the_same_turn),
			TEST(test_the_runner_is_inside_the_turn),
			TEST(test_a_beat_comes_back_until_it_frees_itself),
			TEST(test_a_signal_ends_the_loop_with_a_code),
			TEST(test_a_signal_that_is_not_blocked_is_refused),
			TEST(test_after_the_end_a_turn_leaves_nothing),
			TEST(test_the_longest_turn_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
