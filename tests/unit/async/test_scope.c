/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/async/scope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/async/scripted.h"

static struct root *root;

static int set_up(void **state)
{
	root = NULL;
	return scripted_set_up(state);
}

/* A root that a test leaves open is closed here; by then there must be no work in it. */
static int tear_down(void **state)
{
	int roots = roots_freed;
	if (root) {
		scope_close(&root->scope);
		run();
		if (roots_freed != roots + 1)
			return -1;
	}
	return scripted_tear_down(state);
}

static struct scripted *start_work(int i, struct frame *parent, struct scope *scope)
{
	struct scripted *work = &root->frames[i];
	scripted_work(work, parent, scope);
	assert_int_equal(frame_start(&work->frame), PENDING);
	return work;
}

/* An owner in the root's scope that waits until its own resume() says otherwise. */
static struct scripted *start_owner(int i)
{
	struct scripted *owner = &root->frames[i];
	scripted_parent(owner, &root->owner.frame, &root->scope, 0);
	assert_int_equal(frame_start(&owner->frame), PENDING);
	return owner;
}

/* The resume() of such an owner: it closes its scope, which is its context, and ends. */
static enum progress close_and_end(struct scripted *scripted, struct frame *child)
{
	struct scope *scope = scripted->context;
	bool ran_out = !child && scope->reason == TIMEOUT;
	scope_close(scope);
	if (child)
		return frame_done(&scripted->frame, child->outcome);
	return frame_done(&scripted->frame,
			outcome_status(ran_out ? STATUS_UNAVAILABLE : STATUS_CANCELLED));
}

static struct scripted *start_timeout(int i, struct scope *scope, uint64_t deadline)
{
	struct scripted *owner = start_owner(i);
	scope_init(scope, &root->scope, &owner->frame, deadline, TIMEOUT);
	owner->context = scope;
	owner->on_resume = close_and_end;
	return owner;
}

/* Counts */

static void test_an_empty_root_is_freed_when_it_is_closed(void **state)
{
	root = root_new(NULL, SCOPE_FOREVER);
	run();
	assert_int_equal(roots_freed, 0);
	scope_close(&root->scope);
	assert_int_equal(roots_freed, 0);
	scope_close(&root->scope);
	run();
	assert_int_equal(roots_freed, 1);
	root = NULL;
}

/* As for a request that was answered at once. */
static void test_a_root_in_which_nothing_waited_is_ended_on_the_spot(void **state)
{
	root = root_new(NULL, SCOPE_FOREVER);
	for (int i = 0; i < 2; i++) {
		struct root *below = root_new(i == 0 ? NULL : &root->scope, START + TICK);
		struct scripted *work = &below->frames[0];
		scripted_work(work, &below->owner.frame, &below->scope);
		work->at_once = true;
		assert_int_equal(frame_start(&work->frame), DONE);
		scope_deinit(&below->scope);
		free(below);
	}
	assert_true(runner_idle(&async.runner));
	assert_int_equal(root->scope.count, 0);
	assert_true(list_empty(&root->scope.scopes));
}

static void test_a_root_is_freed_when_its_work_has_ended(void **state)
{
	root = root_new(NULL, SCOPE_FOREVER);
	struct scripted *first = start_work(0, &root->owner.frame, &root->scope);
	struct scripted *second = start_work(1, &root->owner.frame, &root->scope);
	scope_cancel(&root->scope, ASKED);
	scope_close(&root->scope);
	assert_int_equal(first->cancels + second->cancels, 2);
	assert_int_equal(roots_freed, 0);
	run();
	assert_int_equal(roots_freed, 1);
	root = NULL;
}

static void test_memory_stays_until_unstoppable_work_is_back(void **state)
{
	root = root_new(NULL, SCOPE_FOREVER);
	struct scripted *owner = start_timeout(0, &root->scopes[0], SCOPE_FOREVER);
	struct scripted *job = start_work(1, &owner->frame, &root->scopes[0]);
	job->unstoppable = true;
	scope_cancel(&root->scope, GONE);
	scope_close(&root->scope);
	run();
	assert_int_equal(roots_freed, 0);
	assert_int_equal(owner->resumes, 0);
	scripted_finish(job, STATUS_OK);
	run();
	assert_int_equal(roots_freed, 1);
	root = NULL;
}

