/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that are tried again: which failures, how often, when, and what is told in the end. */
#include <string.h>

#include "pipeline/base/buffer.h"
#include "tests/unit/stages/trial.h"

#define LOOK	 "lookup: {in: catalog, query: 'SELECT 1'}"
#define RETRY(o) "pipelines:\n  p:\n    steps:\n      - retry: {" o ", steps: [" LOOK "]}\n"
#define FAILED(status, message)                                                                    \
	"{\"error\":\"" message "\",\"status\":\"" status "\",\"stage\":\"p/1.retry/1.lookup\"}"
#define ALL_FAILED "{\"error\":\"every attempt failed\",\"stage\":\"p/1.retry\",\"causes\":["

static void fails(enum status status, const char *message)
{
	scripted_job_end(job(0), status, message);
	(void)world_turn(&world);
}

static uint64_t started(void)
{
	(void)world_turn(&world);
	return world.catalog.started;
}

/* In milliseconds from here. */
static void later(uint64_t ms)
{
	world_at(&world, (world.async.now - WORLD_START) / WORLD_MS + ms);
}

static void expect_stats(const char *text)
{
	struct buffer buffer;
	buffer_init(&buffer);
	pipelines_write_stats(world.pipelines, &buffer);
	buffer_append_char(&buffer, '\0');
	assert_non_null(strstr(buffer.data, text));
	buffer_deinit(&buffer);
}

static void test_a_success_needs_no_second(void **state)
{
	load(RETRY("attempts: 3"));
	struct trial *trial = start("p", "{}", 1000);
	row(0, "1");
	expect(trial, "OK 1");
	assert_int_equal(started(), 1);
}

