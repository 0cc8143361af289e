/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/async/outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <wchar.h>

#include <cmocka.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/buffer.h"
#include "pipeline/base/live.h"
#include "tests/unit/allocations.h"

static struct arena arena;
static struct buffer buffer;

static int set_up(void **state)
{
	arena_init(&arena, NULL);
	buffer_init(&buffer);
	return 0;
}

static int tear_down(void **state)
{
	allocations_heal();
	buffer_deinit(&buffer);
	arena_deinit(&arena);
	return live_report();
}

static void assert_error(struct outcome outcome, const char *expected)
{
	buffer_clear(&buffer);
	outcome_append_error(&buffer, &outcome);
	buffer_append_char(&buffer, '\0');
	assert_string_equal(buffer_text(&buffer).data, expected);
}

static void test_a_value(void **state)
{
	struct outcome outcome = outcome_ok(value_of(TEXT("[1]")));
	assert_int_equal(outcome.status, STATUS_OK);
	assert_true(text_equal(outcome.value.text, TEXT("[1]")));
	assert_null(outcome.fault);
	assert_null(outcome.blob);
	assert_false(outcome.partial);
}

static void test_a_bare_status_has_a_text(void **state)
{
	static const char *const expected[STATUS_COUNT] = {
			[STATUS_OK] = "{\"error\":\"ok\"}",
			[STATUS_CANCELLED] = "{\"error\":\"cancelled\"}",
			[STATUS_INVALID_ARGUMENT] = "{\"error\":\"invalid request\"}",
			[STATUS_DEADLINE_EXCEEDED] = "{\"error\":\"deadline exceeded\"}",
			[STATUS_NOT_FOUND] = "{\"error\":\"not found\"}",
			[STATUS_PERMISSION_DENIED] = "{\"error\":\"not allowed\"}",
			[STATUS_RESOURCE_EXHAUSTED] = "{\"error\":\"too much at once\"}",
			[STATUS_UNIMPLEMENTED] = "{\"error\":\"no such thing here\"}",
			[STATUS_INTERNAL] = "{\"error\":\"internal error\"}",
			[STATUS_UNAVAILABLE] = "{\"error\":\"unavailable\"}",
			[STATUS_UNAUTHENTICATED] = "{\"error\":\"not authenticated\"}",
	};
	for (int status = 0; status < STATUS_COUNT; status++)
		assert_error(outcome_status((enum status)status), expected[status]);
}

static void test_a_fault_names_its_stage_and_its_cause(void **state)
{
	struct outcome outcome = outcome_fault(&arena, STATUS_NOT_FOUND, TEXT("product/0.cache"),
			TEXT("no row for \"x\""));
	assert_int_equal(outcome.status, STATUS_NOT_FOUND);
	assert_false(outcome.fault->timeout);
	assert_error(outcome, "{\"error\":\"no row for \\\"x\\\"\",\"stage\":\"product/0.cache\"}");
}

static void test_a_formatted_message(void **state)
{
	char name[] = "north";
	struct outcome outcome =
			outcome_failed(&arena, STATUS_INTERNAL, TEXT("s"), "%s said %d", name, 7);
	name[0] = 'N';
	assert_error(outcome, "{\"error\":\"north said 7\",\"stage\":\"s\"}");
}

static void test_a_long_message_is_cut(void **state)
{
	struct outcome outcome = outcome_failed(&arena, STATUS_INTERNAL, TEXT("s"), "%5000d", 1);
	assert_in_range(outcome.fault->message.size, 100, 1000);
}

/* In the C locale there is no such character. */
static void test_a_message_that_can_not_be_formatted(void **state)
{
	struct outcome outcome =
			outcome_failed(&arena, STATUS_INTERNAL, TEXT("s"), "%lc", (wint_t)0x20ac);
	assert_error(outcome, "{\"error\":\"\",\"stage\":\"s\"}");
}

static void test_a_timeout(void **state)
{
	struct outcome outcome = outcome_timeout(&arena, TEXT("offer/1"), TEXT("took too long"));
	assert_int_equal(outcome.status, STATUS_UNAVAILABLE);
	assert_true(outcome.fault->timeout);
	assert_error(outcome,
			"{\"error\":\"took too long\",\"stage\":\"offer/1\",\"timeout\":true}");
}

