/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/base/arena.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "pipeline/base/live.h"
#include "tests/unit/allocations.h"

static struct account account;
static struct arena arena;

static int set_up(void **state)
{
	account = (struct account){.max = 10000};
	arena_init(&arena, &account);
	return 0;
}

static int tear_down(void **state)
{
	allocations_heal();
	arena_deinit(&arena);
	return account.used == 0 ? live_report() : -1;
}

static bool aligned(const void *block)
{
	return (uintptr_t)block % 16 == 0;
}

static void test_account(void **state)
{
	assert_false(account_full(&account));
	account_charge(&account, 9999);
	assert_false(account_full(&account));
	account_charge(&account, 1);
	assert_true(account_full(&account));
	account_charge(&account, 500);
	account_release(&account, 10500);
	assert_int_equal(account.used, 0);
	assert_int_equal(account.peak, 10500);
}

static void test_nothing_is_allocated_before_it_is_asked_for(void **state)
{
	assert_null(arena.chunk);
	assert_int_equal(account.used, 0);
	assert_int_equal(live_report(), 0);
}

static void test_blocks_are_aligned_and_apart(void **state)
{
	char *last = arena_alloc(&arena, 1);
	for (size_t size = 0; size < 300; size++) {
		char *block = arena_alloc(&arena, size);
		assert_true(aligned(block));
		assert_ptr_not_equal(block, last);
		memset(block, (int)size, size);
		last = block;
	}
	assert_int_equal(arena.bytes, account.used);
}

static void test_the_empty_block_has_an_address_of_its_own(void **state)
{
	void *first = arena_alloc(&arena, 0);
	void *second = arena_alloc(&arena, 0);
	void *third = arena_alloc(&arena, 1);
	assert_non_null(first);
	assert_ptr_not_equal(first, second);
	assert_ptr_not_equal(second, third);
}

static void test_chunks_grow_up_to_64_kib(void **state)
{
	static const size_t sizes[] = {1792, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 65536};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t before = arena.bytes;
		while (arena.bytes == before)
			assert_non_null(arena_alloc(&arena, 128));
		size_t chunk = arena.bytes - before;
		/* With the 8 bytes that glibc adds, and its rounding to 16. */
		assert_int_equal((chunk + 8 + 15) & ~(size_t)15, sizes[i]);
		assert_true(chunk < 65536 && (i == 0 || chunk <= before));
	}
}

/* As if it had come in pieces. */
static void test_chunks_grow_after_a_large_block(void **state)
{
	(void)arena_alloc(&arena, 10000);
	size_t before = arena.bytes;
	while (arena.bytes == before)
		assert_non_null(arena_alloc(&arena, 128));
	assert_in_range(arena.bytes - before, before / 2, before);
}

static void test_a_large_block_gets_what_it_needs(void **state)
{
	char *block = arena_alloc(&arena, 1000000);
	assert_true(aligned(block));
	memset(block, 1, 1000000);
	assert_in_range(arena.bytes, 1000000, 1000100);
}

static void test_no_memory_is_that_large(void **state)
{
	static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 14, SIZE_MAX - 15,
			SIZE_MAX - 16, SIZE_MAX - 100, (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_null(arena_alloc(&arena, sizes[i]));
		assert_null(arena_zalloc(&arena, sizes[i]));
	}
	char *block = arena_alloc(&arena, 3);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_null(arena_alloc(&arena, sizes[i]));
		assert_null(arena_resize(&arena, block, 3, sizes[i]));
	}
}

static void test_memory_that_is_out(void **state)
{
	allocations_fail_after(0);
	assert_null(arena_alloc(&arena, 1));
	assert_null(arena_zalloc(&arena, 1));
	assert_null(arena_copy(&arena, TEXT("a")).data);
	assert_null(arena_format(&arena, "%d", 1).data);
	assert_int_equal(account.used, 0);
	allocations_heal();
	char *block = arena_alloc(&arena, 4);
	assert_non_null(block);
	memcpy(block, "abc", 4);
	size_t used = account.used;
	allocations_fail_after(0);
	assert_null(arena_resize(&arena, block, 4, 100000));
	assert_string_equal(block, "abc");
	assert_int_equal(account.used, used);
	assert_non_null(arena_alloc(&arena, 16));
}

static void test_zalloc_clears_what_was_used_before(void **state)
{
	char *block = arena_alloc(&arena, 64);
	memset(block, 0xff, 64);
	assert_ptr_equal(arena_resize(&arena, block, 64, 0), block);
	char *cleared = arena_zalloc(&arena, 48);
	assert_ptr_equal(cleared, block + 16);
	for (int i = 0; i < 48; i++)
		assert_int_equal(cleared[i], 0);
}

static void test_the_last_block_is_resized_in_place(void **state)
{
	char *block = arena_resize(&arena, NULL, 0, 10);
	memcpy(block, "123456789", 10);
	assert_ptr_equal(arena_resize(&arena, block, 10, 700), block);
	assert_string_equal(block, "123456789");
	char *next = arena_alloc(&arena, 1);
	assert_ptr_equal(next, block + 704);
	assert_ptr_equal(arena_resize(&arena, next, 1, 0), next);
	assert_ptr_equal(arena_alloc(&arena, 1), next + 16);
}

