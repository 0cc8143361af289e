/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/resources/memory_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/blob.h"
#include "pipeline/base/live.h"
#include "pipeline/base/random.h"
#include "pipeline/resources/memory_cache_index.h"
#include "tests/unit/allocations.h"

#define KIB 1024
#define MIB (1024 * KIB)
#define TTL UINT64_C(1000)

static const struct cache_ages usual = {.ttl = TTL, .refresh_at = TTL};

static struct account readers;

static struct cache *make(size_t bytes_max)
{
	struct random random;
	random_init(&random, 1);
	struct cache *cache = memory_cache_new("hot", bytes_max, &readers, &random);
	assert_non_null(cache);
	return cache;
}

static int set_up(void **state)
{
	readers = (struct account){.max = SIZE_MAX};
	return 0;
}

static int tear_down(void **state)
{
	allocations_heal();
	return readers.used != 0 || live_report();
}

static enum cache_found get(struct cache *cache, struct text key, uint64_t now, struct blob **ret)
{
	return cache->ops->get(cache, hash_text(&cache->hash_key, key), key, now, ret);
}

/* Whether key is fresh at now and its value, if any, is what is expected. */
static bool holds(struct cache *cache, struct text key, uint64_t now, struct text expected)
{
	struct blob *value;
	if (get(cache, key, now, &value) != CACHE_VALUE)
		return false;
	bool equal = text_equal(blob_text(value), expected);
	blob_unref(value);
	return equal;
}

static void put_run(struct cache *cache, struct text key, struct text value, uint64_t began,
		uint64_t now, uint64_t ttl)
{
	struct blob *blob = value.data ? blob_copy(value) : NULL;
	struct cache_ages ages = cache_ages_of_ttl(ttl);
	cache->ops->put(cache, hash_text(&cache->hash_key, key), key, blob, began, now, &ages);
	blob_unref(blob);
}

/* An absent value: there is none. */
static void put(struct cache *cache, struct text key, struct text value)
{
	put_run(cache, key, value, cache->ops->begin(cache), 0, TTL);
}

/* Puts the key made of number n, with a value of size bytes, or none for size 0. */
static void put_number(struct cache *cache, uint64_t n, uint32_t size)
{
	struct text key = {(const char *)&n, sizeof(n)};
	struct blob *blob = size ? blob_new(size) : NULL;
	if (blob)
		memset(blob->data, (int)n, size);
	cache->ops->put(cache, hash_text(&cache->hash_key, key), key, blob,
			cache->ops->begin(cache), 0, &usual);
	blob_unref(blob);
}

static size_t cost(size_t key_size, size_t value_size)
{
	return sizeof(struct cache_entry) + key_size + sizeof(struct blob) + value_size + 1;
}

/* What the index costs while it has one segment. */
static size_t index_cost(void)
{
	struct account account = {.max = SIZE_MAX};
	struct cache_index index;
	cache_index_init(&index, &account);
	return cache_index_needs(&index, 0);
}

static void test_what_is_put_is_found(void **state)
{
	struct cache *cache = make(MIB);
	struct blob *found = NULL;
	assert_int_equal(get(cache, TEXT("a"), 0, &found), CACHE_NONE);
	assert_int_equal(cache->stats.bytes, 0);

	struct blob *value = blob_copy(TEXT("one"));
	cache->ops->put(cache, hash_text(&cache->hash_key, TEXT("a")), TEXT("a"), value,
			cache->ops->begin(cache), 0, &usual);
	assert_int_equal(get(cache, TEXT("a"), 0, &found), CACHE_VALUE);
	assert_ptr_equal(found, value);
	assert_int_equal(found->refs, 3);
	assert_int_equal(get(cache, TEXT("b"), 0, &found), CACHE_NONE);

	assert_int_equal(cache->stats.hits, 1);
	assert_int_equal(cache->stats.misses, 2);
	assert_int_equal(cache->stats.stored, 1);
	assert_int_equal(cache->stats.entries, 1);
	assert_int_equal(cache->stats.bytes_max, MIB);
	blob_unref(found);
	blob_unref(value);
	cache->ops->free(cache);
}

