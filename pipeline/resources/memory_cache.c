/* SPDX-License-Identifier: Apache-2.0 */
/*
 * S3-FIFO: a new entry goes to the small queue, a tenth of the bytes. What was read by the time it
 * comes to the small queue's head moves on to main; the rest is evicted and leaves a ghost. What
 * comes back while its ghost is remembered goes straight to main. At main's head, an entry that was
 * read since gets another round. So a scan passes through the small queue and leaves main alone.
 * Each move costs the entry one of the reads that it is credited with, three at most. (The paper
 * wants two reads for the move to main, and then forgets them; our rule gave up to a point more
 * hits on four of five synthetic traces, and fewer only where the whole trace is one loop. And what
 * is read all the time survives when a cache that was never full moves it to main.)
 *
 * Invariants: the account holds the index, every entry with its key, and the value of every entry;
 * it never exceeds bytes_max, because room is made before anything is allocated. Every entry is in
 * the index and in one queue. A value in the cache is charged to this cache alone: one that another
 * cache holds already, or this one under another key, is copied. What malloc itself adds to a block
 * is not counted.
 *
 * Work in one put is bounded, so that a turn of the loop doesn't wait for it: entries that would
 * get another round are evicted once ROUNDS_MAX have got it, and a value for which EVICTIONS_MAX
 * steps don't make room is passed by.
 */
#include "pipeline/resources/memory_cache.h"

#include <assert.h>
#include <stdlib.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/blob.h"
#include "pipeline/base/list.h"
#include "pipeline/base/random.h"
#include "pipeline/resources/memory_cache_index.h"

#define SMALL_SHARE   10 /* one byte in so many: the paper's choice, robust over its traces */
#define FREQUENCY_MAX 3
#define ROUNDS_MAX    512
#define EVICTIONS_MAX 4096
/* Bytes that are fetched before they are read. Of a longer value the processor notices itself that
 * more is read; of a shorter one, what comes too much is soon forgotten. */
#define LINE	    64
#define KEY_USUAL   32
#define VALUE_USUAL 256

struct queue {
	struct link entries; /* the oldest first */
	size_t bytes;
};

struct memory_cache {
	struct cache cache;
	struct account account;
	struct account *readers;
	struct cache_index index;
	struct queue small;
	struct queue main;
	size_t small_max; /* bytes; also the most that one entry may cost */
	uint64_t runs;	  /* begun so far */
};

static struct memory_cache *self(struct cache *cache)
{
	return container_of(cache, struct memory_cache, cache);
}

static size_t value_cost(const struct blob *value)
{
	return value ? blob_cost(value) : 0;
}

static size_t entry_size(size_t key_size)
{
	return sizeof(struct cache_entry) + key_size;
}

static size_t entry_cost(const struct cache_entry *entry)
{
	return entry_size(entry->key_size) + value_cost(entry->value);
}

static struct queue *queue_of(struct memory_cache *c, const struct cache_entry *entry)
{
	return entry->in_main ? &c->main : &c->small;
}

static void queue_append(struct memory_cache *c, struct cache_entry *entry)
{
	struct queue *queue = queue_of(c, entry);
	list_append(&queue->entries, &entry->link);
	queue->bytes += entry_cost(entry);
}

static void queue_remove(struct memory_cache *c, struct cache_entry *entry)
{
	link_remove(&entry->link);
	queue_of(c, entry)->bytes -= entry_cost(entry);
}

/* Lets go of the value of an entry that is in no queue. Who still reads it has it on the readers'
 * account from now on. */
static void value_drop(struct memory_cache *c, struct cache_entry *entry)
{
	if (entry->value && entry->value->refs > 1)
		blob_charge(entry->value, c->readers);
	entry->value = blob_unref(entry->value);
}

/* Frees an entry that is in no queue. */
static void entry_free(struct memory_cache *c, struct cache_entry *entry)
{
	value_drop(c, entry);
	cache_index_remove(&c->index, entry);
	account_release(&c->account, entry_size(entry->key_size));
	c->cache.stats.entries--;
	free(entry);
}

static void evict(struct memory_cache *c, struct cache_entry *entry)
{
	if (!entry->in_main)
		cache_index_ghost_add(&c->index, entry->hash);
	queue_remove(c, entry);
	entry_free(c, entry);
	c->cache.stats.evicted++;
}

/* One step of eviction: the oldest entry of a queue gets another round, in main, if it has earned
 * one and may; else it goes. */
static bool evict_step(struct memory_cache *c, bool may_stay)
{
	bool from_small = c->small.bytes > c->small_max || list_empty(&c->main.entries);
	struct queue *queue = from_small ? &c->small : &c->main;
	if (list_empty(&queue->entries))
		return false;

	struct cache_entry *entry = container_of(queue->entries.next, struct cache_entry, link);
	if (entry->frequency == 0 || !may_stay) {
		evict(c, entry);
		return true;
	}
	queue_remove(c, entry);
	entry->frequency--;
	entry->in_main = true;
	queue_append(c, entry);
	return true;
}

static bool make_room(struct memory_cache *c, size_t bytes)
{
	for (int steps = 0; c->account.used + bytes > c->account.max; steps++) {
		if (steps == EVICTIONS_MAX || !evict_step(c, steps < ROUNDS_MAX))
			return false;
	}
	return true;
}

/* Makes value the value of an entry that has none, for which there is room. False when memory is
 * out. */
static bool value_take(struct memory_cache *c, struct cache_entry *entry, struct blob *value)
{
	if (value == NULL)
		return true;
	bool held = value->account && value->account != c->readers;
	value = held ? blob_copy(blob_text(value)) : blob_ref(value);
	if (value == NULL)
		return false;
	blob_charge(value, &c->account);
	entry->value = value;
	return true;
}