static void test_a_block_that_cannot_grow_is_copied(void **state)
{
	char *block = arena_alloc(&arena, 16);
	memcpy(block, "123456789012345", 16);
	char *other = arena_alloc(&arena, 16);
	memset(other, 'x', 16);
	assert_ptr_equal(arena_resize(&arena, block, 16, 5), block);
	assert_ptr_equal(arena_resize(&arena, block, 5, 16), block);
	assert_memory_equal(block, "12345", 5);
	char *moved = arena_resize(&arena, block, 16, 17);
	assert_ptr_not_equal(moved, block);
	assert_memory_equal(moved, "12345", 5);
	char *far = arena_resize(&arena, moved, 17, 5000);
	assert_ptr_not_equal(far, moved);
	assert_memory_equal(far, "12345", 5);
	for (int i = 0; i < 16; i++)
		assert_int_equal(other[i], 'x');
}

#ifdef __SANITIZE_ADDRESS__
int __asan_address_is_poisoned(const volatile void *at);

static bool is_barred(const char *at)
{
	return __asan_address_is_poisoned(at);
}

static void test_the_address_sanitizer_knows_its_blocks(void **state)
{
	char *block = arena_alloc(&arena, 5);
	assert_true(!is_barred(block + 4) && is_barred(block + 5));
	assert_true(is_barred(arena_alloc(&arena, 0)));
	block = arena_resize(&arena, block, 5, 16);
	assert_true(!is_barred(block + 15) && is_barred(block + 16));
	block = arena_resize(&arena, block, 16, 3);
	assert_true(!is_barred(block + 2) && is_barred(block + 3));
	char *moved = arena_resize(&arena, block, 3, 100);
	assert_true(is_barred(block) && !is_barred(moved + 99) && is_barred(moved + 100));
}

static void test_the_address_sanitizer_knows_who_has_a_chunk(void **state)
{
	struct arena_pool pool;
	struct arena taken;
	arena_pool_init(&pool, &account, 1);
	assert_true(arena_pool_take(&pool, &taken));
	char *first = arena_alloc(&taken, 1700);
	char *further = arena_alloc(&taken, 900);
	assert_true(!is_barred(first + 1699) && !is_barred(further + 899));
	arena_pool_give(&pool, &taken);
	assert_true(is_barred(first) && is_barred(further));
	assert_true(arena_pool_take(&pool, &taken));
	assert_true(is_barred(first));
	assert_ptr_equal(arena_alloc(&taken, 100), first);
	assert_true(!is_barred(first + 99) && is_barred(first + 112));
	arena_deinit(&taken);
	arena_pool_deinit(&pool);
}
#endif

static void test_copy(void **state)
{
	const char source[] = {'a', '\0', 'b'};
	struct text copy = arena_copy(&arena, (struct text){source, 3});
	assert_ptr_not_equal(copy.data, source);
	assert_int_equal(copy.size, 3);
	assert_memory_equal(copy.data, "a\0b", 4);
	struct text empty = arena_copy(&arena, (struct text){NULL, 0});
	assert_int_equal(empty.size, 0);
	assert_string_equal(empty.data, "");
}

static void test_format(void **state)
{
	struct text text = arena_format(&arena, "%s=%d", "answer", 42);
	assert_int_equal(text.size, 9);
	assert_string_equal(text.data, "answer=42");
	struct text wide = arena_format(&arena, "%5000d", 7);
	assert_int_equal(wide.size, 5000);
	assert_int_equal(wide.data[4999], '7');
	assert_int_equal(wide.data[5000], '\0');
	assert_string_equal(arena_format(&arena, "%s", "").data, "");
}

static void test_deinit_is_safe_twice(void **state)
{
	assert_non_null(arena_alloc(&arena, 5000));
	arena_deinit(&arena);
	assert_int_equal(account.used, 0);
	arena_deinit(&arena);
	assert_non_null(arena_alloc(&arena, 1));
	assert_true(account.used > 0);
}

static void test_an_arena_without_account(void **state)
{
	struct arena free_of_charge;
	arena_init(&free_of_charge, NULL);
	assert_non_null(arena_alloc(&free_of_charge, 1));
	assert_true(free_of_charge.bytes > 0);
	arena_deinit(&free_of_charge);
	assert_int_equal(account.used, 0);
}

static void test_pool_hands_the_first_chunk_on(void **state)
{
	struct arena_pool pool;
	arena_pool_init(&pool, &account, 2);
	struct arena taken;
	assert_true(arena_pool_take(&pool, &taken));
	size_t charged = account.used;
	assert_true(charged > 0);
	void *first = arena_alloc(&taken, 8);
	assert_non_null(arena_alloc(&taken, 10000));
	arena_pool_give(&pool, &taken);
	assert_int_equal(account.used, 0);
	assert_int_equal(pool.spares[0].count, 1);

	allocations_fail_after(0);
	assert_true(arena_pool_take(&pool, &taken));
	assert_int_equal(pool.spares[0].count, 0);
	assert_int_equal(account.used, charged);
	assert_ptr_equal(arena_alloc(&taken, 8), first);
	struct arena none;
	assert_false(arena_pool_take(&pool, &none));
	allocations_heal();

	arena_pool_give(&pool, &taken);
	arena_pool_deinit(&pool);
	arena_pool_deinit(&pool);
	assert_int_equal(pool.spares[0].count, 0);
}

