/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How the memory cache finds its entries by key, and what it remembers of those it has evicted
 * ("ghosts"). All of it is charged to the cache's account. The index owns no entry.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/base/list.h"
#include "pipeline/base/text.h"

struct account;
struct blob;
struct segment;

struct cache_entry {
	struct link link; /* in its queue */
	uint64_t began;	  /* the run's sequence number */
	uint64_t hash;
	struct blob *value; /* NULL: there is none */
	/* Ages, as absolute times. */
	uint64_t fresh_until;
	uint64_t refresh_from;
	uint64_t stale_until;
	uint64_t usable_until;
	uint16_t key_size;
	uint8_t frequency;
	bool in_main;
	char key[];
};

struct cache_index {
	struct account *account;
	struct segment **directory; /* 2^depth; NULL before the first insert */
	size_t segments;
	unsigned depth;
};

/* An empty index that allocates nothing yet. Borrows account. */
void cache_index_init(struct cache_index *index, struct account *account);

/* Frees the index, not the entries that it may still hold. Safe twice. */
void cache_index_deinit(struct cache_index *index);

/* The entry of a key, or NULL. */
struct cache_entry *cache_index_find(
		const struct cache_index *index, uint64_t hash, struct text key);

/* Has the line where cache_index_find() will begin fetched into the processor's caches. */
void cache_index_prefetch(const struct cache_index *index, uint64_t hash);

/* The entry that is most likely the one of a key with that hash, found without looking at it; NULL
 * where there is likely none. */
const struct cache_entry *cache_index_guess(const struct cache_index *index, uint64_t hash);

/* What inserting under hash would charge at most, at its highest moment. */
size_t cache_index_needs(const struct cache_index *index, uint64_t hash);

/* Borrows entry, whose key must not be in the index. False when memory is out, or a segment can't
 * be split. */
bool cache_index_insert(struct cache_index *index, struct cache_entry *entry);

/* Takes out an entry that must be in the index. */
void cache_index_remove(struct cache_index *index, struct cache_entry *entry);

/* The most entries that lie together. */
#define CACHE_SEGMENT_MAX 224

/*
 * Lists the entries that lie together with hash; returns how many. *ret_next is the least hash
 * beyond theirs, to go on with; 0: there is none. From hash 0 on, this comes by every entry that
 * is in the index all the while, whatever is inserted or removed in between.
 */
size_t cache_index_list(const struct cache_index *index, uint64_t hash,
		struct cache_entry *ret_entries[static CACHE_SEGMENT_MAX], uint64_t *ret_next);

/* Remembers hash as the newest ghost. */
void cache_index_ghost_add(struct cache_index *index, uint64_t hash);

/* Forgets hash if it is among the newest ghosts, of which there are to be about `count`, and says
 * whether it was. */
bool cache_index_ghost_take(struct cache_index *index, uint64_t hash, size_t count);
