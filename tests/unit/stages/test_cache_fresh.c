/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks with fresh=1 gets what a run of its own gives, and leaves it to the others. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/stages/trial.h"

#define LOOK "lookup: {in: catalog, query: 'SELECT :sku', queue: 0}"

static void load_with(const char *options)
{
	char yaml[1024];
	(void)snprintf(yaml, sizeof(yaml),
			"pipelines:\n  product:\n    steps:\n"
			"      - cache: {in: hot, key: 'product/${sku}', ttl: 10s%s, miss: [" LOOK
			"]}\n"
			"  offer:\n    steps:\n      - call: product\n",
			options);
	load(yaml);
}

static struct trial *ask_fresh(const char *pipeline, uint64_t budget_ms)
{
	struct trial *trial = prepare(pipeline, "{\"sku\":\"a\"}", budget_ms);
	trial->run.fresh = true;
	run(trial);
	return trial;
}

static struct trial *ask_usual(void)
{
	return start("product", "{\"sku\":\"a\"}", 1000);
}

static void fill(const char *json)
{
	struct trial *trial = ask_usual();
	row(0, json);
	(void)answer(trial);
	assert_int_equal(trial->status, STATUS_OK);
}

static uint64_t queries(void)
{
	(void)world_turn(&world);
	return world.catalog.database.queries;
}

static void test_no_value_is_read_and_the_new_one_is_stored(void **state)
{
	load_with("");
	fill("1");
	struct trial *trial = ask_fresh("product", 1000);
	expect(trial, "");
	expect(ask_usual(), "OK cache=hit 1");
	row(0, "2");
	expect(trial, "OK cache=miss 2");
	expect(ask_usual(), "OK cache=hit 2");
}

static void test_no_flight_is_joined_and_nobody_joins_it(void **state)
{
	load_with("");
	struct trial *usual = ask_usual();
	struct trial *first = ask_fresh("product", 1000);
	struct trial *second = ask_fresh("product", 1000);
	assert_int_equal(queries(), 3);
	struct trial *joining = ask_usual();
	assert_int_equal(queries(), 3);
	row(2, "\"second\"");
	row(1, "\"first\"");
	row(0, "\"usual\"");
	expect(first, "OK cache=miss \"first\"");
	expect(second, "OK cache=miss \"second\"");
	expect(usual, "OK cache=miss \"usual\"");
	expect(joining, "OK cache=joined \"usual\"");
	/* The run that began last has the last word. */
	expect(ask_usual(), "OK cache=hit \"second\"");
}

static void test_a_database_may_answer_it_at_once(void **state)
{
	static const struct scripted_end seven = {STATUS_OK, "7"};
	load_with("");
	fill("1");
	world.catalog.at_once = &seven;
	struct trial *trial = ask_fresh("product", 1000);
	assert_string_equal(trial->answer, "OK cache=miss 7");
	expect(ask_usual(), "OK cache=hit 7");
}

static void test_it_goes_through_a_call(void **state)
{
	load_with("");
	fill("1");
	struct trial *trial = ask_fresh("offer", 1000);
	expect(trial, "");
	row(0, "2");
	expect(trial, "OK cache=miss 2");
}

static void test_it_goes_through_a_miss(void **state)
{
	load("pipelines:\n  p:\n    steps:\n"
	     "      - cache: {in: hot, key: x, ttl: 10s, miss: [\n"
	     "          cache: {in: cold, key: y, ttl: 10s, miss: [lookup: {in: catalog, query: "
	     "SELECT 1}]}]}\n");
	struct trial *trial = start("p", "{}", 1000);
	row(0, "1");
	expect(trial, "OK cache=miss 1");
	trial = ask_fresh("p", 1000);
	expect(trial, "");
	row(0, "2");
	expect(trial, "OK cache=miss 2");
	expect(start("p", "{}", 1000), "OK cache=hit 2");
}

static void test_a_stage_may_ignore_it(void **state)
{
	load_with(", fresh: false");
	fill("1");
	expect(ask_fresh("product", 1000), "OK cache=hit 1");
}

static void test_it_is_bounded_by_the_lookup_like_any_other(void **state)
{
	load("pipelines:\n  product:\n    steps:\n"
	     "      - cache: {in: hot, key: k, ttl: 10s, miss: [lookup: {in: catalog, query: "
	     "SELECT 1, "
	     "concurrency: 1, queue: 0}]}\n");
	struct trial *first = ask_fresh("product", 1000);
	struct trial *second = ask_fresh("product", 1000);
	(void)answer(second);
	assert_int_equal(second->status, STATUS_RESOURCE_EXHAUSTED);
	row(0, "1");
	expect(first, "OK cache=miss 1");
}

static void test_it_counts_among_those_who_wait(void **state)
{
	load_with(", waiters_in_all: 1");
	struct trial *first = ask_fresh("product", 1000);
	expect(ask_fresh("product", 1000), "RESOURCE_EXHAUSTED {\"error\":\"too many "
					   "wait\",\"stage\":\"product/1.cache\"}");
	row(0, "1");
	expect(first, "OK cache=miss 1");
}

