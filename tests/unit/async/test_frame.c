/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/async/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/async/scripted.h"

#define NESTING 32

static struct root *root;

static int set_up(void **state)
{
	int failed = scripted_set_up(state);
	root = root_new(NULL, SCOPE_FOREVER);
	return failed;
}

/* Each test leaves the root without work. */
static int tear_down(void **state)
{
	scope_close(&root->scope);
	run();
	return roots_freed == 1 ? scripted_tear_down(state) : -1;
}

static void test_reasons_have_names(void **state)
{
	assert_string_equal(reason_name(REASON_NONE), "");
	assert_string_equal(reason_name(ASKED), "asked");
	assert_string_equal(reason_name(GONE), "gone");
	assert_string_equal(reason_name(DEADLINE), "deadline");
	assert_string_equal(reason_name(TIMEOUT), "timeout");
	assert_string_equal(reason_name(LOST), "lost");
	assert_string_equal(reason_name(DRAIN), "drain");
}

static void test_what_never_says_otherwise_ends_ok(void **state)
{
	struct frame frame;
	memset(&frame, -1, sizeof(frame));
	frame_init(&frame, root->owner.frame.ops, &root->owner.frame, &root->scope);
	assert_int_equal(frame.outcome.status, STATUS_OK);
	assert_false(value_present(&frame.outcome.value));
	assert_null(frame.outcome.fault);
}

static void test_what_is_done_at_once_queues_nothing(void **state)
{
	struct scripted *work = &root->frames[0];
	scripted_work(work, &root->owner.frame, &root->scope);
	work->at_once = true;
	work->status = STATUS_NOT_FOUND;
	assert_int_equal(frame_start(&work->frame), DONE);
	assert_int_equal(work->frame.outcome.status, STATUS_NOT_FOUND);
	assert_int_equal(work->frame.state, FRAME_ENDED);
	assert_int_equal(root->scope.count, 0);
	assert_true(runner_idle(&async.runner));
	assert_int_equal(root->owner.resumes, 0);
}

static void test_a_finish_resumes_the_parent_from_the_runner(void **state)
{
	struct scripted *work = &root->frames[0];
	scripted_work(work, &root->owner.frame, &root->scope);
	assert_int_equal(frame_start(&work->frame), PENDING);
	assert_int_equal(work->frame.state, FRAME_WAITING);
	assert_int_equal(root->scope.count, 1);
	run();
	assert_int_equal(root->owner.resumes, 0);
	scripted_finish(work, STATUS_INTERNAL);
	assert_int_equal(root->owner.resumes, 0);
	assert_int_equal(root->scope.count, 1);
	run();
	assert_int_equal(root->owner.resumes, 1);
	assert_ptr_equal(root->owner.child, &work->frame);
	assert_int_equal(work->frame.outcome.status, STATUS_INTERNAL);
	assert_int_equal(work->frame.state, FRAME_ENDED);
	assert_int_equal(root->scope.count, 0);
	assert_int_equal(work->starts, 1);
	assert_int_equal(work->cancels, 0);
}

static struct scripted *to_finish_twice;

static void finish_twice(void)
{
	scripted_finish(to_finish_twice, STATUS_OK);
	scripted_finish(to_finish_twice, STATUS_OK);
}

static void finish_after_the_end(void)
{
	scripted_finish(to_finish_twice, STATUS_OK);
	run();
	scripted_finish(to_finish_twice, STATUS_OK);
}

static void start_twice(void)
{
	(void)frame_start(&to_finish_twice->frame);
}

static void test_a_frame_starts_and_finishes_once(void **state)
{
	to_finish_twice = &root->frames[0];
	scripted_work(to_finish_twice, &root->owner.frame, &root->scope);
	assert_true(asserts(finish_twice));
	(void)frame_start(&to_finish_twice->frame);
	assert_true(asserts(finish_twice));
	assert_true(asserts(finish_after_the_end));
	assert_true(asserts(start_twice));
	scripted_finish(to_finish_twice, STATUS_OK);
	run();
}

/* Frames one in the other, the innermost of which waits for work: its end ends them all, in one
 * task. */
static struct scripted nested[NESTING];

static void start_next(struct scripted *scripted)
{
	struct scripted *next = scripted + 1;
	if (next == &nested[NESTING - 1])
		scripted_work(next, &scripted->frame, scripted->frame.scope);
	else
		scripted_parent(next, &scripted->frame, scripted->frame.scope, 1);
	if (next != &nested[NESTING - 1])
		next->on_start = start_next;
	assert_int_equal(frame_start(&next->frame), PENDING);
}

