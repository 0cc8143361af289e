/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/async/gather.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/async/scripted.h"

#define BRANCHES 5

static struct root *root;
static struct scripted owner;
static struct gather gather;
static struct branch branches[BRANCHES];
static struct scripted works[BRANCHES];

static int set_up(void **state)
{
	int failed = scripted_set_up(state);
	root = root_new(NULL, SCOPE_FOREVER);
	return failed;
}

/* Whatever was lost or cut off has been reaped, by the test or at once. */
static int tear_down(void **state)
{
	scope_close(&root->scope);
	run();
	return roots_freed == 1 ? scripted_tear_down(state) : -1;
}

static struct outcome sum_up(void)
{
	return outcome_status(gather.good >= gather.needed ? STATUS_OK : STATUS_UNAVAILABLE);
}

static enum progress on_resume(struct scripted *scripted, struct frame *child)
{
	bool ours = gather_resume(&gather, child);
	assert_true(ours || !child);
	if (!gather_complete(&gather))
		return PENDING;
	gather_close(&gather);
	return frame_done(&scripted->frame, sum_up());
}

static void begin(uint32_t needed)
{
	scripted_parent(&owner, &root->owner.frame, &root->scope, 0);
	owner.on_resume = on_resume;
	gather_init(&gather, &owner.frame, branches, BRANCHES, needed);
}

static void make(uint32_t i, uint64_t deadline)
{
	scripted_work(&works[i], &owner.frame, gather_scope(&gather, i, deadline));
}

/* All branches begin to wait, and so does the owner. */
static void begin_all(uint32_t needed, uint64_t deadline)
{
	begin(needed);
	for (uint32_t i = 0; i < BRANCHES; i++) {
		make(i, deadline);
		gather_start(&gather, i, &works[i].frame);
	}
	assert_int_equal(gather.pending, BRANCHES);
	assert_false(gather_complete(&gather));
	assert_int_equal(frame_start(&owner.frame), PENDING);
}

static void finish(uint32_t i, enum status status)
{
	scripted_finish(&works[i], status);
	run();
}

/* How many have lost; *ret_wasted: from when they were asked until then. */
static unsigned losers(uint64_t *ret_wasted)
{
	unsigned count = 0;
	*ret_wasted = 0;
	for (uint32_t i = 0; i < BRANCHES; i++) {
		if (branches[i].state != BRANCH_LOST)
			continue;
		count++;
		*ret_wasted += branches[i].ended - branches[i].asked;
	}
	return count;
}

static void test_all_of_them(void **state)
{
	uint64_t wasted;
	begin_all(BRANCHES, SCOPE_FOREVER);
	static const uint32_t order[BRANCHES] = {3, 0, 4, 1, 2};
	for (uint32_t i = 0; i < BRANCHES; i++) {
		assert_int_equal(owner.frame.state, FRAME_WAITING);
		finish(order[i], STATUS_OK);
		assert_int_equal(gather.good, i + 1);
	}
	assert_int_equal(owner.frame.state, FRAME_ENDED);
	assert_int_equal(owner.frame.outcome.status, STATUS_OK);
	assert_int_equal(losers(&wasted), 0);
	assert_true(wasted == 0);
	assert_ptr_equal(root->owner.child, &owner.frame);
}

static void test_every_cause_is_kept(void **state)
{
	static const enum status statuses[BRANCHES] = {STATUS_NOT_FOUND, STATUS_OK, STATUS_INTERNAL,
			STATUS_UNAVAILABLE, STATUS_OK};
	begin_all(BRANCHES, SCOPE_FOREVER);
	for (uint32_t i = 0; i < BRANCHES; i++)
		finish(i, statuses[i]);
	assert_int_equal(owner.frame.outcome.status, STATUS_UNAVAILABLE);
	assert_int_equal(gather.good, 2);
	for (uint32_t i = 0; i < BRANCHES; i++) {
		assert_int_equal(branches[i].state, BRANCH_ENDED);
		assert_int_equal(branches[i].status, statuses[i]);
	}
}

