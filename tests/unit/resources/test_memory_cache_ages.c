/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a value as it grows older, and what is purged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/blob.h"
#include "pipeline/base/live.h"
#include "pipeline/base/random.h"
#include "pipeline/resources/memory_cache.h"

static struct cache *cache;
static struct account readers;

static int set_up(void **state)
{
	struct random random;
	random_init(&random, 1);
	readers = (struct account){.max = SIZE_MAX};
	cache = memory_cache_new("hot", (size_t)8 * 1024 * 1024, &readers, &random);
	return cache == NULL;
}

static int tear_down(void **state)
{
	cache->ops->free(cache);
	return readers.used != 0 || live_report();
}

static uint64_t hash_of(const char *key)
{
	return hash_text(&cache->hash_key, text_of(key));
}

/* value NULL: there is none. */
static void put(const char *key, const char *value, uint64_t began, uint64_t now,
		struct cache_ages ages)
{
	struct blob *blob = value ? blob_copy(text_of(value)) : NULL;
	cache->ops->put(cache, hash_of(key), text_of(key), blob, began, now, &ages);
	blob_unref(blob);
}

static enum cache_found get(const char *key, uint64_t now)
{
	struct blob *value = NULL;
	enum cache_found found = cache->ops->get(cache, hash_of(key), text_of(key), now, &value);
	assert_int_equal(value != NULL, found != CACHE_NONE && found != CACHE_MISSING);
	blob_unref(value);
	return found;
}

static uint64_t begin(void)
{
	return cache->ops->begin(cache);
}

static void hold_off(const char *key, uint64_t began, uint64_t until)
{
	cache->ops->hold_off(cache, hash_of(key), text_of(key), began, until);
}

/* 100 fresh, from 80 on to be refreshed, 20 more stale, 30 more if there is no other. */
static const struct cache_ages all_ages = {
		.ttl = 100, .refresh_at = 80, .stale = 20, .stale_if_error = 30};

static void test_each_age_begins_to_the_nanosecond(void **state)
{
	static const struct {
		uint64_t age;
		enum cache_found found;
	} ages[] = {{0, CACHE_VALUE}, {79, CACHE_VALUE}, {80, CACHE_EARLY}, {99, CACHE_EARLY},
			{100, CACHE_STALE}, {119, CACHE_STALE}, {120, CACHE_OLD}, {149, CACHE_OLD},
			{150, CACHE_NONE}};
	put("a", "v", begin(), 1000, all_ages);
	for (size_t i = 0; i < sizeof(ages) / sizeof(ages[0]); i++)
		assert_int_equal(get("a", 1000 + ages[i].age), ages[i].found);
	assert_int_equal(cache->stats.expired, 1);
	assert_int_equal(cache->stats.entries, 0);
	/* One that is of use only if there is no other is a miss. */
	assert_int_equal(cache->stats.hits, 6);
	assert_int_equal(cache->stats.misses, 3);
}

static void test_without_more_than_a_ttl_there_is_only_fresh(void **state)
{
	put("a", "v", begin(), 0, cache_ages_of_ttl(100));
	assert_int_equal(get("a", 99), CACHE_VALUE);
	assert_int_equal(get("a", 100), CACHE_NONE);
}

static void test_what_is_never_fresh_may_be_stale(void **state)
{
	put("a", "v", begin(), 0, (struct cache_ages){.stale = 10});
	assert_int_equal(get("a", 0), CACHE_STALE);
	assert_int_equal(get("a", 9), CACHE_STALE);
	assert_int_equal(get("a", 10), CACHE_NONE);
	put("b", "v", begin(), 0, (struct cache_ages){.stale_if_error = 10});
	assert_int_equal(get("b", 0), CACHE_OLD);
}

