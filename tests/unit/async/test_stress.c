/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All of this layer together: requests whose work is a random tree, in random turns. Each is a root
 * in an arena of its own that is freed in on_idle, so the address sanitizer sees whoever comes
 * later; what must always hold is asserted in each resume and after each turn. A seed replays
 * exactly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pipeline/async/flight.h"
#include "pipeline/async/gather.h"
#include "pipeline/async/semaphore.h"
#include "pipeline/base/arena.h"
#include "tests/unit/async/scripted.h"

#define SEEDS	   60
#define SEEDS_SLOW 1000
#define TURNS	   1500
#define REQUESTS   24
#define KEYS	   4
#define BRANCHES   4
#define DEPTH	   4
#define WORKS_MAX  10000
#define WAITERS	   12
#define FAR_TICKS  40

/* JOB is outside work, the leaf of every tree. A flight's own tree holds only flights of higher
 * keys, so none waits for itself. */
enum kind { JOB, SERIES, LIMIT, GATHER, LOOKUP, CACHE, KINDS };

/* What a tree grows in: a request or a flight. */
struct soil {
	struct arena *arena;
	int key_min;
	int open; /* frames that have pended and not yet ended */
};

struct node {
	struct frame frame;
	struct soil *soil;
	enum kind kind;
	int depth;
	bool told; /* to its parent */
	union {
		struct {
			size_t index; /* in works */
			bool cancelled;
		} job;
		struct {
			struct node *child;
			int left;
		} series;
		struct {
			struct scope scope;
			struct node *child;
		} limit;
		struct {
			struct gather gather;
			struct branch branches[BRANCHES];
		} gather;
		struct {
			struct permit permit;
			struct node *job;
		} lookup;
		struct waiter waiter;
	};
};

struct request {
	struct frame owner;
	struct scope scope;
	struct arena arena;
	struct soil soil;
	uint64_t deadline;
	size_t index; /* in requests, until it is replied to */
	bool replied;
};

/* What stands behind a flight. */
struct miss {
	struct soil soil;
};

static struct scope generation;
static struct account account;
static struct arena_pool arenas;
static struct flight_table table;
static struct semaphore semaphore;
static struct node *works[WORKS_MAX]; /* outside work that goes on */
static size_t work_count;
static struct request *requests[REQUESTS]; /* not replied to yet */
static size_t request_count;
static long requests_made, requests_freed, flights_made, flights_freed, replies, answers, cuts,
		generations_freed;

static bool chance(uint64_t percent)
{
	return random_below(&async.random, 100) < percent;
}

static uint64_t pick(uint64_t bound)
{
	return random_below(&async.random, bound);
}

/* A deadline that mostly lies between two ticks, sometimes has passed, and sometimes is that of
 * everybody. */
static uint64_t some_deadline(void)
{
	switch (pick(8)) {
	case 0:
		return SCOPE_FOREVER;
	case 1:
		return async.now;
	case 2:
		return (async.now / TICK + 1 + pick(FAR_TICKS)) * TICK;
	default:
		return async.now + 1 + pick(FAR_TICKS * TICK);
	}
}

static struct outcome some_outcome(void)
{
	return outcome_status(chance(70) ? STATUS_OK : STATUS_UNAVAILABLE);
}

static struct node *grow(struct soil *soil, int depth, enum kind kind, struct frame *parent,
		struct scope *scope);

static struct node *grow_any(struct node *parent, struct scope *scope)
{
	enum kind kind = parent->depth == DEPTH ? JOB : (enum kind)pick(KINDS);
	return grow(parent->soil, parent->depth + 1, kind, &parent->frame, scope);
}

static struct node *node_of(struct frame *frame)
{
	return container_of(frame, struct node, frame);
}

/* Notes what start() or resume() of a node says. */
static enum progress note(struct node *node, bool starting, enum progress progress)
{
	if (starting && progress == PENDING)
		node->soil->open++;
	if (!starting && progress == DONE)
		node->soil->open--;
	return progress;
}