/* An entry without a value, in the index and in no queue. NULL when memory is out. */
static struct cache_entry *entry_new(struct memory_cache *c, uint64_t hash, struct text key)
{
	struct cache_entry *entry = malloc(entry_size(key.size));
	if (entry == NULL)
		return NULL;
	*entry = (struct cache_entry){.hash = hash, .key_size = (uint16_t)key.size};
	if (key.size > 0)
		memcpy(entry->key, key.data, key.size);
	link_init(&entry->link);
	if (!cache_index_insert(&c->index, entry)) {
		free(entry);
		return NULL;
	}
	account_charge(&c->account, entry_size(key.size));
	c->cache.stats.entries++;
	/* As many ghosts as main has entries once it is full, also while it isn't yet. */
	size_t ghosts = c->cache.stats.entries - c->cache.stats.entries / SMALL_SHARE;
	entry->in_main = cache_index_ghost_take(&c->index, hash, ghosts);
	return entry;
}

/*
 * An entry for the key with that value, in no queue: the one that is there (may be NULL), which
 * keeps its place in the index, or a new one. NULL where it can't be; then the one that was there
 * is gone.
 */
static struct cache_entry *entry_fill(struct memory_cache *c, struct cache_entry *entry,
		uint64_t hash, struct text key, struct blob *value)
{
	size_t needs = value_cost(value);
	if (entry) {
		queue_remove(c, entry);
		value_drop(c, entry);
	} else {
		needs += entry_size(key.size) + cache_index_needs(&c->index, hash);
	}
	bool room = make_room(c, needs);
	if (room && entry == NULL)
		entry = entry_new(c, hash, key);
	if (entry && !(room && value_take(c, entry, value))) {
		entry_free(c, entry);
		return NULL;
	}
	return entry;
}

static bool fits(const struct memory_cache *c, struct text key, const struct blob *value)
{
	return key.size <= CACHE_KEY_MAX && (value == NULL || value->size <= CACHE_VALUE_MAX) &&
	       entry_size(key.size) + value_cost(value) <= c->small_max;
}

static void put(struct cache *cache, uint64_t hash, struct text key, struct blob *value,
		uint64_t began, uint64_t now, uint64_t ttl)
{
	struct memory_cache *c = self(cache);
	struct cache_entry *entry = cache_index_find(&c->index, hash, key);
	if (ttl == 0 || (entry && entry->began >= began))
		return;
	if (!fits(c, key, value)) {
		cache->stats.passed_by++;
		return;
	}

	entry = entry_fill(c, entry, hash, key, value);
	if (entry) {
		entry->began = began;
		entry->expires = ttl > UINT64_MAX - now ? UINT64_MAX : now + ttl;
		queue_append(c, entry);
		cache->stats.stored++;
	} else {
		cache->stats.passed_by++;
	}
	assert(c->account.peak <= c->account.max);
	cache->stats.bytes = c->account.used;
}

/* Takes out an entry whose time is over. Were it known to be read often, it may come back to main.
 */
static void expire(struct memory_cache *c, struct cache_entry *entry)
{
	if (entry->in_main || entry->frequency > 0)
		cache_index_ghost_add(&c->index, entry->hash);
	queue_remove(c, entry);
	entry_free(c, entry);
	c->cache.stats.expired++;
	c->cache.stats.bytes = c->account.used;
}

static enum cache_found get(struct cache *cache, uint64_t hash, struct text key, uint64_t now,
		struct blob **ret)
{
	struct memory_cache *c = self(cache);
	struct cache_entry *entry = cache_index_find(&c->index, hash, key);
	if (entry && now >= entry->expires) {
		expire(c, entry);
		entry = NULL;
	}
	if (entry == NULL) {
		cache->stats.misses++;
		return CACHE_NONE;
	}
	cache->stats.hits++;
	if (entry->frequency < FREQUENCY_MAX)
		entry->frequency++;
	if (entry->value == NULL)
		return CACHE_MISSING;
	*ret = blob_ref(entry->value);
	return CACHE_VALUE;
}

static void prefetch(const void *from, size_t size)
{
	for (size_t at = 0; at < size; at += LINE)
		__builtin_prefetch((const char *)from + at);
}

static void begin_read(struct cache *cache, uint64_t hash, unsigned nth)
{
	const struct cache_index *index = &self(cache)->index;
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

static void queue_free(struct memory_cache *c, struct queue *queue)
{
	while (!list_empty(&queue->entries)) {
		struct cache_entry *entry =
				container_of(queue->entries.next, struct cache_entry, link);
		queue_remove(c, entry);
		entry_free(c, entry);
	}
}

static void memory_cache_free(struct cache *cache)
{
	struct memory_cache *c = self(cache);
	queue_free(c, &c->small);
	queue_free(c, &c->main);
	cache_index_deinit(&c->index);
	assert(c->account.used == 0);
	free(c);
}

static const struct cache_ops ops = {.get = get,
		.begin_read = begin_read,
		.begin = begin,
		.put = put,
		.free = memory_cache_free};

struct cache *memory_cache_new(
		const char *name, size_t bytes_max, struct account *readers, struct random *random)
{
	struct memory_cache *c = malloc(sizeof(*c));
	if (c == NULL)
		return NULL;
	*c = (struct memory_cache){
			.cache = {.ops = &ops, .name = name, .stats.bytes_max = bytes_max},
			.account.max = bytes_max,
			.readers = readers,
			.small_max = bytes_max / SMALL_SHARE,
	};
	random_hash_key(random, &c->cache.hash_key);
	link_init(&c->small.entries);
	link_init(&c->main.entries);
	cache_index_init(&c->index, &c->account);
	return &c->cache;
}