/* As a fan-out makes it: one fault whose causes are those of its branches, all of them. */
static void test_every_cause_is_written(void **state)
{
	struct outcome slow = outcome_timeout(&arena, TEXT("f/north"), TEXT("slow"));
	struct outcome down =
			outcome_fault(&arena, STATUS_UNAVAILABLE, TEXT("f/south"), TEXT("down"));
	struct fault second = *down.fault, first = *slow.fault;
	struct fault third = {.status = STATUS_NOT_FOUND,
			.cause = &(struct fault){.status = STATUS_INTERNAL}};
	first.next = &second;
	second.next = &third;
	struct fault all = {.status = STATUS_UNAVAILABLE,
			.stage = TEXT("f"),
			.message = TEXT("none answered"),
			.cause = &first};
	assert_error((struct outcome){.status = STATUS_UNAVAILABLE, .fault = &all},
			"{\"error\":\"none answered\",\"stage\":\"f\",\"causes\":["
			"{\"error\":\"slow\",\"status\":\"UNAVAILABLE\",\"stage\":\"f/"
			"north\",\"timeout\":true},"
			"{\"error\":\"down\",\"status\":\"UNAVAILABLE\",\"stage\":\"f/south\"},"
			"{\"error\":\"not found\",\"status\":\"NOT_FOUND\",\"causes\":["
			"{\"error\":\"internal error\",\"status\":\"INTERNAL\"}]}]}");
}

static void test_a_stage_is_given_to_what_has_none(void **state)
{
	struct outcome ok = outcome_ok(value_of(TEXT("1")));
	assert_null(outcome_at_stage(&arena, ok, TEXT("a")).fault);

	struct outcome bare = outcome_at_stage(
			&arena, outcome_status(STATUS_RESOURCE_EXHAUSTED), TEXT("a"));
	assert_int_equal(bare.fault->status, STATUS_RESOURCE_EXHAUSTED);
	assert_error(bare, "{\"error\":\"too much at once\",\"stage\":\"a\"}");
	/* The innermost stays. */
	assert_ptr_equal(outcome_at_stage(&arena, bare, TEXT("b")).fault, bare.fault);
	assert_error(outcome_at_stage(&arena, bare, TEXT("b")),
			"{\"error\":\"too much at once\",\"stage\":\"a\"}");
}

static void test_a_fault_that_others_share_is_copied(void **state)
{
	const struct fault other = {.status = STATUS_INTERNAL};
	const struct fault cause = {.status = STATUS_NOT_FOUND};
	const struct fault shared = {.status = STATUS_UNAVAILABLE,
			.timeout = true,
			.message = TEXT("m"),
			.cause = &cause,
			.next = &other};
	struct outcome outcome = {.status = STATUS_UNAVAILABLE, .fault = &shared};
	struct outcome placed = outcome_at_stage(&arena, outcome, TEXT("here"));
	assert_ptr_not_equal(placed.fault, &shared);
	assert_null(shared.stage.data);
	assert_error(placed, "{\"error\":\"m\",\"stage\":\"here\",\"timeout\":true,\"causes\":["
			     "{\"error\":\"not found\",\"status\":\"NOT_FOUND\"}]}");
	/* It stands alone: what came after the shared one are not its own neighbours. */
	assert_null(placed.fault->next);
}

static void test_without_memory_the_status_is_left(void **state)
{
	allocations_fail_after(0);
	struct outcome outcomes[] = {
			outcome_fault(&arena, STATUS_NOT_FOUND, TEXT("s"), TEXT("m")),
			outcome_failed(&arena, STATUS_INTERNAL, TEXT("s"), "%d", 1),
			outcome_timeout(&arena, TEXT("s"), TEXT("m")),
			outcome_at_stage(&arena, outcome_status(STATUS_CANCELLED), TEXT("s")),
	};
	static const enum status statuses[] = {
			STATUS_NOT_FOUND, STATUS_INTERNAL, STATUS_UNAVAILABLE, STATUS_CANCELLED};
	allocations_heal();
	for (int i = 0; i < 4; i++) {
		assert_int_equal(outcomes[i].status, statuses[i]);
		assert_null(outcomes[i].fault);
	}
	assert_error(outcomes[0], "{\"error\":\"not found\"}");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_a_value),
			TEST(test_a_bare_status_has_a_text),
			TEST(test_a_fault_names_its_stage_and_its_cause),
			TEST(test_a_formatted_message),
			TEST(test_a_long_message_is_cut),
			TEST(test_a_message_that_can_not_be_formatted),
			TEST(test_a_timeout),
			TEST(test_every_cause_is_written),
			TEST(test_a_stage_is_given_to_what_has_none),
			TEST(test_a_fault_that_others_share_is_copied),
			TEST(test_without_memory_the_status_is_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
