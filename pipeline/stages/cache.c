/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hit never leaves start(): a key is rendered, hashed once, and looked up. What the cache says of
 * the value's age decides the rest: given as it is, given and refreshed in the background, or kept
 * in mind while a flight is waited for.
 */
#include "pipeline/stages/cache.h"

#include <assert.h>

#include "pipeline/async/async.h"
#include "pipeline/base/blob.h"

static_assert(CACHE_READS <= PIPELINE_READS, "all reads of a cache are begun");

void cache_tell(struct cache_frame *self, struct text verdict)
{
	struct run *run = self->base.run;
	if (run->cache.data)
		return;
	run->cache = verdict;
	self->tells = true;
}

/* Takes over a reference to blob. */
static enum progress give(struct cache_frame *self, struct blob *blob, struct text verdict)
{
	struct outcome outcome = outcome_ok(value_of(blob_text(blob)));
	outcome.blob = blob;
	run_hold_blob(self->base.run, &self->value, blob);
	cache_tell(self, verdict);
	return frame_done(&self->base.frame, outcome);
}

static enum progress give_fresh(struct cache_frame *self, struct blob *blob)
{
	cache_stage_of(&self->base)->counts.hits++;
	return give(self, blob, TEXT("hit"));
}

static enum progress give_stale(struct cache_frame *self, struct blob *blob)
{
	cache_stage_of(&self->base)->counts.stale++;
	if (self->tells) /* it has waited in vain */
		self->base.run->cache = TEXT("stale");
	return give(self, blob, TEXT("stale"));
}

/* It is to be refreshed, and that was tried in vain too short a time ago. */
static enum progress give_throttled(struct cache_frame *self, struct blob *blob)
{
	cache_stage_of(&self->base)->counts.throttled++;
	return give_stale(self, blob);
}

static enum cache_found look(const struct cache_frame *self, struct blob **ret)
{
	struct cache *cache = cache_stage_of(&self->base)->cache;
	return cache->ops->get(cache, self->hash, self->key, self->base.run->async->now, ret);
}

bool cache_give_old(struct cache_frame *self)
{
	struct blob *blob;
	switch (look(self, &blob)) {
	case CACHE_NONE:
	case CACHE_MISSING:
		return false;
	case CACHE_VALUE:
	case CACHE_EARLY:
		(void)give_fresh(self, blob);
		return true;
	case CACHE_STALE:
	case CACHE_THROTTLED:
	case CACHE_OLD:
		(void)give_stale(self, blob);
		return true;
	}
	return false;
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

/* There is nothing to be given at once. */
static enum progress miss(struct cache_frame *self)
{
	if (!self->base.run->used_up)
		return cache_join(self);
	(void)stage_may_not_wait(&self->base);
	return cache_settle(self, self->base.frame.outcome);
}

static enum progress read(struct cache_frame *self)
{
	struct cache_stage *stage = cache_stage_of(&self->base);
	struct blob *blob;
	switch (look(self, &blob)) {
	case CACHE_VALUE:
		return give_fresh(self, blob);
	case CACHE_EARLY:
		cache_refresh(self);
		return give_fresh(self, blob);
	case CACHE_STALE:
		cache_refresh(self);
		return give_stale(self, blob);
	case CACHE_OLD:
		if (cache_is_held_off(self))
			return give_throttled(self, blob);
		/* It stays in the cache, and may be a newer one by the time that it is needed. */
		blob_unref(blob);
		self->old = true;
		break;
	case CACHE_THROTTLED:
		return give_throttled(self, blob);
	case CACHE_MISSING:
		stage->counts.missing++;
		cache_tell(self, TEXT("hit"));
		return stage_fail(&self->base, STATUS_NOT_FOUND, "not found");
	case CACHE_NONE:
		break;
	}
	return miss(self);
}

static enum progress cache_start(struct frame *frame)
{
	struct cache_frame *self = container_of(frame, struct cache_frame, base.frame);
	struct cache_stage *stage = cache_stage_of(&self->base);
	struct run *run = self->base.run;
	struct outcome outcome;
	if (!find_key(self, stage, run, self->base.activation, &outcome))
		return frame_done(frame, outcome);
	if (run->fresh && stage->heeds_fresh)
		return cache_run_fresh(self);
	return read(self);
}

static struct stage_below cache_below(const struct stage_frame *frame, unsigned nth)
{
	const struct cache_frame *self = container_of(frame, struct cache_frame, base);
	if (!self->waiting || nth > 0)
		return (struct stage_below){0};
	const struct waiter *waiter = &self->waiting->waiter;
	const struct miss_run *miss = flight_extra(waiter->flight);
	return (struct stage_below){cache_stage_of(frame)->miss.steps, miss->run.root,
			waiter->flight->number, !waiter_tells(waiter)};
}

const struct stage_type cache_type = {
		.name = "cache",
		.stage_size = sizeof(struct cache_stage),
		.frame_size = sizeof(struct cache_frame),
		.ops = {.start = cache_start, .resume = cache_resume},
		.compile = cache_compile,
		.free = cache_free,
		.drain = cache_drain,
		.below = cache_below,
		.begin_read = cache_begin_read,
		.write_stats = cache_write_stats,
};
