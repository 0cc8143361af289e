/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loop like the daemon's, without a kernel: a turn is made when something is due (a message, a
 * job's end, a deadline) or the last one has left something to do, or somewhat later, as on a busy
 * machine.
 */
#include "tests/sim/history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/base/hash.h"
#include "tests/sim/history_parts.h"

#define LAG_MAX	   (3 * WORLD_MS)
#define BATCH_ACTS 40
#define EARLY_ACTS 10
#define CHUNK	   16
#define CROWDED	   4 /* one in so many turns goes on to the next thing at once */

/* What is due: a door reads one message or a whole batch of them. */
static void act_all(struct history *history)
{
	struct engine *engine = history->harness.engine;
	struct async *async = history_async(history);
	uint64_t now = async->now;
	if (history_reloads_next(history) ||
			random_below(&history->random, 1000) >= history->plan->batching) {
		history_act_next(history);
		return;
	}
	witness_begin_batch(&history->witness);
	engine_begin_batch(engine);
	for (int i = 0; i < BATCH_ACTS && history_act_is_due(history, now) &&
			!history_reloads_next(history);
			i++) {
		history_act_next(history);
		/* A door looks at the clock after so many. */
		if (history_one_in(history, CHUNK))
			async_enter(async, async->now + random_below(&history->random, WORLD_MS));
	}
	engine_flush(engine);
	witness_end_batch(&history->witness);
}

/* When something is due, or ASYNC_NEVER. */
static uint64_t next_time(const struct history *history)
{
	uint64_t next = history->next_turn;
	const struct appointment *appointment = agenda_next(&history->agenda);
	if (appointment && appointment->at < next)
		next = appointment->at;
	if (history->next_act < history->plan->act_count) {
		uint64_t at = WORLD_START + history->plan->acts[history->next_act].at;
		next = at < next ? at : next;
	}
	return next;
}

/* Who waits for what has just come is not interested any more. */
static void turn_away(struct history *history)
{
	uint32_t number = witness_waiter(&history->witness, history->latest_key);
	if (number == NOBODY)
		return;
	struct peer *peer = &history->harness.peers[history->witness.requests[number].peer];
	if (history_one_in(history, 2))
		history_cancel(history, peer, number);
	else
		history_leave(history, peer);
}

/* Things that stand close together may happen before the first of them has been dealt with. */
static void crowd(struct history *history)
{
	if (history_one_in(history, 2))
		(void)history_keep_next(history);
	else if (history_one_in(history, 4))
		turn_away(history);
}

/* A flight has run out and is still to be told of that: some come just then. */
static void come_early(struct history *history)
{
	for (int i = 0; i < EARLY_ACTS && history->next_act < history->plan->act_count &&
			!history_reloads_next(history);
			i++)
		history_act_next(history);
}

/* One thing that is due, if anything is. */
static void happen(struct history *history, uint64_t now)
{
	const struct appointment *appointment = agenda_next(&history->agenda);
	bool kept = appointment && appointment->at <= now;
	bool acted = history_act_is_due(history, now);
	if (kept && (!acted || history_one_in(history, 2)))
		(void)history_keep_next(history);
	else if (acted)
		act_all(history);
	if (kept && history_one_in(history, CROWDED))
		crowd(history);
	if (history->ran_out && !kept && !acted && history_one_in(history, 2))
		come_early(history);
}

static void turn(struct history *history, uint64_t now)
{
	struct async *async = history_async(history);
	history->ran_out = false;
	witness_begin_turn(&history->witness, now);
	async_enter(async, now);
	happen(history, now);
	witness_begin_telling(&history->witness);
	history->next_turn = async_leave(async);
	history->step++;
	if (history->traced)
		history_write_trace(history);
	witness_end_turn(&history->witness, history->next_turn);
}

static void go_on(struct history *history)
{
	for (;;) {
		uint64_t now = history_async(history)->now;
		uint64_t next = next_time(history);
		if (next == ASYNC_NEVER || history->witness.failed)
			return;
		if (next < now)
			next = now;
		bool left = !runner_idle(&history_async(history)->runner);
		if ((next > now || left) &&
				random_below(&history->random, 1000) < history->plan->lagging)
			next += random_below(&history->random, LAG_MAX);
		turn(history, next);
	}
}

static bool begin(struct history *history, const struct plan *plan, struct coverage *coverage,
		bool traced)
{
	struct world *world = &history->harness.world;
	*history = (struct history){.plan = plan, .coverage = coverage, .traced = traced};
	history_watch(history);
	random_init(&history->random, hash_u64(plan->seed));
	agenda_init(&history->agenda);
	harness_init(&history->harness);
	if (plan->tasks_per_turn > 0)
		world->async.tasks_per_turn = plan->tasks_per_turn;
	trace_init(&history->trace, &history->harness);
	world->watch = &history->watch;
	world->wrap_cache = history_wrap_cache;
	world->wrap_user = &history->witness;
	if (!witness_init(&history->witness, plan, &history->harness, coverage))
		return false;
	history->next_turn = ASYNC_NEVER;
	if (harness_load(&history->harness, plan->configuration.yaml.data)) {
		witness_begin(&history->witness);
		return true;
	}
	witness_complain(&history->witness, "the configuration is refused: %s",
			world_problems(world));
	return true;
}

struct verdict history_run(const struct plan *plan, struct coverage *coverage, bool traced)
{
	struct history history;
	struct verdict verdict = {0};
	if (!begin(&history, plan, coverage, traced))
		abort();
	history.witness.stack = __builtin_frame_address(0); /* no local: those may be elsewhere */
	if (!history.witness.failed)
		go_on(&history);
	if (!history.witness.failed)
		witness_check_end(&history.witness);
	history.witness.dropping = true;
	verdict.step = history.step;
	verdict.ms = (double)(history_async(&history)->now - WORLD_START) / WORLD_MS;
	if (!history.witness.failed && !harness_deinit(&history.harness))
		witness_complain(&history.witness, "something is left when all is over");
	verdict.failed = history.witness.failed;
	memcpy(verdict.complaint, history.witness.complaint, sizeof(verdict.complaint));
	if (traced)
		history_write_trace(&history);
	trace_deinit(&history.trace);
	coverage_add_census(coverage);
	agenda_deinit(&history.agenda);
	witness_deinit(&history.witness);
	return verdict;
}
