/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flight has a run of its own with the values that the key holds, copied when it starts, so it
 * depends on no request. What it gives is stored before any waiter is woken.
 */
#include "pipeline/stages/cache.h"

#include "pipeline/async/async.h"
#include "pipeline/base/arena.h"
#include "pipeline/base/blob.h"
#include "pipeline/resources/cache.h"

/* The outcome's bytes as a blob with one reference. NULL: no memory, or nothing to keep. */
static struct blob *blob_of(const struct outcome *outcome)
{
	if (outcome->blob)
		return blob_ref(outcome->blob);
	return value_present(&outcome->value) ? blob_copy(outcome->value.text) : NULL;
}

static uint64_t with_jitter(const struct cache_stage *stage, struct async *async)
{
	return stage->ttl - random_below(&async->random, stage->jitter + 1);
}

static void store(struct flight *flight)
{
	struct miss_run *miss = flight_extra(flight);
	if (scope_cancelled(&flight->scope))
		return;
	struct cache_stage *stage = miss->stage;
	struct cache *cache = stage->cache;
	struct async *async = miss->run.async;
	const struct outcome *outcome = &flight->outcome;
	const struct cache_ages missing = cache_ages_of_ttl(stage->missing_ttl);
	if (outcome->status == STATUS_NOT_FOUND && stage->missing_ttl > 0) {
		cache->ops->put(cache, flight->entry.hash, flight->key, NULL, miss->began,
				async->now, &missing);
	} else if (outcome->status == STATUS_OK && !outcome->partial && stage->ttl > 0) {
		struct blob *blob = blob_of(outcome);
		if (!blob)
			return;
		struct cache_ages ages = cache_ages_of_ttl(with_jitter(stage, async));
		cache->ops->put(cache, flight->entry.hash, flight->key, blob, miss->began,
				async->now, &ages);
		blob_unref(blob);
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

static bool init_miss_run(
		struct flight *flight, struct cache_stage *stage, struct stage_frame *frame)
{
	struct miss_run *miss = flight_extra(flight);
	struct arena *arena = &flight->arena;
	miss->stage = stage;
	miss->began = stage->cache->ops->begin(stage->cache);
	miss->run = (struct run){
			.async = frame->run->async,
			.arena = arena,
			.limits = frame->run->limits,
			.log = frame->run->log,
			.id = arena_copy(arena, frame->run->id),
			.trace = frame->run->trace.data ? arena_copy(arena, frame->run->trace)
							: (struct text){NULL, 0},
	};
	void *memory = arena_zalloc(arena, layout_size(&stage->miss.layout));
	if (!memory || !miss->run.id.data)
		return false;
	miss->run.root = activation_init(memory, &stage->miss.layout);
	return copy_values(stage, frame, miss->run.root, arena);
}

struct flight *cache_fly(struct cache_frame *self, struct waiter *waiter)
{
	struct cache_stage *stage = container_of(self->base.stage, struct cache_stage, stage);
	struct async *async = self->base.run->async;
	const struct flight_plan plan = {
			.hash = self->hash,
			.key = self->key,
			.ceiling = async->now + stage->ceiling,
			.extra = sizeof(struct miss_run),
			.on_end = store,
			.on_free = end_miss_run,
	};
	struct flight *flight = flight_new(&stage->flights, &plan);
	if (!flight)
		return NULL;
	/* The waiter holds it before it starts, so that one that ends at once is still there to be
	 * read. */
	waiter_init(waiter, flight, &self->base.frame, self->base.frame.scope);
	if (!init_miss_run(flight, stage, &self->base)) {
		flight_drop(flight);
		return flight;
	}
	struct miss_run *miss = flight_extra(flight);
	struct stage_frame *work = stage_frame_init(stage->miss.steps, &miss->run, miss->run.root,
			&flight->frame, &flight->scope);
	flight_start(flight, &work->frame);
	return flight;
}