static void test_a_scope_that_has_a_count_is_one_in_its_parents(void **state)
{
	root = root_new(NULL, SCOPE_FOREVER);
	struct scope *outer = &root->scopes[0], *inner = &root->scopes[1];
	scope_init(outer, &root->scope, NULL, SCOPE_FOREVER, TIMEOUT);
	scope_init(inner, outer, NULL, SCOPE_FOREVER, TIMEOUT);
	assert_int_equal(root->scope.count, 0);
	struct scripted *first = start_work(0, &root->owner.frame, inner);
	struct scripted *second = start_work(1, &root->owner.frame, inner);
	assert_int_equal(inner->count, 2);
	assert_int_equal(outer->count, 1);
	assert_int_equal(root->scope.count, 1);
	scripted_finish(first, STATUS_OK);
	run();
	assert_int_equal(inner->count, 1);
	assert_int_equal(root->scope.count, 1);
	scope_close(inner);
	scope_close(outer);
	scripted_finish(second, STATUS_OK);
	run();
	assert_int_equal(inner->count + outer->count + root->scope.count, 0);
	assert_int_equal(root->owner.resumes, 2);
}

/* Cancelling */

static void test_scopes_first_and_newest_first(void **state)
{
	root = root_new(NULL, SCOPE_FOREVER);
	struct scope *left = &root->scopes[0], *below = &root->scopes[1], *right = &root->scopes[2];
	struct scripted *works[6];
	works[5] = start_work(0, &root->owner.frame, &root->scope);
	scope_init(left, &root->scope, NULL, SCOPE_FOREVER, TIMEOUT);
	works[3] = start_work(1, &root->owner.frame, left);
	scope_init(below, left, NULL, SCOPE_FOREVER, TIMEOUT);
	scope_init(right, &root->scope, NULL, SCOPE_FOREVER, TIMEOUT);
	works[0] = start_work(2, &root->owner.frame, right);
	works[4] = start_work(3, &root->owner.frame, &root->scope);
	works[2] = start_work(4, &root->owner.frame, left);
	works[1] = start_work(5, &root->owner.frame, below);
	scope_cancel(&root->scope, DRAIN);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(works[i]->cancels, 1);
		assert_int_equal(works[i]->reason, DRAIN);
		assert_int_equal(works[i]->turn_of_cancel, i + 1);
	}
	scope_close(left);
	scope_close(below);
	scope_close(right);
	run();
}

static void test_the_first_reason_stays(void **state)
{
	root = root_new(NULL, START + 10 * TICK);
	struct scope *scope = &root->scopes[0];
	struct scripted *owner = start_owner(0);
	scope_init(scope, &root->scope, &owner->frame, SCOPE_FOREVER, TIMEOUT);
	owner->context = scope;
	owner->on_resume = close_and_end;
	struct scripted *job = start_work(1, &owner->frame, scope);
	job->unstoppable = true;
	scope_cancel(scope, LOST);
	scope_cancel(scope, ASKED);
	(void)turn(START + 10 * TICK);
	assert_int_equal(root->scope.reason, DEADLINE);
	scope_cancel(&root->scope, DRAIN);
	assert_int_equal(root->scope.reason, DEADLINE);
	assert_int_equal(scope->reason, LOST);
	assert_int_equal(job->cancels, 1);
	assert_int_equal(job->reason, LOST);
	scripted_finish(job, STATUS_OK);
	run();
	assert_int_equal(owner->resumes, 1);
}

static void test_a_scope_below_a_cancelled_one_is_cancelled(void **state)
{
	root = root_new(NULL, SCOPE_FOREVER);
	scope_cancel(&root->scope, GONE);
	struct scope *scope = &root->scopes[0];
	scope_init(scope, &root->scope, &root->owner.frame, SCOPE_FOREVER, TIMEOUT);
	assert_int_equal(scope->reason, GONE);
	struct scripted *work = &root->frames[0];
	scripted_work(work, &root->owner.frame, scope);
	assert_int_equal(frame_start(&work->frame), DONE);
	assert_int_equal(work->frame.outcome.status, STATUS_CANCELLED);
	scope_close(scope);
	run();
	assert_int_equal(root->owner.resumes, 0);
}

