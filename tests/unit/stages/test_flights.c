/* SPDX-License-Identifier: Apache-2.0 */
/* Many at once for one key: who waits, who leaves, and who is served. */
#include <stdio.h>

#include "tests/unit/stages/trial.h"

static void load_with(const char *of_pipeline, const char *of_cache)
{
	char yaml[1024];
	(void)snprintf(yaml, sizeof(yaml),
			"pipelines:\n  p:\n%s    steps:\n"
			"      - cache: {in: hot, key: 'k/${a.b | none}', ttl: 10s%s, miss: [\n"
			"          lookup: {in: catalog, query: 'SELECT :x', params: {x: '${a.b.c "
			"| none}'}}]}\n",
			of_pipeline, of_cache);
	load(yaml);
}

#define BODY	     "{\"a\":{\"b\":{\"c\":\"some text that is long enough to be seen when it is gone\"}}}"
#define OTHER	     "{\"a\":{\"b\":2}}"
#define DEADLINE_OF  "{\"error\":\"deadline exceeded\"}"
#define AT_CACHE     ",\"stage\":\"p/1.cache\""
#define AT_LOOKUP    ",\"stage\":\"p/1.cache/1.lookup\""
#define RAN_OUT	     "{\"error\":\"timed out\"" AT_CACHE ",\"timeout\":true}"
#define IS_CANCELLED "CANCELLED cache=miss {\"error\":\"cancelled\"}"

static uint64_t queries(void)
{
	(void)world_turn(&world);
	return world.catalog.database.queries;
}

static void test_all_who_ask_meanwhile_are_served_by_one_lookup(void **state)
{
	load_with("", ", jitter: 0s");
	struct trial *first = start("p", BODY, 1000);
	struct trial *second = start("p", BODY, 1000);
	struct trial *other = start("p", OTHER, 1000);
	assert_int_equal(queries(), 2);
	row(0, "{\"v\":1}");
	expect(first, "OK cache=miss {\"v\":1}");
	expect(second, "OK cache=joined {\"v\":1}");
	expect(other, "");
	expect(start("p", BODY, 1000), "OK cache=hit {\"v\":1}");
}

static void test_what_is_not_kept_still_serves_all_who_wait(void **state)
{
	load("pipelines:\n  p:\n    steps:\n"
	     "      - cache: {in: hot, key: k, ttl: 0s, miss: [lookup: {in: catalog, query: SELECT "
	     "1}]}\n");
	struct trial *first = start("p", "{}", 1000);
	struct trial *second = start("p", "{}", 1000);
	row(0, "1");
	expect(first, "OK cache=miss 1");
	expect(second, "OK cache=joined 1");
	assert_int_equal(queries(), 1);
}

static void test_errors_go_to_all_who_wait(void **state)
{
	load_with("", "");
	struct trial *first = start("p", BODY, 1000);
	struct trial *second = start("p", BODY, 1000);
	scripted_job_end(job(0), STATUS_UNAVAILABLE, "locked");
	expect(first, "UNAVAILABLE cache=miss {\"error\":\"locked\"" AT_LOOKUP "}");
	expect(second, "UNAVAILABLE cache=joined {\"error\":\"locked\"" AT_LOOKUP "}");
	expect(start("p", BODY, 1000), "");
	assert_int_equal(queries(), 2);
}

/* What the miss reads was the first one's, and is gone with it. */
static void test_the_first_may_go(void **state)
{
	load_with("", "");
	struct trial *first = start("p", BODY, 1000);
	struct trial *second = start("p", BODY, 1000);
	cut(first);
	expect(first, IS_CANCELLED);
	struct scripted_job *running = job(0);
	assert_int_equal(running->cancelled, REASON_NONE);
	assert_memory_equal(running->job.values[0].text.data, "some text that is long", 22);
	scripted_job_end(running, STATUS_OK, "1");
	expect(second, "OK cache=joined 1");
}

static void test_all_but_the_last_may_go(void **state)
{
	load_with("", "");
	struct trial *trials[4];
	for (int i = 0; i < 4; i++)
		trials[i] = start("p", BODY, 1000);
	for (int i = 0; i < 3; i++)
		cut(trials[i]);
	assert_int_equal(job(0)->cancelled, REASON_NONE);
	row(0, "1");
	expect(trials[3], "OK cache=joined 1");
}

static void test_the_last_to_leave_cancels(void **state)
{
	load_with("", "");
	world.catalog.stubborn = true;
	struct trial *first = start("p", BODY, 1000);
	struct trial *second = start("p", BODY, 1000);
	struct scripted_job *dying = job(0);
	cut(first);
	cut(second);
	assert_int_equal(dying->cancelled, ASKED);
	/* Nobody joins what is dying, though its job has not ended. */
	struct trial *third = start("p", BODY, 1000);
	expect(third, "");
	assert_int_equal(queries(), 2);
	scripted_job_end(dying, STATUS_OK, "\"of nobody\"");
	expect(third, "");
	row(0, "1");
	expect(third, "OK cache=miss 1");
	expect(start("p", BODY, 1000), "OK cache=hit 1");
}

