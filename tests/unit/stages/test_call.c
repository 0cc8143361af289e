/* SPDX-License-Identifier: Apache-2.0 */
/* Pipelines that run others, steps with a limit of their own, and who is blamed when time runs out.
 */
#include "tests/unit/stages/trial.h"

#define LOOK(sql)     "lookup: {in: catalog, query: '" sql "'}"
#define OWN_DEADLINE  "DEADLINE_EXCEEDED {\"error\":\"deadline exceeded\"}"
#define TIMED_OUT(at) "UNAVAILABLE {\"error\":\"timed out\",\"stage\":\"" at "\",\"timeout\":true}"

static void test_a_call_sees_the_callers_body(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - " LOOK(
			"SELECT 1") "\n        as: a\n      - call: q\n        as: q\n"
				    "    reply: {a: \"${a}\", q: \"${q}\"}\n"
				    "  q:\n    steps: [" LOOK(
						    "SELECT :a") "]\n    reply: {of: \"${a}\", b: "
								 "\"${b.c}\"}\n");
	struct trial *trial = start("p", "{\"a\":1,\"b\":{\"c\":2}}", 1000);
	row(0, "5");
	assert_int_equal(job(0)->job.values[0].integer, 1);
	row(0, "6");
	expect(trial, "OK {\"a\":5,\"q\":{\"of\":1,\"b\":2}}");
}

