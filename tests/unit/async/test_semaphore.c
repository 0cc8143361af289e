/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/async/semaphore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/async/scripted.h"

#define MANY 1000

/* One that asks for a permit in a scope of its own, keeps it while it has work to do, and gives it
 * back. */
struct user {
	struct scripted frame;
	struct scope scope;
	struct permit permit;
	int granted; /* its place, from 1; 0: not granted */
};

static struct semaphore semaphore;
static struct root *root;
static struct user users[MANY];
static int grants;
static uint32_t holders;

static int set_up(void **state)
{
	int failed = scripted_set_up(state);
	root = root_new(NULL, SCOPE_FOREVER);
	grants = 0;
	holders = 0;
	return failed;
}

/* All permits are back, nobody waits, and no scope of a user is left open. */
static int tear_down(void **state)
{
	scope_close(&root->scope);
	run();
	if (semaphore.held > 0 || semaphore.waiting > 0 || holders > 0 || roots_freed != 1)
		return -1;
	return scripted_tear_down(state);
}

static void take(struct user *user)
{
	assert_true(user->permit.held);
	user->granted = ++grants;
	holders++;
	assert_true(holders <= semaphore.permits);
}

static void give(struct user *user)
{
	if (user->permit.held)
		holders--;
	permit_release(&user->permit);
	permit_release(&user->permit);
}

/* It has been waiting for its permit. Cut off, it has no work to do with it. */
static enum progress on_resume(struct scripted *scripted, struct frame *child)
{
	struct user *user = container_of(scripted, struct user, frame);
	assert_ptr_equal(child, &user->permit.frame);
	if (child->outcome.status == STATUS_OK)
		take(user);
	if (child->outcome.status == STATUS_OK && !scope_cancelled(&user->scope))
		return PENDING;
	give(user);
	return frame_done(&scripted->frame, outcome_status(STATUS_CANCELLED));
}

/* What frame_start() said of the permit. */
static enum progress ask(struct user *user, uint64_t deadline)
{
	*user = (struct user){.granted = 0};
	scope_init(&user->scope, &root->scope, NULL, deadline, TIMEOUT);
	scripted_parent(&user->frame, &root->owner.frame, &user->scope, 0);
	user->frame.on_resume = on_resume;
	permit_init(&user->permit, &semaphore, &user->frame.frame, &user->scope);
	assert_int_equal(frame_start(&user->frame.frame), PENDING);
	enum progress progress = frame_start(&user->permit.frame);
	if (progress == DONE && user->permit.frame.outcome.status == STATUS_OK)
		take(user);
	return progress;
}

/* The user's work is done. */
static void leave(struct user *user)
{
	give(user);
	if (user->frame.frame.state == FRAME_WAITING) {
		user->frame.frame.outcome = outcome_status(STATUS_OK);
		frame_finish(&user->frame.frame);
	}
	scope_close(&user->scope);
	run();
}

static void test_permits_are_given_at_once_while_there_are_any(void **state)
{
	semaphore_init(&semaphore, &async, 3, 10);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask(&users[i], SCOPE_FOREVER), DONE);
		assert_int_equal(users[i].permit.frame.outcome.status, STATUS_OK);
		assert_true(users[i].permit.waited_ns == 0);
	}
	assert_int_equal(semaphore.held, 3);
	assert_true(runner_idle(&async.runner));
	assert_int_equal(ask(&users[3], SCOPE_FOREVER), PENDING);
	assert_int_equal(semaphore.waiting, 1);
	for (int i = 0; i < 4; i++)
		leave(&users[i]);
	assert_int_equal(users[3].granted, 4);
	assert_int_equal(semaphore.held_highest, 3);
	assert_int_equal(semaphore.waiting_highest, 1);
	assert_int_equal(semaphore.granted, 4);
}

