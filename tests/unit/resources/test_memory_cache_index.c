/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/resources/memory_cache_index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/hash.h"

enum { COUNT = 20000 };

struct fixture {
	struct account account;
	struct cache_index index;
	struct cache_entry *entries[COUNT]; /* all have the empty key */
};

static uint64_t hash_of(uint64_t n)
{
	return hash_u64(n + 1);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return -1;
	f->account.max = SIZE_MAX;
	cache_index_init(&f->index, &f->account);
	for (uint64_t n = 0; n < COUNT; n++) {
		f->entries[n] = calloc(1, sizeof(struct cache_entry));
		if (f->entries[n] == NULL)
			return -1;
		f->entries[n]->hash = hash_of(n);
	}
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	cache_index_deinit(&f->index);
	cache_index_deinit(&f->index);
	size_t used = f->account.used;
	for (uint64_t n = 0; n < COUNT; n++)
		free(f->entries[n]);
	free(f);
	return used != 0;
}

static struct cache_entry *find(const struct fixture *f, uint64_t n)
{
	return cache_index_find(&f->index, hash_of(n), TEXT(""));
}

static void test_an_empty_index(void **state)
{
	struct fixture *f = *state;
	assert_null(find(f, 0));
	assert_false(cache_index_ghost_take(&f->index, hash_of(0), 100));
	struct cache_entry *listed[CACHE_SEGMENT_MAX];
	uint64_t next = 1;
	assert_int_equal(cache_index_list(&f->index, hash_of(0), listed, &next), 0);
	assert_int_equal(next, 0);
	assert_int_equal(f->account.used, 0);
}

static void test_it_charges_no_more_than_it_says(void **state)
{
	struct fixture *f = *state;
	int steps = 0;
	for (uint64_t n = 0; n < COUNT; n++) {
		size_t used = f->account.used;
		size_t needs = cache_index_needs(&f->index, hash_of(n));
		f->account.peak = used;
		assert_true(cache_index_insert(&f->index, f->entries[n]));
		assert_in_range(f->account.peak, used, used + needs);
		assert_int_equal(f->account.used > used, needs > 0);
		steps += needs > 0;
	}
	assert_true(steps > COUNT / 200);
}

static void test_what_is_removed_is_not_found(void **state)
{
	struct fixture *f = *state;
	for (uint64_t n = 0; n < COUNT; n++) {
		assert_true(cache_index_insert(&f->index, f->entries[n]));
		if (n % 3 == 2)
			cache_index_remove(&f->index, f->entries[n - 1]);
	}
	for (uint64_t n = 0; n < COUNT; n++)
		assert_ptr_equal(find(f, n), n % 3 == 1 && n + 1 < COUNT ? NULL : f->entries[n]);

	size_t used = f->account.used;
	for (uint64_t n = 0; n < COUNT; n++) {
		if (find(f, n))
			cache_index_remove(&f->index, f->entries[n]);
	}
	for (uint64_t n = 0; n < COUNT; n++) {
		assert_null(find(f, n));
		assert_int_equal(cache_index_needs(&f->index, hash_of(n)), 0);
	}
	assert_int_equal(f->account.used, used);
}

#define LINES 32 /* of a segment, as in pipeline/resources/memory_cache_index.c */
#define SLOTS 7	 /* of a line */

/* So many entries in the same segment, from `first` on, that all begin at that line. */
static void insert_at(struct fixture *f, size_t first, size_t count, uint64_t line)
{
	for (size_t n = first; n < first + count; n++) {
		f->entries[n]->hash = n * LINES + line;
		assert_true(cache_index_insert(&f->index, f->entries[n]));
	}
}

/* In each line there is one that found it full: what is not there is looked for in all. */
static void test_a_segment_in_which_every_line_was_passed(void **state)
{
	struct fixture *f = *state;
	/* After this it can't be split any more, which would deal anew. */
	for (uint64_t line = 0; line < LINES; line++)
		insert_at(f, line * SLOTS, SLOTS, line);
	for (size_t n = 0; n < (size_t)LINES * SLOTS; n++)
		cache_index_remove(&f->index, f->entries[n]);
	insert_at(f, 0, SLOTS + 1, LINES - 1);
	cache_index_remove(&f->index, f->entries[0]);
	for (uint64_t line = 0; line < LINES - 1; line++)
		insert_at(f, SLOTS + 1 + line * SLOTS, SLOTS, line);
	for (uint64_t line = 0; line < LINES; line++)
		assert_null(cache_index_find(&f->index, UINT64_C(1000) * LINES + line, TEXT("")));
	for (size_t n = 1; n < (size_t)LINES * SLOTS + 1; n++)
		assert_ptr_equal(cache_index_find(&f->index, f->entries[n]->hash, TEXT("")),
				f->entries[n]);
	assert_false(cache_index_insert(&f->index, f->entries[0]));
}