/* What holds whenever a frame is resumed. */
static void check_resume(const struct frame *frame, const struct frame *child)
{
	assert_true(frame->state == FRAME_WAITING);
	if (frame->scope && !scope_cancelled(frame->scope))
		assert_true(async.now < frame->scope->deadline);
	if (!child)
		return;
	assert_true(child->state == FRAME_ENDED && child->parent == frame);
	if (scope_cancelled(child->scope))
		assert_ptr_equal(child->scope, frame->scope);
	else
		assert_true(async.now < child->scope->deadline);
}

static void check_told_once(struct node *child)
{
	assert_false(child->told);
	child->told = true;
}

/* Jobs */

static enum progress job_start(struct frame *frame)
{
	struct node *node = node_of(frame);
	if (chance(30))
		return frame_done(frame, some_outcome());
	assert_true(work_count < WORKS_MAX);
	node->job.index = work_count;
	works[work_count++] = node;
	return note(node, true, PENDING);
}

static void job_finish(struct node *node, struct outcome outcome)
{
	works[node->job.index] = works[--work_count];
	works[node->job.index]->job.index = node->job.index;
	(void)note(node, false, DONE);
	node->frame.outcome = outcome;
	frame_finish(&node->frame);
}

static void job_cancel(struct frame *frame, enum reason reason)
{
	struct node *node = node_of(frame);
	assert_false(node->job.cancelled);
	assert_int_equal(reason, frame->scope->reason);
	node->job.cancelled = true;
	if (chance(60))
		job_finish(node, outcome_status(STATUS_CANCELLED));
}

/* One after the other, until one fails */

static enum progress series_go_on(struct node *node)
{
	while (node->series.left-- > 0) {
		node->series.child = grow_any(node, node->frame.scope);
		if (frame_start(&node->series.child->frame) == PENDING)
			return PENDING;
		if (node->series.child->frame.outcome.status != STATUS_OK)
			break;
	}
	return frame_done(&node->frame, node->series.child->frame.outcome);
}

static enum progress series_start(struct frame *frame)
{
	struct node *node = node_of(frame);
	node->series.left = 1 + (int)pick(3);
	return note(node, true, series_go_on(node));
}

static enum progress series_resume(struct frame *frame, struct frame *child)
{
	struct node *node = node_of(frame);
	check_resume(frame, child);
	assert_ptr_equal(child, &node->series.child->frame);
	check_told_once(node->series.child);
	if (child->outcome.status != STATUS_OK)
		return note(node, false, frame_done(frame, child->outcome));
	return note(node, false, series_go_on(node));
}

/* A scope around one child */

static enum progress limit_end(struct node *node, struct outcome outcome)
{
	scope_close(&node->limit.scope);
	return frame_done(&node->frame, outcome);
}

static enum progress limit_start(struct frame *frame)
{
	struct node *node = node_of(frame);
	scope_init(&node->limit.scope, frame->scope, frame, some_deadline(), TIMEOUT);
	node->limit.child = grow_any(node, &node->limit.scope);
	if (frame_start(&node->limit.child->frame) == PENDING)
		return note(node, true, PENDING);
	return limit_end(node, node->limit.child->frame.outcome);
}

static enum progress limit_resume(struct frame *frame, struct frame *child)
{
	struct node *node = node_of(frame);
	check_resume(frame, child);
	if (child)
		check_told_once(node->limit.child);
	else
		assert_true(node->limit.scope.reason == TIMEOUT || node->limit.scope.count == 0);
	return note(node, false,
			limit_end(node, child ? child->outcome
					      : outcome_status(STATUS_UNAVAILABLE)));
}

/* Many at once */

