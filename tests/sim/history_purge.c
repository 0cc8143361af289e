/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Purges, as an operator would do them: of one key, or of all keys that begin alike. What they must
 * do is held against the caches' checks.
 */
#include <inttypes.h>

#include "pipeline/base/buffer.h"
#include "pipeline/resources/cache.h"
#include "tests/sim/history_parts.h"

#define CACHES 4 /* of a configuration, whose keys are tried */

/* The text of a key as a cache stage makes it, for the request key `k`. */
static void append_key(struct buffer *buffer, uint32_t cache, uint32_t k)
{
	buffer_append_format(buffer, "c%" PRIu32 "/\"k%" PRIu32 "\"/[", 1 + cache, k);
	for (uint32_t i = 0; i < k % 4; i++)
		buffer_append_format(
				buffer, "%s\"k%" PRIu32 ".%" PRIu32 "\"", i > 0 ? "," : "", k, i);
	buffer_append_char(buffer, ']');
}

static void purge_prefix(struct cache *cache, struct text prefix)
{
	struct cache_purge purge = {.prefix = prefix};
	while (!cache->ops->purge_some(cache, &purge))
		;
}

void history_purge(struct history *history, uint32_t number)
{
	struct random random;
	struct buffer key;
	random_init(&random, number);
	struct world *world = &history->harness.world;
	struct cache *cache = random_below(&random, 2) ? world->hot : world->cold;
	buffer_init(&key);
	append_key(&key, (uint32_t)random_below(&random, CACHES),
			(uint32_t)random_below(&random, history->plan->keys));
	struct text text = buffer_text(&key);
	bool one = random_below(&random, 4) > 0;
	if (!one)
		text.size = random_below(&random, text.size);
	history_tell(history, NULL, "purge %s %s%.*s", cache->name, one ? "" : "all of ",
			TEXT_ARG(text));
	if (one)
		cache->ops->purge(cache, hash_text(&cache->hash_key, text), text);
	else
		purge_prefix(cache, text);
	coverage_meet(history->coverage, MET_PURGE);
	buffer_deinit(&key);
}