static void test_that_there_is_none_is_never_stale(void **state)
{
	put("a", NULL, begin(), 0, all_ages);
	assert_int_equal(get("a", 99), CACHE_MISSING);
	assert_int_equal(get("a", 100), CACHE_NONE);
	put("b", NULL, begin(), 0, (struct cache_ages){.stale = 10});
	assert_int_equal(get("b", 0), CACHE_NONE);
	assert_int_equal(cache->stats.passed_by, 0);
}

static void test_times_without_an_end(void **state)
{
	put("a", "v", begin(), 5,
			(struct cache_ages){UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX});
	assert_int_equal(get("a", UINT64_MAX - 1), CACHE_VALUE);
	put("b", "v", begin(), 5,
			(struct cache_ages){.ttl = 1, .refresh_at = 1, .stale = UINT64_MAX});
	assert_int_equal(get("b", UINT64_MAX - 1), CACHE_STALE);
}

static void test_after_a_failed_refresh_the_next_is_held_off(void **state)
{
	put("a", "v", begin(), 0, all_ages);
	hold_off("a", begin(), 95);
	assert_int_equal(get("a", 94), CACHE_VALUE);
	assert_int_equal(get("a", 95), CACHE_EARLY);
	hold_off("a", begin(), 110);
	assert_int_equal(get("a", 99), CACHE_VALUE);
	assert_int_equal(get("a", 100), CACHE_THROTTLED);
	assert_int_equal(get("a", 109), CACHE_THROTTLED);
	assert_int_equal(get("a", 110), CACHE_STALE);
	/* Never sooner than was said before, and not past its last age. */
	hold_off("a", begin(), 200);
	hold_off("a", begin(), 120);
	assert_int_equal(get("a", 149), CACHE_THROTTLED);
	assert_int_equal(get("a", 150), CACHE_NONE);
}

static void test_only_what_an_earlier_run_stored_is_held_off(void **state)
{
	uint64_t failing = begin();
	put("a", "v", begin(), 0, all_ages);
	hold_off("a", failing, 1000);
	assert_int_equal(get("a", 80), CACHE_EARLY);
	hold_off("b", begin(), 1000);
	assert_int_equal(get("b", 0), CACHE_NONE);
	/* A new value is as new as ever. */
	hold_off("a", begin(), 1000);
	put("a", "w", begin(), 100, all_ages);
	assert_int_equal(get("a", 180), CACHE_EARLY);
}

static void test_what_is_not_kept_still_replaces(void **state)
{
	static char large[CACHE_VALUE_MAX + 2];
	memset(large, 'x', CACHE_VALUE_MAX + 1);
	uint64_t earlier = begin();
	put("a", "v", begin(), 0, all_ages);
	put("a", large, earlier, 0, all_ages);
	assert_int_equal(get("a", 0), CACHE_VALUE);
	put("a", large, begin(), 0, all_ages);
	assert_int_equal(get("a", 0), CACHE_NONE);
	put("b", "v", begin(), 0, all_ages);
	put("b", NULL, begin(), 0, cache_ages_of_ttl(0));
	assert_int_equal(get("b", 0), CACHE_NONE);
	assert_int_equal(cache->stats.outdated, 2);
	assert_int_equal(cache->stats.entries, 0);
	assert_int_equal(cache->stats.passed_by, 1);
}

static void test_a_purge_takes_out_a_key_and_bars_runs_that_had_begun(void **state)
{
	uint64_t before = begin();
	put("a", "v", begin(), 0, all_ages);
	put("b", "v", begin(), 0, all_ages);
	cache->ops->purge(cache, hash_of("a"), TEXT("a"));
	assert_int_equal(get("a", 0), CACHE_NONE);
	assert_int_equal(get("b", 0), CACHE_VALUE);
	assert_int_equal(cache->stats.outdated, 1);
	put("a", "of a run that may have read what was changed", before, 0, all_ages);
	assert_int_equal(get("a", 0), CACHE_NONE);
	put("c", "of another key", before, 0, all_ages);
	assert_int_equal(get("c", 0), CACHE_VALUE);
	put("a", "new", begin(), 0, all_ages);
	assert_int_equal(get("a", 0), CACHE_VALUE);
}

