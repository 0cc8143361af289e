/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random calls, compared with a model that never evicts: what is found must be what was accepted
 * last under that key, and of the age that is said. The counts must add up, the bytes never exceed
 * the bound, and who still reads an evicted value is charged for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/blob.h"
#include "pipeline/base/live.h"
#include "pipeline/base/random.h"
#include "pipeline/resources/memory_cache.h"
#include "pipeline/resources/memory_cache_index.h"

enum { KEYS_MAX = 3000, HELD_MAX = 40, RUNS_MAX = 8 };

struct accepted {
	uint64_t began;
	uint64_t fresh_until;
	uint64_t refresh_from;
	uint64_t stale_until;
	uint64_t usable_until;
	uint64_t id; /* of the value; 0: missing */
	uint32_t size;
	uint64_t purged; /* the number of the latest purge */
	bool any;
};

struct model {
	struct random random;
	struct cache *cache;
	struct account readers;
	struct accepted keys[KEYS_MAX];
	size_t key_count;
	uint32_t size_max;
	struct blob *held[HELD_MAX];
	uint64_t runs[RUNS_MAX]; /* begun, to be put sometime */
	uint64_t now;
	uint64_t ids;
	uint64_t puts;
	uint64_t gets;
	uint64_t late;	/* puts that are not kept: of an earlier run, purged since, or of no age */
	uint64_t swept; /* what began up to it stores nothing */
	struct cache_purge sweep; /* under way where began is not 0 */
	uint8_t sweep_prefix;
	uint64_t found[CACHE_MISSING + 1];
};

static struct text key_of(const uint64_t *n)
{
	return (struct text){(const char *)n, 2 + *n % 7};
}

/* A blob that begins with its id and ends with its last byte. */
static struct blob *value_of(uint64_t id, uint32_t size)
{
	struct blob *blob = blob_new(size);
	assert_non_null(blob);
	memset(blob->data, (int)id, size);
	memcpy(blob->data, &id, sizeof(id));
	return blob;
}

static uint64_t after(uint64_t from, uint64_t time)
{
	return time > UINT64_MAX - from ? UINT64_MAX : from + time;
}

static struct cache_ages some_ages(struct random *random)
{
	struct cache_ages ages = {.ttl = UINT64_MAX};
	if (random_below(random, 4))
		ages.ttl = random_below(random, 5) ? random_below(random, 1000) : 0;
	ages.refresh_at = random_below(random, 2) ? ages.ttl : ages.ttl / 2;
	ages.stale = random_below(random, 2) ? random_below(random, 500) : 0;
	ages.stale_if_error = random_below(random, 2) ? random_below(random, 500) : 0;
	return ages;
}

/* Whether the key has been purged since such a run began. */
static bool is_purged(const struct model *m, uint64_t n, uint64_t began)
{
	return began <= m->keys[n].purged || began <= m->swept;
}

static void accept(struct model *m, struct accepted *accepted, const struct cache_ages *ages,
		uint64_t began, uint64_t id, uint32_t size)
{
	uint64_t fresh = after(m->now, ages->ttl);
	uint64_t stale = after(fresh, id ? ages->stale : 0);
	*accepted = (struct accepted){
			.any = true,
			.purged = accepted->purged,
			.began = began,
			.fresh_until = fresh,
			.refresh_from = after(m->now, ages->refresh_at),
			.stale_until = stale,
			.usable_until = after(stale, id ? ages->stale_if_error : 0),
			.id = id,
			.size = size,
	};
}

static void put(struct model *m, uint64_t n)
{
	struct cache *cache = m->cache;
	struct accepted *accepted = &m->keys[n];
	uint64_t *run = &m->runs[random_below(&m->random, RUNS_MAX)];
	struct cache_ages ages = some_ages(&m->random);
	uint32_t size = (uint32_t)(sizeof(uint64_t) + random_below(&m->random, m->size_max));
	uint64_t id = random_below(&m->random, 8) ? ++m->ids : 0;
	struct blob *value = id ? value_of(id, size) : NULL;
	struct text key = key_of(&n);
	uint64_t stored = cache->stats.stored;
	uint64_t passed_by = cache->stats.passed_by;
	cache->ops->put(cache, hash_text(&cache->hash_key, key), key, value, *run, m->now, &ages);
	blob_unref(value);

	m->puts++;
	bool ageless = ages.ttl == 0 && !(id && (ages.stale > 0 || ages.stale_if_error > 0));
	bool older = accepted->any && *run <= accepted->began;
	if (cache->stats.stored > stored) {
		assert_false(ageless || is_purged(m, n, *run));
		accept(m, accepted, &ages, *run, id, size);
	} else if (cache->stats.passed_by > passed_by) {
		assert_false(ageless || is_purged(m, n, *run));
		accepted->any = accepted->any && older;
	} else {
		assert_true(ageless || older || is_purged(m, n, *run));
		if (!is_purged(m, n, *run))
			accepted->any = accepted->any && older;
		m->late++;
	}
	*run = cache->ops->begin(cache);
}