static void test_missing_is_remembered(void **state)
{
	struct cache *cache = make(MIB);
	struct blob *found = NULL;
	put(cache, TEXT("a"), (struct text){0});
	assert_int_equal(get(cache, TEXT("a"), 0, &found), CACHE_MISSING);
	assert_null(found);
	assert_int_equal(cache->stats.hits, 1);
	assert_int_equal(cache->stats.bytes, index_cost() + sizeof(struct cache_entry) + 1);

	put(cache, TEXT("a"), TEXT("found after all"));
	assert_true(holds(cache, TEXT("a"), 0, TEXT("found after all")));
	put(cache, TEXT("a"), (struct text){0});
	assert_int_equal(get(cache, TEXT("a"), 0, &found), CACHE_MISSING);
	assert_int_equal(cache->stats.entries, 1);
	cache->ops->free(cache);
}

static void test_keys_are_compared_whole(void **state)
{
	struct cache *cache = make(MIB);
	const struct text keys[] = {TEXT(""), TEXT("a"), TEXT("ab"), TEXT("a\0b"), TEXT("a\0c")};
	const struct text values[] = {TEXT("0"), TEXT("1"), TEXT("2"), TEXT("3"), TEXT("")};
	uint64_t hash = 42; /* of all of them */
	for (size_t i = 0; i < 5; i++) {
		struct blob *value = blob_copy(values[i]);
		cache->ops->put(cache, hash, keys[i], value, cache->ops->begin(cache), 0, &usual);
		blob_unref(value);
	}
	for (size_t i = 0; i < 5; i++) {
		struct blob *value;
		assert_int_equal(cache->ops->get(cache, hash, keys[i], 0, &value), CACHE_VALUE);
		assert_true(text_equal(blob_text(value), values[i]));
		blob_unref(value);
	}
	struct blob *value;
	assert_int_equal(cache->ops->get(cache, hash, TEXT("a\0"), 0, &value), CACHE_NONE);
	cache->ops->free(cache);
}

static void test_ages_are_exact(void **state)
{
	struct cache *cache = make(MIB);
	uint64_t now = UINT64_C(5000000000);
	put_run(cache, TEXT("a"), TEXT("v"), cache->ops->begin(cache), now, TTL);
	assert_true(holds(cache, TEXT("a"), now, TEXT("v")));
	assert_true(holds(cache, TEXT("a"), now + TTL - 1, TEXT("v")));
	assert_int_equal(cache->stats.expired, 0);

	struct blob *found;
	assert_int_equal(get(cache, TEXT("a"), now + TTL, &found), CACHE_NONE);
	assert_int_equal(cache->stats.expired, 1);
	assert_int_equal(cache->stats.misses, 1);
	assert_int_equal(cache->stats.entries, 0);
	assert_int_equal(cache->stats.bytes, index_cost());
	assert_int_equal(get(cache, TEXT("a"), now, &found), CACHE_NONE);
	assert_int_equal(cache->stats.expired, 1);
	cache->ops->free(cache);
}

static void test_the_ends_of_ttl(void **state)
{
	struct cache *cache = make(MIB);
	put_run(cache, TEXT("a"), TEXT("v"), cache->ops->begin(cache), 7, 0);
	assert_int_equal(cache->stats.stored, 0);
	assert_int_equal(cache->stats.passed_by, 0);
	assert_int_equal(cache->stats.entries, 0);
	put_run(cache, TEXT("b"), TEXT("v"), cache->ops->begin(cache), 7, UINT64_MAX);
	assert_true(holds(cache, TEXT("b"), UINT64_MAX - 1, TEXT("v")));
	cache->ops->free(cache);
}

