/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The turn. Deadlines fire on the way in, before the handler can see a completion, so that what
 * comes at or past its deadline is late whatever the order in which the loop found them.
 */
#include "pipeline/async/async.h"

#include "pipeline/base/lesser.h"

/* Enough to keep a turn under a millisecond, few enough that a flight's thousand waiters don't hold
 * up the next deadline. */
#define TASKS_USUAL 512

void async_init(struct async *async, uint64_t now, uint64_t seed)
{
	async->now = now;
	async->tasks_per_turn = TASKS_USUAL;
	async->runner = (struct runner){NULL, NULL};
	wheel_init(&async->wheel, now);
	random_init(&async->random, seed);
	random_init(&async->keys, ~seed);
}

void async_enter(struct async *async, uint64_t now)
{
	async->now = greater(async->now, now);
	wheel_advance(&async->wheel, async->now);
}

uint64_t async_leave(struct async *async)
{
	runner_drain(&async->runner, async->tasks_per_turn);
	return runner_idle(&async->runner) ? wheel_next(&async->wheel) : async->now;
}