static void test_the_first_that_is_good(void **state)
{
	uint64_t wasted;
	begin_all(1, SCOPE_FOREVER);
	(void)turn(START + 1000);
	finish(2, STATUS_INTERNAL);
	assert_int_equal(owner.frame.state, FRAME_WAITING);
	finish(4, STATUS_OK);
	assert_int_equal(owner.frame.state, FRAME_ENDED);
	assert_int_equal(owner.frame.outcome.status, STATUS_OK);
	assert_int_equal(owner.resumes, 2);
	assert_int_equal(losers(&wasted), 3);
	assert_true(wasted == 3000);
	static const enum branch_state states[BRANCHES] = {
			BRANCH_LOST, BRANCH_LOST, BRANCH_ENDED, BRANCH_LOST, BRANCH_ENDED};
	for (uint32_t i = 0; i < BRANCHES; i++) {
		assert_int_equal(branches[i].state, states[i]);
		assert_int_equal(works[i].cancels, states[i] == BRANCH_LOST);
		assert_int_equal(works[i].reason, states[i] == BRANCH_LOST ? LOST : REASON_NONE);
	}
	assert_int_equal(root->scope.count, 0);
}

static void test_the_first_few(void **state)
{
	uint64_t wasted;
	begin_all(3, SCOPE_FOREVER);
	finish(1, STATUS_OK);
	finish(2, STATUS_OK);
	finish(3, STATUS_UNAVAILABLE);
	assert_false(gather_complete(&gather));
	finish(0, STATUS_OK);
	assert_int_equal(owner.frame.outcome.status, STATUS_OK);
	assert_int_equal(losers(&wasted), 1);
	assert_int_equal(works[4].reason, LOST);
}

/* The answer is there at once; they are reaped later, and their scopes stay until then. */
static void test_losers_that_cannot_be_stopped(void **state)
{
	uint64_t wasted;
	begin_all(1, SCOPE_FOREVER);
	for (uint32_t i = 1; i < BRANCHES; i++)
		works[i].unstoppable = true;
	(void)turn(START + 500);
	finish(0, STATUS_OK);
	assert_int_equal(owner.frame.state, FRAME_ENDED);
	assert_ptr_equal(root->owner.child, &owner.frame);
	assert_int_equal(root->owner.resumes, 1);
	assert_int_equal(root->scope.count, BRANCHES - 1);
	(void)turn(START + 9000);
	for (uint32_t i = 1; i < BRANCHES; i++)
		finish(i, STATUS_OK);
	assert_int_equal(root->scope.count, 0);
	assert_int_equal(owner.resumes, 1);
	assert_int_equal(root->owner.resumes, 1);
	/* What they waste after the answer is not counted. */
	assert_int_equal(losers(&wasted), BRANCHES - 1);
	assert_true(wasted == 2000);
	assert_int_equal(branches[1].state, BRANCH_LOST);
}

static void test_two_good_ones_in_one_turn(void **state)
{
	uint64_t wasted;
	begin_all(1, SCOPE_FOREVER);
	scripted_finish(&works[3], STATUS_OK);
	scripted_finish(&works[1], STATUS_OK);
	run();
	assert_int_equal(owner.resumes, 1);
	assert_int_equal(branches[3].state, BRANCH_ENDED);
	assert_int_equal(branches[1].state, BRANCH_LOST);
	assert_int_equal(works[1].cancels, 0);
	assert_int_equal(losers(&wasted), BRANCHES - 1);
}

static void test_none_is_good(void **state)
{
	uint64_t wasted;
	begin_all(1, SCOPE_FOREVER);
	for (uint32_t i = 0; i < BRANCHES; i++) {
		assert_false(gather_complete(&gather));
		finish(i, STATUS_UNAVAILABLE);
	}
	assert_int_equal(owner.frame.outcome.status, STATUS_UNAVAILABLE);
	assert_int_equal(gather.good, 0);
	assert_int_equal(losers(&wasted), 0);
}