static void hold_off(struct model *m, uint64_t n)
{
	struct cache *cache = m->cache;
	struct accepted *accepted = &m->keys[n];
	uint64_t *run = &m->runs[random_below(&m->random, RUNS_MAX)];
	uint64_t until = m->now + random_below(&m->random, 500);
	struct text key = key_of(&n);
	cache->ops->hold_off(cache, hash_text(&cache->hash_key, key), key, *run, until);
	if (*run > accepted->began && until > accepted->refresh_from)
		accepted->refresh_from = until;
	*run = cache->ops->begin(cache);
}

static void purge(struct model *m, uint64_t n)
{
	struct cache *cache = m->cache;
	struct text key = key_of(&n);
	struct blob *value;
	uint64_t hash = hash_text(&cache->hash_key, key);
	cache->ops->purge(cache, hash, key);
	m->keys[n].any = false;
	m->keys[n].purged = cache->ops->begin(cache) - 1;
	assert_int_equal(cache->ops->get(cache, hash, key, m->now, &value), CACHE_NONE);
	m->gets++;
}

/* A step of a purge of all keys that begin with some byte; what it has taken out is gone when it
 * says that it is done. */
static void sweep(struct model *m)
{
	struct cache *cache = m->cache;
	if (m->sweep.began == 0) {
		m->sweep_prefix = (uint8_t)random_below(&m->random, 256);
		m->sweep = (struct cache_purge){
				.prefix = {(const char *)&m->sweep_prefix,
						random_below(&m->random, 20) ? 1 : 0}};
		m->swept = cache->ops->begin(cache) + 1;
	}
	if (!cache->ops->purge_some(cache, &m->sweep))
		return;
	for (size_t n = 0; n < m->key_count; n++) {
		bool begins = m->sweep.prefix.size == 0 || (n & 0xff) == m->sweep_prefix;
		if (begins && m->keys[n].began <= m->sweep.began)
			m->keys[n].any = false;
	}
	m->sweep = (struct cache_purge){.began = 0};
}

static void check_age(
		const struct model *m, const struct accepted *accepted, enum cache_found found)
{
	bool due = m->now >= accepted->refresh_from;
	assert_true(accepted->any && m->now < accepted->usable_until);
	switch (found) {
	case CACHE_NONE:
		break;
	case CACHE_VALUE:
	case CACHE_EARLY:
		assert_true(m->now < accepted->fresh_until);
		assert_int_equal(found == CACHE_EARLY, due);
		break;
	case CACHE_STALE:
	case CACHE_OLD:
		assert_true(m->now >= accepted->fresh_until && due);
		assert_int_equal(found == CACHE_STALE, m->now < accepted->stale_until);
		break;
	case CACHE_THROTTLED:
		assert_true(m->now >= accepted->fresh_until && !due);
		break;
	case CACHE_MISSING:
		assert_true(m->now < accepted->fresh_until);
		break;
	}
}

static enum cache_found get(struct model *m, uint64_t n)
{
	struct cache *cache = m->cache;
	const struct accepted *accepted = &m->keys[n];
	struct text key = key_of(&n);
	struct blob *value = NULL;
	enum cache_found found = cache->ops->get(
			cache, hash_text(&cache->hash_key, key), key, m->now, &value);
	m->gets++;
	m->found[found]++;
	if (found == CACHE_NONE)
		return found;
	check_age(m, accepted, found);
	assert_int_equal(found != CACHE_MISSING, accepted->id != 0);
	if (found == CACHE_MISSING)
		return found;
	assert_int_equal(value->size, accepted->size);
	assert_memory_equal(value->data, &accepted->id, sizeof(accepted->id));
	struct blob **held = &m->held[random_below(&m->random, HELD_MAX)];
	blob_unref(*held);
	*held = value;
	return found;
}

