/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a configuration may say of a cache stage, and what is told of one.
 */
#include "pipeline/stages/cache.h"

#include <inttypes.h>

#include "pipeline/base/buffer.h"
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

static void check_key(struct compiler *compiler, const struct template *key)
{
	if (!template_is_separated(key))
		diag_error(compiler->diag, key->place,
				"two values in \"key\" need a character between them that no "
				"number holds, such as /: "
				"different values could give one key");
}

void cache_compile(struct compiler *compiler, struct stage *stage, const struct option_map *options)
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

void cache_free(struct stage *stage)
{
	struct cache_stage *self = container_of(stage, struct cache_stage, stage);
	if (self->opened)
		flight_table_deinit(&self->flights);
}

void cache_write_stats(const struct stage *stage, struct buffer *buffer)
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