static void test_answers_at_once(void **state)
{
	begin(2);
	for (uint32_t i = 0; i < 2; i++) {
		make(i, START + 10 * TICK);
		works[i].at_once = true;
		gather_start(&gather, i, &works[i].frame);
	}
	assert_true(gather_complete(&gather));
	assert_int_equal(gather.good, 2);
	gather_close(&gather);
	assert_int_equal(branches[1].state, BRANCH_ENDED);
	assert_int_equal(branches[2].state, BRANCH_IDLE);
	assert_int_equal(async.wheel.armed, 0);
	assert_true(runner_idle(&async.runner));
	assert_int_equal(root->scope.count, 0);
}

static void test_one_at_once_and_the_others_later(void **state)
{
	uint64_t wasted;
	begin(2);
	for (uint32_t i = 0; i < BRANCHES; i++) {
		make(i, SCOPE_FOREVER);
		works[i].at_once = i == 1;
		gather_start(&gather, i, &works[i].frame);
	}
	assert_int_equal(frame_start(&owner.frame), PENDING);
	assert_int_equal(gather.pending, BRANCHES - 1);
	finish(4, STATUS_OK);
	assert_int_equal(owner.frame.outcome.status, STATUS_OK);
	assert_int_equal(losers(&wasted), 3);
}

static void test_a_branch_runs_out(void **state)
{
	uint64_t wasted;
	begin(BRANCHES);
	for (uint32_t i = 0; i < BRANCHES; i++) {
		make(i, i == 2 ? START + 3 * TICK : SCOPE_FOREVER);
		gather_start(&gather, i, &works[i].frame);
	}
	assert_int_equal(frame_start(&owner.frame), PENDING);
	(void)turn(START + 3 * TICK);
	assert_int_equal(branches[2].state, BRANCH_EXPIRED);
	assert_int_equal(works[2].reason, TIMEOUT);
	assert_true(branches[2].ended - branches[2].asked == 3 * TICK);
	assert_int_equal(owner.frame.state, FRAME_WAITING);
	for (uint32_t i = 0; i < BRANCHES; i++) {
		if (i != 2)
			finish(i, STATUS_OK);
	}
	assert_int_equal(owner.frame.state, FRAME_ENDED);
	assert_int_equal(gather.good, BRANCHES - 1);
	assert_int_equal(losers(&wasted), 0);
}

/* The owner is told of the first, and takes note of all. */
static void test_all_run_out_in_one_turn(void **state)
{
	begin_all(1, START + 3 * TICK);
	for (uint32_t i = 0; i < BRANCHES; i++)
		works[i].unstoppable = true;
	(void)turn(START + 3 * TICK);
	assert_int_equal(owner.frame.state, FRAME_ENDED);
	assert_int_equal(owner.resumes, 1);
	assert_int_equal(owner.frame.outcome.status, STATUS_UNAVAILABLE);
	for (uint32_t i = 0; i < BRANCHES; i++)
		assert_int_equal(branches[i].state, BRANCH_EXPIRED);
	assert_int_equal(root->scope.count, BRANCHES);
	for (uint32_t i = 0; i < BRANCHES; i++)
		finish(i, STATUS_OK);
	assert_int_equal(root->scope.count, 0);
	assert_int_equal(owner.resumes, 1);
}

/* Within a tick, before its timer has fired. */
static void test_an_answer_past_the_branchs_deadline_is_late(void **state)
{
	begin_all(1, START + 3 * TICK + 9);
	async_enter(&async, START + 3 * TICK + 9);
	scripted_finish(&works[0], STATUS_OK);
	(void)async_leave(&async);
	assert_int_equal(branches[0].state, BRANCH_EXPIRED);
	assert_int_equal(branches[1].state, BRANCH_ASKED);
	assert_int_equal(gather.good, 0);
	(void)turn(START + 4 * TICK);
	assert_int_equal(owner.frame.state, FRAME_ENDED);
}

