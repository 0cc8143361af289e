/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A cache in this process's memory, bounded in bytes, evicted by S3-FIFO (Yang et al., "FIFO queues
 * are all you need for cache eviction", SOSP 2023). A hit is a saturating add; nothing moves.
 *
 * What an entry costs is accounted to the byte: key, value, entry and its share of the table. A
 * value that is evicted while a request still reads it moves from the cache's account to another
 * one. What would cost more than a tenth of bytes_max (the small queue) is passed by, so that one
 * value can't push out all others. A remembered "missing" counts as a hit, and an expired entry as
 * a miss too.
 */
#include <stddef.h>

#include "pipeline/resources/cache.h"

struct account;
struct random;

/*
 * A cache of at most bytes_max bytes; the hash key is drawn from keys. readers is charged for
 * evicted values that are still read. Borrows name and readers. NULL when memory is out. Freed by
 * ops->free.
 */
struct cache *memory_cache_new(
		const char *name, size_t bytes_max, struct account *readers, struct random *keys);

/*
 * Does a bounded part of going to another bound: what is over a lower one is evicted. False: it is
 * not reached, and the bound is what has been reached so far. To be called again, in another turn.
 */
bool memory_cache_resize(struct cache *cache, size_t bytes_max);
