/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/base/slots.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The slot of that member, or the one that it would have. */
static uint32_t *find(const struct slots *slots, uint64_t hash, uint32_t member)
{
	uint32_t *slot = slots_at(slots, hash);
	while (*slot > 0 && *slot != member)
		slot = slots_after(slots, slot);
	return slot;
}

static void test_half_of_them_stay_empty(void **state)
{
	assert_int_equal(slots_count(0), 2);
	assert_int_equal(slots_count(1), 2);
	assert_int_equal(slots_count(2), 4);
	assert_int_equal(slots_count(3), 8);
	assert_int_equal(slots_count(UINT32_MAX), UINT64_C(1) << 33);
	assert_int_equal(slots_size(3), 8 * sizeof(uint32_t));
}

/* The worst that hashes can do: all are the same, and the last slot. */
static void test_each_is_found_though_all_hashes_are_one(void **state)
{
	uint32_t memory[16];
	memset(memory, 0xff, sizeof(memory));
	struct slots slots = slots_empty(memory, 8);
	assert_int_equal(slots_size(8), sizeof(memory));
	for (uint32_t member = 1; member <= 8; member++) {
		uint32_t *slot = find(&slots, UINT64_MAX, member);
		assert_int_equal(*slot, 0);
		*slot = member;
	}
	for (uint32_t member = 1; member <= 8; member++)
		assert_int_equal(*find(&slots, UINT64_MAX, member), member);
	assert_int_equal(*find(&slots, UINT64_MAX, 9), 0);
	assert_int_equal(memory[15], 1);
	assert_int_equal(memory[0], 2);
}

/* As for one object after the other. */
static void test_memory_is_used_again(void **state)
{
	uint32_t memory[16];
	struct slots slots = slots_empty(memory, 8);
	for (uint32_t member = 1; member <= 8; member++)
		*find(&slots, member, member) = member;
	slots = slots_empty(memory, 2);
	for (uint32_t member = 1; member <= 8; member++)
		assert_int_equal(*find(&slots, member, member), 0);
	*find(&slots, 7, 7) = 7;
	assert_int_equal(memory[3], 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_half_of_them_stay_empty),
			cmocka_unit_test(test_each_is_found_though_all_hashes_are_one),
			cmocka_unit_test(test_memory_is_used_again),
	};
	return cmocka_run_group_tests_name("base/slots", tests, NULL, NULL);
}
