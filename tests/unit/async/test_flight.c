/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/async/flight.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/allocations.h"
#include "tests/unit/async/scripted.h"

#define MANY	10000
#define CEILING (START + 1000 * TICK)

/* What stands behind each flight. */
struct job {
	struct scripted work;
	char answer[8];
};

/* One that waits for a flight, in a scope of its own. */
struct asker {
	struct scripted frame;
	struct scope scope;
	struct waiter waiter;
	struct asker *asks_then; /* when it has been answered */
};

static struct root *root; /* whose scope is the table's */
static struct account account;
static struct arena_pool arenas;
static struct flight_table table;
static struct asker *askers;
static int told;  /* calls of on_end, */
static int ends;  /* of them, for flights that were not cut off */
static int frees; /* calls of on_free */
static int woken;

static int set_up(void **state)
{
	int failed = scripted_set_up(state);
	root = root_new(NULL, SCOPE_FOREVER);
	account = (struct account){.max = SIZE_MAX};
	arena_pool_init(&arenas, &account, 0); /* keeps none, so that use after the end is seen */
	told = 0;
	ends = 0;
	frees = 0;
	woken = 0;
	askers = calloc(MANY, sizeof(*askers));
	failed |= flight_table_init(&table, &async, &root->scope, &arenas, MANY, MANY);
	return failed || !askers;
}

static int tear_down(void **state)
{
	allocations_heal();
	scope_close(&root->scope);
	run();
	flight_table_deinit(&table);
	arena_pool_deinit(&arenas);
	free(askers);
	if (table.waiting > 0 || account.used > 0 || roots_freed != 1)
		return -1;
	return scripted_tear_down(state);
}

static const char *key_text = "a key";

static struct text key(void)
{
	return text_of(key_text);
}

/* Still in the table no more, and no waiter has heard of it. */
static void on_end(struct flight *flight)
{
	told++;
	ends += !scope_cancelled(&flight->scope);
	assert_true(flight->ended);
	assert_int_equal(woken, 0);
	assert_ptr_not_equal(flight_find(&table, flight->entry.hash, flight->key), flight);
}

static void on_free(struct flight *flight)
{
	frees++;
	assert_true(told >= frees);
	assert_int_equal(flight->waiter_count, 0);
}

static struct job *job_of(struct flight *flight)
{
	return flight_extra(flight);
}

static struct flight_plan plan_of(uint64_t hash)
{
	return (struct flight_plan){
			.hash = hash,
			.key = key(),
			.ceiling = CEILING,
			.extra = sizeof(struct job),
			.on_end = on_end,
			.on_free = on_free,
	};
}

static struct flight *make_flight(const struct flight_plan *plan)
{
	struct flight *flight = flight_new(&table, plan);
	assert_non_null(flight);
	assert_ptr_equal(flight_of_extra(job_of(flight)), flight);
	scripted_work(&job_of(flight)->work, &flight->frame, &flight->scope);
	return flight;
}

static struct flight *new_flight(uint64_t hash)
{
	struct flight_plan plan = plan_of(hash);
	return make_flight(&plan);
}

static struct flight *start_flight(void)
{
	struct flight *flight = new_flight(7);
	flight_start(flight, &job_of(flight)->work.frame);
	return flight;
}

static void ask(struct asker *asker, uint64_t deadline);

static enum progress on_answer(struct scripted *scripted, struct frame *child)
{
	struct asker *asker = container_of(scripted, struct asker, frame);
	woken += child->outcome.status != STATUS_CANCELLED;
	if (asker->asks_then)
		ask(asker->asks_then, SCOPE_FOREVER);
	return frame_done(&scripted->frame, child->outcome);
}

static enum progress join(struct asker *asker, struct flight *flight, uint64_t deadline)
{
	scope_init(&asker->scope, &root->scope, NULL, deadline, TIMEOUT);
	scripted_parent(&asker->frame, &root->owner.frame, &asker->scope, 0);
	asker->frame.on_resume = on_answer;
	memset(&asker->waiter, 0xff, sizeof(asker->waiter)); /* as an arena's memory may be */
	waiter_init(&asker->waiter, flight, &asker->frame.frame, &asker->scope);
	enum progress progress = frame_start(&asker->waiter.frame);
	if (progress == PENDING)
		assert_int_equal(frame_start(&asker->frame.frame), PENDING);
	return progress;
}