static void test_one_that_is_cut_after_the_answer_came_loses_only_its_own(void **state)
{
	load_with("", "");
	struct trial *first = start("p", BODY, 1000);
	struct trial *second = start("p", BODY, 1000);
	row(0, "1");
	cut(first);
	expect(first, IS_CANCELLED);
	expect(second, "OK cache=joined 1");
}

static void test_each_waits_until_its_own_deadline(void **state)
{
	load_with("", "");
	struct trial *shorter = start("p", BODY, 50);
	struct trial *longer = start("p", BODY, 100);
	world_at(&world, 49);
	expect(shorter, "");
	world_at(&world, 51);
	expect(shorter, "DEADLINE_EXCEEDED cache=miss " DEADLINE_OF);
	assert_int_equal(job(0)->cancelled, REASON_NONE);
	world_at(&world, 101);
	expect(longer, "DEADLINE_EXCEEDED cache=joined " DEADLINE_OF);
	assert_null(scripted_job(&world.catalog, 0));
	assert_int_equal(world.catalog.cancelled, 1);
}

static void test_what_comes_at_the_deadline_is_late(void **state)
{
	load_with("", "");
	struct trial *trial = start("p", BODY, 50);
	struct trial *longer = start("p", BODY, 100);
	struct scripted_job *running = job(0);
	async_enter(&world.async, WORLD_START + 50 * WORLD_MS);
	scripted_job_end(running, STATUS_OK, "1");
	expect(trial, "DEADLINE_EXCEEDED cache=miss " DEADLINE_OF);
	expect(longer, "OK cache=joined 1");
}

/* The ceiling counts from the flight's start, the deadline of each from its own. */
static void test_a_flight_lives_to_its_ceiling(void **state)
{
	load_with("    deadline: 100ms\n", "");
	struct trial *first = start("p", BODY, 100);
	world_at(&world, 50);
	struct trial *second = start("p", BODY, 100);
	struct trial *third = start("p", BODY, 40);
	world_at(&world, 91);
	expect(third, "DEADLINE_EXCEEDED cache=joined " DEADLINE_OF);
	world_at(&world, 101);
	expect(first, "DEADLINE_EXCEEDED cache=miss " DEADLINE_OF);
	/* The second has 50 ms left, and flies anew. */
	expect(second, "");
	assert_int_equal(queries(), 2);
	row(0, "2");
	expect(second, "OK cache=joined 2");
}

static void test_a_second_flight_is_shared_too(void **state)
{
	load_with("    deadline: 100ms\n", "");
	struct trial *first = start("p", BODY, 100);
	world_at(&world, 50);
	struct trial *others[3];
	for (int i = 0; i < 3; i++)
		others[i] = start("p", BODY, 100);
	world_at(&world, 101);
	expect(first, "DEADLINE_EXCEEDED cache=miss " DEADLINE_OF);
	assert_int_equal(queries(), 2);
	row(0, "2");
	for (int i = 0; i < 3; i++)
		expect(others[i], "OK cache=joined 2");
}

/* In such a pipeline the longest that any request may take is the ceiling, so only another limit
 * can be longer. */
static void test_who_can_wait_longer_flies_once_more_and_no_more(void **state)
{
	world.max_deadline = 100 * WORLD_MS;
	load_with("", "");
	struct trial *trial = start("p", BODY, 1000);
	world_at(&world, 101);
	assert_int_equal(queries(), 2);
	expect(trial, "");
	world_at(&world, 199);
	expect(trial, "");
	world_at(&world, 202);
	expect(trial, "UNAVAILABLE cache=miss " RAN_OUT);
	assert_int_equal(queries(), 2);
	assert_int_equal(world.catalog.cancelled, 2);
}

static void test_the_own_deadline_holds_in_the_second_flight_too(void **state)
{
	world.max_deadline = 100 * WORLD_MS;
	load_with("", "");
	struct trial *trial = start("p", BODY, 150);
	world_at(&world, 149);
	expect(trial, "");
	world_at(&world, 151);
	expect(trial, "DEADLINE_EXCEEDED cache=miss " DEADLINE_OF);
}

static void test_a_child_that_was_given_all_of_it_may_say_so(void **state)
{
	world.max_deadline = 100 * WORLD_MS;
	load("pipelines:\n  p:\n    steps:\n"
	     "      - cache: {in: hot, key: k, ttl: 10s, miss: [fanout: {to: north, body: {}, "
	     "wait: any}]}\n");
	struct trial *shorter = start("p", "{}", 100);
	struct trial *longer = start("p", "{}", 1000);
	scripted_ask_end(ask(&world.north, 0), STATUS_DEADLINE_EXCEEDED, "too slow");
	(void)answer(shorter);
	assert_int_equal(shorter->status, STATUS_DEADLINE_EXCEEDED);
	expect(longer, "");
	scripted_ask_end(ask(&world.north, 0), STATUS_DEADLINE_EXCEEDED, "too slow");
	expect(longer, "UNAVAILABLE cache=joined " RAN_OUT);
	assert_int_equal(world.north.source.stats.asked, 2);
}

