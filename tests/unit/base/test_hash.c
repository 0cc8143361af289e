/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct hash_key key = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};

/* The vectors that SipHash's authors publish: appendix A of the paper, and the first of vectors.h.
 */
static void test_published_vectors(void **state)
{
	static const char bytes[15] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
	assert_int_equal(hash_text(&key, (struct text){bytes, 15}), 0xa129ca6149be45e5U);
	assert_int_equal(hash_text(&key, TEXT("")), 0x726fdb47dd0e0e31U);
	assert_int_equal(hash_text(&key, (struct text){NULL, 0}), 0x726fdb47dd0e0e31U);
}

static void test_key_and_bytes_matter(void **state)
{
	struct hash_key other = key;
	other.bytes[15] ^= 1;
	assert_int_not_equal(hash_text(&key, TEXT("a")), hash_text(&other, TEXT("a")));
	assert_int_not_equal(hash_text(&key, TEXT("a")), hash_text(&key, TEXT("b")));
	assert_int_not_equal(hash_text(&key, TEXT("a")), hash_text(&key, TEXT("a\0")));
}

/* The first numbers that splitmix64 gives for seed 0. */
static void test_mixing(void **state)
{
	assert_int_equal(hash_u64(0x9e3779b97f4a7c15U), 0xe220a8397b1dcdafU);
	assert_int_equal(hash_u64(2 * 0x9e3779b97f4a7c15U), 0x6e789e6aa1b965f4U);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_published_vectors),
			cmocka_unit_test(test_key_and_bytes_matter),
			cmocka_unit_test(test_mixing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
