/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stage `cache`. A hit never leaves start(): a key is rendered, hashed once, and looked up. On
 * a miss the run becomes a waiter of a flight, its own or one that is there; the flight has a run
 * of its own with the values that the key holds, so it depends on no request. A flight that ran out
 * at its ceiling is flown once more for whoever has a later deadline.
 */
#include "pipeline/stages/cache.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/async/async.h"
#include "pipeline/async/flight.h"
#include "pipeline/async/scope.h"
#include "pipeline/base/arena.h"
#include "pipeline/base/blob.h"
#include "pipeline/base/buffer.h"
#include "pipeline/resources/cache.h"
#include "pipeline/stages/compiler.h"
#include "pipeline/stages/steps.h"

struct cache_stage {
	struct stage stage;
	struct cache *cache;
	const struct template *key;
	const struct option_value *written_miss;
	struct miss miss;
	uint64_t ttl;
	uint64_t jitter;
	uint64_t missing_ttl;
	uint64_t ceiling; /* of a flight, from its start */
	struct flight_table flights;
	bool opened; /* flights is there */
	uint64_t hits;
	uint64_t missing; /* hits of "there is none" */
	uint64_t misses;
	uint64_t joined;
};

static_assert(CACHE_READS <= PIPELINE_READS, "all reads of a cache are begun");

/* A run's hold on a flight that it waits or has waited for. */
struct flight_hold {
	struct hold hold;
	struct waiter waiter;
};

struct cache_frame {
	struct stage_frame base;
	struct blob_hold value; /* of a hit */
	struct text key;
	uint64_t hash;
	struct flight_hold *waiting; /* the latest; NULL: a hit */
	bool again;		     /* it waits for a second flight */
};

/* What a flight of this stage runs; stands right behind the flight. */
struct miss_run {
	struct run run;
	struct cache_stage *stage;
	uint64_t began;
};