static enum progress gather_end(struct node *node)
{
	struct gather *gather = &node->gather.gather;
	bool good = gather->good >= gather->needed;
	gather_close(gather);
	for (uint32_t i = 0; i < gather->count; i++)
		assert_int_not_equal(gather->branches[i].state, BRANCH_ASKED);
	assert_int_equal(gather->pending, 0);
	return frame_done(&node->frame, outcome_status(good ? STATUS_OK : STATUS_UNAVAILABLE));
}

static enum progress gather_begin(struct frame *frame)
{
	struct node *node = node_of(frame);
	struct gather *gather = &node->gather.gather;
	uint32_t count = 1 + (uint32_t)pick(BRANCHES);
	gather_init(gather, frame, node->gather.branches, count, 1 + (uint32_t)pick(count));
	for (uint32_t i = 0; i < count && gather->good < gather->needed; i++) {
		struct scope *scope = gather_scope(gather, i, some_deadline());
		gather_start(gather, i, &grow_any(node, scope)->frame);
	}
	return note(node, true, gather_complete(gather) ? gather_end(node) : PENDING);
}

static enum progress gather_go_on(struct frame *frame, struct frame *child)
{
	struct node *node = node_of(frame);
	check_resume(frame, child);
	bool ours = gather_resume(&node->gather.gather, child);
	assert_true(ours || !child);
	if (child)
		check_told_once(node_of(child));
	bool complete = gather_complete(&node->gather.gather);
	return note(node, false, complete ? gather_end(node) : PENDING);
}

/* A job that needs a permit */

static enum progress lookup_end(struct node *node, struct outcome outcome)
{
	permit_release(&node->lookup.permit);
	return frame_done(&node->frame, outcome);
}

static enum progress lookup_granted(struct node *node)
{
	node->lookup.job = grow(node->soil, node->depth + 1, JOB, &node->frame, node->frame.scope);
	if (frame_start(&node->lookup.job->frame) == PENDING)
		return PENDING;
	return lookup_end(node, node->lookup.job->frame.outcome);
}

static enum progress lookup_start(struct frame *frame)
{
	struct node *node = node_of(frame);
	permit_init(&node->lookup.permit, &semaphore, frame, frame->scope);
	if (frame_start(&node->lookup.permit.frame) == PENDING)
		return note(node, true, PENDING);
	if (!node->lookup.permit.held)
		return frame_done(frame, node->lookup.permit.frame.outcome);
	return note(node, true, lookup_granted(node));
}

static enum progress lookup_resume(struct frame *frame, struct frame *child)
{
	struct node *node = node_of(frame);
	check_resume(frame, child);
	if (child != &node->lookup.permit.frame)
		check_told_once(node->lookup.job);
	else if (child->outcome.status == STATUS_OK)
		return note(node, false, lookup_granted(node));
	return note(node, false, lookup_end(node, child->outcome));
}

/* A wait for a flight */

static void on_end(struct flight *flight)
{
	assert_ptr_not_equal(flight_find(&table, flight->entry.hash, flight->key), flight);
}

static void on_free(struct flight *flight)
{
	struct miss *miss = flight_extra(flight);
	assert_int_equal(miss->soil.open, 0);
	flights_freed++;
}

static struct flight *start_flight(int key, struct text text)
{
	const struct flight_plan plan = {
			.hash = (uint64_t)key % 2,
			.key = text,
			.ceiling = some_deadline(),
			.extra = sizeof(struct miss),
			.on_end = on_end,
			.on_free = on_free,
	};
	struct flight *flight = flight_new(&table, &plan);
	assert_non_null(flight);
	flights_made++;
	struct miss *miss = flight_extra(flight);
	miss->soil = (struct soil){.arena = &flight->arena, .key_min = key + 1};
	struct node *work = grow(
			&miss->soil, 1, (enum kind)pick(KINDS), &flight->frame, &flight->scope);
	flight_start(flight, &work->frame);
	return flight;
}