/* As a cache does: joins the flight that there is, or starts one. */
static void ask(struct asker *asker, uint64_t deadline)
{
	struct flight *flight = flight_find(&table, 7, key());
	if (!flight)
		flight = start_flight();
	assert_int_equal(join(asker, flight, deadline), PENDING);
}

static void ask_many(int count)
{
	for (int i = 0; i < count; i++)
		ask(&askers[i], SCOPE_FOREVER);
}

/* Lets go, as when the asker's memory goes. */
static void leave(struct asker *asker)
{
	waiter_deinit(&asker->waiter);
	waiter_deinit(&asker->waiter);
	scope_close(&asker->scope);
}

static void leave_many(int count)
{
	for (int i = 0; i < count; i++)
		leave(&askers[i]);
}

static void finish(struct flight *flight, enum status status)
{
	struct scripted *work = &job_of(flight)->work;
	(void)memcpy(job_of(flight)->answer, "answer", 7);
	work->frame.outcome = outcome_status(status);
	work->frame.outcome.value = value_of(text_of(job_of(flight)->answer));
	frame_finish(&work->frame);
}

static enum status answer(const struct asker *asker)
{
	assert_int_equal(asker->frame.frame.state, FRAME_ENDED);
	return asker->waiter.frame.outcome.status;
}

static void test_ten_thousand_wait_for_one_run(void **state)
{
	ask_many(MANY);
	struct flight *flight = flight_find(&table, 7, key());
	assert_int_equal(table.numbers, 1);
	assert_int_equal(table.table.count, 1);
	assert_int_equal(flight->waiter_count, MANY);
	assert_int_equal(job_of(flight)->work.starts, 1);
	finish(flight, STATUS_OK);
	/* No turn is as long as all of them are. */
	assert_true(turn(START + 1) == START + 1);
	assert_in_range(woken, 1, MANY / 2);
	assert_int_equal(ends, 1);
	assert_int_equal(table.table.count, 0);
	run();
	assert_int_equal(woken, MANY);
	assert_int_equal(table.waiting, 0);
	assert_int_equal(table.waiting_highest, MANY);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(answer(&askers[i]), STATUS_OK);
	assert_int_equal(frees, 0);
	leave_many(MANY - 1);
	/* The last one still reads what the flight's arena holds. */
	assert_int_equal(frees, 0);
	assert_true(text_equal(askers[MANY - 1].waiter.frame.outcome.value.text, TEXT("answer")));
	leave(&askers[MANY - 1]);
	assert_int_equal(frees, 1);
	assert_int_equal(account.used, 0);
}

static void test_the_first_has_no_special_place(void **state)
{
	ask_many(3);
	struct flight *flight = flight_find(&table, 7, key());
	scope_cancel(&askers[0].scope, ASKED);
	run();
	assert_int_equal(answer(&askers[0]), STATUS_CANCELLED);
	leave(&askers[0]);
	assert_ptr_equal(flight_find(&table, 7, key()), flight);
	finish(flight, STATUS_OK);
	run();
	assert_int_equal(answer(&askers[1]), STATUS_OK);
	assert_int_equal(answer(&askers[2]), STATUS_OK);
	leave(&askers[1]);
	leave(&askers[2]);
	assert_int_equal(frees, 1);
}

static void test_all_but_the_last_leave(void **state)
{
	ask_many(100);
	struct flight *flight = flight_find(&table, 7, key());
	for (int i = 0; i < 99; i++) {
		scope_cancel(&askers[i].scope, GONE);
		run();
		leave(&askers[i]);
	}
	assert_int_equal(job_of(flight)->work.cancels, 0);
	assert_int_equal(flight->waiter_count, 1);
	finish(flight, STATUS_NOT_FOUND);
	run();
	assert_int_equal(answer(&askers[99]), STATUS_NOT_FOUND);
	assert_int_equal(ends, 1);
	leave(&askers[99]);
}