/* The owner ends when its branches have, and nobody outside hears of it. */
static void test_cut_off_from_above(void **state)
{
	uint64_t wasted;
	begin_all(BRANCHES, SCOPE_FOREVER);
	finish(0, STATUS_OK);
	works[1].unstoppable = true;
	works[2].unstoppable = true;
	scripted_finish(&works[3], STATUS_OK);
	scope_cancel(&root->scope, GONE);
	run();
	assert_int_equal(works[4].reason, GONE);
	assert_int_equal(works[3].cancels, 0);
	assert_int_equal(owner.frame.state, FRAME_WAITING);
	finish(2, STATUS_OK);
	assert_int_equal(owner.frame.state, FRAME_WAITING);
	finish(1, STATUS_OK);
	assert_int_equal(owner.frame.state, FRAME_ENDED);
	assert_int_equal(branches[0].state, BRANCH_ENDED);
	for (uint32_t i = 1; i < BRANCHES; i++)
		assert_int_equal(branches[i].state, BRANCH_CUT);
	assert_int_equal(losers(&wasted), 0);
	assert_int_equal(root->owner.resumes, root->owner.resumes_alone);
	assert_int_equal(root->scope.count, 0);
}

/* One has run out and is still to be told of when everything is cut off. */
static void test_cut_off_while_a_branch_runs_out(void **state)
{
	begin_all(BRANCHES, START + 3 * TICK);
	works[0].unstoppable = true;
	async_enter(&async, START + 3 * TICK);
	scope_cancel(&root->scope, ASKED);
	(void)async_leave(&async);
	assert_int_equal(owner.frame.state, FRAME_WAITING);
	assert_int_equal(branches[1].state, BRANCH_CUT);
	finish(0, STATUS_OK);
	assert_int_equal(owner.frame.state, FRAME_ENDED);
	assert_int_equal(branches[0].state, BRANCH_CUT);
}

static void test_in_a_scope_that_is_cancelled_already(void **state)
{
	uint64_t wasted;
	begin(1);
	scope_cancel(&root->scope, ASKED);
	for (uint32_t i = 0; i < BRANCHES; i++) {
		make(i, SCOPE_FOREVER);
		gather_start(&gather, i, &works[i].frame);
		assert_int_equal(works[i].starts, 0);
		assert_int_equal(branches[i].status, STATUS_CANCELLED);
	}
	assert_true(gather_complete(&gather));
	gather_close(&gather);
	assert_int_equal(losers(&wasted), 0);
}

/* The owner is cancelled between a branch's end and its resume, in which it closes what is still
 * open. */
static void test_closed_by_an_owner_that_was_cut_off(void **state)
{
	uint64_t wasted;
	begin_all(BRANCHES, SCOPE_FOREVER);
	for (uint32_t i = 0; i < BRANCHES; i++)
		works[i].unstoppable = true;
	scope_cancel(&root->scope, DEADLINE);
	gather_close(&gather);
	for (uint32_t i = 0; i < BRANCHES; i++) {
		assert_int_equal(branches[i].state, BRANCH_CUT);
		assert_int_equal(works[i].reason, DEADLINE);
	}
	assert_int_equal(losers(&wasted), 0);
	for (uint32_t i = 0; i < BRANCHES; i++)
		finish(i, STATUS_OK);
	assert_int_equal(owner.resumes, 0);
	scripted_finish(&owner, STATUS_CANCELLED);
	run();
	assert_int_equal(root->scope.count, 0);
}

static void test_other_children_are_not_its_own(void **state)
{
	begin_all(1, SCOPE_FOREVER);
	struct scripted *other = &root->frames[0];
	scripted_work(other, &owner.frame, &root->scope);
	assert_false(gather_resume(&gather, &other->frame));
	assert_false(gather_resume(&gather, NULL));
	/* Nor is what else goes on in a branch's scope. */
	scripted_work(&root->frames[1], &owner.frame, &branches[0].scope);
	assert_false(gather_resume(&gather, &root->frames[1].frame));
	finish(0, STATUS_OK);
}

