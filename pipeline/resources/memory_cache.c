/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a value may be used for follows from its age alone, and is told in get(), which is the one
 * place that knows: a fresh hit costs two comparisons. The runs whose values may not be stored any
 * more are known by their sequence numbers: of a key that was purged by the ring of recent purges,
 * and of everything once a purge has left that ring, or was of many keys.
 */
#include "pipeline/resources/memory_cache.h"

#include <stdlib.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/blob.h"
#include "pipeline/base/lesser.h"
#include "pipeline/base/list.h"
#include "pipeline/base/random.h"
#include "pipeline/resources/memory_cache_queues.h"

/* Bytes that are fetched before they are read. Of a longer value the processor notices itself that
 * more is read; of a shorter one, what comes too much is soon forgotten. */
#define LINE	    64
#define KEY_USUAL   32
#define VALUE_USUAL 256

/* Purges of one key that are remembered: those of the time that a run takes. */
#define PURGES 64

struct purged {
	uint64_t hash;
	uint64_t began; /* the sequence number of the purge; 0: none */
};

struct memory_cache {
	struct cache cache;
	struct cache_queues queues;
	uint64_t runs;		      /* begun so far, and purges */
	uint64_t purged;	      /* the latest purge's number */
	uint64_t floor;		      /* what began up to it stores nothing */
	struct purged purges[PURGES]; /* a ring */
	size_t purge_next;
};

static struct memory_cache *self(struct cache *cache)
{
	return container_of(cache, struct memory_cache, cache);
}

static struct cache_entry *find(const struct memory_cache *c, uint64_t hash, struct text key)
{
	return cache_index_find(&c->queues.index, hash, key);
}

/* The end of a time that begins at `from`; for ever where it would overflow. */
static uint64_t after(uint64_t from, uint64_t time)
{
	return from + lesser(time, UINT64_MAX - from);
}

static void set_ages(struct cache_entry *entry, uint64_t now, const struct cache_ages *ages)
{
	entry->fresh_until = after(now, ages->ttl);
	entry->refresh_from = after(now, ages->refresh_at);
	entry->stale_until = after(entry->fresh_until, entry->value ? ages->stale : 0);
	entry->usable_until = after(entry->stale_until, entry->value ? ages->stale_if_error : 0);
}

static bool is_purged(const struct memory_cache *c, uint64_t hash, uint64_t began)
{
	if (began > c->purged)
		return false;
	if (began <= c->floor)
		return true;
	for (size_t i = 0; i < PURGES; i++) {
		if (c->purges[i].hash == hash && began <= c->purges[i].began)
			return true;
	}
	return false;
}

static bool is_kept(const struct cache_ages *ages, const struct blob *value)
{
	return ages->ttl > 0 || (value && (ages->stale > 0 || ages->stale_if_error > 0));
}

/* What was there is outdated, and nothing is there now. */
static void take_out(struct memory_cache *c, struct cache_entry *entry)
{
	cache_queues_take_out(&c->queues, entry);
	c->cache.stats.outdated++;
}

static void put(struct cache *cache, uint64_t hash, struct text key, struct blob *value,
		uint64_t began, uint64_t now, const struct cache_ages *ages)
{
	struct memory_cache *c = self(cache);
	struct cache_entry *entry = find(c, hash, key);
	if ((entry && entry->began >= began) || is_purged(c, hash, began))
		return;
	bool kept = is_kept(ages, value);
	bool fits = kept && cache_queues_fit(&c->queues, key, value);
	bool there = entry != NULL;
	if (fits) {
		entry = cache_queues_store(&c->queues, entry, hash, key, value);
		cache->stats.outdated += there && !entry;
	} else if (entry) {
		take_out(c, entry);
	}
	if (fits && entry) {
		entry->began = began;
		set_ages(entry, now, ages);
		cache->stats.stored++;
	} else if (kept) {
		cache->stats.passed_by++;
	}
	cache->stats.bytes = c->queues.account.used;
}

static void hold_off(
		struct cache *cache, uint64_t hash, struct text key, uint64_t began, uint64_t until)
{
	struct cache_entry *entry = find(self(cache), hash, key);
	if (entry && entry->began < began)
		entry->refresh_from = greater(entry->refresh_from, until);
}