/* In the step in which the last one leaves, nobody can join any more; the next one starts anew. */
static void test_the_last_to_leave_cancels_it(void **state)
{
	ask_many(3);
	struct flight *flight = flight_find(&table, 7, key());
	struct scripted *work = &job_of(flight)->work;
	work->unstoppable = true;
	scope_cancel(&askers[1].scope, GONE);
	scope_cancel(&askers[0].scope, ASKED);
	assert_int_equal(work->cancels, 0);
	scope_cancel(&askers[2].scope, LOST);
	assert_int_equal(work->cancels, 1);
	assert_int_equal(work->reason, LOST);
	assert_null(flight_find(&table, 7, key()));
	assert_int_equal(table.table.count, 0);
	assert_int_equal(table.waiting, 0);
	ask(&askers[3], SCOPE_FOREVER);
	struct flight *next = flight_find(&table, 7, key());
	assert_ptr_not_equal(next, flight);
	assert_int_equal(next->number, 2);
	run();
	leave_many(3);
	/* Its work can't be stopped, so its memory stays. */
	assert_int_equal(frees, 0);
	scripted_finish(work, STATUS_OK);
	run();
	assert_int_equal(frees, 1);
	assert_int_equal(ends, 0);
	finish(next, STATUS_OK);
	run();
	assert_int_equal(answer(&askers[3]), STATUS_OK);
	leave(&askers[3]);
	assert_int_equal(frees, 2);
	assert_int_equal(ends, 1);
}

/* Of a flight that goes on it is the last to leave. */
static void test_one_tells_of_the_flight(void **state)
{
	ask_many(2);
	struct flight *flight = flight_find(&table, 7, key());
	assert_false(waiter_tells(&askers[0].waiter));
	scope_cancel(&askers[1].scope, GONE);
	assert_false(waiter_tells(&askers[1].waiter));
	assert_true(waiter_tells(&askers[0].waiter)); /* it would */
	flight_hold(flight);
	assert_false(waiter_tells(&askers[0].waiter));
	flight_release(flight, DRAIN);
	scope_cancel(&askers[0].scope, GONE);
	assert_true(waiter_tells(&askers[0].waiter)); /* it does */
	run();
	assert_true(waiter_tells(&askers[0].waiter));
	assert_false(waiter_tells(&askers[1].waiter));
	leave_many(2);
}

static void run_one(void)
{
	assert_false(runner_idle(&async.runner));
	runner_drain(&async.runner, 1);
}

static void run_until_ended(const struct flight *flight)
{
	while (!flight->ended)
		run_one();
}

/* It has ended by itself, and all who wait are cut off before they are woken. */
static void test_the_last_tells_of_a_flight_that_has_ended(void **state)
{
	ask_many(2);
	struct flight *flight = flight_find(&table, 7, key());
	flight_hold(flight);
	finish(flight, STATUS_OK);
	run_until_ended(flight);
	assert_false(waiter_tells(&askers[0].waiter));
	scope_cancel(&askers[0].scope, GONE);
	assert_false(waiter_tells(&askers[0].waiter));
	assert_true(waiter_tells(&askers[1].waiter));
	scope_cancel(&askers[1].scope, GONE);
	assert_true(waiter_tells(&askers[1].waiter));
	run();
	assert_false(waiter_tells(&askers[0].waiter));
	assert_true(waiter_tells(&askers[1].waiter));
	leave_many(2);
}

/* One that left before has nothing to do with it. */
static void test_who_was_woken_tells_until_it_has_heard(void **state)
{
	ask_many(2);
	struct flight *flight = flight_find(&table, 7, key());
	scope_cancel(&askers[1].scope, GONE);
	finish(flight, STATUS_OK);
	while (link_in_list(&askers[0].waiter.link))
		run_one();
	assert_true(waiter_tells(&askers[0].waiter));
	assert_false(waiter_tells(&askers[1].waiter));
	run();
	assert_false(waiter_tells(&askers[0].waiter));
	assert_false(waiter_tells(&askers[1].waiter));
	leave_many(2);
}

/* The work has finished, but nobody has heard of it yet when the last one leaves. */
static void test_the_last_leaves_between_the_finish_and_the_end(void **state)
{
	ask_many(1);
	finish(flight_find(&table, 7, key()), STATUS_OK);
	scope_cancel(&askers[0].scope, ASKED);
	assert_null(flight_find(&table, 7, key()));
	run();
	assert_int_equal(answer(&askers[0]), STATUS_CANCELLED);
	assert_int_equal(ends, 0);
	leave(&askers[0]);
	assert_int_equal(frees, 1);
}