static struct cache_stage *cache_stage_of(const struct stage_frame *frame)
{
	return container_of(frame->stage, struct cache_stage, stage);
}

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
	struct cache_stage *stage = miss->stage;
	struct cache *cache = stage->cache;
	struct async *async = miss->run.async;
	const struct outcome *outcome = &flight->outcome;
	if (outcome->status == STATUS_NOT_FOUND && stage->missing_ttl > 0) {
		cache->ops->put(cache, flight->entry.hash, flight->key, NULL, miss->began,
				async->now, stage->missing_ttl);
	} else if (outcome->status == STATUS_OK && !outcome->partial && stage->ttl > 0) {
		struct blob *blob = blob_of(outcome);
		if (!blob)
			return;
		cache->ops->put(cache, flight->entry.hash, flight->key, blob, miss->began,
				async->now, with_jitter(stage, async));
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
	struct names names = {frame->run, frame->activation, SLOT_UNBOUND, VALUE_NONE, false};
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

/* A new flight, started; it may have ended when this returns. NULL when memory is out. */
static struct flight *fly(
		struct cache_stage *stage, struct cache_frame *self, struct flight_hold *hold)
{
	struct async *async = self->base.run->async;
	struct flight *flight = flight_new(&stage->flights, self->hash, self->key,
			async->now + stage->ceiling, sizeof(struct miss_run), store, end_miss_run);
	if (!flight)
		return NULL;
	/* The waiter holds it before it starts, so that one that ends at once is still there to be
	 * read. */
	waiter_init(&hold->waiter, flight, &self->base.frame, self->base.frame.scope);
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
		if (!fly(stage, self, hold))
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
	struct names names = {run, activation, SLOT_UNBOUND, VALUE_NONE, false};
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

static void check_key(struct compiler *compiler, const struct template *key)
{
	if (!template_is_separated(key))
		diag_error(compiler->diag, key->place,
				"two values in \"key\" need a character between them that no "
				"number holds, such as /: "
				"different values could give one key");
}

static void cache_compile(
		struct compiler *compiler, struct stage *stage, const struct option_map *options)
{
	struct cache_stage *self = container_of(stage, struct cache_stage, stage);
	const struct option_value *jitter = option_get(options, "jitter");
	const struct option_value *waiters = option_get(options, "waiters");
	const struct template *key = option_get(options, "key")->template;
	const struct stages_context *context = compiler->context;
	self->cache = compile_cache(compiler, option_get(options, "in"));
	self->ttl = option_number(options, "ttl");
	self->jitter = jitter->given ? jitter->number : self->ttl / 10;
	self->missing_ttl = option_number(options, "missing_ttl");
	self->ceiling = compiler->pipeline->deadline ? compiler->pipeline->deadline
						     : context->max_deadline;
	self->written_miss = option_get(options, "miss");
	if (self->jitter > self->ttl)
		diag_error(compiler->diag, jitter->place, "\"jitter\" is longer than \"ttl\"");
	check_key(compiler, key);
	self->key = compile_template(compiler, key);
	self->miss = compile_miss(compiler, self->written_miss, key);
	uint64_t waiters_max = waiters->given ? waiters->number : context->waiters_max;
	self->opened = flight_table_init(&self->flights, context->async,
				       &compiler->pipelines->scope, context->flights, waiters_max,
				       waiters_max) == 0;
	if (!self->opened)
		diag_error(compiler->diag, options->place, "out of memory");
}

static void cache_free(struct stage *stage)
{
	struct cache_stage *self = container_of(stage, struct cache_stage, stage);
	if (self->opened)
		flight_table_deinit(&self->flights);
}

static void cache_write_stats(const struct stage *stage, struct buffer *buffer)
{
	const struct cache_stage *self = container_of(stage, struct cache_stage, stage);
	buffer_append_format(buffer,
			"\"hits\":%" PRIu64 ",\"missing\":%" PRIu64 ",\"misses\":%" PRIu64
			",\"joined\":%" PRIu64 ",\"flights\":%zu,\"flown\":%" PRIu64
			",\"waiting\":%" PRIu64 ",\"waiting_highest\":%" PRIu64,
			self->hits, self->missing, self->misses, self->joined,
			self->flights.table.count, self->flights.numbers, self->flights.waiting,
			self->flights.waiting_highest);
}

/* The text before a key's first value. */
static struct text key_head(const struct cache_stage *stage)
{
	const struct template *key = stage->key;
	return key && key->part_count > 0 && !key->parts[0].path ? key->parts[0].literal : TEXT("");
}

void cache_warn_of_alike_keys(const struct pipelines *pipelines, struct diag *diag)
{
	for (const struct stage *a = pipelines->stages; a; a = a->next) {
		for (const struct stage *b = a->next; b && a->type == &cache_type; b = b->next) {
			if (b->type != &cache_type)
				continue;
			const struct cache_stage *one = container_of(b, struct cache_stage, stage);
			const struct cache_stage *other =
					container_of(a, struct cache_stage, stage);
			if (!one->cache || one->cache != other->cache ||
					!text_equal(key_head(one), key_head(other)) ||
					option_value_equal(one->written_miss, other->written_miss))
				continue;
			diag_warning(diag,
					other->key ? other->key->place : other->written_miss->place,
					"this key begins like that of %.*s in the same cache, but "
					"\"miss\" differs: one would "
					"read what the other stored",
					TEXT_ARG(one->stage.path));
		}
	}
}

const struct option cache_options[] = {
		{.key = "in",
				.kind = OPTION_RESOURCE,
				.resource = "cache",
				.required = true,
				.help = "the cache to read and fill"},
		{.key = "key",
				.kind = OPTION_TEMPLATE,
				.required = true,
				.help = "what holds everything that changes the answer"},
		{.key = "ttl",
				.kind = OPTION_DURATION,
				.required = true,
				.help = "how long a value is fresh; 0s keeps none"},
		{.key = "jitter",
				.kind = OPTION_DURATION,
				.help = "at most this much is taken off each ttl; a tenth of it if "
					"not given"},
		{.key = "missing_ttl",
				.kind = OPTION_DURATION,
				.fallback = "0s",
				.help = "how long it is remembered that there is none"},
		{.key = "waiters",
				.kind = OPTION_NUMBER,
				.min = 1,
				.help = "how many may wait; limits.in_flight if not given"},
		{.key = "miss",
				.kind = OPTION_STEPS,
				.required = true,
				.min = 1,
				.variants = stage_variants,
				.help = "steps that find the value; they read only what the key "
					"holds"},
		{.key = "stale", .kind = OPTION_DURATION, .later = true},
		{.key = "stale_if_error", .kind = OPTION_DURATION, .later = true},
		{.key = "throttle", .kind = OPTION_DURATION, .later = true},
		{.key = "refresh_at", .kind = OPTION_DURATION, .later = true},
		{.key = "background", .kind = OPTION_NUMBER, .later = true},
		{.key = "fresh", .kind = OPTION_BOOLEAN, .later = true},
		{.key = "unkeyed", .kind = OPTION_TEXT, .later = true},
		{.key = NULL},
};

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
