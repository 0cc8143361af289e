/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/drivers/pending.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/allocations.h"

#define COUNT 1000

/*
 * Adds COUNT entries, finds and removes every third, and then takes out the rest in the order they
 * were added.
 */
static void add_and_remove(void)
{
	static struct pending_entry entries[COUNT];
	struct pending pending;
	assert_true(pending_init(&pending));
	assert_null(pending_first(&pending));
	for (int i = 0; i < COUNT; i++) {
		uint64_t number = pending_number(&pending);
		assert_int_equal(number, i + 1);
		assert_null(pending_find(&pending, number));
		pending_add(&pending, &entries[i], number);
	}
	assert_int_equal(pending.count, COUNT);
	for (int i = 0; i < COUNT; i += 3) {
		assert_ptr_equal(pending_find(&pending, (uint64_t)i + 1), &entries[i]);
		pending_remove(&pending, &entries[i]);
		assert_null(pending_find(&pending, (uint64_t)i + 1));
	}
	for (int i = 0; i < COUNT; i++) {
		if (i % 3 == 0)
			continue;
		assert_ptr_equal(pending_find(&pending, (uint64_t)i + 1), &entries[i]);
		assert_ptr_equal(pending_first(&pending), &entries[i]);
		pending_remove(&pending, &entries[i]);
	}
	assert_null(pending_first(&pending));
	assert_null(pending_find(&pending, 0));
	pending_deinit(&pending);
}

static void test_grows(void **state)
{
	add_and_remove();
}

/* Without memory for more buckets, all is found all the same. */
static void test_cannot_grow(void **state)
{
	allocations_fail_after(1);
	add_and_remove();
	allocations_heal();
}

static void test_no_memory(void **state)
{
	struct pending pending;
	allocations_fail_after(0);
	bool initialised = pending_init(&pending);
	allocations_heal();
	assert_false(initialised);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_grows),
			cmocka_unit_test(test_cannot_grow),
			cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests_name("pending", tests, NULL, NULL);
}