static void test_only_a_later_run_replaces(void **state)
{
	struct cache *cache = make(MIB);
	uint64_t first = cache->ops->begin(cache);
	uint64_t second = cache->ops->begin(cache);
	uint64_t third = cache->ops->begin(cache);
	assert_true(first < second && second < third);

	put_run(cache, TEXT("a"), TEXT("second"), second, 0, TTL);
	put_run(cache, TEXT("a"), TEXT("first"), first, 10, TTL);
	put_run(cache, TEXT("a"), TEXT("again"), second, 10, TTL);
	put_run(cache, TEXT("a"), (struct text){0}, first, 10, TTL);
	assert_true(holds(cache, TEXT("a"), 10, TEXT("second")));
	assert_int_equal(cache->stats.stored, 1);
	put_run(cache, TEXT("a"), TEXT("third"), third, 10, TTL);
	assert_true(holds(cache, TEXT("a"), 10, TEXT("third")));
	assert_int_equal(cache->stats.stored, 2);
	cache->ops->free(cache);
}

static void test_an_earlier_run_does_not_replace_missing(void **state)
{
	struct cache *cache = make(MIB);
	uint64_t first = cache->ops->begin(cache);
	put(cache, TEXT("a"), (struct text){0});
	put_run(cache, TEXT("a"), TEXT("gone by now"), first, 0, TTL);
	struct blob *found;
	assert_int_equal(get(cache, TEXT("a"), 0, &found), CACHE_MISSING);
	/* Also where its time is over and nobody has asked. */
	put_run(cache, TEXT("a"), TEXT("gone by now"), first, TTL, TTL);
	assert_int_equal(get(cache, TEXT("a"), TTL, &found), CACHE_NONE);
	cache->ops->free(cache);
}

static void test_large_ones_are_passed_by(void **state)
{
	struct cache *cache = make(64 * MIB);
	static char key[CACHE_KEY_MAX + 1];
	put(cache, (struct text){key, CACHE_KEY_MAX}, TEXT("v"));
	assert_int_equal(cache->stats.passed_by, 0);
	put(cache, (struct text){key, CACHE_KEY_MAX + 1}, TEXT("v"));
	assert_int_equal(cache->stats.passed_by, 1);
	put_number(cache, 1, CACHE_VALUE_MAX);
	assert_int_equal(cache->stats.passed_by, 1);
	put_number(cache, 2, CACHE_VALUE_MAX + 1);
	assert_int_equal(cache->stats.passed_by, 2);
	assert_int_equal(cache->stats.entries, 2);
	cache->ops->free(cache);
}

static void test_a_tenth_is_the_largest(void **state)
{
	struct cache *cache = make(100 * KIB);
	uint32_t fits = (uint32_t)(10 * KIB - cost(sizeof(uint64_t), 0));
	put_number(cache, 1, fits + 1);
	assert_int_equal(cache->stats.passed_by, 1);
	put_number(cache, 1, fits);
	assert_int_equal(cache->stats.passed_by, 1);
	assert_int_equal(cache->stats.entries, 1);
	cache->ops->free(cache);
}

static void test_any_size_of_cache_works(void **state)
{
	for (size_t bytes_max = 0; bytes_max < 16 * KIB; bytes_max += 64) {
		struct cache *cache = make(bytes_max);
		for (uint64_t i = 0; i < 300; i++) {
			put_number(cache, i % 200, (uint32_t)(i % 90));
			assert_in_range(cache->stats.bytes, 0, bytes_max);
		}
		assert_int_equal(cache->stats.stored + cache->stats.passed_by, 300);
		if (bytes_max <= KIB)
			assert_int_equal(cache->stats.entries, 0);
		if (bytes_max >= 8 * KIB)
			assert_true(cache->stats.entries > 10);
		cache->ops->free(cache);
	}
}

