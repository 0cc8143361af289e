/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a configuration may say of a cache stage, and what is told of one.
 */
#include "pipeline/stages/cache.h"

#include <inttypes.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/buffer.h"
#include "pipeline/base/lesser.h"
#include "pipeline/base/template.h"
#include "pipeline/stages/steps.h"

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
		{.key = "stale",
				.kind = OPTION_DURATION,
				.fallback = "0s",
				.max = OPTION_DURATION_MAX,
				.help = "how much longer a value is given at once, while it is "
					"refreshed in the background"},
		{.key = "stale_if_error",
				.kind = OPTION_DURATION,
				.fallback = "0s",
				.max = OPTION_DURATION_MAX,
				.help = "how much longer than that it is given where a new one "
					"can't be had"},
		{.key = "throttle",
				.kind = OPTION_DURATION,
				.fallback = "1s",
				.max = OPTION_DURATION_MAX,
				.help = "how long after a failed refresh none is tried"},
		{.key = "refresh_at",
				.kind = OPTION_PERCENT,
				.min = 1,
				.max = 99,
				.help = "the part of its ttl after which a value that is asked for "
					"is refreshed early; never if not given"},
		{.key = "background",
				.kind = OPTION_NUMBER,
				.fallback = "100",
				.min = 1,
				.help = "how many refreshes may go on at once"},
		{.key = "fresh",
				.kind = OPTION_BOOLEAN,
				.fallback = "true",
				.help = "whether a request's fresh=1 is heeded"},
		{.key = "waiters",
				.kind = OPTION_NUMBER,
				.min = 1,
				.help = "how many may wait for one key; limits.in_flight if not "
					"given"},
		{.key = "waiters_in_all",
				.kind = OPTION_NUMBER,
				.min = 1,
				.help = "how many may wait for all keys; limits.in_flight if not "
					"given"},
		{.key = "unkeyed",
				.kind = OPTION_TEXT,
				.list = true,
				.help = "paths that `miss` may read though the key does not hold "
					"them"},
		{.key = "miss",
				.kind = OPTION_STEPS,
				.required = true,
				.min = 1,
				.variants = stage_variants,
				.help = "steps that find the value; they read only what the key "
					"holds"},
		{.key = NULL},
};

static void check_key(struct compiler *compiler, const struct template *key)
{
	if (!template_is_separated(key))
		diag_error(compiler->diag, key->place,
				"two values in \"key\" need a character between them that no "
				"number holds, such as /: "
				"different values could give one key");
}

static void compile_ages(struct compiler *compiler, struct cache_stage *self,
		const struct option_map *options)
{
	const struct option_value *jitter = option_get(options, "jitter");
	const struct option_value *refresh_at = option_get(options, "refresh_at");
	self->ages.ttl = option_number(options, "ttl");
	self->ages.stale = option_number(options, "stale");
	self->ages.stale_if_error = option_number(options, "stale_if_error");
	self->refresh_percent = refresh_at->given ? refresh_at->number : 100;
	self->jitter = jitter->given ? jitter->number : self->ages.ttl / 10;
	self->missing_ttl = option_number(options, "missing_ttl");
	self->throttle = option_number(options, "throttle");
	if (self->jitter > self->ages.ttl)
		diag_error(compiler->diag, jitter->place, "\"jitter\" is longer than \"ttl\"");
}

/* A path that may be read is named, and has neither a default nor a reason to be read differently.
 */
static struct unkeyed *compile_unkeyed(struct compiler *compiler, const struct option_list *list)
{
	struct unkeyed *unkeyed = NULL;
	for (size_t i = 0; list && i < list->count; i++) {
		const struct option_value *value = &list->values[i];
		struct unkeyed *entry = arena_zalloc(compiler->arena, sizeof(*entry));
		struct path *path = path_compile(
				value->text, value->place, compiler->arena, compiler->diag);
		if (!entry || !path) {
			if (!entry)
				diag_error(compiler->diag, value->place, "out of memory");
			continue;
		}
		if (path->fallback.data)
			diag_error(compiler->diag, value->place,
					"expected a path without a default in \"unkeyed\"");
		*entry = (struct unkeyed){unkeyed, path, value->place, false};
		unkeyed = entry;
	}
	return unkeyed;
}

