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
#include "pipeline/resources/memory_cache_queues.h"

#include <assert.h>
#include <stdlib.h>

#include "pipeline/base/blob.h"
#include "pipeline/base/lesser.h"

#define SMALL_SHARE   10 /* one byte in so many: the paper's choice, robust over its traces */
#define ROUNDS_MAX    512
#define EVICTIONS_MAX 4096

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

static struct cache_queue *queue_of(struct cache_queues *q, const struct cache_entry *entry)
{
	return entry->in_main ? &q->main : &q->small;
}

static void queue_append(struct cache_queues *q, struct cache_entry *entry)
{
	struct cache_queue *queue = queue_of(q, entry);
	list_append(&queue->entries, &entry->link);
	queue->bytes += entry_cost(entry);
}

static void queue_remove(struct cache_queues *q, struct cache_entry *entry)
{
	link_remove(&entry->link);
	queue_of(q, entry)->bytes -= entry_cost(entry);
}

/* Lets go of the value of an entry that is in no queue. Who still reads it has it on the readers'
 * account from now on. */
static void value_drop(struct cache_queues *q, struct cache_entry *entry)
{
	if (entry->value && entry->value->refs > 1)
		blob_charge(entry->value, q->readers);
	entry->value = blob_unref(entry->value);
}

/* Frees an entry that is in no queue. */
static void entry_free(struct cache_queues *q, struct cache_entry *entry)
{
	value_drop(q, entry);
	cache_index_remove(&q->index, entry);
	account_release(&q->account, entry_size(entry->key_size));
	q->stats->entries--;
	free(entry);
}

static void evict(struct cache_queues *q, struct cache_entry *entry)
{
	if (!entry->in_main)
		cache_index_ghost_add(&q->index, entry->hash);
	queue_remove(q, entry);
	entry_free(q, entry);
	q->stats->evicted++;
}

/* One step of eviction: the oldest entry of a queue gets another round, in main, if it has earned
 * one and may; else it goes. */
static bool evict_step(struct cache_queues *q, bool may_stay)
{
	bool from_small = q->small.bytes > q->small_max || list_empty(&q->main.entries);
	struct cache_queue *queue = from_small ? &q->small : &q->main;
	if (list_empty(&queue->entries))
		return false;

	struct cache_entry *entry = container_of(queue->entries.next, struct cache_entry, link);
	if (entry->frequency == 0 || !may_stay) {
		evict(q, entry);
		return true;
	}
	queue_remove(q, entry);
	entry->frequency--;
	entry->in_main = true;
	queue_append(q, entry);
	return true;
}

static bool make_room(struct cache_queues *q, size_t bytes)
{
	for (int steps = 0; q->account.used + bytes > q->account.max; steps++) {
		if (steps == EVICTIONS_MAX || !evict_step(q, steps < ROUNDS_MAX))
			return false;
	}
	return true;
}

/* Makes value the value of an entry that has none, for which there is room. False when memory is
 * out. */
static bool value_take(struct cache_queues *q, struct cache_entry *entry, struct blob *value)
{
	if (value == NULL)
		return true;
	bool held = value->account && value->account != q->readers;
	value = held ? blob_copy(blob_text(value)) : blob_ref(value);
	if (value == NULL)
		return false;
	blob_charge(value, &q->account);
	entry->value = value;
	return true;
}

/* An entry without a value, in the index and in no queue. NULL when memory is out. */
static struct cache_entry *entry_new(struct cache_queues *q, uint64_t hash, struct text key)
{
	struct cache_entry *entry = malloc(entry_size(key.size));
	if (entry == NULL)
		return NULL;
	*entry = (struct cache_entry){.hash = hash, .key_size = (uint16_t)key.size};
	if (key.size > 0)
		memcpy(entry->key, key.data, key.size);
	if (!cache_index_insert(&q->index, entry)) {
		free(entry);
		return NULL;
	}
	account_charge(&q->account, entry_size(key.size));
	q->stats->entries++;
	/* As many ghosts as main has entries once it is full, also while it isn't yet. */
	size_t ghosts = q->stats->entries - q->stats->entries / SMALL_SHARE;
	entry->in_main = cache_index_ghost_take(&q->index, hash, ghosts);
	return entry;
}

/*
 * An entry for the key with that value, in no queue: the one that is there (may be NULL), which
 * keeps its place in the index, or a new one. NULL where it can't be; then the one that was there
 * is gone.
 */
static struct cache_entry *fill(struct cache_queues *q, struct cache_entry *entry, uint64_t hash,
		struct text key, struct blob *value)
{
	size_t needs = value_cost(value);
	if (entry) {
		queue_remove(q, entry);
		value_drop(q, entry);
	} else {
		needs += entry_size(key.size) + cache_index_needs(&q->index, hash);
	}
	bool room = make_room(q, needs);
	if (room && entry == NULL)
		entry = entry_new(q, hash, key);
	if (entry && !(room && value_take(q, entry, value))) {
		entry_free(q, entry);
		return NULL;
	}
	return entry;
}

bool cache_queues_fit(const struct cache_queues *queues, struct text key, const struct blob *value)
{
	return key.size <= CACHE_KEY_MAX && (value == NULL || value->size <= CACHE_VALUE_MAX) &&
	       entry_size(key.size) + value_cost(value) <= queues->small_max;
}

struct cache_entry *cache_queues_store(struct cache_queues *q, struct cache_entry *entry,
		uint64_t hash, struct text key, struct blob *value)
{
	entry = fill(q, entry, hash, key, value);
	if (entry)
		queue_append(q, entry);
	assert(q->account.peak <= q->account.max);
	return entry;
}

void cache_queues_take_out(struct cache_queues *q, struct cache_entry *entry)
{
	queue_remove(q, entry);
	entry_free(q, entry);
}

void cache_queues_expire(struct cache_queues *q, struct cache_entry *entry)
{
	if (entry->in_main || entry->frequency > 0)
		cache_index_ghost_add(&q->index, entry->hash);
	cache_queues_take_out(q, entry);
	q->stats->expired++;
}

void cache_queues_init(struct cache_queues *q, size_t bytes_max, struct account *readers,
		struct cache_stats *stats)
{
	*q = (struct cache_queues){
			.account.max = bytes_max,
			.readers = readers,
			.small_max = bytes_max / SMALL_SHARE,
			.stats = stats,
	};
	link_init(&q->small.entries);
	link_init(&q->main.entries);
	cache_index_init(&q->index, &q->account);
}

static void empty(struct cache_queues *q, struct cache_queue *queue)
{
	while (!list_empty(&queue->entries))
		cache_queues_take_out(
				q, container_of(queue->entries.next, struct cache_entry, link));
}

void cache_queues_deinit(struct cache_queues *q)
{
	empty(q, &q->small);
	empty(q, &q->main);
	cache_index_deinit(&q->index);
	assert(q->account.used == 0);
}

bool cache_queues_resize(struct cache_queues *q, size_t bytes_max)
{
	for (unsigned i = 0; q->account.used > bytes_max && i < EVICTIONS_MAX; i++) {
		if (evict_step(q, false))
			continue;
		cache_index_deinit(&q->index);
		break;
	}
	/* What is stored between two parts keeps to what has been reached. */
	q->account.max = greater(q->account.used, bytes_max);
	q->account.peak = q->account.used;
	q->small_max = q->account.max / SMALL_SHARE;
	return q->account.max == bytes_max;
}