static void test_each_waiter_has_its_own_deadline(void **state)
{
	ask(&askers[0], START + 3 * TICK);
	ask(&askers[1], START + 5 * TICK);
	struct flight *flight = flight_find(&table, 7, key());
	(void)turn(START + 3 * TICK);
	assert_int_equal(answer(&askers[0]), STATUS_CANCELLED);
	assert_int_equal(askers[0].scope.reason, TIMEOUT);
	assert_int_equal(askers[1].frame.frame.state, FRAME_WAITING);
	assert_int_equal(flight->waiter_count, 1);
	(void)turn(START + 5 * TICK);
	assert_int_equal(answer(&askers[1]), STATUS_CANCELLED);
	leave_many(2);
	assert_int_equal(frees, 1);
}

/* Whoever waits hears of it at once, though the work can't be stopped. */
static void test_the_ceiling(void **state)
{
	ask_many(2);
	struct flight *flight = flight_find(&table, 7, key());
	struct scripted *work = &job_of(flight)->work;
	work->unstoppable = true;
	(void)turn(CEILING);
	assert_int_equal(work->reason, DEADLINE);
	assert_int_equal(answer(&askers[0]), STATUS_DEADLINE_EXCEEDED);
	assert_int_equal(answer(&askers[1]), STATUS_DEADLINE_EXCEEDED);
	assert_null(flight_find(&table, 7, key()));
	assert_int_equal(ends, 0);
	leave_many(2);
	assert_int_equal(frees, 0);
	scripted_finish(work, STATUS_OK);
	run();
	assert_int_equal(frees, 1);
}

/* Who comes between its time and its end joins it no more, and may know that it was there. */
static void test_one_that_has_run_out_is_dying_until_it_ends(void **state)
{
	struct flight_plan plan = plan_of(7);
	ask_many(1);
	assert_false(flight_is_dying(&table, 7, key()));
	async_enter(&async, CEILING);
	assert_true(flight_is_dying(&table, 7, key()));
	assert_false(flight_is_dying(&table, 8, key()));
	plan.ceiling += CEILING;
	struct flight *next = make_flight(&plan);
	assert_true(flight_is_dying(&table, 7, key()));
	assert_ptr_equal(flight_find(&table, 7, key()), next);
	flight_drop(next);
	(void)async_leave(&async);
	assert_int_equal(answer(&askers[0]), STATUS_DEADLINE_EXCEEDED);
	assert_false(flight_is_dying(&table, 7, key()));
	leave(&askers[0]);
}

static void test_an_end_past_the_ceiling_is_late(void **state)
{
	ask_many(1);
	struct flight *flight = flight_find(&table, 7, key());
	flight->scope.deadline -= 100;
	async_enter(&async, CEILING - 100);
	assert_ptr_equal(flight_find(&table, 7, key()), flight);
	finish(flight, STATUS_OK);
	(void)async_leave(&async);
	assert_int_equal(answer(&askers[0]), STATUS_DEADLINE_EXCEEDED);
	assert_int_equal(ends, 0);
	leave(&askers[0]);
}

static void test_an_end_at_once(void **state)
{
	struct flight *flight = new_flight(7);
	job_of(flight)->work.at_once = true;
	job_of(flight)->work.status = STATUS_NOT_FOUND;
	flight_start(flight, &job_of(flight)->work.frame);
	assert_int_equal(ends, 1);
	assert_null(flight_find(&table, 7, key()));
	assert_int_equal(join(&askers[0], flight, SCOPE_FOREVER), DONE);
	assert_int_equal(askers[0].waiter.frame.outcome.status, STATUS_NOT_FOUND);
	assert_int_equal(table.waiting_highest, 0);
	run();
	assert_int_equal(frees, 0);
	leave(&askers[0]);
	assert_int_equal(frees, 1);
}

static void test_an_end_at_once_that_nobody_waits_for(void **state)
{
	struct flight *flight = new_flight(7);
	job_of(flight)->work.at_once = true;
	flight_start(flight, &job_of(flight)->work.frame);
	run();
	assert_int_equal(ends, 1);
	assert_int_equal(frees, 1);
}

