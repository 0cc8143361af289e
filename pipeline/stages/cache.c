/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hit never leaves start(): a key is rendered, hashed once, and looked up. On a miss the run
 * becomes a waiter of a flight, its own or one that is there. A flight that ran out at its ceiling
 * is flown once more for whoever has a later deadline.
 */
#include "pipeline/stages/cache.h"

#include <assert.h>

#include "pipeline/async/async.h"
#include "pipeline/async/scope.h"
#include "pipeline/base/arena.h"
#include "pipeline/base/blob.h"
#include "pipeline/resources/cache.h"

static_assert(CACHE_READS <= PIPELINE_READS, "all reads of a cache are begun");

static struct cache_stage *cache_stage_of(const struct stage_frame *frame)
{
	return container_of(frame->stage, struct cache_stage, stage);
}

static void release_flight(struct hold *hold)
{
	waiter_deinit(&container_of(hold, struct flight_hold, hold)->waiter);
}

static void verdict(struct run *run, struct text verdict)
{
	if (!run->cache.data)
		run->cache = verdict;
}

static enum progress wait_or_answer(struct cache_frame *self);

/* Joins the flight of the key, or starts one, and waits for it. */
static enum progress join(struct cache_frame *self)
{
	struct stage_frame *base = &self->base;
	struct cache_stage *stage = cache_stage_of(base);
	struct flight *flight = flight_find(&stage->flights, self->hash, self->key);
	if (flight_full(&stage->flights, flight))
		return stage_fail(base, STATUS_RESOURCE_EXHAUSTED, "too many wait");
	struct flight_hold *hold = arena_zalloc(base->run->arena, sizeof(*hold));
	if (!hold)
		return frame_done(&base->frame, run_out_of_memory());
	if (flight) {
		stage->joined++;
		verdict(base->run, TEXT("joined"));
		waiter_init(&hold->waiter, flight, &base->frame, base->frame.scope);
	} else {
		stage->misses++;
		verdict(base->run, TEXT("miss"));
		if (!cache_fly(self, &hold->waiter))
			return frame_done(&base->frame, run_out_of_memory());
	}
	hold->hold.release = release_flight;
	run_hold(base->run, &hold->hold);
	self->waiting = hold;
	return frame_start(&hold->waiter.frame) == DONE ? wait_or_answer(self) : PENDING;
}

/* What a flight's work has waited and wasted is told once, of the first who is answered by it. */
static void take_costs(struct run *run, struct flight *flight)
{
	struct run *from = &((struct miss_run *)flight_extra(flight))->run;
	run->losers += from->losers;
	run->wasted_ns += from->wasted_ns;
	run->queue_ns += from->queue_ns;
	from->losers = 0;
	from->wasted_ns = 0;
	from->queue_ns = 0;
}

/* The flight has ended, or this waiter was cut off. */
static enum progress wait_or_answer(struct cache_frame *self)
{
	struct stage_frame *base = &self->base;
	struct outcome outcome = self->waiting->waiter.frame.outcome;
	if (self->waiting->waiter.flight->ended)
		take_costs(base->run, self->waiting->waiter.flight);
	if (outcome.status != STATUS_DEADLINE_EXCEEDED || scope_cancelled(base->frame.scope))
		return frame_done(&base->frame, outcome);
	/* It ran out at its ceiling. That is this run's own end too, unless its deadline is later.
	 */
	if (base->frame.scope->deadline <= self->waiting->waiter.flight->ceiling)
		return frame_done(&base->frame, outcome);
	if (self->again)
		return frame_done(&base->frame, stage_timed_out(base, base->stage->path));
	self->again = true;
	return join(self);
}

/* The key and its hash, where they aren't there yet. False: *ret_outcome is why not. */
static bool find_key(struct cache_frame *self, const struct cache_stage *stage, struct run *run,
		struct activation *activation, struct outcome *ret_outcome)
{
	struct names names = {run, activation, SLOT_UNBOUND, VALUE_NONE, false, NULL};
	struct text key;
	if (self->key.data)
		return true;
	if (!names_key(&names, stage->key, &key, ret_outcome))
		return false;
	self->key = key;
	self->hash = hash_text(&stage->cache->hash_key, key);
	return true;
}

/* A key that can't be made is start()'s to complain of. */
static void cache_begin_read(const struct stage *stage, struct run *run,
		struct activation *activation, unsigned nth)
{
	const struct cache_stage *self = container_of(stage, struct cache_stage, stage);
	struct stage_frame *base = stage_frame_of(activation, stage);
	struct cache_frame *frame = container_of(base, struct cache_frame, base);
	struct outcome ignored;
	if (self->cache->ops->begin_read && find_key(frame, self, run, activation, &ignored))
		self->cache->ops->begin_read(self->cache, frame->hash, nth);
}

static enum progress cache_start(struct frame *frame)
{
	struct cache_frame *self = container_of(frame, struct cache_frame, base.frame);
	struct cache_stage *stage = cache_stage_of(&self->base);
	struct cache *cache = stage->cache;
	struct run *run = self->base.run;
	struct outcome outcome;
	struct blob *blob;
	if (!find_key(self, stage, run, self->base.activation, &outcome))
		return frame_done(frame, outcome);
	switch (cache->ops->get(cache, self->hash, self->key, run->async->now, &blob)) {
	case CACHE_VALUE:
	case CACHE_EARLY:
	case CACHE_STALE:
	case CACHE_THROTTLED:
	case CACHE_OLD:
		stage->hits++;
		verdict(run, TEXT("hit"));
		run_hold_blob(run, &self->value, blob);
		outcome = outcome_ok(value_of(blob_text(blob)));
		outcome.blob = blob;
		return frame_done(frame, outcome);
	case CACHE_MISSING:
		stage->missing++;
		verdict(run, TEXT("hit"));
		return stage_fail(&self->base, STATUS_NOT_FOUND, "not found");
	case CACHE_NONE:
		break;
	}
	if (run->used_up)
		return stage_may_not_wait(&self->base);
	return join(self);
}

static enum progress cache_resume(struct frame *frame, struct frame *child)
{
	return wait_or_answer(container_of(frame, struct cache_frame, base.frame));
}

static struct stage_below cache_below(const struct stage_frame *frame)
{
	const struct cache_frame *self = container_of(frame, struct cache_frame, base);
	if (!self->waiting)
		return (struct stage_below){0};
	struct flight *flight = self->waiting->waiter.flight;
	const struct miss_run *miss = flight_extra(flight);
	return (struct stage_below){
			cache_stage_of(frame)->miss.steps, miss->run.root, flight->number};
}

const struct stage_type cache_type = {
		.name = "cache",
		.stage_size = sizeof(struct cache_stage),
		.frame_size = sizeof(struct cache_frame),
		.ops = {.start = cache_start, .resume = cache_resume},
		.compile = cache_compile,
		.free = cache_free,
		.below = cache_below,
		.begin_read = cache_begin_read,
		.write_stats = cache_write_stats,
};