static void test_nothing_resumes_outside_a_cancelled_scope(void **state)
{
	root = root_new(NULL, SCOPE_FOREVER);
	struct scope *scope = &root->scopes[0];
	struct scripted *owner = start_owner(0);
	scope_init(scope, &root->scope, &owner->frame, SCOPE_FOREVER, TIMEOUT);
	struct scripted *inside = &root->frames[1];
	scripted_parent(inside, &owner->frame, scope, 2);
	(void)frame_start(&inside->frame);
	struct scripted *finished = start_work(2, &inside->frame, scope);
	struct scripted *stopped = start_work(3, &inside->frame, scope);
	scripted_finish(finished, STATUS_OK);
	scope_cancel(scope, LOST);
	scope_close(scope);
	run();
	assert_int_equal(inside->resumes, 2);
	assert_int_equal(inside->frame.state, FRAME_ENDED);
	assert_int_equal(stopped->cancels, 1);
	assert_int_equal(owner->resumes, 0);
	assert_int_equal(scope->count, 0);
	scope_cancel(&root->scope, ASKED);
	owner->frame.outcome = outcome_status(STATUS_CANCELLED);
	frame_finish(&owner->frame);
	run();
}

static void test_cut_off_from_above_the_owner_is_resumed_when_all_has_ended(void **state)
{
	root = root_new(NULL, SCOPE_FOREVER);
	struct scripted *owner = start_timeout(0, &root->scopes[0], START + 50 * TICK);
	struct scripted *stopped = start_work(1, &owner->frame, &root->scopes[0]);
	struct scripted *job = start_work(2, &owner->frame, &root->scopes[0]);
	job->unstoppable = true;
	scope_cancel(&root->scope, ASKED);
	run();
	assert_int_equal(stopped->cancels, 1);
	assert_int_equal(owner->resumes, 0);
	scripted_finish(job, STATUS_OK);
	run();
	assert_int_equal(owner->resumes, 1);
	assert_int_equal(owner->resumes_alone, 1);
	assert_int_equal(owner->frame.state, FRAME_ENDED);
	assert_int_equal(root->scope.count, 0);
	assert_int_equal(root->owner.resumes_alone, 1);
}

/* Deadlines */

static void test_a_scope_runs_out(void **state)
{
	root = root_new(NULL, SCOPE_FOREVER);
	struct scripted *owner = start_timeout(0, &root->scopes[0], START + 5 * TICK + 1);
	struct scripted *work = start_work(1, &owner->frame, &root->scopes[0]);
	assert_true(turn(START + 5 * TICK) == START + 6 * TICK);
	assert_int_equal(work->cancels, 0);
	assert_true(turn(START + 6 * TICK) == ASYNC_NEVER);
	assert_int_equal(work->cancels, 1);
	assert_int_equal(work->reason, TIMEOUT);
	assert_int_equal(owner->resumes, 1);
	assert_int_equal(owner->resumes_alone, 1);
	assert_int_equal(owner->frame.outcome.status, STATUS_UNAVAILABLE);
	assert_ptr_equal(root->owner.child, &owner->frame);
	assert_int_equal(root->scope.reason, REASON_NONE);
}

/* It goes on at once, while what can't be stopped is still to end. */
static void test_who_owns_what_has_run_out_waits_for_nothing(void **state)
{
	root = root_new(NULL, SCOPE_FOREVER);
	struct scripted *owner = start_timeout(0, &root->scopes[0], START + 5 * TICK);
	struct scripted *job = start_work(1, &owner->frame, &root->scopes[0]);
	job->unstoppable = true;
	(void)turn(START + 5 * TICK);
	assert_int_equal(owner->frame.state, FRAME_ENDED);
	assert_ptr_equal(root->owner.child, &owner->frame);
	assert_int_equal(root->scope.count, 1);
	scripted_finish(job, STATUS_OK);
	run();
	assert_int_equal(owner->resumes, 1);
	assert_int_equal(root->owner.resumes, 1);
	assert_int_equal(root->scope.count, 0);
}

static void test_the_timer_is_armed_while_something_waits(void **state)
{
	root = root_new(NULL, START + 9 * TICK);
	struct scope *scope = &root->scopes[0];
	scope_init(scope, &root->scope, &root->owner.frame, START + 7 * TICK, TIMEOUT);
	assert_int_equal(async.wheel.armed, 0);
	struct scripted *work = start_work(0, &root->owner.frame, scope);
	assert_int_equal(async.wheel.armed, 2);
	scripted_finish(work, STATUS_OK);
	run();
	assert_int_equal(async.wheel.armed, 0);
	work = start_work(1, &root->owner.frame, scope);
	assert_int_equal(async.wheel.armed, 2);
	scope_close(scope);
	assert_int_equal(async.wheel.armed, 1);
	scope_cancel(&root->scope, ASKED);
	assert_int_equal(async.wheel.armed, 0);
	run();
}

