/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for a flight. One that ran out at its ceiling is flown once more for whoever has a later
 * deadline. Who has an old value to fall back on does not fly twice, and waits in a scope of its
 * own that ends a little before its deadline, so that the old value still comes in time.
 */
#include "pipeline/stages/cache.h"

#include "pipeline/async/async.h"
#include "pipeline/base/arena.h"
#include "pipeline/resources/source.h"

/* Gives the old value, if there still is one. */
static bool fall_back(struct cache_frame *self)
{
	self->old = self->old && cache_give_old(self);
	return self->old;
}

enum progress cache_settle(struct cache_frame *self, struct outcome outcome)
{
	if (cache_failed(&outcome) && fall_back(self))
		return DONE;
	return frame_done(&self->base.frame, outcome);
}

static void release_flight(struct hold *hold)
{
	waiter_deinit(&container_of(hold, struct flight_hold, hold)->waiter);
}

/* Of the first who is answered by it. */
static void take_costs(struct run *run, struct flight *flight)
{
	run_take_costs(run, &((struct miss_run *)flight_extra(flight))->run);
}

static bool wants_fresh(const struct cache_frame *self)
{
	return self->base.run->fresh && cache_stage_of(&self->base)->heeds_fresh;
}

/* The flight has ended, or this waiter was cut off. */
static enum progress answer(struct cache_frame *self)
{
	struct stage_frame *base = &self->base;
	struct outcome outcome = self->waiting->waiter.frame.outcome;
	if (self->waiting->waiter.flight->ended)
		take_costs(base->run, self->waiting->waiter.flight);
	if (scope_cancelled(base->frame.scope))
		return frame_done(&base->frame, outcome);
	if (outcome.status != STATUS_DEADLINE_EXCEEDED)
		return cache_settle(self, outcome);
	if (fall_back(self))
		return DONE;
	/* It ran out at its ceiling. That is this run's own end too, unless its deadline is later.
	 */
	if (base->frame.scope->deadline <= self->waiting->waiter.flight->ceiling)
		return frame_done(&base->frame, outcome);
	if (self->again)
		return frame_done(&base->frame, stage_timed_out(base, base->stage->path));
	self->again = true;
	return wants_fresh(self) ? cache_run_fresh(self) : cache_join(self);
}

static void close_scope(struct flight_hold *hold)
{
	if (hold->where == &hold->patience)
		scope_close(&hold->patience);
}

/* NULL when memory is out. */
static struct flight_hold *hold_new(struct cache_frame *self)
{
	struct scope *outer = self->base.frame.scope;
	struct flight_hold *hold = arena_zalloc(self->base.run->arena, sizeof(*hold));
	if (!hold)
		return NULL;
	hold->hold.release = release_flight;
	hold->where = outer;
	if (!self->old)
		return hold;
	scope_init(&hold->patience, outer, &self->base.frame,
			scope_before_deadline(outer, SOURCE_MARGIN_NS), TIMEOUT);
	hold->where = &hold->patience;
	return hold;
}

static bool join_or_fly(struct cache_frame *self, struct flight *flight, struct flight_hold *hold)
{
	struct cache_stage *stage = cache_stage_of(&self->base);
	bool held = self->old && cache_may_hold(stage);
	if (flight) {
		stage->counts.joined++;
		cache_tell(self, TEXT("joined"));
		waiter_init(&hold->waiter, flight, &self->base.frame, hold->where);
		return true;
	}
	stage->counts.misses++;
	cache_tell(self, TEXT("miss"));
	return cache_fly(self, hold, held ? FLY_HELD : FLY_SHARED);
}

/* Waits for the flight that hold's waiter has joined. */
static enum progress wait_for(struct cache_frame *self, struct flight_hold *hold)
{
	run_hold(self->base.run, &hold->hold);
	self->waiting = hold;
	if (frame_start(&hold->waiter.frame) == PENDING)
		return PENDING;
	close_scope(hold);
	return answer(self);
}

static enum progress refuse(struct cache_frame *self)
{
	(void)stage_fail(&self->base, STATUS_RESOURCE_EXHAUSTED, "too many wait");
	return cache_settle(self, self->base.frame.outcome);
}

enum progress cache_join(struct cache_frame *self)
{
	struct cache_stage *stage = cache_stage_of(&self->base);
	struct flight *flight = flight_find(&stage->flights, self->hash, self->key);
	if (flight_full(&stage->flights, flight))
		return refuse(self);
	struct flight_hold *hold = hold_new(self);
	if (!hold)
		return cache_settle(self, run_out_of_memory());
	if (join_or_fly(self, flight, hold))
		return wait_for(self, hold);
	close_scope(hold);
	return cache_settle(self, run_out_of_memory());
}

enum progress cache_run_fresh(struct cache_frame *self)
{
	struct cache_stage *stage = cache_stage_of(&self->base);
	if (self->base.run->used_up)
		return stage_may_not_wait(&self->base);
	if (flight_full(&stage->flights, NULL))
		return refuse(self);
	stage->counts.fresh++;
	cache_tell(self, TEXT("miss"));
	struct flight_hold *hold = hold_new(self);
	if (!hold || !cache_fly(self, hold, FLY_APART))
		return frame_done(&self->base.frame, run_out_of_memory());
	return wait_for(self, hold);
}

enum progress cache_resume(struct frame *frame, struct frame *child)
{
	struct cache_frame *self = container_of(frame, struct cache_frame, base.frame);
	struct flight_hold *hold = self->waiting;
	close_scope(hold);
	if (child)
		return answer(self);
	if (scope_cancelled(frame->scope))
		return frame_done(frame, outcome_status(STATUS_CANCELLED));
	/* Its patience is at an end. Where the old value is gone, what little time remains is spent
	 * like that of others. */
	return fall_back(self) ? DONE : cache_join(self);
}