/* Until the first slice of so many is woken; how many still wait. */
static uint64_t wake_some(uint64_t count)
{
	while (table.waiting == count)
		runner_drain(&async.runner, 1);
	assert_in_range(table.waiting, 1, count - 1);
	assert_int_equal(woken, 0);
	return table.waiting;
}

static struct outcome as_not_found(struct frame *work)
{
	assert_int_equal(work->state, FRAME_ENDED);
	return outcome_status(STATUS_NOT_FOUND);
}

/* Whether it ends at once or later. */
static void test_its_outcome_is_what_is_made_of_its_works(void **state)
{
	struct flight_plan plan = plan_of(7);
	plan.outcome_of = as_not_found;
	for (int i = 0; i < 2; i++) {
		struct flight *flight = make_flight(&plan);
		woken = 0;
		job_of(flight)->work.at_once = i > 0;
		assert_int_equal(join(&askers[i], flight, SCOPE_FOREVER), PENDING);
		flight_start(flight, &job_of(flight)->work.frame);
		if (i == 0)
			finish(flight, STATUS_OK);
		run();
		assert_int_equal(answer(&askers[i]), STATUS_NOT_FOUND);
	}
	leave_many(2);
}

/* Some have been woken and some have not; of these a few leave, and at last all. */
static void test_leaving_while_others_are_woken(void **state)
{
	ask_many(300);
	finish(flight_find(&table, 7, key()), STATUS_OK);
	uint64_t waiting = wake_some(300);
	int cancelled = 0;
	for (int i = 0; i < 300; i += 3) {
		bool waits = askers[i].waiter.frame.state == FRAME_WAITING;
		scope_cancel(&askers[i].scope, GONE);
		cancelled += waits;
	}
	assert_in_range(cancelled, 1, 99);
	assert_int_equal(table.waiting, waiting - (uint64_t)cancelled);
	run();
	int served = 0;
	for (int i = 0; i < 300; i++)
		served += answer(&askers[i]) == STATUS_OK;
	assert_int_equal(served, 300 - cancelled);
	leave_many(300);
	assert_int_equal(frees, 1);
}

static void test_all_leave_while_others_are_woken(void **state)
{
	ask_many(300);
	struct flight *flight = flight_find(&table, 7, key());
	finish(flight, STATUS_OK);
	(void)wake_some(300);
	for (int i = 0; i < 300; i++)
		scope_cancel(&askers[i].scope, GONE);
	assert_int_equal(table.waiting, 0);
	run();
	assert_int_equal(ends, 1);
	/* It had ended well, and still has for whoever holds it. */
	assert_int_equal(flight->outcome.status, STATUS_OK);
	leave_many(300);
	assert_int_equal(frees, 1);
}

/* One that is woken asks again, and others have not been woken yet: it gets a new flight. */
static void test_asking_again_when_woken(void **state)
{
	ask_many(100);
	struct flight *flight = flight_find(&table, 7, key());
	askers[0].asks_then = &askers[100];
	finish(flight, STATUS_OK);
	run();
	struct flight *next = flight_find(&table, 7, key());
	assert_ptr_not_equal(next, flight);
	assert_int_equal(askers[100].frame.frame.state, FRAME_WAITING);
	assert_int_equal(woken, 100);
	woken = 0;
	finish(next, STATUS_OK);
	run();
	leave_many(101);
	assert_int_equal(frees, 2);
}

static void test_a_drain(void **state)
{
	ask_many(2);
	struct flight *flight = flight_find(&table, 7, key());
	struct scripted *work = &job_of(flight)->work;
	work->unstoppable = true;
	scope_cancel(&flight->scope, DRAIN);
	run();
	assert_int_equal(work->reason, DRAIN);
	assert_null(flight_find(&table, 7, key()));
	assert_int_equal(askers[0].frame.frame.state, FRAME_WAITING);
	scope_cancel(&askers[0].scope, ASKED);
	scripted_finish(work, STATUS_OK);
	run();
	assert_int_equal(answer(&askers[0]), STATUS_CANCELLED);
	assert_int_equal(answer(&askers[1]), STATUS_UNAVAILABLE);
	assert_int_equal(ends, 0);
	leave_many(2);
	assert_int_equal(frees, 1);
}

