/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The intrusive hash table, against a plain array of what should be in it.
 */
#include "pipeline/base/table.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pipeline/base/random.h"
#include "tests/unit/allocations.h"

#define ITEMS 3000

struct item {
	struct table_entry entry;
	bool in;
};

static bool found(const struct table *table, const struct table_entry *entry, uint64_t hash)
{
	struct table_entry *at = table_first(table, hash);
	while (at && at != entry)
		at = table_next(at);
	return at != NULL;
}

static void test_holds_what_was_added(void **state)
{
	struct item *items = calloc(ITEMS, sizeof(*items));
	struct random random;
	struct table table;
	size_t count = 0;
	random_init(&random, 7);
	assert_int_equal(table_init(&table), 0);
	for (int step = 0; step < 20 * ITEMS; step++) {
		uint64_t i = random_below(&random, ITEMS);
		/* Few hashes, so that many entries share one. */
		if (items[i].in)
			table_remove(&table, &items[i].entry);
		else
			table_add(&table, &items[i].entry, i % 500);
		count += items[i].in ? -1 : 1;
		items[i].in = !items[i].in;
		assert_int_equal(table.count, count);
		assert_int_equal(found(&table, &items[i].entry, i % 500), items[i].in);
	}
	for (uint64_t i = 0; i < ITEMS; i++)
		assert_int_equal(found(&table, &items[i].entry, i % 500), items[i].in);
	for (struct table_entry *any; (any = table_any(&table));)
		table_remove(&table, any);
	assert_int_equal(table.count, 0);
	table_deinit(&table);
	free(items);
}

static void test_hash_that_is_not_there(void **state)
{
	struct table_entry entry;
	struct table table;
	assert_int_equal(table_init(&table), 0);
	table_add(&table, &entry, 1);
	assert_null(table_first(&table, 65)); /* the same slot */
	assert_ptr_equal(table_first(&table, 1), &entry);
	assert_null(table_next(&entry));
	table_remove(&table, &entry);
	assert_null(table_any(&table));
	table_deinit(&table);
	table_deinit(&table);
}

static void test_serves_without_memory_to_grow(void **state)
{
	struct table_entry entries[1000];
	struct table table;
	assert_int_equal(table_init(&table), 0);
	allocations_fail_after(0);
	for (uint64_t i = 0; i < 1000; i++)
		table_add(&table, &entries[i], i);
	allocations_heal();
	assert_int_equal(table.slot_count, 64);
	for (uint64_t i = 0; i < 1000; i++) {
		assert_ptr_equal(table_first(&table, i), &entries[i]);
		table_remove(&table, &entries[i]);
	}
	table_deinit(&table);
	allocations_fail_after(0);
	assert_int_equal(table_init(&table), -ENOMEM);
	allocations_heal();
	table_deinit(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_holds_what_was_added),
			cmocka_unit_test(test_hash_that_is_not_there),
			cmocka_unit_test(test_serves_without_memory_to_grow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