/* That is noted with the first of them; what then comes of the second changes nothing any more. */
static void test_an_answer_behind_one_that_ran_out_before_both_were_told(void **state)
{
	begin(1);
	make(0, START + 3 * TICK);
	make(1, START + 4 * TICK);
	make(2, SCOPE_FOREVER);
	for (uint32_t i = 0; i < 3; i++)
		gather_start(&gather, i, &works[i].frame);
	assert_int_equal(frame_start(&owner.frame), PENDING);
	async_enter(&async, START + 3 * TICK);
	scripted_finish(&works[1], STATUS_OK);
	async_enter(&async, START + 4 * TICK);
	(void)async_leave(&async);
	assert_int_equal(branches[0].state, BRANCH_EXPIRED);
	assert_int_equal(branches[1].state, BRANCH_EXPIRED);
	assert_int_equal(gather.good, 0);
	finish(2, STATUS_OK);
	assert_int_equal(owner.frame.state, FRAME_ENDED);
}

/* Several gathers of one owner may have their branches side by side. */
static void test_the_branch_behind_its_last_is_not_its_own(void **state)
{
	struct gather before;
	begin(1);
	gather_init(&before, &owner.frame, branches, 2, 1);
	gather_init(&gather, &owner.frame, branches + 2, BRANCHES - 2, 1);
	scripted_work(&works[2], &owner.frame, gather_scope(&gather, 0, SCOPE_FOREVER));
	gather_start(&gather, 0, &works[2].frame);
	assert_false(gather_resume(&before, &works[2].frame));
	gather_close(&before);
	assert_int_equal(frame_start(&owner.frame), PENDING);
	finish(2, STATUS_OK);
}

static uint32_t told;

static void on_ended(struct gather *of, const struct branch *branch)
{
	assert_ptr_equal(of, &gather);
	assert_int_not_equal(branch->state, BRANCH_ASKED);
	assert_true(branch->ended >= branch->asked);
	told |= 1U << (branch - branches);
}

static void test_each_that_was_asked_is_told_of_when_it_is_over(void **state)
{
	told = 0;
	begin(1);
	gather.ended = on_ended;
	gather_refuse(&gather, 0, outcome_status(STATUS_UNAVAILABLE));
	for (uint32_t i = 1; i < BRANCHES; i++) {
		make(i, SCOPE_FOREVER);
		gather_start(&gather, i, &works[i].frame);
	}
	assert_int_equal(frame_start(&owner.frame), PENDING);
	assert_int_equal(told, 0);
	finish(1, STATUS_OK);
	assert_int_equal(told, (1U << BRANCHES) - 2);
	assert_int_equal(branches[0].status, STATUS_UNAVAILABLE);
}

static void test_refused_ones_are_not_waited_for(void **state)
{
	begin(1);
	for (uint32_t i = 0; i < BRANCHES; i++) {
		assert_false(gather_complete(&gather));
		gather_refuse(&gather, i, outcome_status(STATUS_UNAVAILABLE));
	}
	assert_true(gather_complete(&gather));
	gather_close(&gather);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_all_of_them),
			TEST(test_every_cause_is_kept),
			TEST(test_the_first_that_is_good),
			TEST(test_the_first_few),
			TEST(test_losers_that_cannot_be_stopped),
			TEST(test_two_good_ones_in_one_turn),
			TEST(test_none_is_good),
			TEST(test_answers_at_once),
			TEST(test_one_at_once_and_the_others_later),
			TEST(test_a_branch_runs_out),
			TEST(test_all_run_out_in_one_turn),
			TEST(test_an_answer_past_the_branchs_deadline_is_late),
			TEST(test_cut_off_from_above),
			TEST(test_cut_off_while_a_branch_runs_out),
			TEST(test_in_a_scope_that_is_cancelled_already),
			TEST(test_closed_by_an_owner_that_was_cut_off),
			TEST(test_other_children_are_not_its_own),
			TEST(test_an_answer_behind_one_that_ran_out_before_both_were_told),
			TEST(test_the_branch_behind_its_last_is_not_its_own),
			TEST(test_each_that_was_asked_is_told_of_when_it_is_over),
			TEST(test_refused_ones_are_not_waited_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