/* Cut off from above, with its waiters, in one cascade. */
static void test_everything_is_cancelled(void **state)
{
	ask_many(50);
	scope_cancel(&root->scope, DRAIN);
	run();
	for (int i = 0; i < 50; i++)
		assert_int_equal(answer(&askers[i]), STATUS_CANCELLED);
	leave_many(50);
	assert_int_equal(ends, 0);
	assert_int_equal(frees, 1);
}

/* It isn't the waiter that was cancelled. */
static void test_a_flight_that_starts_in_a_drain_is_unavailable(void **state)
{
	struct root *other = root_new(NULL, SCOPE_FOREVER);
	scope_cancel(&other->scope, DRAIN);
	table.scope = &other->scope;
	struct flight *flight = start_flight();
	assert_int_equal(job_of(flight)->work.starts, 0);
	assert_null(flight_find(&table, 7, key()));
	assert_int_equal(join(&askers[0], flight, SCOPE_FOREVER), DONE);
	assert_int_equal(askers[0].waiter.frame.outcome.status, STATUS_UNAVAILABLE);
	leave(&askers[0]);
	scope_close(&other->scope);
	run();
	assert_int_equal(frees, 1);
	assert_int_equal(ends, 0);
	roots_freed--;
}

/* What the flights are below stays until the last of them has ended. */
static void test_the_scope_above_is_closed_first(void **state)
{
	struct root *generation = root_new(NULL, SCOPE_FOREVER);
	table.scope = &generation->scope;
	ask_many(1);
	scope_close(&generation->scope);
	run();
	assert_int_equal(roots_freed, 0);
	finish(flight_find(&table, 7, key()), STATUS_OK);
	run();
	assert_int_equal(answer(&askers[0]), STATUS_OK);
	assert_int_equal(roots_freed, 1);
	leave(&askers[0]);
	roots_freed--;
}

static void test_dropped_before_it_started(void **state)
{
	struct flight *flight = new_flight(7);
	assert_ptr_equal(flight_find(&table, 7, key()), flight);
	flight_drop(flight);
	assert_null(flight_find(&table, 7, key()));
	run();
	assert_int_equal(told, 1);
	assert_int_equal(frees, 1);
}

static void test_dropped_with_a_waiter(void **state)
{
	struct flight *flight = new_flight(7);
	assert_int_equal(join(&askers[0], flight, SCOPE_FOREVER), PENDING);
	flight_drop(flight);
	run();
	assert_int_equal(answer(&askers[0]), STATUS_RESOURCE_EXHAUSTED);
	assert_int_equal(frees, 0);
	leave(&askers[0]);
	assert_int_equal(frees, 1);
}

static void test_a_held_flight_needs_no_waiter(void **state)
{
	struct flight *flight = start_flight();
	flight_hold(flight);
	ask(&askers[0], SCOPE_FOREVER);
	scope_cancel(&askers[0].scope, GONE);
	run();
	leave(&askers[0]);
	assert_int_equal(job_of(flight)->work.cancels, 0);
	assert_ptr_equal(flight_find(&table, 7, key()), flight);
	ask(&askers[1], SCOPE_FOREVER);
	finish(flight, STATUS_OK);
	run();
	assert_int_equal(answer(&askers[1]), STATUS_OK);
	assert_int_equal(ends, 1);
	flight_release(flight, DRAIN); /* it has ended: nothing */
	leave(&askers[1]);
}

static void test_a_held_flight_ends_at_its_ceiling(void **state)
{
	struct flight *flight = start_flight();
	flight_hold(flight);
	turn(CEILING + TICK);
	run();
	assert_int_equal(told, 1);
	assert_int_equal(ends, 0);
	assert_int_equal(frees, 1);
}

static void test_a_flight_that_is_released_without_waiters_is_cancelled(void **state)
{
	struct flight *flight = start_flight();
	flight_hold(flight);
	flight_release(flight, DRAIN);
	assert_int_equal(job_of(flight)->work.cancels, 1);
	assert_int_equal(job_of(flight)->work.reason, DRAIN);
	assert_null(flight_find(&table, 7, key()));
	assert_int_equal(told, 1);
	run();
	assert_int_equal(frees, 1);
}