static void test_what_is_closed_has_no_deadline_any_more(void **state)
{
	root = root_new(NULL, START + 5 * TICK + 9);
	struct scripted *first = start_work(0, &root->owner.frame, &root->scope);
	struct scripted *second = start_work(1, &root->owner.frame, &root->scope);
	second->unstoppable = true;
	scope_close(&root->scope);
	async_enter(&async, START + 5 * TICK + 9);
	scripted_finish(first, STATUS_OK);
	(void)async_leave(&async);
	assert_int_equal(root->scope.reason, REASON_NONE);
	assert_int_equal(second->cancels, 0);
	scripted_finish(second, STATUS_OK);
	run();
	assert_int_equal(roots_freed, 1);
	root = NULL;
}

static void test_a_deadline_is_never_later_than_the_parents(void **state)
{
	root = root_new(NULL, START + 9 * TICK);
	struct scope *later = &root->scopes[0], *none = &root->scopes[1],
		     *sooner = &root->scopes[2];
	scope_init(later, &root->scope, NULL, START + 10 * TICK, TIMEOUT);
	scope_init(none, &root->scope, NULL, SCOPE_FOREVER, TIMEOUT);
	scope_init(sooner, later, NULL, START + 8 * TICK, TIMEOUT);
	assert_true(later->deadline == START + 9 * TICK);
	assert_true(none->deadline == START + 9 * TICK);
	assert_true(sooner->deadline == START + 8 * TICK);
	assert_true(scope_left(sooner, START + 7 * TICK) == TICK);
	assert_true(scope_left(sooner, START + 8 * TICK) == 0);
	assert_true(scope_left(sooner, START + 9 * TICK) == 0);
	scope_close(later);
	scope_close(none);
	scope_close(sooner);
	assert_true(scope_before_deadline(sooner, TICK) == START + 7 * TICK);
	assert_true(scope_before_deadline(sooner, START + 8 * TICK) == 0);
	assert_true(scope_before_deadline(sooner, START + 9 * TICK) == 0);
	struct root *forever = root_new(NULL, SCOPE_FOREVER);
	assert_true(scope_before_deadline(&forever->scope, TICK) == SCOPE_FOREVER);
	assert_true(scope_left(&forever->scope, START) == SCOPE_FOREVER);
	scope_close(&forever->scope);
	run();
}

/* Equal to the parent's, or to that of one further out: theirs to enforce, and theirs the blame. */
static void test_of_equal_deadlines_the_outer_is_blamed(void **state)
{
	root = root_new(NULL, START + 5 * TICK);
	struct scope *between = &root->scopes[0], *inner = &root->scopes[1];
	struct scripted *owner = start_owner(0);
	scope_init(between, &root->scope, &owner->frame, SCOPE_FOREVER, TIMEOUT);
	scope_init(inner, between, &owner->frame, START + 5 * TICK, TIMEOUT);
	struct scripted *work = start_work(1, &owner->frame, inner);
	owner->children = 1;
	assert_int_equal(async.wheel.armed, 1);
	async_enter(&async, START + 5 * TICK);
	assert_int_equal(root->scope.reason, DEADLINE);
	assert_int_equal(inner->reason, DEADLINE);
	assert_int_equal(work->reason, DEADLINE);
	scope_close(between);
	run();
	assert_int_equal(root->owner.resumes_alone, 1 + (root->owner.resumes - 1));
	scope_close(inner);
}

/* Both are in one tick, and the inner one's timer is armed and fires first. */
static void test_of_two_that_run_out_in_one_tick_the_outer_is_blamed(void **state)
{
	root = root_new(NULL, START + 4 * TICK + 200);
	struct scripted *owner = start_timeout(0, &root->scopes[0], START + 4 * TICK + 100);
	struct scripted *work = start_work(1, &owner->frame, &root->scopes[0]);
	(void)turn(START + 5 * TICK);
	assert_int_equal(work->cancels, 1);
	assert_int_equal(root->scope.reason, DEADLINE);
	/* Nobody outside hears of the inner one. */
	assert_int_equal(owner->resumes, 1);
	assert_int_equal(root->owner.resumes, root->owner.resumes_alone);
	assert_int_equal(root->scope.count, 0);
}