/* It is nobody's failure, and has no causes. */
static void test_an_attempt_that_was_cancelled_elsewhere(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - retry: {attempts: 3, steps: [fanout: {to: "
	     "north, "
	     "wait: any}]}\n");
	struct trial *trial = start("p", "{}", 1000);
	refuse(&world.north, 0, STATUS_UNAVAILABLE, "locked");
	expect(trial, "");
	later(11);
	refuse(&world.north, 0, STATUS_CANCELLED, "gone");
	assert_memory_equal(answer(trial), "CANCELLED ", 10);
}

static void test_what_was_not_processed_is_tried_again(void **state)
{
	load(RETRY("attempts: 3"));
	struct trial *trial = start("p", "{}", 1000);
	fails(STATUS_UNAVAILABLE, "locked");
	expect(trial, "");
	later(11);
	fails(STATUS_RESOURCE_EXHAUSTED, "busy");
	later(21);
	row(0, "3");
	expect(trial, "OK 3");
	assert_int_equal(started(), 3);
}

static void test_what_was_processed_is_not(void **state)
{
	static const enum status statuses[] = {STATUS_NOT_FOUND, STATUS_INTERNAL,
			STATUS_INVALID_ARGUMENT, STATUS_DEADLINE_EXCEEDED,
			STATUS_PERMISSION_DENIED};
	load(RETRY("attempts: 3"));
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		struct trial *trial = start("p", "{}", 1000);
		fails(statuses[i], "so");
		assert_string_not_equal(answer(trial), "");
		assert_int_equal(trial->status, statuses[i]);
	}
	later(500);
	assert_int_equal(started(), sizeof(statuses) / sizeof(statuses[0]));
}

static void test_every_cause_is_told(void **state)
{
	load(RETRY("attempts: 3, initial: 0s"));
	struct trial *trial = start("p", "{}", 1000);
	fails(STATUS_UNAVAILABLE, "a");
	fails(STATUS_UNAVAILABLE, "b");
	fails(STATUS_UNAVAILABLE, "c");
	expect(trial, "UNAVAILABLE " ALL_FAILED FAILED("UNAVAILABLE", "a") "," FAILED(
				      "UNAVAILABLE", "b") "," FAILED("UNAVAILABLE", "c") "]}");
}

static void test_causes_that_differ(void **state)
{
	load(RETRY("attempts: 2, initial: 0s"));
	struct trial *mixed = start("p", "{}", 1000);
	fails(STATUS_RESOURCE_EXHAUSTED, "a");
	fails(STATUS_UNAVAILABLE, "b");
	expect(mixed, "UNAVAILABLE " ALL_FAILED FAILED("RESOURCE_EXHAUSTED", "a") "," FAILED(
				      "UNAVAILABLE", "b") "]}");
	struct trial *missing = start("p", "{}", 1000);
	fails(STATUS_UNAVAILABLE, "a");
	fails(STATUS_NOT_FOUND, NULL);
	expect(missing, "NOT_FOUND " ALL_FAILED FAILED("UNAVAILABLE", "a") "," FAILED(
					"NOT_FOUND", "not found") "]}");
}

/* When the next attempt begins, in ticks of a tenth of a millisecond; at most `most`. */
static unsigned wait_for(uint64_t number, unsigned most)
{
	unsigned ticks = 0;
	uint64_t begin = world.async.now;
	while (started() < number && ticks <= most) {
		async_enter(&world.async, begin + ++ticks * WORLD_MS / 10);
		(void)async_leave(&world.async);
	}
	return ticks;
}

/* Each wait is anything up to a bound that doubles, up to a bound of its own: 10, 20, 40, 50, 50
 * ms; and the wheel may be a tick late. */
static void test_the_wait_doubles_and_has_a_bound(void **state)
{
	static const unsigned bounds[] = {100, 200, 400, 500, 500};
	unsigned longest[5] = {0}, shortest[5] = {9999, 9999, 9999, 9999, 9999};
	load(RETRY("attempts: 6, initial: 10ms, max: 50ms, budget: 0"));
	for (int i = 0; i < 200; i++) {
		struct trial *trial = start("p", "{}", 100000);
		for (int wait = 0; wait < 5; wait++) {
			uint64_t next = started() + 1;
			fails(STATUS_UNAVAILABLE, "x");
			unsigned ticks = wait_for(next, 600);
			assert_in_range(ticks, 0, bounds[wait] + 7);
			longest[wait] = ticks > longest[wait] ? ticks : longest[wait];
			shortest[wait] = ticks < shortest[wait] ? ticks : shortest[wait];
		}
		fails(STATUS_UNAVAILABLE, "x");
		assert_int_equal(trial->status, STATUS_UNAVAILABLE);
	}
	for (int wait = 0; wait < 5; wait++) {
		assert_true(longest[wait] > bounds[wait] * 9 / 10);
		assert_true(shortest[wait] < bounds[wait] / 10 + 7);
	}
}

static void test_none_begins_past_the_deadline(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - retry: {attempts: 10, initial: 1s, max: 1s, "
	     "steps: [" LOOK "]}\n");
	/* Of waits up to a second, nearly all lead past a deadline in 2 ms: then it is not waited.
	 */
	int given_up = 0;
	for (int i = 0; i < 20; i++) {
		struct trial *trial = start("p", "{}", 2);
		fails(STATUS_UNAVAILABLE, "x");
		given_up += strcmp(answer(trial), "UNAVAILABLE {\"error\":\"x\",\"stage\":\"p/"
						  "1.retry/1.lookup\"}") == 0;
	}
	assert_true(given_up >= 4); /* until the budget is used up, it is the deadline */
}

static void busy(size_t n, uint64_t retry_ms)
{
	scripted_ask_end_busy(
			ask(&world.north, n), STATUS_UNAVAILABLE, "busy", retry_ms * WORLD_MS);
	(void)world_turn(&world);
}

static void test_a_source_is_left_alone_as_long_as_it_asks(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - retry: {initial: 0s, steps: [fanout: {to: "
	     "north, "
	     "wait: any}]}\n");
	struct trial *trial = start("p", "{}", 1000);
	busy(0, 300);
	later(299);
	assert_int_equal(world.north.source.stats.asked, 1);
	later(2);
	assert_int_equal(world.north.source.stats.asked, 2);
	/* That is past the deadline. */
	busy(0, 700);
	assert_string_not_equal(answer(trial), "");
	assert_int_equal(trial->status, STATUS_UNAVAILABLE);
	assert_int_equal(world.north.source.stats.asked, 2);
}

static void test_a_used_up_budget_stops_retries(void **state)
{
	load(RETRY("attempts: 2, initial: 0s, budget: 4"));
	struct trial *first = start("p", "{}", 1000);
	fails(STATUS_UNAVAILABLE, "x");
	fails(STATUS_UNAVAILABLE, "x");
	assert_string_not_equal(answer(first), "");
	assert_int_equal(started(), 2);
	struct trial *second = start("p", "{}", 1000);
	fails(STATUS_UNAVAILABLE, "x");
	expect(second, "UNAVAILABLE {\"error\":\"x\",\"stage\":\"p/1.retry/1.lookup\"}");
	assert_int_equal(started(), 3);
	for (int i = 0; i < 21; i++) {
		struct trial *good = start("p", "{}", 1000);
		row(0, "1");
		expect(good, "OK 1");
	}
	uint64_t before = started();
	struct trial *third = start("p", "{}", 1000);
	fails(STATUS_UNAVAILABLE, "x");
	row(0, "1");
	expect(third, "OK 1");
	assert_int_equal(started(), before + 2);
}

static void test_a_cancel_ends_the_wait(void **state)
{
	load(RETRY("attempts: 3, initial: 500ms, max: 500ms"));
	struct trial *trial = start("p", "{}", 60000);
	fails(STATUS_UNAVAILABLE, "x");
	assert_true(world.async.wheel.armed > 0);
	cut(trial);
	expect(trial, "CANCELLED {\"error\":\"cancelled\"}");
	(void)world_turn(&world);
	assert_int_equal(world.async.wheel.armed, 0);
	later(2000);
	assert_int_equal(started(), 1);
}

static void test_a_cancel_reaches_the_attempt(void **state)
{
	load(RETRY("attempts: 3, initial: 0s"));
	struct trial *trial = start("p", "{}", 60000);
	fails(STATUS_UNAVAILABLE, "x");
	cut(trial);
	(void)world_turn(&world);
	assert_int_equal(world.catalog.cancelled, 1);
	assert_int_equal(started(), 2);
}

/* What an earlier attempt has given up may still go on, and end late: it must not be seen. */
static void test_attempts_do_not_share_names(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - retry:\n          attempts: 2\n          "
	     "initial: "
	     "0s\n          steps:\n"
	     "            - timeout:\n                after: 10ms\n                steps:\n"
	     "                  - lookup: {in: catalog, query: 'SELECT 1'}\n                    "
	     "as: "
	     "a\n"
	     "                  - lookup: {in: ledger, query: 'SELECT :a'}\n");
	world.catalog.stubborn = true;
	struct trial *trial = start("p", "{}", 1000);
	struct scripted_job *old = job(0);
	later(11);
	assert_int_equal(old->cancelled, TIMEOUT);
	assert_int_equal(started(), 2);
	scripted_job_end(job(1), STATUS_OK, "2");
	(void)world_turn(&world);
	scripted_job_end(old, STATUS_OK, "1");
	(void)world_turn(&world);
	struct scripted_job *last = scripted_job(&world.ledger, 0);
	assert_non_null(last);
	assert_int_equal(last->job.values[0].integer, 2);
	scripted_job_end(last, STATUS_OK, "3");
	expect(trial, "OK 3");
}

static void test_names_around_it_are_seen(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - lookup: {in: ledger, query: 'SELECT 1'}\n      "
	     "  "
	     "as: a\n"
	     "      - retry: {initial: 0s, steps: [lookup: {in: catalog, query: 'SELECT :a, "
	     ":x'}]}\n        as: b\n"
	     "    reply: {a: '${a}', b: '${b}'}\n");
	static const struct scripted_end seven = {STATUS_OK, "7"};
	world.ledger.at_once = &seven;
	struct trial *trial = start("p", "{\"x\":5}", 1000);
	fails(STATUS_UNAVAILABLE, "x");
	assert_int_equal(job(0)->job.values[0].integer, 7);
	assert_int_equal(job(0)->job.values[1].integer, 5);
	row(0, "8");
	expect(trial, "OK {\"a\":7,\"b\":8}");
}

static void test_in_a_miss_it_is_flown_once(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - cache: {in: hot, key: '${x}', ttl: 1s, miss: "
	     "[\n"
	     "          retry: {initial: 0s, steps: [lookup: {in: catalog, query: 'SELECT "
	     ":x'}]}]}\n");
	struct trial *one = start("p", "{\"x\":5}", 1000), *other = start("p", "{\"x\":5}", 1000);
	fails(STATUS_UNAVAILABLE, "x");
	assert_int_equal(job(0)->job.values[0].integer, 5);
	row(0, "9");
	expect(one, "OK cache=miss 9");
	expect(other, "OK cache=joined 9");
	assert_int_equal(started(), 2);
}

static void test_where_nothing_may_wait_it_is_tried_once(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - retry: {initial: 10ms, steps: [" LOOK "]}\n");
	expect(start_without_waiting("p", "{}"),
			"RESOURCE_EXHAUSTED {\"error\":\"too many requests "
			"in flight\",\"stage\":\"p/1.retry/1.lookup\"}");
}

static void test_each_attempt_that_ends_at_once_costs_no_turn(void **state)
{
	static const struct scripted_end down = {STATUS_UNAVAILABLE, "down"};
	load(RETRY("attempts: 10, initial: 0s, budget: 0"));
	world.catalog.at_once = &down;
	struct trial *trial = start("p", "{}", 1000);
	assert_non_null(strstr(answer(trial), "every attempt failed"));
	expect_stats("\"attempts\":10,\"retries\":9,");
}

static void test_stats(void **state)
{
	load(RETRY("attempts: 3, initial: 0s, budget: 4"));
	(void)start("p", "{}", 1000);
	fails(STATUS_UNAVAILABLE, "x");
	fails(STATUS_UNAVAILABLE, "x");
	expect_stats("\"p/1.retry\":{\"attempts\":2,\"retries\":1,\"refused\":1,\"tokens\":2}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			stage_test(test_a_success_needs_no_second),
			stage_test(test_an_attempt_that_was_cancelled_elsewhere),
			stage_test(test_what_was_not_processed_is_tried_again),
			stage_test(test_what_was_processed_is_not),
			stage_test(test_every_cause_is_told),
			stage_test(test_causes_that_differ),
			stage_test(test_the_wait_doubles_and_has_a_bound),
			stage_test(test_none_begins_past_the_deadline),
			stage_test(test_a_source_is_left_alone_as_long_as_it_asks),
			stage_test(test_a_used_up_budget_stops_retries),
			stage_test(test_a_cancel_ends_the_wait),
			stage_test(test_a_cancel_reaches_the_attempt),
			stage_test(test_attempts_do_not_share_names),
			stage_test(test_names_around_it_are_seen),
			stage_test(test_in_a_miss_it_is_flown_once),
			stage_test(test_where_nothing_may_wait_it_is_tried_once),
			stage_test(test_each_attempt_that_ends_at_once_costs_no_turn),
			stage_test(test_stats),
	};
	return cmocka_run_group_tests_name("stages/retry", tests, NULL, NULL);
}