static void test_where_nothing_may_wait_it_is_refused(void **state)
{
	load_with("");
	fill("1");
	struct trial *trial = prepare("product", "{\"sku\":\"a\"}", 1000);
	trial->run.fresh = true;
	trial->run.used_up = "too many requests in flight";
	run(trial);
	expect(trial, "RESOURCE_EXHAUSTED {\"error\":\"too many requests in "
		      "flight\",\"stage\":\"product/1.cache\"}");
}

static void test_it_ends_with_its_request(void **state)
{
	load_with("");
	world.catalog.stubborn = true;
	struct trial *trial = ask_fresh("product", 1000);
	struct scripted_job *running = job(0);
	cut(trial);
	assert_int_equal(running->cancelled, ASKED);
	expect(trial, "CANCELLED cache=miss {\"error\":\"cancelled\"}");
	scripted_job_end(running, STATUS_OK, "1");
	expect(ask_usual(), "");
}

static void test_its_deadline_is_the_requests(void **state)
{
	load_with("");
	struct trial *trial = ask_fresh("product", 50);
	world_at(&world, 51);
	expect(trial, "DEADLINE_EXCEEDED cache=miss {\"error\":\"deadline exceeded\"}");
	assert_null(scripted_job(&world.catalog, 0));
}

static void test_at_its_ceiling_it_flies_once_more(void **state)
{
	world.max_deadline = 100 * WORLD_MS;
	load_with("");
	struct trial *trial = ask_fresh("product", 1000);
	world_at(&world, 101);
	expect(trial, "");
	assert_int_equal(queries(), 2);
	world_at(&world, 202);
	expect(trial, "UNAVAILABLE cache=miss {\"error\":\"timed "
		      "out\",\"stage\":\"product/1.cache\",\"timeout\":true}");
}

static void test_where_it_fails_no_old_value_is_given(void **state)
{
	load_with(", jitter: 0s, stale: 5s, stale_if_error: 5s");
	fill("1");
	world_at(&world, 12000);
	struct trial *trial = ask_fresh("product", 1000);
	scripted_job_end(job(0), STATUS_UNAVAILABLE, "locked");
	expect(trial, "UNAVAILABLE cache=miss "
		      "{\"error\":\"locked\",\"stage\":\"product/1.cache/1.lookup\"}");
	/* It was a try, and in vain. */
	expect(ask_usual(), "OK cache=stale 1");
	assert_int_equal(queries(), 2);
}

/* A client's short budget says nothing of what a refresh would come to, and keeps none away. */
static void test_what_its_own_time_was_too_short_for_is_no_failure(void **state)
{
	load("pipelines:\n  p:\n    steps:\n"
	     "      - cache: {in: hot, key: k, ttl: 10s, jitter: 0s, stale: 20s, miss: [fanout: "
	     "{to: "
	     "[north, south], body: {}, on_error: partial}]}\n");
	struct trial *trial = start("p", "{}", 1000);
	quote(&world.north, 0, "1");
	quote(&world.south, 0, "1");
	expect(trial, "OK cache=miss {\"north\":1,\"south\":1}");
	world_at(&world, 12000);
	/* Nothing is asked without time. */
	trial = ask_fresh("p", 1);
	(void)answer(trial);
	assert_int_equal(trial->status, STATUS_DEADLINE_EXCEEDED);
	trial = ask_fresh("p", 100);
	quote(&world.north, 0, "2");
	world_at(&world, 12099);
	assert_non_null(strstr(answer(trial), "OK cache=miss partial=1"));
	expect(start("p", "{}", 1000), "OK cache=stale {\"north\":1,\"south\":1}");
	assert_int_equal(world.north.source.stats.asked, 3);
	quote(&world.north, 0, "3");
	quote(&world.south, 0, "3");
	(void)world_turn(&world);
	expect(start("p", "{}", 1000), "OK cache=hit {\"north\":3,\"south\":3}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			stage_test(test_no_value_is_read_and_the_new_one_is_stored),
			stage_test(test_no_flight_is_joined_and_nobody_joins_it),
			stage_test(test_a_database_may_answer_it_at_once),
			stage_test(test_it_goes_through_a_call),
			stage_test(test_it_goes_through_a_miss),
			stage_test(test_a_stage_may_ignore_it),
			stage_test(test_it_is_bounded_by_the_lookup_like_any_other),
			stage_test(test_it_counts_among_those_who_wait),
			stage_test(test_where_nothing_may_wait_it_is_refused),
			stage_test(test_it_ends_with_its_request),
			stage_test(test_its_deadline_is_the_requests),
			stage_test(test_at_its_ceiling_it_flies_once_more),
			stage_test(test_where_it_fails_no_old_value_is_given),
			stage_test(test_what_its_own_time_was_too_short_for_is_no_failure),
	};
	return cmocka_run_group_tests_name("stages/cache_fresh", tests, NULL, NULL);
}
