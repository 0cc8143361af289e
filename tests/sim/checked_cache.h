/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A cache between the stages and the memory cache, that remembers what was ever put under each key
 * and holds each answer against it: each of the age that is said of it, by the nanosecond, none
 * that an older run has put over a newer one or over a purge, none that was never put, and never
 * more bytes than allowed.
 */
#include "pipeline/resources/cache.h"

typedef void (*complain_fn)(void *user, const char *complaint);
typedef void (*looked_fn)(void *user, bool found);

/* Takes over inner, which is freed with it. complain is told of the first wrong answer, and of
 * those that follow; looked, of every look. NULL when memory is out; inner is then freed. */
struct cache *checked_cache_new(
		struct cache *inner, complain_fn complain, looked_fn looked, void *user);

/* Of the cache that it checks. */
const struct cache_stats *checked_cache_stats(const struct cache *cache);