static void test_one_end_ends_all_that_wait_for_it(void **state)
{
	scripted_parent(&nested[0], &root->owner.frame, &root->scope, 1);
	nested[0].on_start = start_next;
	nested[0].status = STATUS_NOT_FOUND;
	assert_int_equal(frame_start(&nested[0].frame), PENDING);
	assert_int_equal(root->scope.count, NESTING);
	scripted_finish(&nested[NESTING - 1], STATUS_OK);
	runner_drain(&async.runner, 1);
	assert_true(runner_idle(&async.runner));
	for (int i = 0; i < NESTING - 1; i++)
		assert_int_equal(nested[i].resumes, 1);
	assert_ptr_equal(root->owner.child, &nested[0].frame);
	assert_int_equal(nested[0].frame.outcome.status, STATUS_NOT_FOUND);
	assert_int_equal(root->scope.count, 0);
}

/* A parent that starts its next child when one has ended. */
static enum progress start_another(struct scripted *scripted, struct frame *child)
{
	struct scripted *next = container_of(child, struct scripted, frame) + 1;
	if (scripted->resumes == 3)
		return frame_done(&scripted->frame, child->outcome);
	scripted_work(next, &scripted->frame, scripted->frame.scope);
	next->at_once = scope_cancelled(scripted->frame.scope);
	return frame_start(&next->frame) == DONE ? frame_done(&scripted->frame, next->frame.outcome)
						 : PENDING;
}

static void start_first(struct scripted *scripted)
{
	struct scripted *first = scripted + 1;
	scripted_work(first, &scripted->frame, scripted->frame.scope);
	assert_int_equal(frame_start(&first->frame), PENDING);
}

static struct scripted *start_series(void)
{
	struct scripted *series = &root->frames[0];
	scripted_parent(series, &root->owner.frame, &root->scope, 0);
	series->on_start = start_first;
	series->on_resume = start_another;
	assert_int_equal(frame_start(&series->frame), PENDING);
	return series;
}

static void test_one_child_after_the_other(void **state)
{
	struct scripted *series = start_series();
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(root->owner.resumes, 0);
		scripted_finish(&series[i], i == 3 ? STATUS_INTERNAL : STATUS_OK);
		run();
		assert_int_equal(series->resumes, i);
	}
	assert_int_equal(root->owner.resumes, 1);
	assert_int_equal(series->frame.outcome.status, STATUS_INTERNAL);
}

/* It is resumed all the same, once; what it starts then is over at once, and it ends. */
static void test_cancelled_between_a_childs_finish_and_the_resume(void **state)
{
	struct scripted *series = start_series();
	scripted_finish(&series[1], STATUS_OK);
	scope_cancel(&root->scope, ASKED);
	assert_int_equal(series[1].cancels, 0);
	run();
	assert_int_equal(series->resumes, 1);
	assert_int_equal(series->frame.state, FRAME_ENDED);
	assert_int_equal(series->frame.outcome.status, STATUS_CANCELLED);
	assert_int_equal(series[1].frame.outcome.status, STATUS_OK);
	assert_int_equal(series[2].starts, 0);
	assert_int_equal(root->scope.count, 0);
}

static void test_in_a_cancelled_scope_a_frame_is_over_at_once(void **state)
{
	struct scripted *work = &root->frames[0];
	async_enter(&async, START + 7);
	scope_cancel(&root->scope, DRAIN);
	scripted_work(work, &root->owner.frame, &root->scope);
	assert_int_equal(frame_start(&work->frame), DONE);
	assert_int_equal(work->frame.outcome.status, STATUS_CANCELLED);
	assert_int_equal(work->frame.state, FRAME_ENDED);
	assert_int_equal(work->frame.ended, START + 7);
	assert_int_equal(work->starts, 0);
	assert_int_equal(work->cancels, 0);
	assert_int_equal(root->scope.count, 0);
}

static void cancel_own_scope(struct scripted *scripted)
{
	scope_cancel(scripted->frame.scope, GONE);
}

static void test_its_scope_is_cancelled_while_it_starts(void **state)
{
	struct scripted *work = &root->frames[0];
	scripted_work(work, &root->owner.frame, &root->scope);
	work->on_start = cancel_own_scope;
	assert_int_equal(frame_start(&work->frame), PENDING);
	assert_int_equal(work->cancels, 1);
	assert_int_equal(work->reason, GONE);
	assert_int_equal(work->frame.state, FRAME_QUEUED);
	run();
	assert_int_equal(root->scope.count, 0);
	/* That the scope is empty is all that the owner is told. */
	assert_int_equal(root->owner.resumes, 1);
	assert_int_equal(root->owner.resumes_alone, 1);
}