static enum progress cache_start(struct frame *frame)
{
	static const char *const names[KEYS] = {"a", "b", "c", "d"};
	struct node *node = node_of(frame);
	if (node->soil->key_min == KEYS)
		return frame_done(frame, some_outcome());
	int key = node->soil->key_min + (int)pick((uint64_t)(KEYS - node->soil->key_min));
	struct text text = text_of(names[key]);
	struct flight *flight = flight_find(&table, (uint64_t)key % 2, text);
	if (flight_full(&table, flight))
		return frame_done(frame, outcome_status(STATUS_RESOURCE_EXHAUSTED));
	waiter_init(&node->waiter, flight ? flight : start_flight(key, text), frame, frame->scope);
	if (frame_start(&node->waiter.frame) == PENDING)
		return note(node, true, PENDING);
	frame->outcome = node->waiter.frame.outcome;
	waiter_deinit(&node->waiter);
	return DONE;
}

static enum progress cache_resume(struct frame *frame, struct frame *child)
{
	struct node *node = node_of(frame);
	check_resume(frame, child);
	assert_ptr_equal(child, &node->waiter.frame);
	frame->outcome = child->outcome;
	waiter_deinit(&node->waiter);
	return note(node, false, DONE);
}

static const struct frame_ops ops[KINDS] = {
		[JOB] = {.start = job_start, .cancel = job_cancel},
		[SERIES] = {.start = series_start, .resume = series_resume},
		[LIMIT] = {.start = limit_start, .resume = limit_resume},
		[GATHER] = {.start = gather_begin, .resume = gather_go_on},
		[LOOKUP] = {.start = lookup_start, .resume = lookup_resume},
		[CACHE] = {.start = cache_start, .resume = cache_resume},
};

static struct node *grow(struct soil *soil, int depth, enum kind kind, struct frame *parent,
		struct scope *scope)
{
	struct node *node = arena_zalloc(soil->arena, sizeof(*node));
	assert_non_null(node);
	node->soil = soil;
	node->kind = kind;
	node->depth = depth;
	frame_init(&node->frame, &ops[kind], parent, scope);
	return node;
}

/* Requests */

static void reply(struct request *request)
{
	assert_false(request->replied);
	request->replied = true;
	replies++;
	requests[request->index] = requests[--request_count];
	requests[request->index]->index = request->index;
	scope_close(&request->scope);
}

static enum progress on_reply(struct frame *owner, struct frame *child)
{
	struct request *request = container_of(owner, struct request, owner);
	check_resume(owner, child);
	if (!child)
		assert_true(scope_cancelled(&request->scope));
	answers += child != NULL;
	cuts += child == NULL;
	reply(request);
	return PENDING;
}

static const struct frame_ops request_ops = {.resume = on_reply};

static void on_request_idle(struct scope *scope)
{
	struct request *request = container_of(scope, struct request, scope);
	assert_true(request->replied);
	assert_int_equal(request->soil.open, 0);
	assert_int_equal(scope->count, 0);
	requests_freed++;
	struct arena arena = request->arena;
	arena_pool_give(&arenas, &arena);
}

static void begin_request(void)
{
	struct arena arena;
	assert_true(arena_pool_take(&arenas, &arena));
	struct request *request = arena_zalloc(&arena, sizeof(*request));
	assert_non_null(request);
	requests_made++;
	request->arena = arena;
	request->soil.arena = &request->arena;
	request->deadline = some_deadline();
	request->index = request_count;
	requests[request_count++] = request;
	frame_init_root(&request->owner, &request_ops);
	scope_init_root(&request->scope, &async, &generation, &request->owner, request->deadline,
			on_request_idle);
	struct node *work = grow(&request->soil, 0, (enum kind)pick(KINDS), &request->owner,
			&request->scope);
	if (frame_start(&work->frame) == DONE)
		reply(request);
}

/* As $cancel or a lost connection: the reply waits for no frame. */
static void cancel_request(struct request *request)
{
	scope_cancel(&request->scope, chance(50) ? ASKED : GONE);
	reply(request);
}

