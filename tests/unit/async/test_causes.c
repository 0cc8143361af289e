/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/async/causes.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/buffer.h"
#include "pipeline/base/live.h"
#include "tests/unit/allocations.h"

static struct arena arena;
static struct causes causes;

static int set_up(void **state)
{
	arena_init(&arena, NULL);
	causes_init(&causes, &arena);
	return 0;
}

static int tear_down(void **state)
{
	allocations_heal();
	arena_deinit(&arena);
	return live_report();
}

static void add(enum status status, const char *message)
{
	struct outcome outcome = outcome_fault(&arena, status, TEXT("s"), text_of(message));
	causes_add(&causes, &outcome);
}

static void assert_error(enum status status, const char *expected)
{
	struct outcome outcome = causes_outcome(&causes, status, TEXT("all"), TEXT("no luck"));
	struct buffer buffer;
	assert_int_equal(outcome.status, status);
	buffer_init_arena(&buffer, &arena);
	outcome_append_error(&buffer, &outcome);
	buffer_append_char(&buffer, '\0');
	assert_string_equal(buffer_text(&buffer).data, expected);
}

static void test_each_is_kept_in_its_order(void **state)
{
	add(STATUS_UNAVAILABLE, "one");
	assert_int_equal(causes_status(&causes), STATUS_UNAVAILABLE);
	add(STATUS_UNAVAILABLE, "two");
	assert_error(causes_status(&causes),
			"{\"error\":\"no luck\",\"stage\":\"all\",\"causes\":["
			"{\"error\":\"one\",\"status\":\"UNAVAILABLE\",\"stage\":\"s\"},"
			"{\"error\":\"two\",\"status\":\"UNAVAILABLE\",\"stage\":\"s\"}]}");
}

static void test_what_differs_is_unavailable(void **state)
{
	add(STATUS_NOT_FOUND, "one");
	add(STATUS_NOT_FOUND, "two");
	assert_int_equal(causes_status(&causes), STATUS_NOT_FOUND);
	add(STATUS_INTERNAL, "three");
	assert_int_equal(causes_status(&causes), STATUS_UNAVAILABLE);
	add(STATUS_INTERNAL, "four");
	assert_int_equal(causes_status(&causes), STATUS_UNAVAILABLE);
}

static void test_one_may_have_no_fault(void **state)
{
	struct outcome bare = outcome_status(STATUS_NOT_FOUND);
	causes_add(&causes, &bare);
	assert_error(STATUS_INTERNAL, "{\"error\":\"no luck\",\"stage\":\"all\",\"causes\":["
				      "{\"error\":\"not found\",\"status\":\"NOT_FOUND\"}]}");
}

static void test_one_may_stand_in_other_lists(void **state)
{
	struct fault second = {.status = STATUS_INTERNAL, .message = TEXT("second")};
	struct fault first = {.status = STATUS_INTERNAL, .message = TEXT("first"), .next = &second};
	struct outcome outcome = {.status = STATUS_INTERNAL, .fault = &first};
	causes_add(&causes, &outcome);
	assert_null(causes.first->next);
	assert_ptr_equal(first.next, &second);
}

static void test_room_is_bounded_where_that_is_asked_for(void **state)
{
	causes.room = 1;
	add(STATUS_NOT_FOUND, "one");
	add(STATUS_INTERNAL, "two");
	assert_error(causes_status(&causes),
			"{\"error\":\"no luck\",\"stage\":\"all\",\"causes\":["
			"{\"error\":\"one\",\"status\":\"NOT_FOUND\",\"stage\":\"s\"}]}");
	assert_int_equal(causes_status(&causes), STATUS_UNAVAILABLE);
}

static void test_what_will_not_stay_is_copied(void **state)
{
	char message[] = "gone soon";
	struct fault inner = {.status = STATUS_INTERNAL};
	struct fault fault = {.status = STATUS_INTERNAL,
			.message = {message, sizeof(message) - 1},
			.cause = &inner};
	struct outcome outcome = {.status = STATUS_INTERNAL, .fault = &fault};
	causes.copies = true;
	causes_add(&causes, &outcome);
	message[0] = '?';
	assert_true(text_equal(causes.first->message, TEXT("gone soon")));
	assert_null(causes.first->cause);
}

static void test_without_memory_the_status_counts(void **state)
{
	struct outcome bare = outcome_status(STATUS_NOT_FOUND);
	allocations_fail_after(0);
	causes_add(&causes, &bare);
	assert_int_equal(causes_status(&causes), STATUS_NOT_FOUND);
	assert_null(causes.first);
	struct outcome outcome = causes_outcome(&causes, STATUS_NOT_FOUND, TEXT("all"), TEXT("x"));
	assert_int_equal(outcome.status, STATUS_NOT_FOUND);
	assert_null(outcome.fault);
	allocations_heal();
	add(STATUS_NOT_FOUND, "found");
	assert_error(STATUS_NOT_FOUND,
			"{\"error\":\"no luck\",\"stage\":\"all\",\"causes\":["
			"{\"error\":\"found\",\"status\":\"NOT_FOUND\",\"stage\":\"s\"}]}");
}

static void test_the_longest_wait_that_any_asks_for(void **state)
{
	struct outcome busy = outcome_retry(&arena, STATUS_UNAVAILABLE, TEXT("busy"), 20);
	struct outcome busier = outcome_retry(&arena, STATUS_UNAVAILABLE, TEXT("busier"), 30);
	causes_add(&causes, &busier);
	causes_add(&causes, &busy);
	add(STATUS_UNAVAILABLE, "down");
	struct outcome all = causes_outcome(&causes, STATUS_UNAVAILABLE, TEXT("all"), TEXT("x"));
	assert_int_equal(all.fault->retry_ns, 30);
}

#define causes_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			causes_test(test_each_is_kept_in_its_order),
			causes_test(test_what_differs_is_unavailable),
			causes_test(test_one_may_have_no_fault),
			causes_test(test_one_may_stand_in_other_lists),
			causes_test(test_room_is_bounded_where_that_is_asked_for),
			causes_test(test_what_will_not_stay_is_copied),
			causes_test(test_without_memory_the_status_counts),
			causes_test(test_the_longest_wait_that_any_asks_for),
	};
	return cmocka_run_group_tests_name("async/causes", tests, NULL, NULL);
}
