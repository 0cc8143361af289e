/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a cache stage asks of a cache. A cache answers at once; what it holds is shared by all
 * stages that use it with the same key, and ages as it was said when it was stored. Flights are not
 * its matter. The loop thread only.
 */
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/base/hash.h"
#include "pipeline/base/text.h"

struct blob;
struct cache;

#define CACHE_KEY_MAX	1024	      /* a longer key is passed by */
#define CACHE_VALUE_MAX (1024 * 1024) /* so is a larger value */

#define CACHE_READS 3

/* What a cache has under a key. */
enum cache_found {
	CACHE_NONE,	 /* nothing usable */
	CACHE_VALUE,	 /* fresh */
	CACHE_EARLY,	 /* fresh, and already to be refreshed */
	CACHE_STALE,	 /* not fresh; usable, and to be refreshed */
	CACHE_THROTTLED, /* not fresh; usable, and a refresh has failed too short a time ago */
	CACHE_OLD,	 /* usable by who can't have a new one */
	CACHE_MISSING,	 /* it is remembered that there is none */
};

/* How a value ages, in nanoseconds. */
struct cache_ages {
	uint64_t ttl;		 /* fresh until this age */
	uint64_t refresh_at;	 /* to be refreshed from this age on, at most ttl */
	uint64_t stale;		 /* usable for so much longer, */
	uint64_t stale_if_error; /* and for so much longer by who can't have a new one */
};

/* Of what is of no use any more when it is not fresh. */
static inline struct cache_ages cache_ages_of_ttl(uint64_t ttl)
{
	return (struct cache_ages){.ttl = ttl, .refresh_at = ttl};
}

/* A purge of many keys, in steps. Made by its first step from {.prefix = …}. */
struct cache_purge {
	struct text prefix;
	uint64_t began; /* the sequence number of the purge */
	uint64_t next;	/* hashes below it are done */
	uint64_t taken; /* how many values it has taken out so far */
};

struct cache_ops {
	/* Finds what is usable at now. *ret is a new reference, but for NONE and MISSING. */
	enum cache_found (*get)(struct cache *cache, uint64_t hash, struct text key, uint64_t now,
			struct blob **ret);
	/* The sequence number of a run that begins now, for put() and hold_off(). */
	uint64_t (*begin)(struct cache *cache);
	/*
	 * Stores value (NULL: there is none, for ages->ttl) in place of what an earlier run has
	 * stored, unless a run that began later has, or the key has been purged since. What has no
	 * age, or can't be kept (no memory, too large), still takes the place of what was there:
	 * that is outdated. A failure to store is counted and otherwise nobody's matter. Takes a
	 * reference of its own.
	 */
	void (*put)(struct cache *cache, uint64_t hash, struct text key, struct blob *value,
			uint64_t began, uint64_t now, const struct cache_ages *ages);
	/* A run that was to give a newer value has failed: what an earlier one has stored is not to
	 * be refreshed before `until`. */
	void (*hold_off)(struct cache *cache, uint64_t hash, struct text key, uint64_t began,
			uint64_t until);
	/* Takes out what is stored under a key. Runs that have begun by now store nothing there. */
	void (*purge)(struct cache *cache, uint64_t hash, struct text key);
	/*
	 * Does a bounded part of a purge of all keys that begin with purge->prefix. False: there is
	 * more to do, and until it is done, what was to be purged may still be found. Runs that had
	 * begun by the first step store nothing, under whatever key.
	 */
	bool (*purge_some)(struct cache *cache, struct cache_purge *purge);
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
	uint64_t outdated; /* taken out: purged, or replaced by what is not kept */
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