static void test_with_makes_a_body(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - call: {pipeline: q, with: {sku: \"${a}\", qty: "
	     "2, t: \"<${a}>\"}}\n"
	     "  q:\n    takes: {sku: string, qty: number, t: string, d: string = x}\n    steps: "
	     "[" LOOK("SELECT :sku || :qty || :t || :d") "]\n");
	struct trial *trial = start("p", "{\"a\":\"s\"}", 1000);
	const struct sql_value *values = job(0)->job.values;
	assert_true(text_equal(values[0].text, TEXT("s")) && values[1].integer == 2);
	assert_true(text_equal(values[2].text, TEXT("<s>")) &&
			text_equal(values[3].text, TEXT("x")));
	row(0, "6");
	expect(trial, "OK 6");
	expect(start("p", "{\"a\":1}", 1000), "INVALID_ARGUMENT {\"error\":\"\\\"sku\\\" must be "
					      "of type string\",\"stage\":\"p/1.call\"}");
	expect(start("p", "{}", 1000), "INVALID_ARGUMENT {\"error\":\"\\\"a\\\" is "
				       "missing\",\"stage\":\"p/1.call\"}");
}

/* A field of the body that leads nowhere is left to its default. */
static void test_a_call_in_a_miss_sees_what_it_takes(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - cache: {in: hot, key: \"${a}\", unkeyed: [d], "
	     "ttl: 1s, miss: [call: q]}\n"
	     "  q:\n    takes: {a: string, d: string = x}\n    steps: [" LOOK(
			     "SELECT :a || :d") "]\n");
	struct trial *trial = start("p", "{\"a\":\"1\"}", 1000);
	assert_true(text_equal(job(0)->job.values[1].text, TEXT("x")));
	row(0, "5");
	expect(trial, "OK cache=miss 5");
	trial = start("p", "{\"a\":\"2\",\"d\":\"y\"}", 1000);
	assert_true(text_equal(job(0)->job.values[1].text, TEXT("y")));
	row(0, "6");
	expect(trial, "OK cache=miss 6");
}

static void test_a_call_checks_what_is_taken(void **state)
{
	load("pipelines:\n  p:\n    steps: [call: q]\n  q:\n    takes: {sku: string}\n    steps: "
	     "[" LOOK("SELECT :sku") "]\n");
	expect(start("p", "{}", 1000), "INVALID_ARGUMENT {\"error\":\"\\\"sku\\\" is missing "
				       "(string)\",\"stage\":\"p/1.call\"}");
}

static void test_a_call_in_a_miss_reads_what_is_taken(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - cache: {in: hot, key: '${sku}/${n.x | 3}', "
	     "ttl: 10s, miss: [\n"
	     "          call: r, call: {pipeline: q, with: {n: '${n.x | 3}'}}]}\n"
	     "  q:\n    steps: [" LOOK("SELECT :n") "]\n  r:\n    takes: {sku: string}\n    steps: "
						    "[" LOOK("SELECT :sku") "]\n");
	struct trial *trial = start("p", "{\"sku\":\"a\",\"more\":1}", 1000);
	assert_true(text_equal(job(0)->job.values[0].text, TEXT("a")));
	row(0, "1");
	assert_int_equal(job(0)->job.values[0].integer, 3);
	row(0, "2");
	expect(trial, "OK cache=miss 2");
}

static void test_calls_share_flights_values_and_permits(void **state)
{
	load("pipelines:\n  p:\n    steps: [call: q]\n"
	     "  q:\n    steps:\n      - cache: {in: hot, key: '${a}', ttl: 10s, miss: [lookup: "
	     "{in: catalog, query: SELECT 1, concurrency: 1}]}\n");
	struct trial *direct = start("q", "{\"a\":1}", 1000);
	struct trial *called = start("p", "{\"a\":1}", 1000);
	struct trial *queued = start("p", "{\"a\":2}", 1000);
	assert_int_equal(world.catalog.database.queries, 1);
	row(0, "1");
	expect(direct, "OK cache=miss 1");
	expect(called, "OK cache=joined 1");
	row(0, "2");
	expect(queued, "OK cache=miss 2");
	expect(start("p", "{\"a\":1}", 1000), "OK cache=hit 1");
}

static void test_the_same_pipeline_may_be_called_twice(void **state)
{
	load("pipelines:\n  p:\n    steps: [{call: {pipeline: q, with: {n: 1}}, as: one}, {call: "
	     "{pipeline: q, with: {n: 2}}, as: two}]\n"
	     "    reply: {one: \"${one}\", two: \"${two}\"}\n  q:\n    steps: [{" LOOK(
			     "SELECT :n") ", as: x}]\n    reply: {x: \"${x}\"}\n");
	struct trial *trial = start("p", "{}", 1000);
	row(0, "11");
	assert_int_equal(job(0)->job.values[0].integer, 2);
	row(0, "22");
	expect(trial, "OK {\"one\":{\"x\":11},\"two\":{\"x\":22}}");
}

static void test_errors_name_the_stage_of_the_called(void **state)
{
	load("pipelines:\n  p:\n    steps: [call: q]\n  q:\n    steps: [" LOOK("SELECT 1") "]\n");
	struct trial *trial = start("p", "{}", 1000);
	scripted_job_end(job(0), STATUS_UNAVAILABLE, "locked");
	expect(trial, "UNAVAILABLE {\"error\":\"locked\",\"stage\":\"q/1.lookup\"}");
}

static void test_the_calleds_deadline_is_a_timeout_in_the_callers(void **state)
{
	load("pipelines:\n  p:\n    steps: [call: q]\n  q:\n    deadline: 50ms\n    steps: [" LOOK(
			"SELECT 1") "]\n");
	struct trial *longer = start("p", "{}", 100);
	struct trial *same = start("p", "{}", 50);
	struct trial *shorter = start("p", "{}", 40);
	world_at(&world, 41);
	expect(shorter, OWN_DEADLINE);
	world_at(&world, 49);
	expect(longer, "");
	world_at(&world, 51);
	expect(longer, TIMED_OUT("p/1.call"));
	expect(same, OWN_DEADLINE);
	assert_int_equal(world.catalog.cancelled, 3);
}

static void test_a_timeout_is_blamed_on_its_stage(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - timeout: {after: 50ms, steps: [" LOOK(
			"SELECT 1") ", " LOOK("SELECT 2") "]}\n");
	world.catalog.stubborn = true;
	struct trial *longer = start("p", "{}", 100);
	struct trial *same = start("p", "{}", 50);
	struct trial *shorter = start("p", "{}", 40);
	struct trial *quick = start("p", "{}", 100);
	world_at(&world, 30);
	row(3, "1");
	row(3, "2");
	expect(quick, "OK 2");
	world_at(&world, 51);
	expect(longer, TIMED_OUT("p/1.timeout"));
	expect(same, OWN_DEADLINE);
	expect(shorter, OWN_DEADLINE);
	/* The answers have left before the work has ended. */
	assert_int_equal(world.catalog.running, 3);
	assert_int_equal(job(0)->cancelled, TIMEOUT);
	assert_int_equal(job(1)->cancelled, DEADLINE);
}

static void test_what_comes_at_the_limit_is_late(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - timeout: {after: 50ms, steps: [" LOOK(
			"SELECT 1") "]}\n");
	struct trial *trial = start("p", "{}", 100);
	struct scripted_job *running = job(0);
	async_enter(&world.async, WORLD_START + 50 * WORLD_MS);
	scripted_job_end(running, STATUS_OK, "1");
	expect(trial, TIMED_OUT("p/1.timeout"));
}

static void test_the_outer_of_two_limits_that_fall_together_is_blamed(void **state)
{
	load("pipelines:\n  p:\n    steps:\n"
	     "      - timeout: {after: 50ms, steps: [timeout: {after: 50ms, steps: [" LOOK(
			     "SELECT 1") "]}]}\n"
					 "      - timeout: {after: 50ms, steps: [timeout: {after: "
					 "40ms, steps: [" LOOK("SELECT 1") "]}]}\n");
	struct trial *trial = start("p", "{}", 1000);
	world_at(&world, 51);
	expect(trial, TIMED_OUT("p/1.timeout"));
	struct trial *inner = start("p", "{}", 1000);
	row(0, "1");
	world_at(&world, 92);
	expect(inner, TIMED_OUT("p/2.timeout/1.timeout"));
}

/* Its child was given all of it and said so before the time was over. */
static void test_a_childs_word_on_time_is_the_limits(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - timeout: {after: 50ms, steps: [fanout: {to: "
	     "north, wait: any}]}\n");
	struct trial *longer = start("p", "{}", 100);
	struct trial *same = start("p", "{}", 50);
	struct trial *shorter = start("p", "{}", 40);
	for (int i = 0; i < 3; i++)
		refuse(&world.north, 0, STATUS_DEADLINE_EXCEEDED, "too slow");
	expect(longer, TIMED_OUT("p/1.timeout"));
	(void)answer(same);
	assert_int_equal(same->status, STATUS_DEADLINE_EXCEEDED);
	assert_int_equal(shorter->status, STATUS_DEADLINE_EXCEEDED);
}

static void test_a_waiter_in_a_timeout_leaves_its_flight(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - timeout: {after: 50ms, steps: [\n"
	     "          cache: {in: hot, key: k, ttl: 10s, miss: [" LOOK("SELECT 1") "]}]}\n");
	struct trial *first = start("p", "{}", 1000);
	world_at(&world, 20);
	struct trial *second = start("p", "{}", 1000);
	world_at(&world, 51);
	expect(first, "UNAVAILABLE cache=miss {\"error\":\"timed "
		      "out\",\"stage\":\"p/1.timeout\",\"timeout\":true}");
	row(0, "1");
	expect(second, "OK cache=joined 1");
}

static void test_cutting_the_caller_cuts_the_called(void **state)
{
	load("pipelines:\n  p:\n    steps: [call: q]\n  q:\n    deadline: 50ms\n    steps: "
	     "[timeout: {after: 40ms, steps: [" LOOK("SELECT 1") "]}]\n");
	world.catalog.stubborn = true;
	struct trial *trial = start("p", "{}", 100);
	struct scripted_job *running = job(0);
	cut(trial);
	assert_int_equal(running->cancelled, ASKED);
	world_at(&world, 60);
	scripted_job_end(running, STATUS_OK, "1");
	expect(trial, "CANCELLED {\"error\":\"cancelled\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			stage_test(test_a_call_sees_the_callers_body),
			stage_test(test_with_makes_a_body),
			stage_test(test_a_call_in_a_miss_sees_what_it_takes),
			stage_test(test_a_call_checks_what_is_taken),
			stage_test(test_a_call_in_a_miss_reads_what_is_taken),
			stage_test(test_calls_share_flights_values_and_permits),
			stage_test(test_the_same_pipeline_may_be_called_twice),
			stage_test(test_errors_name_the_stage_of_the_called),
			stage_test(test_the_calleds_deadline_is_a_timeout_in_the_callers),
			stage_test(test_a_timeout_is_blamed_on_its_stage),
			stage_test(test_what_comes_at_the_limit_is_late),
			stage_test(test_the_outer_of_two_limits_that_fall_together_is_blamed),
			stage_test(test_a_childs_word_on_time_is_the_limits),
			stage_test(test_a_waiter_in_a_timeout_leaves_its_flight),
			stage_test(test_cutting_the_caller_cuts_the_called),
	};
	return cmocka_run_group_tests_name("stages/call", tests, NULL, NULL);
}
