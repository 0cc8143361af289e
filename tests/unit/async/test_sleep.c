/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/async/sleep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/async/scripted.h"

static struct root *root;
static struct sleep sleep;

static int set_up(void **state)
{
	int failed = scripted_set_up(state);
	root = root_new(NULL, START + 100 * TICK);
	return failed;
}

static int tear_down(void **state)
{
	scope_close(&root->scope);
	run();
	return roots_freed == 1 ? scripted_tear_down(state) : -1;
}

/* Its parent waits for it alone. */
static struct scripted *begin(uint64_t until)
{
	struct scripted *parent = &root->frames[0];
	scripted_parent(parent, &root->owner.frame, &root->scope, 1);
	assert_int_equal(frame_start(&parent->frame), PENDING);
	sleep_init(&sleep, until, &parent->frame, &root->scope);
	return parent;
}

static void test_it_ends_when_its_time_has_come(void **state)
{
	struct scripted *parent = begin(START + 2 * TICK);
	assert_int_equal(frame_start(&sleep.frame), PENDING);
	assert_true(turn(START + 2 * TICK - 1) <= START + 2 * TICK);
	assert_int_equal(parent->resumes, 0);
	(void)turn(START + 2 * TICK);
	assert_int_equal(parent->resumes, 1);
	assert_ptr_equal(parent->child, &sleep.frame);
	assert_int_equal(sleep.frame.outcome.status, STATUS_OK);
}

static void test_a_time_that_has_passed_is_no_wait(void **state)
{
	struct scripted *parent = begin(START);
	assert_int_equal(frame_start(&sleep.frame), DONE);
	assert_int_equal(sleep.frame.outcome.status, STATUS_OK);
	assert_false(timer_armed(&sleep.timer));
	scripted_finish(parent, STATUS_OK);
}

static void test_a_cancel_ends_it_at_once(void **state)
{
	struct scripted *parent = begin(START + 50 * TICK);
	assert_int_equal(frame_start(&sleep.frame), PENDING);
	scope_cancel(&root->scope, GONE);
	assert_int_equal(async.wheel.armed, 0);
	run();
	assert_int_equal(parent->resumes, 1);
	assert_int_equal(sleep.frame.outcome.status, STATUS_CANCELLED);
}

static void test_its_scopes_deadline_ends_it(void **state)
{
	(void)begin(START + 200 * TICK);
	assert_int_equal(frame_start(&sleep.frame), PENDING);
	(void)turn(START + 100 * TICK);
	run();
	assert_int_equal(sleep.frame.outcome.status, STATUS_CANCELLED);
	assert_int_equal(async.wheel.armed, 0);
}

static void test_a_cancel_after_its_time_changes_nothing(void **state)
{
	struct scripted *parent = begin(START + 2 * TICK);
	assert_int_equal(frame_start(&sleep.frame), PENDING);
	async_enter(&async, START + 2 * TICK);
	scope_cancel(&root->scope, ASKED);
	(void)async_leave(&async);
	assert_int_equal(parent->resumes, 1);
	assert_int_equal(sleep.frame.outcome.status, STATUS_OK);
}

#define sleep_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			sleep_test(test_it_ends_when_its_time_has_come),
			sleep_test(test_a_time_that_has_passed_is_no_wait),
			sleep_test(test_a_cancel_ends_it_at_once),
			sleep_test(test_its_scopes_deadline_ends_it),
			sleep_test(test_a_cancel_after_its_time_changes_nothing),
	};
	return cmocka_run_group_tests_name("async/sleep", tests, NULL, NULL);
}