static void test_pool_keeps_no_more_than_it_may(void **state)
{
	struct arena_pool pool;
	arena_pool_init(&pool, &account, 2);
	struct arena taken[4];
	for (int i = 0; i < 4; i++)
		assert_true(arena_pool_take(&pool, &taken[i]));
	for (int i = 0; i < 4; i++)
		arena_pool_give(&pool, &taken[i]);
	assert_int_equal(pool.spares[0].count, 2);
	for (int i = 0; i < 3; i++)
		assert_true(arena_pool_take(&pool, &taken[i]));
	for (int i = 0; i < 3; i++)
		arena_pool_give(&pool, &taken[i]);
	arena_pool_deinit(&pool);
}

/* So that a request that needs a little more costs no malloc either. */
static void test_pool_hands_further_chunks_on(void **state)
{
	struct arena_pool pool;
	arena_pool_init(&pool, &account, 1);
	struct arena first, second;
	assert_true(arena_pool_take(&pool, &first));
	assert_true(arena_pool_take(&pool, &second));
	for (int i = 0; i < 80; i++) {
		assert_non_null(arena_alloc(&first, 100));
		assert_non_null(arena_alloc(&second, 100));
	}
	size_t bytes = first.bytes;
	arena_pool_give(&pool, &first);
	arena_pool_give(&pool, &second);
	assert_int_equal(account.used, 0);
	assert_int_equal(pool.spares[1].count, 1);
	assert_int_equal(pool.spares[2].count, 1);

	/* In the order in which they are taken; of the largest none is kept. */
	allocations_fail_after(0);
	assert_true(arena_pool_take(&pool, &first));
	while (arena_alloc(&first, 100))
		;
	allocations_heal();
	assert_int_equal(pool.spares[1].count, 0);
	assert_int_equal(pool.spares[2].count, 0);
	assert_int_equal(account.used, first.bytes);
	assert_in_range(first.bytes, 1792 + 1024 + 2048 - 3 * 16, bytes - 1);

	/* One that has no pool takes none of them, and a large block none at all. */
	arena_pool_give(&pool, &first);
	struct arena apart;
	arena_init(&apart, &account);
	assert_non_null(arena_alloc(&apart, 1792));
	assert_non_null(arena_alloc(&apart, 100));
	assert_true(arena_pool_take(&pool, &second));
	assert_non_null(arena_alloc(&second, 1500));
	assert_non_null(arena_alloc(&second, 1500));
	assert_int_equal(pool.spares[1].count, 1);
	assert_int_equal(pool.spares[2].count, 1);
	arena_deinit(&apart);
	arena_pool_give(&pool, &second);
	arena_pool_deinit(&pool);
	assert_null(pool.spares[1].newest);
}

static void test_pool_keeps_no_arena_over_64_kib(void **state)
{
	struct arena_pool pool;
	arena_pool_init(&pool, &account, 2);
	struct arena taken;
	assert_true(arena_pool_take(&pool, &taken));
	while (taken.bytes <= 65536)
		assert_non_null(arena_alloc(&taken, 1000));
	arena_pool_give(&pool, &taken);
	for (size_t i = 0; i < ARENA_POOL_SIZES; i++)
		assert_null(pool.spares[i].newest);
	assert_int_equal(account.used, 0);
	arena_pool_deinit(&pool);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_account),
			TEST(test_nothing_is_allocated_before_it_is_asked_for),
			TEST(test_blocks_are_aligned_and_apart),
			TEST(test_the_empty_block_has_an_address_of_its_own),
			TEST(test_chunks_grow_up_to_64_kib),
			TEST(test_chunks_grow_after_a_large_block),
			TEST(test_a_large_block_gets_what_it_needs),
			TEST(test_no_memory_is_that_large),
			TEST(test_memory_that_is_out),
			TEST(test_zalloc_clears_what_was_used_before),
			TEST(test_the_last_block_is_resized_in_place),
			TEST(test_a_block_that_cannot_grow_is_copied),
#ifdef __SANITIZE_ADDRESS__
			TEST(test_the_address_sanitizer_knows_its_blocks),
			TEST(test_the_address_sanitizer_knows_who_has_a_chunk),
#endif
			TEST(test_copy),
			TEST(test_format),
			TEST(test_deinit_is_safe_twice),
			TEST(test_an_arena_without_account),
			TEST(test_pool_hands_the_first_chunk_on),
			TEST(test_pool_hands_further_chunks_on),
			TEST(test_pool_keeps_no_more_than_it_may),
			TEST(test_pool_keeps_no_arena_over_64_kib),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