static void check_unkeyed(struct compiler *compiler, const struct unkeyed *unkeyed)
{
	for (; unkeyed; unkeyed = unkeyed->next) {
		if (!unkeyed->read && !compiler->left_out)
			diag_warning(compiler->diag, unkeyed->place,
					"\"miss\" reads no \"%.*s\" that \"key\" does not hold",
					TEXT_ARG(unkeyed->path->whole));
	}
}

static void compile_miss_of(struct compiler *compiler, struct cache_stage *self,
		const struct option_map *options)
{
	const struct template *key = option_get(options, "key")->template;
	struct unkeyed *unkeyed = compile_unkeyed(compiler, option_get(options, "unkeyed")->list);
	check_key(compiler, key);
	self->key = compile_template(compiler, key);
	self->written_miss = option_get(options, "miss");
	self->miss = compile_miss(compiler, self->written_miss, key, unkeyed);
	check_unkeyed(compiler, unkeyed);
}

static void open_flights(struct compiler *compiler, struct cache_stage *self,
		const struct option_map *options)
{
	const struct option_value *of_key = option_get(options, "waiters");
	const struct option_value *in_all = option_get(options, "waiters_in_all");
	const struct stages_context *context = compiler->context;
	uint64_t all = in_all->given ? in_all->number : context->waiters_max;
	if (of_key->given && in_all->given && of_key->number > all)
		diag_error(compiler->diag, of_key->place,
				"\"waiters\" for one key are more than \"waiters_in_all\"");
	self->opened = flight_table_init(&self->flights, context->async,
				       &compiler->pipelines->scope, context->flights,
				       of_key->given ? of_key->number : all, all) == 0;
	if (!self->opened)
		diag_error(compiler->diag, options->place, "out of memory");
}

/* A flight lasts no longer than a request may that comes as it starts. */
static uint64_t ceiling_of(const struct compiler *compiler)
{
	uint64_t deadline = compiler->pipeline->deadline;
	uint64_t longest = compiler->context->max_deadline;
	return deadline ? lesser(deadline, longest) : longest;
}

void cache_compile(struct compiler *compiler, struct stage *stage, const struct option_map *options)
{
	struct cache_stage *self = container_of(stage, struct cache_stage, stage);
	link_init(&self->background);
	self->cache = compile_cache(compiler, option_get(options, "in"));
	self->ceiling = ceiling_of(compiler);
	self->background_max = option_number(options, "background");
	self->heeds_fresh = option_number(options, "fresh");
	compile_ages(compiler, self, options);
	compile_miss_of(compiler, self, options);
	open_flights(compiler, self, options);
}

void cache_free(struct stage *stage)
{
	struct cache_stage *self = container_of(stage, struct cache_stage, stage);
	if (self->opened)
		flight_table_deinit(&self->flights);
}

void cache_write_stats(const struct stage *stage, struct buffer *buffer)
{
	const struct cache_stage *self = container_of(stage, struct cache_stage, stage);
	const struct cache_counts *counts = &self->counts;
	const struct flight_table *flights = &self->flights;
	buffer_append_format(buffer,
			"\"hits\":%" PRIu64 ",\"missing\":%" PRIu64 ",\"stale\":%" PRIu64
			",\"misses\":%" PRIu64 ",\"joined\":%" PRIu64 ",\"fresh\":%" PRIu64,
			counts->hits, counts->missing, counts->stale, counts->misses,
			counts->joined, counts->fresh);
	buffer_append_format(buffer,
			",\"refreshes\":%" PRIu64 ",\"refresh_failures\":%" PRIu64
			",\"throttled\":%" PRIu64 ",\"background\":%" PRIu64,
			counts->refreshes, counts->refresh_failures, counts->throttled,
			self->background_count);
	buffer_append_format(buffer,
			",\"flights\":%zu,\"flown\":%" PRIu64 ",\"waiting\":%" PRIu64
			",\"waiting_highest\":%" PRIu64,
			flights->table.count, flights->numbers, flights->waiting,
			flights->waiting_highest);
}