static void test_bytes_are_exact(void **state)
{
	struct cache *cache = make(MIB);
	size_t bytes = index_cost();
	put(cache, TEXT("key"), TEXT("value"));
	assert_int_equal(cache->stats.bytes, bytes + cost(3, 5));
	put(cache, TEXT("another"), TEXT(""));
	assert_int_equal(cache->stats.bytes, bytes + cost(3, 5) + cost(7, 0));
	put(cache, TEXT("key"), TEXT("longer value"));
	assert_int_equal(cache->stats.bytes, bytes + cost(3, 12) + cost(7, 0));
	cache->ops->free(cache);
}

static void put_blob(struct cache *cache, struct text key, struct blob *value)
{
	cache->ops->put(cache, hash_text(&cache->hash_key, key), key, value,
			cache->ops->begin(cache), 0, &usual);
}

static void test_it_is_full_to_the_byte(void **state)
{
	const size_t each = cost(sizeof(uint64_t), 100);
	struct cache *cache = make(index_cost() + 20 * each);
	for (uint64_t n = 0; n < 20; n++)
		put_number(cache, n, 100);
	assert_int_equal(cache->stats.bytes, cache->stats.bytes_max);
	assert_int_equal(cache->stats.entries, 20);
	assert_int_equal(cache->stats.evicted, 0);
	put_number(cache, 20, 100);
	assert_int_equal(cache->stats.entries, 20);
	assert_int_equal(cache->stats.evicted, 1);
	cache->ops->free(cache);
}

/* It has a place in main, which no scan of new ones touches. */
static void test_what_was_read_once_outlives_any_scan(void **state)
{
	struct cache *cache = make(MIB);
	put(cache, TEXT("read"), TEXT("once"));
	assert_true(holds(cache, TEXT("read"), 0, TEXT("once")));
	for (uint64_t n = 0; n < 10 * KIB; n++)
		put_number(cache, n, KIB);
	assert_true(holds(cache, TEXT("read"), 0, TEXT("once")));
	cache->ops->free(cache);
}

static void test_readers_are_charged_for_what_is_evicted(void **state)
{
	struct cache *cache = make(16 * KIB);
	struct blob *read = blob_copy(TEXT("still read"));
	put_blob(cache, TEXT("a"), read);
	assert_int_equal(readers.used, 0);
	for (uint64_t n = 0; cache->stats.evicted == 0; n++)
		put_number(cache, n, 1000);
	assert_int_equal(readers.used, blob_cost(read));

	/* Of what nobody reads, nothing is charged. */
	for (uint64_t n = 100; cache->stats.evicted < 50; n++)
		put_number(cache, n, 1000);
	assert_int_equal(readers.peak, blob_cost(read));
	assert_int_equal(read->refs, 1);
	blob_unref(read);
	assert_int_equal(readers.used, 0);
	cache->ops->free(cache);
}

static void test_readers_are_charged_for_what_is_replaced_expired_or_freed(void **state)
{
	struct cache *cache = make(MIB);
	struct blob *replaced = NULL;
	struct blob *expired = NULL;
	struct blob *freed = NULL;
	put(cache, TEXT("a"), TEXT("replaced"));
	assert_int_equal(get(cache, TEXT("a"), 0, &replaced), CACHE_VALUE);
	put(cache, TEXT("a"), TEXT("expired"));
	assert_int_equal(readers.used, blob_cost(replaced));
	assert_int_equal(get(cache, TEXT("a"), 0, &expired), CACHE_VALUE);
	assert_int_equal(get(cache, TEXT("a"), TTL, &(struct blob *){NULL}), CACHE_NONE);
	assert_int_equal(readers.used, blob_cost(replaced) + blob_cost(expired));
	put(cache, TEXT("a"), TEXT("freed"));
	assert_int_equal(get(cache, TEXT("a"), 0, &freed), CACHE_VALUE);
	cache->ops->free(cache);
	assert_int_equal(readers.used, blob_cost(replaced) + blob_cost(expired) + blob_cost(freed));
	assert_true(text_equal(blob_text(replaced), TEXT("replaced")));
	assert_true(text_equal(blob_text(expired), TEXT("expired")));
	assert_true(text_equal(blob_text(freed), TEXT("freed")));
	blob_unref(replaced);
	blob_unref(expired);
	blob_unref(freed);
}