static void test_a_deadline_in_the_past_fires_with_the_next_tick(void **state)
{
	root = root_new(NULL, SCOPE_FOREVER);
	struct scripted *owner = start_timeout(0, &root->scopes[0], START - TICK);
	struct scripted *work = start_work(1, &owner->frame, &root->scopes[0]);
	assert_true(turn(START) == START + TICK);
	assert_int_equal(work->cancels, 0);
	(void)turn(START + TICK);
	assert_int_equal(work->cancels, 1);
	assert_int_equal(owner->resumes_alone, 1);
}

/* Late completions: the wheel fires on ticks, these deadlines lie between two of them. */

static void test_what_comes_at_the_deadline_is_late_though_the_wheel_has_not_fired(void **state)
{
	root = root_new(NULL, START + 5 * TICK + 77);
	struct scripted *work = start_work(0, &root->owner.frame, &root->scope);
	async_enter(&async, START + 5 * TICK + 77);
	assert_int_equal(root->scope.reason, REASON_NONE);
	scripted_finish(work, STATUS_OK);
	(void)async_leave(&async);
	assert_int_equal(root->scope.reason, DEADLINE);
	assert_int_equal(work->cancels, 0);
	assert_int_equal(root->owner.resumes, 1);
	assert_int_equal(root->owner.resumes_alone, 1);
}

static void test_what_comes_just_before_the_deadline_is_in_time(void **state)
{
	root = root_new(NULL, START + 5 * TICK + 77);
	struct scripted *work = start_work(0, &root->owner.frame, &root->scope);
	async_enter(&async, START + 5 * TICK + 76);
	scripted_finish(work, STATUS_OK);
	(void)async_leave(&async);
	assert_int_equal(root->scope.reason, REASON_NONE);
	assert_ptr_equal(root->owner.child, &work->frame);
	assert_int_equal(root->owner.resumes, 1);
}

/* The frame's own scope has no deadline; that of its parent has passed. */
static void test_late_for_an_outer_scope(void **state)
{
	root = root_new(NULL, SCOPE_FOREVER);
	struct scripted *owner = start_timeout(0, &root->scopes[0], START + 5 * TICK + 77);
	struct scripted *inner = &root->frames[1];
	scripted_parent(inner, &owner->frame, &root->scopes[0], 1);
	(void)frame_start(&inner->frame);
	scope_init(&root->scopes[1], &root->scopes[0], &inner->frame, SCOPE_FOREVER, TIMEOUT);
	struct scripted *work = start_work(2, &inner->frame, &root->scopes[1]);
	async_enter(&async, START + 5 * TICK + 78);
	scripted_finish(work, STATUS_OK);
	(void)async_leave(&async);
	assert_int_equal(root->scopes[0].reason, TIMEOUT);
	assert_int_equal(inner->resumes, 1);
	assert_int_equal(inner->resumes_alone, 1);
	assert_int_equal(owner->resumes, 1);
	assert_int_equal(owner->frame.outcome.status, STATUS_UNAVAILABLE);
	scope_close(&root->scopes[1]);
	run();
}

static void test_late_for_two_scopes_the_outer_is_blamed(void **state)
{
	root = root_new(NULL, START + 5 * TICK + 78);
	struct scripted *owner = start_timeout(0, &root->scopes[0], START + 5 * TICK + 77);
	struct scripted *work = start_work(1, &owner->frame, &root->scopes[0]);
	async_enter(&async, START + 5 * TICK + 78);
	scripted_finish(work, STATUS_OK);
	(void)async_leave(&async);
	assert_int_equal(root->scope.reason, DEADLINE);
	assert_int_equal(root->scopes[0].reason, DEADLINE);
	assert_int_equal(root->owner.resumes, root->owner.resumes_alone);
}

/*
 * The inner scope's timer fires in a turn in which the outer deadline has passed too, but not yet
 * the outer one's tick. What the inner owner then answers is late.
 */
