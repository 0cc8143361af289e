/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What all asynchronous work stands on: the time of this turn, deadlines, the runner, randomness.
 * It is handed time and never asks for it, so a simulator can be the clock.
 *
 * A turn is one dispatch of one event source: async_enter(), the handler, async_leave(). A handler
 * that does much may enter again on the way, so that no deadline waits for the end of its turn.
 */
#include <stddef.h>
#include <stdint.h>

#include "pipeline/async/runner.h"
#include "pipeline/async/wheel.h"
#include "pipeline/base/random.h"

#define ASYNC_NEVER UINT64_MAX

struct async {
	uint64_t now;	       /* of this turn: monotonic nanoseconds */
	size_t tasks_per_turn; /* at most; may be changed between two turns */
	struct wheel wheel;
	struct runner runner;
	struct random random;
	struct random keys; /* of hash tables only, for what is drawn from the other is seen: a
			       client can foresee `retry_ms` when it has seen enough of them */
};

/* One seed fixes all that is drawn. A daemon seeds `keys` anew, by getrandom(2). */
void async_init(struct async *async, uint64_t now, uint64_t seed);

/* Begins a turn at now (never before the last one's), or goes on with it, and fires the deadlines
 * that are due. */
void async_enter(struct async *async, uint64_t now);

/*
 * Ends a turn: drains the runner up to a bound. Returns when the next turn must be at the latest:
 * async->now if the runner has more, the next deadline, or ASYNC_NEVER.
 */
uint64_t async_leave(struct async *async);