static void test_a_value_is_charged_to_one_cache_only(void **state)
{
	struct cache *one = make(MIB);
	struct cache *other = make(MIB);
	struct blob *value = blob_copy(TEXT("shared"));
	blob_charge(value, &readers);
	put_blob(one, TEXT("a"), value);
	assert_int_equal(readers.used, 0);
	put_blob(one, TEXT("b"), value);
	put_blob(other, TEXT("a"), value);
	assert_int_equal(value->refs, 2);
	assert_int_equal(one->stats.bytes, index_cost() + 2 * cost(1, 6));
	assert_int_equal(other->stats.bytes, index_cost() + cost(1, 6));

	one->ops->free(one);
	assert_int_equal(readers.used, blob_cost(value));
	assert_true(holds(other, TEXT("a"), 0, TEXT("shared")));
	put_blob(other, TEXT("b"), value);
	assert_int_equal(readers.used, 0);
	blob_unref(value);
	assert_true(holds(other, TEXT("b"), 0, TEXT("shared")));
	other->ops->free(other);
}

static void test_what_comes_back_stays(void **state)
{
	struct cache *cache = make(16 * KIB);
	put(cache, TEXT("popular"), TEXT("v"));
	uint64_t n = 0;
	while (cache->stats.evicted == 0)
		put_number(cache, n++, 100);
	struct blob *found;
	assert_int_equal(get(cache, TEXT("popular"), 0, &found), CACHE_NONE);

	put(cache, TEXT("popular"), TEXT("v"));
	put(cache, TEXT("first seen"), TEXT("v"));
	for (uint64_t end = n + 500; n < end; n++)
		put_number(cache, n, 100);
	assert_true(holds(cache, TEXT("popular"), 0, TEXT("v")));
	assert_int_equal(get(cache, TEXT("first seen"), 0, &found), CACHE_NONE);
	cache->ops->free(cache);
}

/* Puts the next number and reads it once. */
static void put_and_read(struct cache *cache, uint64_t n)
{
	struct blob *found = NULL;
	put_number(cache, n, 100);
	assert_int_equal(get(cache, (struct text){(const char *)&n, sizeof(n)}, 0, &found),
			CACHE_VALUE);
	blob_unref(found);
}

static void test_what_is_no_longer_read_goes(void **state)
{
	struct cache *cache = make(16 * KIB);
	uint64_t n = 0;
	put(cache, TEXT("popular"), TEXT("v"));
	for (; n < 500; n++) {
		assert_true(holds(cache, TEXT("popular"), 0, TEXT("v")));
		put_and_read(cache, n);
	}
	for (; n < 1500; n++)
		put_and_read(cache, n);
	struct blob *found;
	assert_int_equal(get(cache, TEXT("popular"), 0, &found), CACHE_NONE);
	cache->ops->free(cache);
}

static void test_what_was_read_stays_after_it_expired(void **state)
{
	struct cache *cache = make(16 * KIB);
	struct blob *found;
	put(cache, TEXT("read"), TEXT("v"));
	put(cache, TEXT("unread"), TEXT("v"));
	assert_true(holds(cache, TEXT("read"), 0, TEXT("v")));
	assert_int_equal(get(cache, TEXT("read"), TTL, &found), CACHE_NONE);
	assert_int_equal(get(cache, TEXT("unread"), TTL, &found), CACHE_NONE);
	for (uint64_t n = 0; n < 20; n++)
		put_number(cache, n, 100);
	assert_int_equal(cache->stats.evicted, 0);

	put(cache, TEXT("read"), TEXT("v"));
	put(cache, TEXT("unread"), TEXT("v"));
	for (uint64_t n = 20; n < 500; n++)
		put_number(cache, n, 100);
	assert_true(holds(cache, TEXT("read"), 0, TEXT("v")));
	assert_int_equal(get(cache, TEXT("unread"), 0, &found), CACHE_NONE);
	cache->ops->free(cache);
}