/* A run that began before a purge is barred however many purges came after it. */
static void test_no_purge_is_forgotten(void **state)
{
	char key[24];
	uint64_t before = begin();
	for (int i = 0; i < 200; i++) {
		(void)snprintf(key, sizeof(key), "key %d", i);
		cache->ops->purge(cache, hash_of(key), text_of(key));
	}
	uint64_t after = begin();
	for (int i = 0; i < 200; i++) {
		(void)snprintf(key, sizeof(key), "key %d", i);
		put(key, "old", before, 0, all_ages);
		assert_int_equal(get(key, 0), CACHE_NONE);
		put(key, "new", after, 0, all_ages);
		assert_int_equal(get(key, 0), CACHE_VALUE);
	}
}

enum { MANY = 5000 };

static void put_many(void)
{
	char key[24];
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(key, sizeof(key), "%s/%d", i % 2 ? "odd" : "even", i);
		put(key, "v", begin(), 0, all_ages);
	}
}

static int count(void)
{
	char key[24];
	int found = 0;
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(key, sizeof(key), "%s/%d", i % 2 ? "odd" : "even", i);
		found += get(key, 0) != CACHE_NONE;
	}
	return found;
}

static void test_a_purge_of_a_prefix_goes_through_all_in_steps(void **state)
{
	put_many();
	struct cache_purge purge = {.prefix = TEXT("odd/")};
	int steps = 1;
	for (uint64_t taken = 0; !cache->ops->purge_some(cache, &purge); steps++) {
		assert_in_range(purge.taken - taken, 0, 224);
		taken = purge.taken;
	}
	assert_true(steps > MANY / 224);
	assert_int_equal(purge.taken, MANY / 2);
	assert_int_equal(count(), MANY / 2);
	assert_int_equal(get("odd/1", 0), CACHE_NONE);
	assert_int_equal(get("even/2", 0), CACHE_VALUE);
}

static void test_the_empty_prefix_is_everything(void **state)
{
	struct cache_purge nothing = {.prefix = TEXT("")};
	assert_true(cache->ops->purge_some(cache, &nothing));
	put_many();
	put("", "v", begin(), 0, all_ages);
	struct cache_purge purge = {.prefix = TEXT("")};
	while (!cache->ops->purge_some(cache, &purge))
		;
	assert_int_equal(purge.taken, MANY + 1);
	assert_int_equal(cache->stats.entries, 0);
}

/* What comes in between steps stays if its run began after the first of them, and is not stored if
 * it began before. */
static void test_a_purge_in_steps_is_of_one_moment(void **state)
{
	uint64_t before = begin();
	struct cache_purge purge = {.prefix = TEXT("odd/")};
	put_many();
	assert_false(cache->ops->purge_some(cache, &purge));
	put("odd/late", "old", before, 0, all_ages);
	put_many();
	while (!cache->ops->purge_some(cache, &purge))
		;
	assert_int_equal(get("odd/late", 0), CACHE_NONE);
	assert_int_equal(count(), MANY);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_each_age_begins_to_the_nanosecond),
			TEST(test_without_more_than_a_ttl_there_is_only_fresh),
			TEST(test_what_is_never_fresh_may_be_stale),
			TEST(test_that_there_is_none_is_never_stale),
			TEST(test_times_without_an_end),
			TEST(test_after_a_failed_refresh_the_next_is_held_off),
			TEST(test_only_what_an_earlier_run_stored_is_held_off),
			TEST(test_what_is_not_kept_still_replaces),
			TEST(test_a_purge_takes_out_a_key_and_bars_runs_that_had_begun),
			TEST(test_no_purge_is_forgotten),
			TEST(test_a_purge_of_a_prefix_goes_through_all_in_steps),
			TEST(test_the_empty_prefix_is_everything),
			TEST(test_a_purge_in_steps_is_of_one_moment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
