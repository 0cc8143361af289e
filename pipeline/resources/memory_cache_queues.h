/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the memory cache keeps, and what it lets go of when there is no room: S3-FIFO. All of it is
 * charged to one account, which never exceeds its bound.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/base/arena.h"
#include "pipeline/resources/cache.h"
#include "pipeline/resources/memory_cache_index.h"

#define CACHE_FREQUENCY_MAX 3

struct cache_queue {
	struct link entries; /* the oldest first */
	size_t bytes;
};

struct cache_queues {
	struct account account;
	struct account *readers;
	struct cache_index index;
	struct cache_queue small;
	struct cache_queue main;
	size_t small_max; /* bytes; also the most that one entry may cost */
	struct cache_stats *stats;
};

/* Borrows readers, who are charged for values that are let go of and still read, and stats. */
void cache_queues_init(struct cache_queues *queues, size_t bytes_max, struct account *readers,
		struct cache_stats *stats);

void cache_queues_deinit(struct cache_queues *queues);

/* A bounded part of going to another bound: see memory_cache_resize(). Where the index alone is
 * over it, all is evicted. */
bool cache_queues_resize(struct cache_queues *queues, size_t bytes_max);

/* Whether such a value is kept at all. */
bool cache_queues_fit(const struct cache_queues *queues, struct text key, const struct blob *value);

/*
 * Keeps value (NULL: there is none), which fits, in the entry that is there for the key, or in a
 * new one (entry NULL), whose ages the caller sets. NULL where there is no memory or no room for
 * it; the entry that was there is then gone.
 */
struct cache_entry *cache_queues_store(struct cache_queues *queues, struct cache_entry *entry,
		uint64_t hash, struct text key, struct blob *value);

/* Lets go of an entry. Who still reads its value goes on. */
void cache_queues_take_out(struct cache_queues *queues, struct cache_entry *entry);

/* The same for one whose time is over. Were it known to be read often, it may come back to main. */
void cache_queues_expire(struct cache_queues *queues, struct cache_entry *entry);

/* Takes note that an entry was read: a saturating add, nothing moves. */
static inline void cache_queues_read(struct cache_entry *entry)
{
	if (entry->frequency < CACHE_FREQUENCY_MAX)
		entry->frequency++;
}
