/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache against a plain LRU of the same number of bytes, on the same requests. The LRU pays
 * nothing for its table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/blob.h"
#include "pipeline/base/live.h"
#include "pipeline/base/random.h"
#include "pipeline/resources/memory_cache.h"
#include "pipeline/resources/memory_cache_index.h"

enum { KEYS = 30000, REQUESTS = 200000, VALUE_SIZE = 100, KEY_SIZE = 8 };

#define ENTRY_COST (sizeof(struct cache_entry) + KEY_SIZE + sizeof(struct blob) + VALUE_SIZE + 1)

static double zipf_sums[KEYS];
static uint32_t trace[REQUESTS];

static int set_up(void **state)
{
	double sum = 0;
	for (int i = 0; i < KEYS; i++) {
		sum += 1.0 / (i + 1);
		zipf_sums[i] = sum;
	}
	return 0;
}

/* The key of rank i is asked for in proportion to 1 / (i + 1). */
static uint32_t zipf(struct random *random)
{
	double at = (double)(random_next(random) >> 11) * 0x1p-53 * zipf_sums[KEYS - 1];
	uint32_t low = 0;
	uint32_t high = KEYS - 1;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (zipf_sums[middle] < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void trace_zipf(struct random *random)
{
	for (int i = 0; i < REQUESTS; i++)
		trace[i] = zipf(random);
}

/* Now and then, a thousand keys in a row that nobody has asked for and nobody will. */
static void trace_scans(struct random *random)
{
	uint32_t once = KEYS;
	int scan = 0;
	for (int i = 0; i < REQUESTS; i++) {
		if (scan == 0 && random_below(random, 3000) == 0)
			scan = 1000;
		trace[i] = scan ? once++ : zipf(random);
		scan -= scan > 0;
	}
}

struct lru_entry {
	struct link link;
	bool held;
};

static uint64_t lru_hits(size_t bytes_max)
{
	struct lru_entry *entries = calloc(KEYS + REQUESTS, sizeof(*entries));
	assert_non_null(entries);
	struct link recent; /* the latest last */
	link_init(&recent);
	size_t bytes = 0;
	uint64_t hits = 0;
	for (int i = 0; i < REQUESTS; i++) {
		struct lru_entry *entry = &entries[trace[i]];
		if (entry->held) {
			hits++;
			link_remove(&entry->link);
		} else {
			bytes += ENTRY_COST;
			entry->held = true;
		}
		list_append(&recent, &entry->link);
		while (bytes > bytes_max) {
			struct lru_entry *oldest =
					container_of(recent.next, struct lru_entry, link);
			link_remove(&oldest->link);
			oldest->held = false;
			bytes -= ENTRY_COST;
		}
	}
	free(entries);
	return hits;
}

static uint64_t cache_hits(size_t bytes_max, struct random *random)
{
	struct account readers = {.max = SIZE_MAX};
	const struct cache_ages ages = cache_ages_of_ttl(1);
	struct cache *cache = memory_cache_new("hot", bytes_max, &readers, random);
	assert_non_null(cache);
	for (int i = 0; i < REQUESTS; i++) {
		char bytes[KEY_SIZE + 1];
		(void)snprintf(bytes, sizeof(bytes), "%08u", (unsigned)trace[i]);
		struct text key = {bytes, KEY_SIZE};
		uint64_t hash = hash_text(&cache->hash_key, key);
		struct blob *value = NULL;
		if (cache->ops->get(cache, hash, key, 0, &value) == CACHE_NONE) {
			value = blob_new(VALUE_SIZE);
			assert_non_null(value);
			cache->ops->put(cache, hash, key, value, cache->ops->begin(cache), 0,
					&ages);
		}
		blob_unref(value);
	}
	uint64_t hits = cache->stats.hits;
	assert_int_equal(cache->stats.passed_by, 0);
	cache->ops->free(cache);
	assert_int_equal(live_report(), 0);
	return hits;
}

/* In a cache for one key in sixty, and for one in ten. */
static void compare(void (*make_trace)(struct random *random), double factor)
{
	for (uint64_t seed = 1; seed <= 2; seed++) {
		struct random random;
		random_init(&random, seed);
		make_trace(&random);
		const size_t sizes[] = {500 * ENTRY_COST, 3000 * ENTRY_COST};
		for (int i = 0; i < 2; i++) {
			uint64_t lru = lru_hits(sizes[i]);
			uint64_t ours = cache_hits(sizes[i], &random);
			assert_true((double)ours > factor * (double)lru);
		}
	}
}

static void test_zipf(void **state)
{
	compare(trace_zipf, 1.0);
}

static void test_zipf_with_scans(void **state)
{
	compare(trace_scans, 1.1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_zipf),
			cmocka_unit_test(test_zipf_with_scans),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