static void test_a_large_cache_grows(void **state)
{
	enum { COUNT = 50000 };
	struct cache *cache = make(64 * MIB);
	for (uint64_t n = 0; n < COUNT; n++)
		put_number(cache, n, 16);
	assert_int_equal(cache->stats.entries, COUNT);
	assert_int_equal(cache->stats.evicted, 0);
	for (uint64_t n = 0; n < COUNT; n++) {
		char value[16];
		memset(value, (int)n, sizeof(value));
		assert_true(holds(cache, (struct text){(const char *)&n, sizeof(n)}, 0,
				(struct text){value, sizeof(value)}));
	}
	size_t entries = COUNT * cost(sizeof(uint64_t), 16);
	assert_in_range(cache->stats.bytes, entries + COUNT * 8, entries + COUNT * 40);
	cache->ops->free(cache);
}

static void test_one_large_value_evicts_in_bounded_steps(void **state)
{
	struct cache *cache = make(16 * MIB);
	for (uint64_t n = 0; cache->stats.evicted == 0; n++)
		put_number(cache, n, 0);
	struct blob *large = blob_new(MIB);
	memset(large->data, 'x', MIB);
	int tries = 0;
	uint64_t evicted = 0;
	for (uint64_t stored = cache->stats.stored; cache->stats.stored == stored; tries++) {
		evicted = cache->stats.evicted;
		put_blob(cache, TEXT("large"), large);
		assert_in_range(cache->stats.evicted - evicted, 1, 4096);
		assert_in_range(tries, 0, 10);
	}
	assert_true(tries > 1);
	assert_int_equal(cache->stats.passed_by, tries - 1);
	assert_true(holds(cache, TEXT("large"), 0, blob_text(large)));
	blob_unref(large);
	cache->ops->free(cache);
}

static void test_there_is_room_where_all_was_read(void **state)
{
	struct cache *cache = make(MIB);
	uint64_t n = 0;
	while (cache->stats.bytes < MIB - 200) {
		put_number(cache, n, 16);
		struct blob *found;
		for (int i = 0; i < 5; i++) {
			assert_int_equal(get(cache, (struct text){(const char *)&n, sizeof(n)}, 0,
							 &found),
					CACHE_VALUE);
			blob_unref(found);
		}
		n++;
	}
	uint64_t stored = cache->stats.stored;
	for (uint64_t end = n + 100; n < end; n++)
		put_number(cache, n, 500);
	assert_int_equal(cache->stats.stored, stored + 100);
	cache->ops->free(cache);
}

static void test_many_keys_of_one_hash(void **state)
{
	struct cache *cache = make(64 * MIB);
	for (uint64_t n = 0; n < 1000; n++) {
		cache->ops->put(cache, 7, (struct text){(const char *)&n, sizeof(n)}, NULL,
				cache->ops->begin(cache), 0, &usual);
	}
	assert_true(cache->stats.entries > 100);
	assert_int_equal(cache->stats.entries + cache->stats.passed_by, 1000);
	assert_in_range(cache->stats.bytes, 0, 200 * KIB);
	uint64_t found = 0;
	for (uint64_t n = 0; n < 1000; n++) {
		struct text key = {(const char *)&n, sizeof(n)};
		found += cache->ops->get(cache, 7, key, 0, &(struct blob *){NULL}) == CACHE_MISSING;
	}
	assert_int_equal(found, cache->stats.entries);
	cache->ops->free(cache);
}