static void test_a_flight_that_is_released_goes_on_for_its_waiters(void **state)
{
	struct flight *flight = start_flight();
	flight_hold(flight);
	ask(&askers[0], SCOPE_FOREVER);
	flight_release(flight, DRAIN);
	flight_release(flight, DRAIN);
	assert_int_equal(job_of(flight)->work.cancels, 0);
	struct scripted *work = &job_of(flight)->work;
	work->unstoppable = true;
	scope_cancel(&askers[0].scope, GONE);
	assert_int_equal(work->reason, GONE);
	finish(flight, STATUS_OK);
	run();
	leave(&askers[0]);
}

static struct flight *start_apart(struct scope *scope)
{
	struct flight_plan plan = plan_of(7);
	plan.apart = scope;
	struct flight *flight = make_flight(&plan);
	flight_start(flight, &job_of(flight)->work.frame);
	return flight;
}

static void test_a_flight_apart_is_not_found(void **state)
{
	struct flight *flight = start_apart(&root->scope);
	assert_null(flight_find(&table, 7, key()));
	assert_int_equal(join(&askers[0], flight, SCOPE_FOREVER), PENDING);
	ask(&askers[1], SCOPE_FOREVER);
	assert_int_equal(table.numbers, 2);
	finish(flight, STATUS_OK);
	run();
	assert_int_equal(answer(&askers[0]), STATUS_OK);
	woken = 0;
	scope_cancel(&askers[1].scope, ASKED);
	run();
	leave_many(2);
}

static void test_a_flight_apart_ends_with_the_scope_it_is_in(void **state)
{
	struct root *outer = root_new(NULL, SCOPE_FOREVER);
	struct flight *flight = start_apart(&outer->scope);
	assert_int_equal(join(&askers[0], flight, SCOPE_FOREVER), PENDING);
	scope_cancel(&outer->scope, GONE);
	assert_int_equal(job_of(flight)->work.cancels, 1);
	scope_close(&outer->scope);
	run();
	assert_int_equal(answer(&askers[0]), STATUS_UNAVAILABLE);
	leave(&askers[0]);
	assert_int_equal(frees, 1);
	assert_int_equal(roots_freed, 1);
	roots_freed--;
}

static void test_who_is_cancelled_already_does_not_wait(void **state)
{
	ask_many(1);
	struct flight *flight = flight_find(&table, 7, key());
	struct asker *late = &askers[1];
	scope_init(&late->scope, &root->scope, NULL, SCOPE_FOREVER, TIMEOUT);
	scope_cancel(&late->scope, ASKED);
	memset(&late->waiter, 0xff, sizeof(late->waiter));
	waiter_init(&late->waiter, flight, &root->owner.frame, &late->scope);
	assert_int_equal(frame_start(&late->waiter.frame), DONE);
	assert_false(waiter_tells(&late->waiter));
	assert_int_equal(flight->waiter_count, 1);
	leave(late);
	finish(flight, STATUS_OK);
	run();
	leave(&askers[0]);
	assert_int_equal(frees, 1);
}

static void test_bounds(void **state)
{
	table.waiters_key_max = 3;
	table.waiters_max = 4;
	assert_false(flight_full(&table, NULL));
	ask_many(3);
	struct flight *flight = flight_find(&table, 7, key());
	assert_true(flight_full(&table, flight));
	assert_false(flight_full(&table, NULL));
	key_text = "another";
	ask(&askers[3], SCOPE_FOREVER);
	struct flight *other = flight_find(&table, 7, key());
	assert_ptr_not_equal(other, flight);
	assert_true(flight_full(&table, other));
	assert_true(flight_full(&table, NULL));
	scope_cancel(&askers[0].scope, ASKED);
	assert_false(flight_full(&table, flight));
	assert_false(flight_full(&table, NULL));
	finish(flight, STATUS_OK);
	finish(other, STATUS_OK);
	table.waiters_max = MANY;
	key_text = "a key";
	while (!runner_idle(&async.runner)) {
		woken = 0;
		runner_drain(&async.runner, 1);
	}
	leave_many(4);
	assert_int_equal(table.waiting_highest, 4);
}

