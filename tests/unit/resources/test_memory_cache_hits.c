/* SPDX-License-Identifier: Apache-2.0 */
/* The cache keeps more of what is asked for again than a plain LRU of the same number of bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/base/live.h"
#include "pipeline/base/random.h"
#include "tests/bench/eviction_loads.h"

enum { KEYS = 30000, REQUESTS = 200000 };

/* In a cache for one key in sixty, and for one in ten. */
static void compare(enum load_kind kind, double factor)
{
	for (uint64_t seed = 1; seed <= 2; seed++) {
		struct random random;
		struct load load;
		random_init(&random, seed);
		assert_true(load_init(&load, kind, KEYS, REQUESTS, &random));
		const size_t sizes[] = {load_bytes(500), load_bytes(3000)};
		for (int i = 0; i < 2; i++) {
			uint64_t lru = load_hits_lru(&load, sizes[i]);
			uint64_t ours = load_hits_ours(&load, sizes[i], &random);
			assert_true((double)ours > factor * (double)lru);
		}
		load_deinit(&load);
	}
	assert_int_equal(live_report(), 0);
}

static void test_zipf(void **state)
{
	compare(LOAD_ZIPF, 1.0);
}

static void test_zipf_with_scans(void **state)
{
	compare(LOAD_SCANS, 1.1);
}

/* Keys that were popular leave main only when the queue has come round to them, so where the cache
 * holds many, and all popular keys change at once and often, an LRU is ahead; but not by much. */
static void test_popular_keys_that_move(void **state)
{
	compare(LOAD_MOVING, 0.9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_zipf),
			cmocka_unit_test(test_zipf_with_scans),
			cmocka_unit_test(test_popular_keys_that_move),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