static void test_first_come_first_served(void **state)
{
	semaphore_init(&semaphore, &async, 2, 10);
	for (int i = 0; i < 8; i++)
		assert_int_equal(ask(&users[i], SCOPE_FOREVER), i < 2 ? DONE : PENDING);
	for (int i = 0; i < 8; i++)
		leave(&users[i]);
	for (int i = 0; i < 8; i++)
		assert_int_equal(users[i].granted, i + 1);
}

/* In between nobody can take it: not even one that comes before the next in the queue has been
 * resumed. */
static void test_a_permit_goes_straight_to_the_next(void **state)
{
	semaphore_init(&semaphore, &async, 1, 10);
	(void)ask(&users[0], SCOPE_FOREVER);
	(void)ask(&users[1], SCOPE_FOREVER);
	give(&users[0]);
	assert_true(users[1].permit.held);
	assert_int_equal(users[1].granted, 0);
	assert_int_equal(semaphore.held, 1);
	assert_int_equal(semaphore.waiting, 0);
	assert_int_equal(ask(&users[2], SCOPE_FOREVER), PENDING);
	run();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(users[i].granted, i + 1);
		leave(&users[i]);
	}
}

static void test_queue_0_refuses_now(void **state)
{
	semaphore_init(&semaphore, &async, 1, 0);
	assert_int_equal(ask(&users[0], SCOPE_FOREVER), DONE);
	assert_int_equal(ask(&users[1], SCOPE_FOREVER), DONE);
	assert_int_equal(users[1].permit.frame.outcome.status, STATUS_RESOURCE_EXHAUSTED);
	assert_false(users[1].permit.held);
	assert_int_equal(semaphore.refused, 1);
	leave(&users[1]);
	assert_int_equal(semaphore.held, 1);
	leave(&users[0]);
	assert_int_equal(ask(&users[2], SCOPE_FOREVER), DONE);
	assert_int_equal(users[2].granted, 2);
	leave(&users[2]);
}

static void test_a_full_queue_refuses(void **state)
{
	semaphore_init(&semaphore, &async, 1, 2);
	for (int i = 0; i < 3; i++)
		(void)ask(&users[i], SCOPE_FOREVER);
	assert_int_equal(ask(&users[3], SCOPE_FOREVER), DONE);
	assert_int_equal(users[3].permit.frame.outcome.status, STATUS_RESOURCE_EXHAUSTED);
	assert_int_equal(semaphore.refused, 1);
	assert_int_equal(semaphore.waiting, 2);
	leave(&users[0]);
	assert_int_equal(ask(&users[4], SCOPE_FOREVER), PENDING);
	for (int i = 1; i < 5; i++)
		leave(&users[i]);
	assert_int_equal(users[4].granted, 4);
}

static void test_a_cancelled_waiter_leaves_the_queue(void **state)
{
	semaphore_init(&semaphore, &async, 1, 2);
	for (int i = 0; i < 3; i++)
		(void)ask(&users[i], SCOPE_FOREVER);
	scope_cancel(&users[1].scope, ASKED);
	assert_int_equal(semaphore.waiting, 1);
	run();
	assert_int_equal(users[1].permit.frame.outcome.status, STATUS_CANCELLED);
	assert_int_equal(users[1].frame.frame.state, FRAME_ENDED);
	/* Its place is free again. */
	assert_int_equal(ask(&users[3], SCOPE_FOREVER), PENDING);
	for (int i = 0; i < 4; i++)
		leave(&users[i]);
	assert_int_equal(users[1].granted, 0);
	assert_int_equal(users[2].granted, 2);
	assert_int_equal(users[3].granted, 3);
}

/* The permit is already its own, so it is resumed with it, and gives it back; once, and to the
 * next. */
