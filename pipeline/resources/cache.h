/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a cache stage asks of a cache. A cache answers at once; what it holds is shared by all
 * stages that use it with the same key. Flights are not its matter. The loop thread only.
 */
#include <stdint.h>

#include "pipeline/base/hash.h"
#include "pipeline/base/text.h"

struct blob;
struct cache;

#define CACHE_KEY_MAX	1024	      /* a longer key is passed by */
#define CACHE_VALUE_MAX (1024 * 1024) /* so is a larger value */

#define CACHE_READS 3

/* NONE: nothing usable. VALUE: *ret is it. MISSING: it is remembered that there is none. */
enum cache_found { CACHE_NONE, CACHE_VALUE, CACHE_MISSING };

struct cache_ops {
	/* Finds what is younger than its ttl at now. *ret is a new reference. */
	enum cache_found (*get)(struct cache *cache, uint64_t hash, struct text key, uint64_t now,
			struct blob **ret);
	/* The sequence number of a run that begins now, for put(). */
	uint64_t (*begin)(struct cache *cache);
	/*
	 * Stores value (NULL: there is none) until now + ttl, unless a run that began later has
	 * stored one. Takes a reference of its own. A failure to store (no memory, too large) is
	 * counted and otherwise nobody's matter.
	 */
	void (*put)(struct cache *cache, uint64_t hash, struct text key, struct blob *value,
			uint64_t began, uint64_t now, uint64_t ttl);
	void (*free)(struct cache *cache);
	/*
	 * Begins the nth of the CACHE_READS reads from memory that get() does, each from where the
	 * one before said, and does not wait for it. It changes nothing. May be NULL.
	 */
	void (*begin_read)(struct cache *cache, uint64_t hash, unsigned nth);
};

/* Cumulative, and `entries`, `bytes`, `bytes_max` as they are. */
struct cache_stats {
	uint64_t hits;
	uint64_t misses;
	uint64_t stored;
	uint64_t evicted;
	uint64_t expired;
	uint64_t passed_by;
	uint64_t entries;
	uint64_t bytes;
	uint64_t bytes_max;
};

struct cache {
	const struct cache_ops *ops;
	const char *name;	  /* the configuration's; borrowed */
	struct hash_key hash_key; /* for the hashes that are handed in */
	struct cache_stats stats;
};