static void on_generation_idle(struct scope *scope)
{
	assert_int_equal(requests_freed, requests_made);
	generations_freed++;
}

/* Turns */

static void happen(void)
{
	uint64_t dice = pick(100);
	if (dice < 25 && request_count < REQUESTS)
		begin_request();
	else if (dice < 75 && work_count > 0)
		job_finish(works[pick(work_count)], some_outcome());
	else if (dice < 80 && request_count > 0)
		cancel_request(requests[pick(request_count)]);
}

/* To somebody's very deadline, or by a little, or not at all. */
static uint64_t next_turn(void)
{
	if (request_count > 0 && chance(10)) {
		uint64_t deadline = requests[pick(request_count)]->deadline;
		if (deadline != SCOPE_FOREVER)
			return deadline;
	}
	return chance(50) ? async.now : async.now + pick(3 * TICK);
}

static void check_between_turns(void)
{
	assert_true(semaphore.held <= semaphore.permits);
	assert_true(semaphore.waiting == 0 || semaphore.held == semaphore.permits);
	/* Whoever asks for room and then starts a flight may find that its work has taken some. */
	assert_true(table.waiting < WAITERS + KEYS);
	if (!runner_idle(&async.runner))
		return;
	for (size_t i = 0; i < request_count; i++) {
		uint64_t deadline = requests[i]->deadline;
		assert_true(deadline == SCOPE_FOREVER || async.now < deadline + 2 * TICK);
	}
}

static void run_turn(void)
{
	async_enter(&async, next_turn());
	for (uint64_t i = pick(6); i > 0; i--)
		happen();
	/* Sometimes less is done than there is to do, as when a turn's bound is reached. */
	if (chance(30))
		runner_drain(&async.runner, pick(8));
	else
		(void)async_leave(&async);
	check_between_turns();
}

/* Nothing new comes; what still goes on outside ends. */
static void wind_up(bool drain)
{
	if (drain)
		scope_cancel(&generation, DRAIN);
	scope_close(&generation);
	while (work_count > 0 || !runner_idle(&async.runner)) {
		if (work_count > 0 && chance(50))
			job_finish(works[pick(work_count)], some_outcome());
		(void)turn(async.now + pick(TICK));
	}
}

static void begin(uint64_t seed)
{
	async_init(&async, START, seed);
	account = (struct account){.max = SIZE_MAX};
	arena_pool_init(&arenas, &account, 0);
	scope_init_root(&generation, &async, NULL, NULL, SCOPE_FOREVER, on_generation_idle);
	semaphore_init(&semaphore, &async, 2, 3);
	assert_int_equal(flight_table_init(&table, &async, &generation, &arenas, WAITERS - 2,
					 WAITERS),
			0);
}

static void test_random_trees_in_random_turns(void **state)
{
	uint64_t granted = 0, joined = 0;
	uint64_t seeds = getenv("SLUICE_SLOW") ? SEEDS_SLOW : SEEDS;
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		begin(seed);
		for (int i = 0; i < TURNS; i++)
			run_turn();
		wind_up(seed % 2 == 0);
		assert_int_equal(request_count, 0);
		assert_int_equal(requests_freed, requests_made);
		assert_int_equal(replies, requests_made);
		assert_int_equal(flights_freed, flights_made);
		assert_int_equal(generations_freed, seed);
		assert_int_equal(semaphore.held + semaphore.waiting, 0);
		assert_true(table.waiting == 0 && account.used == 0);
		granted += semaphore.granted;
		joined += table.waiting_highest;
		flight_table_deinit(&table);
		arena_pool_deinit(&arenas);
		assert_int_equal(scripted_tear_down(state), 0);
	}
	/* All of it has happened. */
	assert_true(answers > SEEDS && cuts > SEEDS && flights_made > SEEDS);
	assert_true(granted > SEEDS && joined > 2 * SEEDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_setup_teardown(test_random_trees_in_random_turns,
					scripted_set_up, scripted_tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