static void test_memory_out(void **state)
{
	allocations_fail_after(0);
	struct random random;
	random_init(&random, 1);
	assert_null(memory_cache_new("hot", MIB, &readers, &random));
	allocations_heal();

	struct cache *cache = make(64 * MIB);
	struct blob *value = blob_copy(TEXT("v"));
	uint64_t failed = 0;
	for (uint64_t n = 0; n < 2000; n++) {
		struct text key = {(const char *)&n, sizeof(n)};
		bool stored = false;
		for (unsigned successes = 0; !stored; successes++) {
			uint64_t entries = cache->stats.entries;
			size_t bytes = cache->stats.bytes;
			allocations_fail_after(successes);
			put_blob(cache, key, value);
			allocations_heal();
			stored = cache->stats.entries > entries;
			failed += !stored;
			assert_int_equal(cache->stats.passed_by, failed);
			assert_int_equal(holds(cache, key, 0, TEXT("v")), stored);
			assert_true(stored ? cache->stats.bytes > bytes
					   : cache->stats.bytes >= bytes);
		}
	}
	assert_true(failed >= 2000);
	blob_unref(value);
	cache->ops->free(cache);
}

/* More small ones than are evicted for one would have to make room: it is passed by, and what was
 * there is old. */
static void test_a_value_that_is_replaced_by_one_too_large(void **state)
{
	struct cache *cache = make(8 * MIB);
	uint64_t n = 0;
	for (; n == cache->stats.entries; n++)
		put_number(cache, n, 0);
	uint64_t passed_by = cache->stats.passed_by;
	n--;
	put_number(cache, n, 700 * KIB);
	assert_int_equal(cache->stats.passed_by, passed_by + 1);
	struct text key = {(const char *)&n, sizeof(n)};
	assert_int_equal(get(cache, key, 0, &(struct blob *){NULL}), CACHE_NONE);
	cache->ops->free(cache);
}

static void test_memory_out_where_a_value_is_replaced(void **state)
{
	struct cache *cache = make(MIB);
	put(cache, TEXT("a"), TEXT("old"));
	put(cache, TEXT("b"), TEXT("shared"));
	struct blob *shared = NULL;
	assert_int_equal(get(cache, TEXT("b"), 0, &shared), CACHE_VALUE);
	allocations_fail_after(0);
	put_blob(cache, TEXT("a"), shared);
	allocations_heal();
	assert_int_equal(cache->stats.passed_by, 1);
	assert_int_equal(cache->stats.outdated, 1);
	assert_int_equal(get(cache, TEXT("a"), 0, &(struct blob *){NULL}), CACHE_NONE);
	assert_int_equal(cache->stats.entries, 1);
	assert_int_equal(cache->stats.bytes, index_cost() + cost(1, 6));
	blob_unref(shared);
	cache->ops->free(cache);
}

static void begin_all_reads(struct cache *cache, struct text key)
{
	for (unsigned nth = 0; nth < CACHE_READS; nth++)
		cache->ops->begin_read(cache, hash_text(&cache->hash_key, key), nth);
}

static void test_begun_reads_change_nothing(void **state)
{
	struct cache *cache = make(MIB);
	begin_all_reads(cache, TEXT("a"));
	put(cache, TEXT("a"), TEXT("1"));
	put(cache, TEXT("none"), (struct text){NULL, 0});
	struct cache_stats before = cache->stats;
	begin_all_reads(cache, TEXT("a"));
	begin_all_reads(cache, TEXT("none"));
	begin_all_reads(cache, TEXT("other"));
	assert_memory_equal(&cache->stats, &before, sizeof(before));
	assert_true(holds(cache, TEXT("a"), 0, TEXT("1")));
	cache->ops->free(cache);
}