static void test_a_timeout_that_is_told_past_the_outer_deadline_is_late(void **state)
{
	root = root_new(NULL, START + 6 * TICK + 10);
	struct scripted *owner = start_timeout(0, &root->scopes[0], START + 6 * TICK);
	struct scripted *job = start_work(1, &owner->frame, &root->scopes[0]);
	job->unstoppable = true;
	(void)turn(START + 6 * TICK + 10);
	assert_int_equal(owner->resumes, 1);
	assert_int_equal(root->scope.reason, DEADLINE);
	assert_int_equal(root->owner.resumes, 1);
	assert_int_equal(root->owner.resumes_alone, 1);
	scripted_finish(job, STATUS_CANCELLED);
	run();
	assert_int_equal(root->scope.count, 0);
}

/* Freeing: all memory of a root goes in on_idle, and the address sanitizer sees who comes later. */

static enum progress close_root(struct scripted *scripted, struct frame *child)
{
	scope_close(&container_of(scripted, struct root, owner)->scope);
	return PENDING;
}

static void test_a_root_that_runs_out_and_is_closed_in_its_owners_resume(void **state)
{
	root = root_new(NULL, START + 5 * TICK);
	root->owner.on_resume = close_root;
	struct scripted *owner = start_timeout(0, &root->scopes[0], SCOPE_FOREVER);
	(void)start_work(1, &owner->frame, &root->scopes[0]);
	(void)turn(START + 5 * TICK);
	assert_int_equal(roots_freed, 1);
	root = NULL;
}

static void test_a_root_that_ends_well(void **state)
{
	root = root_new(NULL, START + 5 * TICK);
	root->owner.on_resume = close_root;
	struct scripted *owner = start_timeout(0, &root->scopes[0], START + 4 * TICK);
	struct scripted *work = start_work(1, &owner->frame, &root->scopes[0]);
	scripted_finish(work, STATUS_OK);
	assert_true(turn(START + TICK) == ASYNC_NEVER);
	assert_int_equal(roots_freed, 1);
	root = NULL;
}

/* An owner of two scopes, both of which are cut off from above. It ends when both are empty. */
static enum progress end_when_both_are_empty(struct scripted *scripted, struct frame *child)
{
	struct scope *scopes = scripted->context;
	if (scopes[0].count > 0 || scopes[1].count > 0)
		return PENDING;
	scope_close(&scopes[0]);
	scope_close(&scopes[1]);
	return frame_done(&scripted->frame, outcome_status(STATUS_CANCELLED));
}

/*
 * What is queued when the root is: that it ran out, then that its second scope is empty. By the
 * time the first is run, the root has been closed and its owner of two scopes has ended.
 */
static void test_a_root_is_not_freed_under_what_is_queued(void **state)
{
	root = root_new(NULL, START + 4 * TICK);
	struct scripted *owner = start_owner(0);
	owner->context = root->scopes;
	owner->on_resume = end_when_both_are_empty;
	scope_init(&root->scopes[0], &root->scope, &owner->frame, START + 3 * TICK, TIMEOUT);
	scope_init(&root->scopes[1], &root->scope, &owner->frame, SCOPE_FOREVER, TIMEOUT);
	(void)start_work(1, &owner->frame, &root->scopes[0]);
	struct scripted *finished = start_work(2, &owner->frame, &root->scopes[1]);
	scripted_finish(finished, STATUS_OK);
	async_enter(&async, START + 5 * TICK);
	scope_close(&root->scope);
	(void)async_leave(&async);
	assert_int_equal(roots_freed, 1);
	root = NULL;
}

/* Roots below a root, as flights are below their generation. */

static struct root *start_below(uint64_t deadline)
{
	struct root *below = root_new(&root->scope, deadline);
	scripted_work(&below->frames[0], &below->owner.frame, &below->scope);
	assert_int_equal(frame_start(&below->frames[0].frame), PENDING);
	return below;
}

static void test_a_root_below_another_is_cancelled_with_it(void **state)
{
	root = root_new(NULL, SCOPE_FOREVER);
	struct root *below = start_below(START + 5 * TICK);
	scope_cancel(&root->scope, DRAIN);
	assert_int_equal(below->frames[0].reason, DRAIN);
	assert_int_equal(async.wheel.armed, 0);
	run();
	assert_int_equal(below->owner.resumes_alone, 1);
	assert_true(root->scope.count > 0);
	scope_close(&below->scope);
	run();
	assert_int_equal(roots_freed, 1);
	assert_int_equal(root->scope.count, 0);
}