/* Of what is not simply fresh. */
static enum cache_found judge(const struct cache_entry *entry, uint64_t now)
{
	if (now >= entry->usable_until)
		return CACHE_NONE;
	if (now < entry->fresh_until)
		return CACHE_EARLY;
	if (now < entry->refresh_from)
		return CACHE_THROTTLED;
	return now < entry->stale_until ? CACHE_STALE : CACHE_OLD;
}

static enum cache_found get(struct cache *cache, uint64_t hash, struct text key, uint64_t now,
		struct blob **ret)
{
	struct memory_cache *c = self(cache);
	struct cache_entry *entry = find(c, hash, key);
	enum cache_found found = CACHE_VALUE;
	if (entry && (now >= entry->fresh_until || now >= entry->refresh_from))
		found = judge(entry, now);
	if (entry == NULL || found == CACHE_NONE) {
		if (entry)
			cache_queues_expire(&c->queues, entry);
		cache->stats.bytes = c->queues.account.used;
		cache->stats.misses++;
		return CACHE_NONE;
	}
	if (found == CACHE_OLD)
		cache->stats.misses++;
	else
		cache->stats.hits++;
	cache_queues_read(entry);
	if (entry->value == NULL)
		return CACHE_MISSING;
	*ret = blob_ref(entry->value);
	return found;
}

static void prefetch(const void *from, size_t size)
{
	for (size_t at = 0; at < size; at += LINE)
		__builtin_prefetch((const char *)from + at);
}

static void begin_read(struct cache *cache, uint64_t hash, unsigned nth)
{
	const struct cache_index *index = &self(cache)->queues.index;
	if (nth == 0) {
		cache_index_prefetch(index, hash);
		return;
	}
	const struct cache_entry *entry = cache_index_guess(index, hash);
	if (entry && nth == 1)
		prefetch(entry, sizeof(*entry) + KEY_USUAL);
	else if (entry && entry->value)
		prefetch(entry->value, VALUE_USUAL);
}

static uint64_t begin(struct cache *cache)
{
	return ++self(cache)->runs;
}

static void purge(struct cache *cache, uint64_t hash, struct text key)
{
	struct memory_cache *c = self(cache);
	struct cache_entry *entry = find(c, hash, key);
	struct purged *oldest = &c->purges[c->purge_next];
	c->purge_next = (c->purge_next + 1) % PURGES;
	c->floor = greater(c->floor, oldest->began);
	c->purged = begin(cache);
	*oldest = (struct purged){hash, c->purged};
	if (entry)
		take_out(c, entry);
	cache->stats.bytes = c->queues.account.used;
}

static bool begins_with(const struct cache_entry *entry, struct text prefix)
{
	return text_begins_with((struct text){entry->key, entry->key_size}, prefix);
}

static bool purge_some(struct cache *cache, struct cache_purge *purge)
{
	struct memory_cache *c = self(cache);
	struct cache_entry *entries[CACHE_SEGMENT_MAX];
	if (purge->began == 0) {
		purge->began = begin(cache);
		c->purged = purge->began;
		c->floor = purge->began;
	}
	size_t count = cache_index_list(&c->queues.index, purge->next, entries, &purge->next);
	for (size_t i = 0; i < count; i++) {
		if (entries[i]->began > purge->began || !begins_with(entries[i], purge->prefix))
			continue;
		take_out(c, entries[i]);
		purge->taken++;
	}
	cache->stats.bytes = c->queues.account.used;
	return purge->next == 0;
}

static void memory_cache_free(struct cache *cache)
{
	struct memory_cache *c = self(cache);
	cache_queues_deinit(&c->queues);
	free(c);
}

static const struct cache_ops ops = {.get = get,
		.begin = begin,
		.put = put,
		.hold_off = hold_off,
		.purge = purge,
		.purge_some = purge_some,
		.free = memory_cache_free,
		.begin_read = begin_read};

bool memory_cache_resize(struct cache *cache, size_t bytes_max)
{
	struct memory_cache *c = self(cache);
	bool done = cache_queues_resize(&c->queues, bytes_max);
	cache->stats.bytes_max = c->queues.account.max;
	cache->stats.bytes = c->queues.account.used;
	return done;
}

struct cache *memory_cache_new(
		const char *name, size_t bytes_max, struct account *readers, struct random *keys)
{
	struct memory_cache *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->cache = (struct cache){.ops = &ops, .name = name, .stats.bytes_max = bytes_max};
	cache_queues_init(&c->queues, bytes_max, readers, &c->cache.stats);
	random_hash_key(keys, &c->cache.hash_key);
	return &c->cache;
}