/* What is under another bound stays, as far as there is room for it. */
static void test_another_bound(void **state)
{
	char name[16];
	struct cache *cache = make(MIB);
	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "key %u", i);
		put(cache, text_of(name), TEXT("a value of some bytes"));
	}
	uint64_t entries = cache->stats.entries, bytes = cache->stats.bytes;
	assert_int_equal(entries, 1000);
	assert_true(memory_cache_resize(cache, 2 * MIB));
	assert_int_equal(cache->stats.entries, entries);
	assert_int_equal(cache->stats.bytes_max, 2 * MIB);
	assert_true(memory_cache_resize(cache, bytes));
	assert_int_equal(cache->stats.entries, entries);
	/* A tenth of that is the largest now. */
	put_number(cache, 0, (uint32_t)bytes / 10);
	assert_int_equal(cache->stats.passed_by, 1);
	assert_true(memory_cache_resize(cache, bytes / 2));
	assert_in_range(cache->stats.bytes, bytes / 4, bytes / 2);
	assert_in_range(cache->stats.entries, 100, 999);
	assert_true(holds(cache, TEXT("key 999"), 1, TEXT("a value of some bytes")));
	assert_true(memory_cache_resize(cache, 100));
	assert_int_equal(cache->stats.entries, 0);
	assert_true(cache->stats.bytes <= 100);
	assert_true(memory_cache_resize(cache, MIB));
	put(cache, TEXT("again"), TEXT("1"));
	assert_true(holds(cache, TEXT("again"), 2, TEXT("1")));
	cache->ops->free(cache);
}

/* No part of it is long, and what is stored meanwhile keeps to what has been reached. */
static void test_another_bound_in_parts(void **state)
{
	char name[16];
	struct cache *cache = make(8 * MIB);
	for (unsigned i = 0; i < 20000; i++) {
		(void)snprintf(name, sizeof(name), "key %u", i);
		put(cache, text_of(name), TEXT("a value of some bytes"));
	}
	uint64_t before = cache->stats.entries;
	unsigned parts = 1;
	assert_int_equal(before, 20000);
	for (; !memory_cache_resize(cache, MIB); parts++) {
		assert_in_range(before - cache->stats.entries, 1, 4096 + 100);
		assert_true(cache->stats.bytes_max > MIB && cache->stats.bytes_max < 8 * MIB);
		(void)snprintf(name, sizeof(name), "new %u", parts);
		put(cache, text_of(name), TEXT("1"));
		assert_true(cache->stats.bytes <= cache->stats.bytes_max);
		before = cache->stats.entries;
	}
	assert_in_range(parts, 3, 10);
	assert_int_equal(cache->stats.bytes_max, MIB);
	assert_true(cache->stats.bytes <= MIB);
	assert_true(holds(cache, TEXT("new 1"), 1, TEXT("1")));
	cache->ops->free(cache);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_what_is_put_is_found),
			TEST(test_begun_reads_change_nothing),
			TEST(test_missing_is_remembered),
			TEST(test_keys_are_compared_whole),
			TEST(test_ages_are_exact),
			TEST(test_the_ends_of_ttl),
			TEST(test_only_a_later_run_replaces),
			TEST(test_an_earlier_run_does_not_replace_missing),
			TEST(test_large_ones_are_passed_by),
			TEST(test_a_tenth_is_the_largest),
			TEST(test_any_size_of_cache_works),
			TEST(test_bytes_are_exact),
			TEST(test_it_is_full_to_the_byte),
			TEST(test_what_was_read_once_outlives_any_scan),
			TEST(test_readers_are_charged_for_what_is_evicted),
			TEST(test_readers_are_charged_for_what_is_replaced_expired_or_freed),
			TEST(test_a_value_is_charged_to_one_cache_only),
			TEST(test_what_comes_back_stays),
			TEST(test_what_is_no_longer_read_goes),
			TEST(test_what_was_read_stays_after_it_expired),
			TEST(test_a_large_cache_grows),
			TEST(test_one_large_value_evicts_in_bounded_steps),
			TEST(test_there_is_room_where_all_was_read),
			TEST(test_many_keys_of_one_hash),
			TEST(test_another_bound),
			TEST(test_another_bound_in_parts),
			TEST(test_memory_out),
			TEST(test_memory_out_where_a_value_is_replaced),
			TEST(test_a_value_that_is_replaced_by_one_too_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
