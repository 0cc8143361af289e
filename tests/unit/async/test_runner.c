/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/async/runner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/async/scripted.h"

/* A task that notes when it ran, and then may queue another. */
struct step {
	struct task task;
	int ran; /* its place, from 1; 0: not yet */
	int again;
	struct step *then;
};

static int steps;
static int timers;

static int set_up(void **state)
{
	steps = 0;
	timers = 0;
	return scripted_set_up(state);
}

static void run_step(struct task *task)
{
	struct step *step = container_of(task, struct step, task);
	assert_false(task_queued(task));
	step->ran = ++steps;
	if (step->then)
		runner_add(&async.runner, &step->then->task);
	if (step->again-- > 0)
		runner_add(&async.runner, task);
}

static struct step step_of(int again, struct step *then)
{
	return (struct step){{NULL, run_step}, 0, again, then};
}

static void test_first_in_first_out(void **state)
{
	struct step all[5];
	assert_true(runner_idle(&async.runner));
	for (int i = 0; i < 5; i++) {
		all[i] = step_of(0, NULL);
		assert_false(task_queued(&all[i].task));
		runner_add(&async.runner, &all[i].task);
		assert_true(task_queued(&all[i].task));
		assert_false(runner_idle(&async.runner));
	}
	runner_drain(&async.runner, 100);
	for (int i = 0; i < 5; i++)
		assert_int_equal(all[i].ran, i + 1);
	assert_true(runner_idle(&async.runner));
}

static void test_what_is_added_meanwhile_runs_behind(void **state)
{
	struct step last = step_of(0, NULL), second = step_of(0, NULL), first = step_of(0, &last);
	runner_add(&async.runner, &first.task);
	runner_add(&async.runner, &second.task);
	runner_drain(&async.runner, 100);
	assert_int_equal(first.ran, 1);
	assert_int_equal(second.ran, 2);
	assert_int_equal(last.ran, 3);
}

static void test_a_task_queues_itself_again(void **state)
{
	struct step step = step_of(3, NULL);
	runner_add(&async.runner, &step.task);
	runner_drain(&async.runner, 100);
	assert_int_equal(step.ran, 4);
	assert_false(task_queued(&step.task));
}

static void test_no_more_than_asked_for(void **state)
{
	struct step all[5];
	for (int i = 0; i < 5; i++) {
		all[i] = step_of(0, NULL);
		runner_add(&async.runner, &all[i].task);
	}
	runner_drain(&async.runner, 0);
	assert_int_equal(steps, 0);
	runner_drain(&async.runner, 3);
	assert_int_equal(steps, 3);
	assert_false(task_queued(&all[2].task));
	assert_true(task_queued(&all[3].task));
	runner_drain(&async.runner, 3);
	assert_int_equal(steps, 5);
}

static void free_step(struct task *task)
{
	steps++;
	free(container_of(task, struct step, task));
}

static void test_a_task_may_be_freed_when_it_runs(void **state)
{
	for (int i = 0; i < 3; i++) {
		struct step *step = malloc(sizeof(*step));
		assert_non_null(step);
		*step = (struct step){.task = {NULL, free_step}};
		runner_add(&async.runner, &step->task);
	}
	runner_drain(&async.runner, 100);
	assert_int_equal(steps, 3);
}

static void add_twice(void)
{
	struct step first = step_of(0, NULL), second = step_of(0, NULL);
	runner_add(&async.runner, &first.task);
	runner_add(&async.runner, &second.task);
	runner_add(&async.runner, &first.task);
}

static void add_last_twice(void)
{
	struct step step = step_of(0, NULL);
	runner_add(&async.runner, &step.task);
	runner_add(&async.runner, &step.task);
}

static void test_a_queued_task_is_not_queued_again(void **state)
{
	assert_true(asserts(add_twice));
	assert_true(asserts(add_last_twice));
}

static void count_timer(struct timer *timer)
{
	timers++;
}

static void test_a_turn_says_when_the_next_must_be(void **state)
{
	struct timer timer;
	timer_init(&timer, count_timer);
	assert_true(turn(START + 5) == ASYNC_NEVER);
	timer_arm(&async.wheel, &timer, START + 3 * TICK - 1);
	assert_true(turn(START + 6) == START + 3 * TICK);
	assert_int_equal(timers, 0);
	assert_true(turn(START + 3 * TICK) == ASYNC_NEVER);
	assert_int_equal(timers, 1);
}

static void test_a_turn_is_bounded(void **state)
{
	struct step step = step_of(9999, NULL);
	runner_add(&async.runner, &step.task);
	assert_true(turn(START + 1) == START + 1);
	assert_in_range(steps, 1, 5000);
	int turns = 1;
	for (; turn(START + 2) != ASYNC_NEVER; turns++)
		assert_in_range(turns, 1, 10000);
	assert_int_equal(step.ran, 10000);
}

static void test_a_turn_does_not_go_back(void **state)
{
	(void)turn(START + 1000);
	(void)turn(START + 10);
	assert_true(async.now == START + 1000);
}

static void test_deadlines_fire_on_the_way_in(void **state)
{
	struct timer timer;
	timer_init(&timer, count_timer);
	timer_arm(&async.wheel, &timer, START + TICK);
	async_enter(&async, START + TICK);
	assert_int_equal(timers, 1);
	assert_true(async_leave(&async) == ASYNC_NEVER);
}

static void test_a_turn_in_memory_that_was_used_before(void **state)
{
	struct async other;
	memset(&other, 0xa5, sizeof(other));
	async_init(&other, START, 1);
	async_enter(&other, START);
	assert_true(async_leave(&other) == ASYNC_NEVER);
}

static void test_one_seed_fixes_all_that_is_drawn(void **state)
{
	struct async one, same, another;
	memset(&one, 1, sizeof(one));
	memset(&same, 2, sizeof(same));
	async_init(&one, 1, 7);
	async_init(&same, 2, 7);
	async_init(&another, 1, 8);
	uint64_t drawn = random_next(&one.random);
	uint64_t key = random_next(&one.keys);
	assert_int_equal(random_next(&same.random), drawn);
	assert_int_equal(random_next(&same.keys), key);
	assert_int_not_equal(random_next(&another.random), drawn);
	assert_int_not_equal(random_next(&another.keys), key);
	assert_int_not_equal(drawn, key);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, scripted_tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_first_in_first_out),
			TEST(test_what_is_added_meanwhile_runs_behind),
			TEST(test_a_task_queues_itself_again),
			TEST(test_no_more_than_asked_for),
			TEST(test_a_task_may_be_freed_when_it_runs),
			TEST(test_a_queued_task_is_not_queued_again),
			TEST(test_a_turn_says_when_the_next_must_be),
			TEST(test_a_turn_is_bounded),
			TEST(test_a_turn_does_not_go_back),
			TEST(test_deadlines_fire_on_the_way_in),
			TEST(test_one_seed_fixes_all_that_is_drawn),
			TEST(test_a_turn_in_memory_that_was_used_before),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
