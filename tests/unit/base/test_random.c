/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "pipeline/base/hash.h"

/* What the authors' xoshiro256starstar.c gives from this state. */
static void test_reference_sequence(void **state)
{
	static const uint64_t expected[] = {11520, 0, 1509978240, 1215971899390074240,
			1216172134540287360, 607988272756665600, 16172922978634559625U,
			8476171486693032832, 10595114339597558777U, 2904607092377533576};
	struct random random = {{1, 2, 3, 4}};
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		assert_int_equal(random_next(&random), expected[i]);
}

static void test_seeding(void **state)
{
	struct random random;
	random_init(&random, 0);
	assert_int_equal(random.state[0], 0xe220a8397b1dcdafU);
	assert_int_equal(random.state[1], 0x6e789e6aa1b965f4U);
	assert_int_equal(random.state[2], 0x06c45d188009454fU);
	assert_int_equal(random.state[3], 0xf88bb8a8724c81ecU);
}

static void test_a_seed_fixes_the_run(void **state)
{
	struct random a, b, c;
	random_init(&a, 7);
	random_init(&b, 7);
	random_init(&c, 8);
	int same = 0;
	for (int i = 0; i < 100; i++) {
		uint64_t number = random_next(&a);
		assert_int_equal(random_next(&b), number);
		same += random_next(&c) == number;
	}
	assert_int_equal(same, 0);
}

static void test_below_stays_below(void **state)
{
	static const uint64_t bounds[] = {
			1, 2, 3, 10, 1000, (1ULL << 32) + 1, (1ULL << 63) + 1, UINT64_MAX};
	struct random random;
	random_init(&random, 1);
	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
		for (int j = 0; j < 1000; j++)
			assert_true(random_below(&random, bounds[i]) < bounds[i]);
	assert_int_equal(random_below(&random, 0), 0);
	assert_int_equal(random_below(&random, 1), 0);
}

static void test_below_is_even(void **state)
{
	struct random random;
	random_init(&random, 2);
	unsigned seen[6] = {0};
	for (int i = 0; i < 60000; i++)
		seen[random_below(&random, 6)]++;
	for (int i = 0; i < 6; i++)
		assert_in_range(seen[i], 9500, 10500);
	/* Without drawing again, numbers of the lower half of this bound would come twice as often.
	 */
	uint64_t bound = 3ULL << 62;
	unsigned low = 0;
	for (int i = 0; i < 10000; i++)
		low += random_below(&random, bound) % 3 == 0;
	assert_in_range(low, 3100, 3570);
}

static void test_hash_key(void **state)
{
	struct random random, again;
	struct hash_key first, second, replayed;
	random_init(&random, 3);
	random_init(&again, 3);
	random_hash_key(&random, &first);
	random_hash_key(&random, &second);
	random_hash_key(&again, &replayed);
	assert_memory_equal(first.bytes, replayed.bytes, sizeof(first.bytes));
	assert_memory_not_equal(first.bytes, second.bytes, sizeof(first.bytes));
	assert_memory_not_equal(first.bytes, first.bytes + 8, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_reference_sequence),
			cmocka_unit_test(test_seeding),
			cmocka_unit_test(test_a_seed_fixes_the_run),
			cmocka_unit_test(test_below_stays_below),
			cmocka_unit_test(test_below_is_even),
			cmocka_unit_test(test_hash_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
