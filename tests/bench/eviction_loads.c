/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/eviction_loads.h"

#include <stdio.h>
#include <stdlib.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/blob.h"
#include "pipeline/base/list.h"
#include "pipeline/base/random.h"
#include "pipeline/resources/memory_cache.h"
#include "pipeline/resources/memory_cache_index.h"
#include "tests/bench/keys.h"

#define EXPONENT   1.0
#define VALUE_SIZE 100
#define KEY_SIZE   8
#define SCAN	   1000 /* keys in a row */
#define MOVES	   15	/* times that other keys become the popular ones */

#define ENTRY_COST (sizeof(struct cache_entry) + KEY_SIZE + sizeof(struct blob) + VALUE_SIZE + 1)

const char *load_name(enum load_kind kind)
{
	static const char *const names[] = {
			[LOAD_ZIPF] = "zipf", [LOAD_SCANS] = "scans", [LOAD_MOVING] = "moving"};
	return names[kind];
}

/* A scan begins after each three scans' worth of other requests, and reads new keys. */
static void add_scans(struct load *load, uint32_t key_count)
{
	uint32_t once = key_count;
	for (size_t i = 0; i < load->count; i++) {
		if (i % (4 * SCAN) >= 3 * SCAN)
			load->keys[i] = once++;
	}
	load->key_max = once;
}

static void move(struct load *load, uint32_t key_count)
{
	for (size_t i = 0; i < load->count; i++) {
		size_t moved = i * (MOVES + 1) / load->count;
		uint32_t by = (uint32_t)(moved * (key_count / (MOVES + 1)));
		load->keys[i] = (load->keys[i] + by) % key_count;
	}
}

bool load_init(struct load *load, enum load_kind kind, uint32_t key_count, size_t count,
		struct random *random)
{
	struct keys keys;
	*load = (struct load){
			.keys = malloc(count * sizeof(*load->keys)),
			.count = count,
			.key_max = key_count,
	};
	if (!load->keys || !keys_init_zipf(&keys, key_count, EXPONENT, random)) {
		free(load->keys);
		return false;
	}
	for (size_t i = 0; i < count; i++)
		load->keys[i] = keys_next(&keys);
	keys_deinit(&keys);
	if (kind == LOAD_SCANS)
		add_scans(load, key_count);
	if (kind == LOAD_MOVING)
		move(load, key_count);
	return true;
}

void load_deinit(struct load *load)
{
	free(load->keys);
}

size_t load_bytes(size_t entries)
{
	return entries * ENTRY_COST;
}

struct lru_entry {
	struct link link;
	bool held;
};

uint64_t load_hits_lru(const struct load *load, size_t bytes_max)
{
	struct lru_entry *entries = calloc(load->key_max, sizeof(*entries));
	struct link recent; /* the latest last */
	size_t bytes = 0;
	uint64_t hits = 0;
	if (!entries)
		abort();
	link_init(&recent);
	for (size_t i = 0; i < load->count; i++) {
		struct lru_entry *entry = &entries[load->keys[i]];
		if (entry->held) {
			hits++;
			link_remove(&entry->link);
		} else {
			bytes += ENTRY_COST;
			entry->held = true;
		}
		list_append(&recent, &entry->link);
		for (; bytes > bytes_max; bytes -= ENTRY_COST) {
			struct lru_entry *oldest =
					container_of(recent.next, struct lru_entry, link);
			link_remove(&oldest->link);
			oldest->held = false;
		}
	}
	free(entries);
	return hits;
}

static void ask(struct cache *cache, uint32_t number)
{
	const struct cache_ages ages = cache_ages_of_ttl(1);
	char bytes[KEY_SIZE + 1];
	(void)snprintf(bytes, sizeof(bytes), "%0*u", KEY_SIZE, (unsigned)number);
	struct text key = {bytes, KEY_SIZE};
	uint64_t hash = hash_text(&cache->hash_key, key);
	struct blob *value;
	if (cache->ops->get(cache, hash, key, 0, &value) == CACHE_NONE) {
		value = blob_new(VALUE_SIZE);
		if (!value)
			abort();
		cache->ops->put(cache, hash, key, value, cache->ops->begin(cache), 0, &ages);
	}
	blob_unref(value);
}

uint64_t load_hits_ours(const struct load *load, size_t bytes_max, struct random *random)
{
	struct account readers = {.max = SIZE_MAX};
	struct cache *cache = memory_cache_new("hot", bytes_max, &readers, random);
	if (!cache)
		abort();
	for (size_t i = 0; i < load->count; i++) {
		ask(cache, load->keys[i]);
		if (cache->stats.bytes > bytes_max || cache->stats.passed_by > 0)
			abort();
	}
	uint64_t hits = cache->stats.hits;
	cache->ops->free(cache);
	return hits;
}