static void test_waiters_are_bounded_for_a_key(void **state)
{
	load_with("", ", waiters: 2");
	struct trial *first = start("p", BODY, 1000);
	struct trial *second = start("p", BODY, 1000);
	expect(start("p", BODY, 1000),
			"RESOURCE_EXHAUSTED {\"error\":\"too many wait\"" AT_CACHE "}");
	struct trial *other = start("p", OTHER, 1000);
	row(0, "1");
	row(0, "2");
	expect(first, "OK cache=miss 1");
	expect(second, "OK cache=joined 1");
	expect(other, "OK cache=miss 2");
}

static void test_waiters_are_bounded_in_all(void **state)
{
	load_with("", ", waiters_in_all: 2");
	struct trial *first = start("p", BODY, 1000);
	struct trial *second = start("p", BODY, 1000);
	expect(start("p", BODY, 1000),
			"RESOURCE_EXHAUSTED {\"error\":\"too many wait\"" AT_CACHE "}");
	expect(start("p", OTHER, 1000),
			"RESOURCE_EXHAUSTED {\"error\":\"too many wait\"" AT_CACHE "}");
	cut(second);
	struct trial *third = start("p", OTHER, 1000);
	row(0, "1");
	row(0, "2");
	expect(first, "OK cache=miss 1");
	expect(third, "OK cache=miss 2");
}

#define CROWD 1000

static void test_a_crowd_is_woken_in_several_turns(void **state)
{
	load_with("", "");
	struct trial *crowd[CROWD];
	unsigned answered = 0;
	for (int i = 0; i < CROWD; i++)
		crowd[i] = start("p", BODY, 1000);
	row(0, "1");
	assert_int_equal(async_leave(&world.async), world.async.now);
	for (int i = 0; i < CROWD; i++)
		answered += crowd[i]->answer != NULL;
	assert_in_range(answered, 1, CROWD - 1);
	expect(crowd[0], "OK cache=miss 1");
	for (int i = 1; i < CROWD; i++)
		expect(crowd[i], "OK cache=joined 1");
}

static void test_a_flight_may_wait_for_another(void **state)
{
	load("pipelines:\n  p:\n    steps:\n"
	     "      - cache: {in: hot, key: 'x/${a}', ttl: 10s, miss: [\n"
	     "          cache: {in: cold, key: y, ttl: 10s, miss: [lookup: {in: catalog, query: "
	     "SELECT 1}]}]}\n");
	struct trial *first = start("p", "{\"a\":1}", 1000);
	struct trial *second = start("p", "{\"a\":2}", 1000);
	struct trial *third = start("p", "{\"a\":2}", 1000);
	assert_int_equal(queries(), 1);
	cut(first);
	cut(second);
	row(0, "1");
	expect(third, "OK cache=joined 1");
	expect(start("p", "{\"a\":3}", 1000), "OK cache=miss 1");
}

static void test_closing_the_pipelines_ends_all_flights(void **state)
{
	load_with("", "");
	struct trial *trial = start("p", BODY, 1000);
	pipelines_cancel(world.pipelines, DRAIN);
	pipelines_retire(world.pipelines);
	expect(trial, "UNAVAILABLE cache=miss {\"error\":\"unavailable\"" AT_CACHE "}");
	assert_int_equal(world.catalog.cancelled, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			stage_test(test_all_who_ask_meanwhile_are_served_by_one_lookup),
			stage_test(test_what_is_not_kept_still_serves_all_who_wait),
			stage_test(test_errors_go_to_all_who_wait),
			stage_test(test_the_first_may_go),
			stage_test(test_all_but_the_last_may_go),
			stage_test(test_the_last_to_leave_cancels),
			stage_test(test_one_that_is_cut_after_the_answer_came_loses_only_its_own),
			stage_test(test_each_waits_until_its_own_deadline),
			stage_test(test_what_comes_at_the_deadline_is_late),
			stage_test(test_a_flight_lives_to_its_ceiling),
			stage_test(test_a_second_flight_is_shared_too),
			stage_test(test_who_can_wait_longer_flies_once_more_and_no_more),
			stage_test(test_the_own_deadline_holds_in_the_second_flight_too),
			stage_test(test_a_child_that_was_given_all_of_it_may_say_so),
			stage_test(test_waiters_are_bounded_for_a_key),
			stage_test(test_waiters_are_bounded_in_all),
			stage_test(test_a_crowd_is_woken_in_several_turns),
			stage_test(test_a_flight_may_wait_for_another),
			stage_test(test_closing_the_pipelines_ends_all_flights),
	};
	return cmocka_run_group_tests_name("stages/flights", tests, NULL, NULL);
}