static void test_granted_and_cancelled_at_once(void **state)
{
	semaphore_init(&semaphore, &async, 1, 10);
	for (int i = 0; i < 3; i++)
		(void)ask(&users[i], SCOPE_FOREVER);
	give(&users[0]);
	scope_cancel(&users[1].scope, ASKED);
	assert_true(users[1].permit.held);
	assert_false(users[2].permit.held);
	run();
	assert_int_equal(users[1].permit.frame.outcome.status, STATUS_OK);
	assert_int_equal(users[1].frame.resumes, 1);
	assert_int_equal(users[1].frame.frame.state, FRAME_ENDED);
	assert_false(users[1].permit.held);
	assert_int_equal(users[2].granted, 3);
	assert_int_equal(semaphore.held, 1);
	for (int i = 0; i < 3; i++)
		leave(&users[i]);
	assert_int_equal(semaphore.held, 0);
}

/* The wheel has not fired yet, but the time has passed: the permit comes too late to be used. */
static void test_granted_past_the_deadline(void **state)
{
	semaphore_init(&semaphore, &async, 1, 10);
	(void)ask(&users[0], SCOPE_FOREVER);
	(void)ask(&users[1], START + 4 * TICK + 5);
	async_enter(&async, START + 4 * TICK + 5);
	give(&users[0]);
	(void)async_leave(&async);
	assert_int_equal(users[1].scope.reason, TIMEOUT);
	assert_int_equal(users[1].frame.frame.state, FRAME_ENDED);
	assert_int_equal(semaphore.held, 0);
	leave(&users[0]);
	leave(&users[1]);
}

static void test_a_waiter_runs_out_of_time(void **state)
{
	semaphore_init(&semaphore, &async, 1, 10);
	(void)ask(&users[0], SCOPE_FOREVER);
	(void)ask(&users[1], START + 4 * TICK);
	(void)turn(START + 4 * TICK);
	assert_int_equal(semaphore.waiting, 0);
	assert_int_equal(users[1].permit.frame.outcome.status, STATUS_CANCELLED);
	assert_true(users[1].permit.waited_ns == 4 * TICK);
	leave(&users[0]);
	leave(&users[1]);
	assert_int_equal(users[1].granted, 0);
	assert_true(semaphore.waited_ns == 0);
}

static void test_how_long_they_waited(void **state)
{
	semaphore_init(&semaphore, &async, 1, 10);
	(void)ask(&users[0], SCOPE_FOREVER);
	(void)turn(START + 100);
	(void)ask(&users[1], SCOPE_FOREVER);
	(void)ask(&users[2], SCOPE_FOREVER);
	(void)turn(START + 350);
	leave(&users[0]);
	(void)turn(START + 400);
	leave(&users[1]);
	leave(&users[2]);
	assert_true(users[1].permit.waited_ns == 250);
	assert_true(users[2].permit.waited_ns == 300);
	assert_true(semaphore.waited_ns == 550);
	assert_int_equal(semaphore.granted, 3);
}

/* Time passes, and nothing runs out. */
static void pass(uint64_t ticks)
{
	async_enter(&async, async.now + ticks * TICK);
	(void)async_leave(&async);
}

static void test_who_waited_too_long_in_a_slow_queue_is_shed(void **state)
{
	semaphore_init(&semaphore, &async, 1, 10);
	codel_init(&semaphore.codel, TICK, 10 * TICK);
	for (int i = 0; i < 2; i++)
		(void)ask(&users[i], SCOPE_FOREVER);
	pass(10);
	for (int i = 2; i < 6; i++)
		(void)ask(&users[i], SCOPE_FOREVER);
	leave(&users[0]);
	assert_int_equal(semaphore.shed, 0);
	pass(8);
	(void)ask(&users[6], SCOPE_FOREVER);
	pass(2);
	(void)ask(&users[7], SCOPE_FOREVER);
	/* They have waited for 10, and the one before them for as long: the seventh for 2. */
	leave(&users[1]);
	assert_int_equal(semaphore.shed, 4);
	for (int i = 2; i < 6; i++) {
		assert_true(users[i].permit.shed && !users[i].permit.held);
		assert_int_equal(users[i].permit.frame.outcome.status, STATUS_RESOURCE_EXHAUSTED);
		assert_int_equal(users[i].permit.waited_ns, 10 * TICK);
	}
	assert_true(users[6].permit.held);
	assert_int_equal(semaphore.held, 1);
	assert_int_equal(semaphore.waiting, 1);
	for (int i = 0; i < 8; i++)
		leave(&users[i]);
	assert_int_equal(semaphore.granted, 4);
}