static void test_cancelling_what_has_finished_does_nothing(void **state)
{
	struct scripted *queued = &root->frames[0], *ended = &root->frames[1];
	scripted_work(ended, &root->owner.frame, &root->scope);
	(void)frame_start(&ended->frame);
	scripted_finish(ended, STATUS_OK);
	run();
	scripted_work(queued, &root->owner.frame, &root->scope);
	(void)frame_start(&queued->frame);
	scripted_finish(queued, STATUS_OK);
	scope_cancel(&root->scope, ASKED);
	run();
	assert_int_equal(queued->cancels, 0);
	assert_int_equal(ended->cancels, 0);
	assert_int_equal(queued->frame.outcome.status, STATUS_OK);
	/* Against the cancel it is too late: it doesn't reach who stands outside. */
	assert_int_equal(root->owner.resumes - root->owner.resumes_alone, 1);
	assert_ptr_equal(root->owner.child, NULL);
}

static enum progress end_with_child(struct scripted *scripted, struct frame *child)
{
	return frame_done(&scripted->frame, child->outcome);
}

/* It may be cancelled while it waits for a child, and can't be when that has ended it. */
static void test_what_a_child_has_ended_is_not_cancelled(void **state)
{
	struct scripted *outer = &root->frames[0], *child = &root->frames[1];
	struct scripted *other = &root->frames[2];
	scripted_work(outer, &root->owner.frame, &root->scope);
	outer->on_resume = end_with_child;
	scripted_work(child, &outer->frame, &root->scope);
	scripted_work(other, &root->owner.frame, &root->scope);
	(void)frame_start(&outer->frame);
	(void)frame_start(&child->frame);
	(void)frame_start(&other->frame);
	scripted_finish(child, STATUS_NOT_FOUND);
	run();
	assert_int_equal(outer->frame.state, FRAME_ENDED);
	assert_int_equal(outer->frame.outcome.status, STATUS_NOT_FOUND);
	scope_cancel(&root->scope, ASKED);
	run();
	assert_int_equal(outer->cancels, 0);
	assert_int_equal(other->cancels, 1);
}

static void test_work_that_cannot_be_stopped_stays(void **state)
{
	struct scripted *job = &root->frames[0];
	scripted_work(job, &root->owner.frame, &root->scope);
	job->unstoppable = true;
	(void)frame_start(&job->frame);
	scope_cancel(&root->scope, DEADLINE);
	scope_cancel(&root->scope, ASKED);
	run();
	assert_int_equal(job->cancels, 1);
	assert_int_equal(job->reason, DEADLINE);
	assert_int_equal(job->frame.state, FRAME_WAITING);
	assert_int_equal(root->scope.count, 1);
	assert_int_equal(root->owner.resumes, 0);
	scripted_finish(job, STATUS_OK);
	run();
	assert_int_equal(root->scope.count, 0);
	assert_int_equal(root->owner.resumes_alone, 1);
}

/* Whoever ends is told of with the moment, also where nobody is resumed by it any more. */
static void test_an_end_has_its_moment(void **state)
{
	struct scripted *sudden = &root->frames[0], *parent = &root->frames[1];
	struct scripted *child = &root->frames[2], *job = &root->frames[3];
	scripted_work(sudden, &root->owner.frame, &root->scope);
	sudden->at_once = true;
	assert_int_equal(frame_start(&sudden->frame), DONE);
	assert_int_equal(sudden->frame.ended, START);
	scripted_parent(parent, &root->owner.frame, &root->scope, 1);
	scripted_work(child, &parent->frame, &root->scope);
	scripted_work(job, &root->owner.frame, &root->scope);
	job->unstoppable = true;
	(void)frame_start(&parent->frame);
	(void)frame_start(&child->frame);
	(void)frame_start(&job->frame);
	(void)turn(START + TICK);
	scripted_finish(child, STATUS_OK);
	run();
	assert_int_equal(child->frame.ended, START + TICK);
	assert_int_equal(parent->frame.ended, START + TICK);
	scope_cancel(&root->scope, GONE);
	(void)turn(START + 2 * TICK);
	scripted_finish(job, STATUS_OK);
	run();
	assert_int_equal(job->frame.state, FRAME_ENDED);
	assert_int_equal(job->frame.ended, START + 2 * TICK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_reasons_have_names),
			TEST(test_what_never_says_otherwise_ends_ok),
			TEST(test_what_is_done_at_once_queues_nothing),
			TEST(test_a_finish_resumes_the_parent_from_the_runner),
			TEST(test_a_frame_starts_and_finishes_once),
			TEST(test_one_end_ends_all_that_wait_for_it),
			TEST(test_one_child_after_the_other),
			TEST(test_cancelled_between_a_childs_finish_and_the_resume),
			TEST(test_in_a_cancelled_scope_a_frame_is_over_at_once),
			TEST(test_its_scope_is_cancelled_while_it_starts),
			TEST(test_cancelling_what_has_finished_does_nothing),
			TEST(test_what_a_child_has_ended_is_not_cancelled),
			TEST(test_work_that_cannot_be_stopped_stays),
			TEST(test_an_end_has_its_moment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