static void test_ghosts_are_taken_once(void **state)
{
	struct fixture *f = *state;
	assert_true(cache_index_insert(&f->index, f->entries[0]));
	cache_index_ghost_add(&f->index, hash_of(1));
	assert_false(cache_index_ghost_take(&f->index, hash_of(2), 100));
	assert_true(cache_index_ghost_take(&f->index, hash_of(1), 100));
	assert_false(cache_index_ghost_take(&f->index, hash_of(1), 100));
}

static void test_the_oldest_ghosts_are_forgotten(void **state)
{
	struct fixture *f = *state;
	assert_true(cache_index_insert(&f->index, f->entries[0]));
	for (uint64_t n = 0; n < 1000; n++)
		cache_index_ghost_add(&f->index, hash_of(n));
	assert_false(cache_index_ghost_take(&f->index, hash_of(899), 99));
	assert_true(cache_index_ghost_take(&f->index, hash_of(900), 99));
	assert_true(cache_index_ghost_take(&f->index, hash_of(999), 99));
	assert_false(cache_index_ghost_take(&f->index, hash_of(0), SIZE_MAX));
}

static void test_ghosts_outlive_a_split(void **state)
{
	struct fixture *f = *state;
	assert_true(cache_index_insert(&f->index, f->entries[0]));
	for (uint64_t n = 0; n < 100; n++)
		cache_index_ghost_add(&f->index, hash_of(COUNT + n));
	for (uint64_t n = 1; n < 1000; n++)
		assert_true(cache_index_insert(&f->index, f->entries[n]));
	assert_true(f->index.segments > 4);
	for (uint64_t n = 0; n < 100; n++)
		assert_true(cache_index_ghost_take(&f->index, hash_of(COUNT + n), SIZE_MAX / 2));
}

static void test_the_newest_ghosts_stay_the_newest(void **state)
{
	struct fixture *f = *state;
	const uint64_t lower = 2, upper = UINT64_C(1) << 63 | 4;
	assert_true(cache_index_insert(&f->index, f->entries[0]));
	for (uint64_t n = 0; n < 5; n++)
		cache_index_ghost_add(&f->index, hash_of(COUNT + n));
	cache_index_ghost_add(&f->index, lower);
	cache_index_ghost_add(&f->index, upper);
	for (uint64_t n = 1; f->index.segments < 2; n++)
		assert_true(cache_index_insert(&f->index, f->entries[n]));
	/* A half sees half of the keys, so it takes the newest half. */
	assert_true(cache_index_ghost_take(&f->index, upper, 0));
	assert_false(cache_index_ghost_take(&f->index, lower, 0));
	assert_true(cache_index_ghost_take(&f->index, lower, 2));
}

static void test_ghosts_of_a_grown_index(void **state)
{
	struct fixture *f = *state;
	for (uint64_t n = 0; n < COUNT; n++)
		assert_true(cache_index_insert(&f->index, f->entries[n]));
	for (uint64_t n = 0; n < 3 * COUNT; n++)
		cache_index_ghost_add(&f->index, hash_of(n));
	uint64_t remembered = 0;
	uint64_t newest = 0;
	for (uint64_t n = 0; n < 3 * COUNT; n++) {
		bool taken = cache_index_ghost_take(&f->index, hash_of(n), COUNT / 2);
		remembered += taken;
		newest += taken && n >= 3 * COUNT - COUNT / 2;
	}
	assert_in_range(remembered, COUNT / 2, COUNT / 2 + f->index.segments);
	/* Each segment forgets in its own order. */
	assert_true(newest > COUNT / 2 * 9 / 10);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_an_empty_index),
			TEST(test_it_charges_no_more_than_it_says),
			TEST(test_what_is_removed_is_not_found),
			TEST(test_a_segment_in_which_every_line_was_passed),
			TEST(test_ghosts_are_taken_once),
			TEST(test_the_oldest_ghosts_are_forgotten),
			TEST(test_ghosts_outlive_a_split),
			TEST(test_the_newest_ghosts_stay_the_newest),
			TEST(test_ghosts_of_a_grown_index),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
