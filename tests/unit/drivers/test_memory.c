/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/blob.h"
#include "pipeline/base/diag.h"
#include "pipeline/base/live.h"
#include "pipeline/drivers/driver.h"
#include "pipeline/resources/cache.h"
#include "tests/unit/loop/loop_fixture.h"

#define SECOND UINT64_C(1000000000)

struct test {
	struct account account;
	struct arena arena;
	struct diag diag;
	struct loop_fixture f;
};

static int tear_down(void **state)
{
	return live_report();
}

static struct resource *create(struct test *test, struct loop *loop)
{
	const struct driver_context context = {.loop = loop, .account = &test->account};
	const struct option_value size = {.name = TEXT("memory"), .number = 65536};
	const struct option_map map = {{"sluice.yaml", 4, 8}, &size, 1};
	arena_init(&test->arena, NULL);
	diag_init(&test->diag, &test->arena);
	struct resource *resource = memory_driver.create(&context, "hot", &map, &test->diag);
	assert_int_equal(test->diag.errors, 0);
	assert_non_null(resource);
	assert_true(resource->ready);
	assert_int_equal(resource->cache->stats.bytes_max, 65536);
	assert_string_equal(resource->cache->name, "hot");
	return resource;
}

static void end(struct test *test, struct resource *resource)
{
	assert_null(memory_driver.open);
	memory_driver.free(resource);
	assert_int_equal(test->account.used, 0);
	arena_deinit(&test->arena);
}

static void test_a_cache_that_keeps_values(void **state)
{
	struct test test = {0};
	loop_fixture_init(&test.f);
	struct random before = test.f.async.random;
	struct resource *resource = create(&test, &test.f.loop);
	struct cache *cache = resource->cache;
	/* Its key is drawn from a generator of which nobody outside sees anything. */
	assert_memory_equal(&before, &test.f.async.random, sizeof(before));
	struct text key = TEXT("product/\"a-1\"");
	uint64_t hash = hash_text(&cache->hash_key, key);
	struct blob *value = blob_copy(TEXT("{\"sku\":\"a-1\"}"));
	struct cache_ages ages = cache_ages_of_ttl(SECOND);
	cache->ops->put(cache, hash, key, value, cache->ops->begin(cache), SECOND, &ages);
	blob_unref(value);
	assert_int_equal(cache->ops->get(cache, hash, key, SECOND + 1, &value), CACHE_VALUE);
	assert_true(text_equal(blob_text(value), TEXT("{\"sku\":\"a-1\"}")));
	blob_unref(value);
	end(&test, resource);
	loop_fixture_deinit(&test.f);
}

static void test_two_caches_hash_by_keys_of_their_own(void **state)
{
	struct test one = {0}, two = {0};
	loop_fixture_init(&one.f);
	struct resource *first = create(&one, &one.f.loop);
	struct resource *second = create(&two, &one.f.loop);
	assert_memory_not_equal(
			&first->cache->hash_key, &second->cache->hash_key, sizeof(struct hash_key));
	end(&one, first);
	end(&two, second);
	loop_fixture_deinit(&one.f);
}

/* As under --check. */
static void test_without_a_loop(void **state)
{
	struct test test = {0};
	end(&test, create(&test, NULL));
}

static const struct option_map *of_size(uint64_t size)
{
	static struct option_value value;
	static struct option_map map;
	value = (struct option_value){.name = TEXT("memory"), .number = size};
	map = (struct option_map){{"sluice.yaml", 4, 8}, &value, 1};
	return &map;
}

static void fill(struct cache *cache)
{
	struct cache_ages ages = cache_ages_of_ttl(SECOND);
	for (uint64_t i = 0; i < 20000; i++) {
		struct text key = {(const char *)&i, sizeof(i)};
		cache->ops->put(cache, hash_text(&cache->hash_key, key), key, NULL,
				cache->ops->begin(cache), SECOND, &ages);
	}
}

static bool is_small(void *user)
{
	const struct cache *cache = user;
	return cache->stats.bytes_max == 65536;
}

/* A reload makes it smaller in parts, whoever asks for what meanwhile. */
static void test_a_large_one_becomes_small(void **state)
{
	struct test test = {0};
	loop_fixture_init(&test.f);
	struct resource *resource = create(&test, &test.f.loop);
	struct cache *cache = resource->cache;
	memory_driver.adapt(resource, of_size(8 << 20));
	fill(cache);
	assert_int_equal(cache->stats.entries, 20000);
	loop_enter(&test.f.loop);
	memory_driver.adapt(resource, of_size(65536));
	loop_leave(&test.f.loop);
	assert_false(is_small(cache));
	loop_fixture_run_until(&test.f, is_small, cache);
	assert_true(cache->stats.bytes <= 65536);
	/* And one that goes on when it is freed. */
	memory_driver.adapt(resource, of_size(8 << 20));
	fill(cache);
	memory_driver.adapt(resource, of_size(65536));
	assert_int_equal(test.f.async.wheel.armed, 1);
	end(&test, resource);
	assert_int_equal(test.f.async.wheel.armed, 0);
	loop_fixture_deinit(&test.f);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_a_cache_that_keeps_values),
			TEST(test_two_caches_hash_by_keys_of_their_own),
			TEST(test_without_a_loop),
			TEST(test_a_large_one_becomes_small),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
