/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/base/blob.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/live.h"
#include "tests/unit/allocations.h"

static int tear_down(void **state)
{
	allocations_heal();
	return live_report();
}

static void test_copy(void **state)
{
	struct blob *blob = blob_copy(TEXT("a\0b"));
	assert_int_equal(blob->refs, 1);
	assert_null(blob->account);
	assert_true(text_equal(blob_text(blob), TEXT("a\0b")));
	assert_int_equal(blob->data[3], '\0');
	assert_null(blob_unref(blob));
}

static void test_empty(void **state)
{
	struct blob *blob = blob_copy((struct text){NULL, 0});
	assert_int_equal(blob->size, 0);
	assert_non_null(blob_text(blob).data);
	assert_int_equal(blob->data[0], '\0');
	assert_null(blob_unref(blob));
	assert_null(blob_unref(NULL));
}

static void test_the_last_reference_frees(void **state)
{
	struct account account = {.max = 1000};
	struct blob *blob = blob_copy(TEXT("value"));
	blob_charge(blob, &account);
	size_t cost = blob_cost(blob);
	assert_true(cost > 5);
	assert_int_equal(account.used, cost);
	assert_ptr_equal(blob_ref(blob), blob);
	assert_null(blob_unref(blob));
	assert_int_equal(account.used, cost);
	assert_null(blob_unref(blob));
	assert_int_equal(account.used, 0);
	assert_int_equal(account.peak, cost);
}

static void test_charge_moves(void **state)
{
	struct account cache = {.max = 1000};
	struct account requests = {.max = 1000};
	struct blob *blob = blob_new(100);
	size_t cost = blob_cost(blob);
	assert_int_equal(cache.used, 0);
	blob_charge(blob, &cache);
	blob_charge(blob, &requests);
	assert_int_equal(cache.used, 0);
	assert_int_equal(requests.used, cost);
	blob_charge(blob, &requests);
	assert_int_equal(requests.used, cost);
	blob_charge(blob, NULL);
	assert_int_equal(requests.used, 0);
	blob_charge(blob, NULL);
	assert_int_equal(requests.used, 0);
	assert_null(blob_unref(blob));
}

static void test_what_is_charged_is_counted(void **state)
{
#ifndef SLUICE_COUNTED
	skip();
#endif
	struct account account = {.max = 1000};
	struct blob *blob = blob_new(1);
	assert_int_equal(live_report(), 0);
	blob_charge(blob, &account);
	assert_int_equal(live_report(), 1);
	assert_null(blob_unref(blob));
	assert_int_equal(live_report(), 0);
}

static void test_memory_that_is_out(void **state)
{
	allocations_fail_after(0);
	assert_null(blob_new(1));
	assert_null(blob_copy(TEXT("a")));
	allocations_heal();
	assert_null(blob_copy((struct text){"a", (size_t)UINT32_MAX + 1}));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_copy),
			TEST(test_empty),
			TEST(test_the_last_reference_frees),
			TEST(test_charge_moves),
			TEST(test_what_is_charged_is_counted),
			TEST(test_memory_that_is_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