static void check(const struct model *m)
{
	const struct cache_stats *stats = &m->cache->stats;
	assert_in_range(stats->bytes, 0, stats->bytes_max);
	assert_int_equal(stats->hits + stats->misses, m->gets);
	assert_int_equal(stats->stored + stats->passed_by + m->late, m->puts);

	size_t charged = 0;
	for (size_t i = 0; i < HELD_MAX; i++) {
		bool counted = m->held[i] == NULL || m->held[i]->account != &m->readers;
		for (size_t j = 0; j < i && !counted; j++)
			counted = m->held[j] == m->held[i];
		if (!counted)
			charged += blob_cost(m->held[i]);
	}
	assert_int_equal(m->readers.used, charged);
}

/* Finds all that the cache still holds and adds up what it costs, without what the index costs. */
static size_t entries_cost(struct model *m, uint64_t *ret_entries)
{
	size_t bytes = 0;
	*ret_entries = 0;
	for (uint64_t n = 0; n < m->key_count; n++) {
		if (get(m, n) == CACHE_NONE)
			continue;
		++*ret_entries;
		bytes += sizeof(struct cache_entry) + key_of(&n).size;
		if (m->keys[n].id)
			bytes += sizeof(struct blob) + m->keys[n].size + 1;
	}
	return bytes;
}

static void run(uint64_t seed, size_t bytes_max, size_t key_count, uint32_t size_max)
{
	static struct model m;
	m = (struct model){.readers.max = SIZE_MAX, .key_count = key_count, .size_max = size_max};
	random_init(&m.random, seed);
	m.cache = memory_cache_new("hot", bytes_max, &m.readers, &m.random);
	assert_non_null(m.cache);
	for (size_t i = 0; i < RUNS_MAX; i++)
		m.runs[i] = m.cache->ops->begin(m.cache);

	for (int step = 0; step < 20000; step++) {
		/* The least of two: low keys are the popular ones. */
		uint64_t n = random_below(&m.random, key_count);
		uint64_t other = random_below(&m.random, key_count);
		n = n < other ? n : other;
		m.now += random_below(&m.random, 3);
		if (random_below(&m.random, 100) == 0)
			purge(&m, n);
		else if (random_below(&m.random, m.sweep.began ? 3 : 200) == 0)
			sweep(&m);
		else if (random_below(&m.random, 10) == 0)
			hold_off(&m, n);
		else if (random_below(&m.random, 2))
			put(&m, n);
		else
			(void)get(&m, n);
		check(&m);
	}
	assert_true(m.cache->stats.evicted > 0 && m.cache->stats.expired > 0 && m.late > 0);
	for (int found = CACHE_NONE; found <= CACHE_MISSING; found++)
		assert_true(m.found[found] > 0 || key_count >= 180);

	uint64_t entries;
	size_t bytes = entries_cost(&m, &entries);
	assert_int_equal(entries, m.cache->stats.entries);
	struct account segment = {.max = SIZE_MAX};
	struct cache_index index;
	cache_index_init(&index, &segment);
	if (key_count < 180)
		assert_int_equal(m.cache->stats.bytes, bytes + cache_index_needs(&index, 0));
	else
		assert_true(m.cache->stats.bytes > bytes + cache_index_needs(&index, 0));

	m.cache->ops->free(m.cache);
	for (size_t i = 0; i < HELD_MAX; i++)
		blob_unref(m.held[i]);
	assert_int_equal(m.readers.used, 0);
	assert_int_equal(live_report(), 0);
}

static void test_few_keys(void **state)
{
	for (uint64_t seed = 1; seed <= 5; seed++)
		run(seed, 12 * 1024, 150, 300);
}

static void test_few_keys_of_very_different_sizes(void **state)
{
	for (uint64_t seed = 1; seed <= 5; seed++)
		run(seed, 40 * 1024, 150, 6000);
}

static void test_many_keys(void **state)
{
	for (uint64_t seed = 1; seed <= 5; seed++)
		run(seed, 200 * 1024, KEYS_MAX, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_few_keys),
			cmocka_unit_test(test_few_keys_of_very_different_sizes),
			cmocka_unit_test(test_many_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
