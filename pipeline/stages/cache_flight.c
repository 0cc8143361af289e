/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flight has a run of its own with the values that the key holds, copied when it starts, so it
 * depends on no request. What it gives is stored before any waiter is woken.
 */
#include "pipeline/stages/cache.h"

#include "pipeline/async/async.h"
#include "pipeline/base/arena.h"
#include "pipeline/base/blob.h"

/* The outcome's bytes as a blob with one reference. NULL: no memory, or nothing to keep. */
static struct blob *blob_of(const struct outcome *outcome)
{
	if (outcome->blob)
		return blob_ref(outcome->blob);
	return value_present(&outcome->value) ? blob_copy(outcome->value.text) : NULL;
}

bool cache_failed(const struct outcome *outcome)
{
	return outcome->status == STATUS_UNAVAILABLE || outcome->status == STATUS_INTERNAL ||
	       outcome->status == STATUS_RESOURCE_EXHAUSTED;
}

/* Each value's own: nothing is older than promised, and what came together ends apart. */
static struct cache_ages ages_of(const struct cache_stage *stage, struct async *async)
{
	struct cache_ages ages = stage->ages;
	ages.ttl -= random_below(&async->random, stage->jitter + 1);
	ages.refresh_at = ages.ttl / 100 * stage->refresh_percent +
			  ages.ttl % 100 * stage->refresh_percent / 100;
	return ages;
}

static void store(struct flight *flight, struct blob *value, const struct cache_ages *ages)
{
	const struct miss_run *miss = flight_extra(flight);
	struct cache *cache = miss->stage->cache;
	cache->ops->put(cache, flight->entry.hash, flight->key, value, miss->began,
			miss->run.async->now, ages);
}

/* What is not kept outdates all the same what another configuration, or another stage, has stored.
 */
static void store_value(struct flight *flight)
{
	const struct miss_run *miss = flight_extra(flight);
	const struct cache_ages *kept = &miss->stage->ages;
	struct cache_ages ages = cache_ages_of_ttl(0);
	struct blob *blob = NULL;
	if (kept->ttl > 0 || kept->stale > 0 || kept->stale_if_error > 0)
		blob = blob_of(&flight->outcome);
	if (blob)
		ages = ages_of(miss->stage, miss->run.async);
	store(flight, blob, &ages);
	blob_unref(blob);
}

/* Nothing new has come, so what is there stays, and is left alone for a while. */
static void hold_off(struct flight *flight)
{
	const struct miss_run *miss = flight_extra(flight);
	struct cache *cache = miss->stage->cache;
	cache->ops->hold_off(cache, flight->entry.hash, flight->key, miss->began,
			miss->run.async->now + miss->stage->throttle);
}

/* Whether a refresh would not have come to more: a run apart may have ended as it did only because
 * its request had so little time. */
static bool is_failure(const struct flight *flight)
{
	const struct outcome *outcome = &flight->outcome;
	bool had_all = flight->scope.deadline >= flight->ceiling;
	if (outcome->partial || outcome->status == STATUS_DEADLINE_EXCEEDED)
		return had_all;
	return cache_failed(outcome);
}

static void on_end(struct flight *flight)
{
	struct miss_run *miss = flight_extra(flight);
	struct cache_stage *stage = miss->stage;
	const struct outcome *outcome = &flight->outcome;
	bool held = cache_end_hold(flight);
	/* What was cut off has not failed, unless it was for its time. */
	if (scope_cancelled(&flight->scope) && flight->scope.reason != DEADLINE)
		return;
	if (outcome->status == STATUS_NOT_FOUND) {
		const struct cache_ages missing = cache_ages_of_ttl(stage->missing_ttl);
		store(flight, NULL, &missing);
	} else if (outcome->status == STATUS_OK && !outcome->partial) {
		store_value(flight);
	} else if (is_failure(flight)) {
		stage->counts.refresh_failures += held;
		hold_off(flight);
	}
}

static void end_miss_run(struct flight *flight)
{
	struct miss_run *miss = flight_extra(flight);
	run_deinit(&miss->run);
}

static bool copy_values(const struct cache_stage *stage, struct stage_frame *frame,
		struct activation *to, struct arena *arena)
{
	struct names names = {frame->run, frame->activation, SLOT_UNBOUND, VALUE_NONE, false, NULL};
	for (const struct capture *capture = stage->miss.captures; capture;
			capture = capture->next) {
		struct value value;
		if (!names_resolve(&names, capture->outer, &value)) {
			if (names.out_of_memory)
				return false;
			continue;
		}
		struct text copy = arena_copy(arena, value.text);
		if (!copy.data)
			return false;
		to->slots[capture->slot] = value_of(copy);
	}
	return true;
}

static bool init_miss_run(struct flight *flight, struct stage_frame *frame, bool fresh)
{
	struct cache_stage *stage = cache_stage_of(frame);
	struct miss_run *miss = flight_extra(flight);
	struct arena *arena = &flight->arena;
	miss->stage = stage;
	link_init(&miss->background);
	miss->began = stage->cache->ops->begin(stage->cache);
	miss->run = (struct run){
			.async = frame->run->async,
			.arena = arena,
			.log = frame->run->log,
			.id = arena_copy(arena, frame->run->id),
			.trace = frame->run->trace.data ? arena_copy(arena, frame->run->trace)
							: (struct text){NULL, 0},
			.fresh = fresh,
	};
	void *memory = arena_zalloc(arena, layout_size(&stage->miss.layout));
	if (!memory || !miss->run.id.data)
		return false;
	miss->run.root = activation_init(memory, &stage->miss.layout);
	return copy_values(stage, frame, miss->run.root, arena);
}

static struct flight *new_flight(struct cache_frame *self, enum cache_flying flying)
{
	struct cache_stage *stage = cache_stage_of(&self->base);
	const struct flight_plan plan = {
			.hash = self->hash,
			.key = self->key,
			.ceiling = self->base.run->async->now + stage->ceiling,
			.apart = flying == FLY_APART ? self->base.frame.scope : NULL,
			.extra = sizeof(struct miss_run),
			.outcome_of = stage_outcome,
			.on_end = on_end,
			.on_free = end_miss_run,
	};
	return flight_new(&stage->flights, &plan);
}

bool cache_fly(struct cache_frame *self, struct flight_hold *hold, enum cache_flying flying)
{
	const struct cache_stage *stage = cache_stage_of(&self->base);
	struct flight *flight = new_flight(self, flying);
	if (!flight)
		return false;
	/* The waiter holds it before it starts, so that one that ends at once is still there to be
	 * read. */
	if (hold)
		waiter_init(&hold->waiter, flight, &self->base.frame, hold->where);
	if (!init_miss_run(flight, &self->base, flying == FLY_APART)) {
		flight_drop(flight);
		return true;
	}
	if (flying == FLY_HELD)
		cache_hold_open(flight);
	struct miss_run *miss = flight_extra(flight);
	struct stage_frame *work = stage_frame_init(stage->miss.steps, &miss->run, miss->run.root,
			&flight->frame, &flight->scope);
	flight_start(flight, &work->frame);
	return true;
}