static void test_the_last_in_a_queue_may_be_shed(void **state)
{
	semaphore_init(&semaphore, &async, 1, 10);
	codel_init(&semaphore.codel, TICK, 2 * TICK);
	for (int i = 0; i < 3; i++)
		(void)ask(&users[i], SCOPE_FOREVER);
	pass(5);
	leave(&users[0]);
	pass(5);
	leave(&users[1]);
	assert_true(users[2].permit.shed);
	assert_int_equal(semaphore.held, 0);
	assert_int_equal(ask(&users[3], SCOPE_FOREVER), DONE);
	leave(&users[2]);
	leave(&users[3]);
}

static void test_a_permit_that_was_never_asked_for_gives_nothing_back(void **state)
{
	struct permit permit;
	semaphore_init(&semaphore, &async, 1, 10);
	(void)ask(&users[0], SCOPE_FOREVER);
	permit_init(&permit, &semaphore, &root->owner.frame, &root->scope);
	permit_release(&permit);
	assert_int_equal(semaphore.held, 1);
	leave(&users[0]);
}

/* Many come, wait, are cancelled, are granted and leave, in any order. */
static void test_no_permit_is_lost_or_made(void **state)
{
	semaphore_init(&semaphore, &async, 7, 50);
	random_init(&async.random, 11);
	int asked = 0;
	for (int ended = 0; ended < MANY;) {
		uint64_t dice = random_below(&async.random, 100);
		if (dice < 10 && asked < MANY)
			(void)ask(&users[asked++], SCOPE_FOREVER);
		struct user *user = &users[random_below(&async.random, (uint64_t)asked)];
		if (asked == 0)
			continue;
		if (dice < 15 && !user->scope.closed)
			scope_cancel(&user->scope, GONE);
		else if (dice < 30)
			run();
		else if (user->permit.frame.state == FRAME_ENDED && !user->scope.closed) {
			leave(user);
			ended++;
		}
		assert_true(semaphore.held <= 7 && semaphore.waiting <= 50);
		assert_true(semaphore.waiting == 0 || semaphore.held == 7);
	}
	assert_int_equal(semaphore.held_highest, 7);
	assert_in_range(grants, 100, MANY - 100);
}

static void test_a_permit_in_memory_that_was_used_before(void **state)
{
	struct permit permit;
	semaphore_init(&semaphore, &async, 1, 0);
	memset(&permit, 0xa5, sizeof(permit));
	permit_init(&permit, &semaphore, &root->owner.frame, &root->scope);
	permit_release(&permit);
	assert_int_equal(semaphore.held, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_permits_are_given_at_once_while_there_are_any),
			TEST(test_first_come_first_served),
			TEST(test_a_permit_goes_straight_to_the_next),
			TEST(test_queue_0_refuses_now),
			TEST(test_a_full_queue_refuses),
			TEST(test_a_cancelled_waiter_leaves_the_queue),
			TEST(test_granted_and_cancelled_at_once),
			TEST(test_granted_past_the_deadline),
			TEST(test_a_waiter_runs_out_of_time),
			TEST(test_how_long_they_waited),
			TEST(test_a_permit_that_was_never_asked_for_gives_nothing_back),
			TEST(test_who_waited_too_long_in_a_slow_queue_is_shed),
			TEST(test_the_last_in_a_queue_may_be_shed),
			TEST(test_no_permit_is_lost_or_made),
			TEST(test_a_permit_in_memory_that_was_used_before),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