/* One hash, many keys; and more flights than the table had room for. */
static void test_many_flights_are_told_apart(void **state)
{
	char keys[1000][16];
	struct flight *flights[1000];
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(keys[i], sizeof(keys[i]), "key %d", i);
		key_text = keys[i];
		flights[i] = new_flight((uint64_t)(i % 10 == 0 ? 0 : i));
	}
	assert_int_equal(table.table.count, 1000);
	for (int i = 0; i < 1000; i++) {
		struct text name = text_of(keys[i]);
		assert_ptr_equal(flight_find(&table, (uint64_t)(i % 10 == 0 ? 0 : i), name),
				flights[i]);
		assert_null(flight_find(&table, (uint64_t)(i % 10 == 0 ? 10 : 0), name));
		assert_int_equal(flights[i]->number, i + 1);
	}
	for (int i = 0; i < 1000; i++) {
		flight_drop(flights[(i * 7) % 1000]);
		assert_int_equal(table.table.count, 999 - i);
	}
	run();
	assert_int_equal(frees, 1000);
	key_text = "a key";
}

static void test_the_extra_room_is_cleared(void **state)
{
	const struct flight_plan plan = {
			.hash = 1, .key = key(), .ceiling = CEILING, .extra = 5000};
	struct flight *flight = flight_new(&table, &plan);
	const char *extra = flight_extra(flight);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(extra[i], 0);
	assert_true(flight->key.data != key_text);
	assert_true(text_equal(flight->key, key()));
	flight_drop(flight);
	run();
}

static void test_memory_that_is_out(void **state)
{
	struct flight_table none;
	allocations_fail_after(0);
	assert_int_equal(flight_table_init(&none, &async, &root->scope, &arenas, 1, 1), -ENOMEM);
	struct flight_plan plan = plan_of(7);
	assert_null(flight_new(&table, &plan));
	plan.extra = 10000;
	allocations_fail_after(1);
	assert_null(flight_new(&table, &plan));
	assert_int_equal(account.used, 0);
	assert_int_equal(table.table.count, 0);
	allocations_heal();
	/* Without memory to grow, the table has long chains. */
	struct flight *flights[65];
	for (int i = 0; i < 64; i++)
		flights[i] = new_flight((uint64_t)i);
	allocations_fail_after(1);
	flights[64] = new_flight(64);
	allocations_heal();
	assert_int_equal(table.table.slot_count, 64);
	assert_ptr_equal(flight_find(&table, 64, key()), flights[64]);
	assert_ptr_equal(flight_find(&table, 0, key()), flights[0]);
	for (int i = 0; i < 65; i++)
		flight_drop(flights[i]);
	run();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_ten_thousand_wait_for_one_run),
			TEST(test_the_first_has_no_special_place),
			TEST(test_all_but_the_last_leave),
			TEST(test_the_last_to_leave_cancels_it),
			TEST(test_one_tells_of_the_flight),
			TEST(test_the_last_tells_of_a_flight_that_has_ended),
			TEST(test_who_was_woken_tells_until_it_has_heard),
			TEST(test_the_last_leaves_between_the_finish_and_the_end),
			TEST(test_each_waiter_has_its_own_deadline),
			TEST(test_the_ceiling),
			TEST(test_one_that_has_run_out_is_dying_until_it_ends),
			TEST(test_an_end_past_the_ceiling_is_late),
			TEST(test_an_end_at_once),
			TEST(test_an_end_at_once_that_nobody_waits_for),
			TEST(test_its_outcome_is_what_is_made_of_its_works),
			TEST(test_leaving_while_others_are_woken),
			TEST(test_all_leave_while_others_are_woken),
			TEST(test_asking_again_when_woken),
			TEST(test_a_drain),
			TEST(test_everything_is_cancelled),
			TEST(test_a_flight_that_starts_in_a_drain_is_unavailable),
			TEST(test_the_scope_above_is_closed_first),
			TEST(test_dropped_before_it_started),
			TEST(test_dropped_with_a_waiter),
			TEST(test_a_held_flight_needs_no_waiter),
			TEST(test_a_held_flight_ends_at_its_ceiling),
			TEST(test_a_flight_that_is_released_without_waiters_is_cancelled),
			TEST(test_a_flight_that_is_released_goes_on_for_its_waiters),
			TEST(test_a_flight_apart_is_not_found),
			TEST(test_a_flight_apart_ends_with_the_scope_it_is_in),
			TEST(test_who_is_cancelled_already_does_not_wait),
			TEST(test_bounds),
			TEST(test_many_flights_are_told_apart),
			TEST(test_the_extra_room_is_cleared),
			TEST(test_memory_that_is_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