/* The upper one is closed already and waits only for the lower one, which ends well. */
static void test_a_root_outlives_the_one_below_it(void **state)
{
	root = root_new(NULL, SCOPE_FOREVER);
	struct root *below = start_below(SCOPE_FOREVER);
	below->owner.on_resume = close_root;
	scope_close(&root->scope);
	run();
	assert_int_equal(roots_freed, 0);
	scripted_finish(&below->frames[0], STATUS_OK);
	run();
	assert_int_equal(roots_freed, 2);
	root = NULL;
}

static void test_a_root_outlives_the_one_below_it_when_both_are_cancelled(void **state)
{
	root = root_new(NULL, SCOPE_FOREVER);
	struct root *below = start_below(SCOPE_FOREVER);
	below->owner.on_resume = close_root;
	scope_cancel(&root->scope, DRAIN);
	scope_close(&root->scope);
	run();
	assert_int_equal(roots_freed, 2);
	root = NULL;
}

/* The scope between ends no sooner than the root in it. */
static void test_a_root_below_a_scope_that_is_closed(void **state)
{
	root = root_new(NULL, SCOPE_FOREVER);
	struct scope *between = &root->scopes[0];
	scope_init(between, &root->scope, NULL, SCOPE_FOREVER, TIMEOUT);
	struct root *below = root_new(between, SCOPE_FOREVER);
	below->owner.on_resume = close_root;
	scripted_work(&below->frames[0], &below->owner.frame, &below->scope);
	(void)frame_start(&below->frames[0].frame);
	scope_close(between);
	scope_close(&root->scope);
	scripted_finish(&below->frames[0], STATUS_OK);
	run();
	assert_int_equal(roots_freed, 2);
	root = NULL;
}

/* Only roots tell of their end. */
static void test_a_scope_in_memory_that_was_used_before(void **state)
{
	root = root_new(NULL, SCOPE_FOREVER);
	struct scope scope;
	memset(&scope, 0xa5, sizeof(scope));
	scope_init(&scope, &root->scope, &root->owner.frame, SCOPE_FOREVER, TIMEOUT);
	scope_close(&scope);
	assert_true(runner_idle(&async.runner));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_an_empty_root_is_freed_when_it_is_closed),
			TEST(test_a_root_in_which_nothing_waited_is_ended_on_the_spot),
			TEST(test_a_root_is_freed_when_its_work_has_ended),
			TEST(test_memory_stays_until_unstoppable_work_is_back),
			TEST(test_a_scope_that_has_a_count_is_one_in_its_parents),
			TEST(test_scopes_first_and_newest_first),
			TEST(test_the_first_reason_stays),
			TEST(test_a_scope_below_a_cancelled_one_is_cancelled),
			TEST(test_nothing_resumes_outside_a_cancelled_scope),
			TEST(test_cut_off_from_above_the_owner_is_resumed_when_all_has_ended),
			TEST(test_a_scope_runs_out),
			TEST(test_who_owns_what_has_run_out_waits_for_nothing),
			TEST(test_the_timer_is_armed_while_something_waits),
			TEST(test_what_is_closed_has_no_deadline_any_more),
			TEST(test_a_deadline_is_never_later_than_the_parents),
			TEST(test_of_equal_deadlines_the_outer_is_blamed),
			TEST(test_of_two_that_run_out_in_one_tick_the_outer_is_blamed),
			TEST(test_a_deadline_in_the_past_fires_with_the_next_tick),
			TEST(test_what_comes_at_the_deadline_is_late_though_the_wheel_has_not_fired),
			TEST(test_what_comes_just_before_the_deadline_is_in_time),
			TEST(test_late_for_an_outer_scope),
			TEST(test_late_for_two_scopes_the_outer_is_blamed),
			TEST(test_a_timeout_that_is_told_past_the_outer_deadline_is_late),
			TEST(test_a_root_that_runs_out_and_is_closed_in_its_owners_resume),
			TEST(test_a_root_that_ends_well),
			TEST(test_a_root_is_not_freed_under_what_is_queued),
			TEST(test_a_root_below_another_is_cancelled_with_it),
			TEST(test_a_root_outlives_the_one_below_it),
			TEST(test_a_root_outlives_the_one_below_it_when_both_are_cancelled),
			TEST(test_a_root_below_a_scope_that_is_closed),
			TEST(test_a_scope_in_memory_that_was_used_before),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
