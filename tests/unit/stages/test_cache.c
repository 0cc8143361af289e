/* SPDX-License-Identifier: Apache-2.0 */
/* One client at a time: what a cache stage keeps, for how long, and what it does not keep. */
#include <stdio.h>

#include "pipeline/resources/cache.h"
#include "tests/unit/stages/trial.h"

#define LOOK  "lookup: {in: catalog, query: 'SELECT * FROM product WHERE sku = :sku'}"
#define LOOK2 "lookup: {in: catalog, query: 'SELECT :a'}"

static void load_cache(const char *options)
{
	char yaml[1024];
	(void)snprintf(yaml, sizeof(yaml),
			"pipelines:\n  product:\n    steps:\n"
			"      - cache: {in: hot, key: 'product/${sku}', %s, miss: [" LOOK "]}\n",
			options);
	load(yaml);
}

static struct trial *ask_for(const char *sku)
{
	char body[2048];
	(void)snprintf(body, sizeof(body), "{\"sku\":\"%s\"}", sku);
	return start("product", body, 1000);
}

/* Asks for a sku that is not in the cache, and lets the database have it. */
static void fill(const char *sku, const char *json)
{
	struct trial *trial = ask_for(sku);
	row(0, json);
	(void)answer(trial);
	assert_int_equal(trial->status, STATUS_OK);
}

static void test_a_miss_is_looked_up_once_and_then_hit(void **state)
{
	load_cache("ttl: 10s");
	struct trial *first = ask_for("a");
	expect(first, "");
	row(0, "{\"price\":7}");
	expect(first, "OK cache=miss {\"price\":7}");
	expect(ask_for("a"), "OK cache=hit {\"price\":7}");
	expect(start("product", "{ \"other\" : 1, \"sku\" : \"\\u0061\" }", 1000),
			"OK cache=hit {\"price\":7}");
	assert_int_equal(world.catalog.database.queries, 1);
	expect(start("product", "{\"sku\":7}", 1000), "");
	assert_int_equal(world.catalog.database.queries, 2);
}

static void test_a_database_may_answer_at_once(void **state)
{
	static const struct scripted_end seven = {STATUS_OK, "7"};
	load_cache("ttl: 10s");
	world.catalog.at_once = &seven;
	struct trial *trial = ask_for("a");
	assert_string_equal(trial->answer, "OK cache=miss 7");
	expect(ask_for("a"), "OK cache=hit 7");
}

static void test_a_value_is_fresh_until_its_ttl(void **state)
{
	load_cache("ttl: 10s, jitter: 0s");
	fill("a", "1");
	world_at(&world, 9999);
	expect(ask_for("a"), "OK cache=hit 1");
	world_at(&world, 10000);
	struct trial *trial = ask_for("a");
	expect(trial, "");
	row(0, "2");
	expect(trial, "OK cache=miss 2");
}

#define KEYS 200

static unsigned count_hits(void)
{
	char sku[8];
	unsigned hits = 0;
	for (unsigned i = 0; i < KEYS; i++) {
		(void)snprintf(sku, sizeof(sku), "%u", i);
		struct trial *trial = ask_for(sku);
		hits += answer(trial)[0] != '\0';
		if (!trial->answer)
			cut(trial);
	}
	return hits;
}

static void fill_keys(void)
{
	char sku[8];
	for (unsigned i = 0; i < KEYS; i++) {
		(void)snprintf(sku, sizeof(sku), "%u", i);
		fill(sku, "1");
	}
}

static void test_jitter_spreads_the_ends_of_keys_that_came_together(void **state)
{
	load_cache("ttl: 10s, jitter: 4s");
	fill_keys();
	world_at(&world, 5999);
	assert_int_equal(count_hits(), KEYS);
	world_at(&world, 8000);
	assert_in_range(count_hits(), KEYS / 4, KEYS * 3 / 4);
	world_at(&world, 10000);
	assert_int_equal(count_hits(), 0);
}

static void test_without_a_word_jitter_is_a_tenth(void **state)
{
	load_cache("ttl: 10s");
	fill_keys();
	world_at(&world, 8999);
	assert_int_equal(count_hits(), KEYS);
	world_at(&world, 9500);
	assert_in_range(count_hits(), KEYS / 4, KEYS * 3 / 4);
	world_at(&world, 10000);
	assert_int_equal(count_hits(), 0);
}

static void test_ttl_0_keeps_nothing(void **state)
{
	load_cache("ttl: 0s");
	fill("a", "1");
	expect(ask_for("a"), "");
}

#define NOT_FOUND_AT_LOOKUP "{\"error\":\"not found\",\"stage\":\"product/1.cache/1.lookup\"}"

static void test_what_is_missing_is_remembered_for_missing_ttl(void **state)
{
	load_cache("ttl: 10s, missing_ttl: 2s");
	struct trial *first = ask_for("a");
	scripted_job_end(job(0), STATUS_NOT_FOUND, NULL);
	expect(first, "NOT_FOUND cache=miss " NOT_FOUND_AT_LOOKUP);
	world_at(&world, 1999);
	expect(ask_for("a"), "NOT_FOUND cache=hit {\"error\":\"not "
			     "found\",\"stage\":\"product/1.cache\"}");
	world_at(&world, 2000);
	struct trial *later = ask_for("a");
	expect(later, "");
	row(0, "1");
	expect(later, "OK cache=miss 1");
	expect(ask_for("a"), "OK cache=hit 1");
}

static void test_without_missing_ttl_it_is_not_remembered(void **state)
{
	load_cache("ttl: 10s");
	struct trial *first = ask_for("a");
	scripted_job_end(job(0), STATUS_NOT_FOUND, NULL);
	expect(first, "NOT_FOUND cache=miss " NOT_FOUND_AT_LOOKUP);
	expect(ask_for("a"), "");
}

static void test_errors_are_not_kept(void **state)
{
	static const struct {
		enum status status;
		const char *answer;
	} ends[] = {
			{STATUS_UNAVAILABLE, "UNAVAILABLE cache=miss {\"error\":\"no "
					     "luck\",\"stage\":\"product/1.cache/1.lookup\"}"},
			{STATUS_RESOURCE_EXHAUSTED,
					"RESOURCE_EXHAUSTED cache=miss {\"error\":\"no "
					"luck\",\"stage\":\"product/1.cache/1.lookup\"}"},
			{STATUS_INTERNAL, "INTERNAL cache=miss {\"error\":\"no "
					  "luck\",\"stage\":\"product/1.cache/1.lookup\"}"},
			{STATUS_CANCELLED, "CANCELLED cache=miss {\"error\":\"no "
					   "luck\",\"stage\":\"product/1.cache/1.lookup\"}"},
	};
	load_cache("ttl: 10s, missing_ttl: 10s");
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct trial *trial = ask_for("a");
		scripted_job_end(job(0), ends[i].status, "no luck");
		expect(trial, ends[i].answer);
	}
	assert_int_equal(world.catalog.database.queries, sizeof(ends) / sizeof(ends[0]));
}

static void test_what_is_partial_or_nothing_is_not_kept(void **state)
{
	load("pipelines:\n  p:\n    steps:\n"
	     "      - cache: {in: hot, key: x, ttl: 10s, miss: [fanout: {to: [north, south], body: "
	     "{}, on_error: partial}]}\n"
	     "  q:\n    steps:\n"
	     "      - cache: {in: hot, key: y, ttl: 10s, miss: [fanout: {to: north, wait: any, "
	     "body: {}}]}\n");
	struct trial *partial = start("p", "{}", 1000);
	quote(&world.north, 0, "1");
	scripted_ask_end(ask(&world.south, 0), STATUS_UNAVAILABLE, "down");
	expect(partial, "OK cache=miss partial=1 "
			"{\"north\":1,\"$missing\":{\"south\":\"UNAVAILABLE\"}}");
	expect(start("p", "{}", 1000), "");
	struct trial *of_a_source = start("q", "{}", 1000);
	quote_partly(&world.north, 1, "1");
	expect(of_a_source, "OK cache=miss partial=1 1");
	struct trial *nothing = start("q", "{}", 1000);
	scripted_ask_end(ask(&world.north, 1), STATUS_OK, NULL);
	expect(nothing, "OK cache=miss");
	expect(start("q", "{}", 1000), "");
}

static void test_null_is_a_value_that_is_kept(void **state)
{
	load("pipelines:\n  p:\n    steps:\n"
	     "      - cache: {in: hot, key: x, ttl: 10s, miss: [lookup: {in: catalog, query: "
	     "SELECT 1, missing: 'null'}]}\n");
	struct trial *first = start("p", "{}", 1000);
	scripted_job_end(job(0), STATUS_NOT_FOUND, NULL);
	expect(first, "OK cache=miss null");
	expect(start("p", "{}", 1000), "OK cache=hit null");
}

static void test_stages_of_one_cache_share_values(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - cache: {in: hot, key: 'k/${a}', ttl: 10s, "
	     "miss: [" LOOK2 "]}\n"
	     "  q:\n    steps:\n      - cache: {in: hot, key: 'k/${a}', ttl: 10s, miss: [" LOOK2
	     "]}\n"
	     "  r:\n    steps:\n      - cache: {in: cold, key: 'k/${a}', ttl: 10s, miss: [" LOOK2
	     "]}\n");
	struct trial *first = start("p", "{\"a\":1}", 1000);
	row(0, "11");
	expect(first, "OK cache=miss 11");
	expect(start("q", "{\"a\":1}", 1000), "OK cache=hit 11");
	expect(start("r", "{\"a\":1}", 1000), "");
}

/* Two stages have flights of their own; the one that began later has seen the newer value, whoever
 * ends first. */
static void test_a_newer_run_replaces_what_an_older_one_stored_and_not_the_reverse(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - cache: {in: hot, key: 'k/${a}', ttl: 10s, "
	     "miss: [" LOOK2
	     "]}\n  q:\n    steps:\n      - cache: {in: hot, key: 'k/${a}', ttl: 10s, miss: [" LOOK2
	     "]}\n");
	for (unsigned newer_first = 0; newer_first < 2; newer_first++) {
		const char *body = newer_first ? "{\"a\":1}" : "{\"a\":2}";
		struct trial *older = start("p", body, 1000);
		struct trial *newer = start("q", body, 1000);
		row(newer_first, newer_first ? "\"new\"" : "\"old\"");
		row(0, newer_first ? "\"old\"" : "\"new\"");
		expect(older, "OK cache=miss \"old\"");
		expect(newer, "OK cache=miss \"new\"");
		expect(start("p", body, 1000), "OK cache=hit \"new\"");
	}
}

static void test_a_long_key_is_passed_by(void **state)
{
	char sku[1100];
	memset(sku, 'x', sizeof(sku));
	load_cache("ttl: 10s");
	sku[CACHE_KEY_MAX - sizeof("product/\"\"") + 1] = '\0';
	fill(sku, "1");
	expect(ask_for(sku), "OK cache=hit 1");
	sku[CACHE_KEY_MAX - sizeof("product/\"\"") + 1] = 'x';
	sku[CACHE_KEY_MAX - sizeof("product/\"\"") + 2] = '\0';
	fill(sku, "1");
	expect(ask_for(sku), "");
}

static void test_a_key_without_a_value_is_refused(void **state)
{
	load_cache("ttl: 10s");
	expect(start("product", "{\"ksu\":1}", 1000),
			"INVALID_ARGUMENT {\"error\":\"\\\"sku\\\" is "
			"missing\",\"stage\":\"product/1.cache\"}");
}

static void test_where_nothing_may_wait_only_hits_are_served(void **state)
{
	load_cache("ttl: 10s, missing_ttl: 10s");
	fill("a", "1");
	struct trial *missing = ask_for("b");
	scripted_job_end(job(0), STATUS_NOT_FOUND, NULL);
	(void)answer(missing);
	expect(start_without_waiting("product", "{\"sku\":\"a\"}"), "OK cache=hit 1");
	expect(start_without_waiting("product", "{\"sku\":\"b\"}"),
			"NOT_FOUND cache=hit {\"error\":\"not "
			"found\",\"stage\":\"product/1.cache\"}");
	expect(start_without_waiting("product", "{\"sku\":\"c\"}"),
			"RESOURCE_EXHAUSTED {\"error\":\"too many requests in "
			"flight\",\"stage\":\"product/1.cache\"}");
}

static void test_the_verdict_is_that_of_the_first_cache_stage(void **state)
{
	load("pipelines:\n  p:\n    steps:\n"
	     "      - cache: {in: hot, key: 'x/${a}', ttl: 1s, jitter: 0s, miss: [\n"
	     "          cache: {in: cold, key: 'y/${a}', ttl: 10s, jitter: 0s, miss: [" LOOK2
	     "]}]}\n"
	     "      - cache: {in: cold, key: z, ttl: 10s, jitter: 0s, miss: [lookup: {in: catalog, "
	     "query: SELECT 1}]}\n");
	struct trial *first = start("p", "{\"a\":1}", 1000);
	row(0, "1");
	row(0, "2");
	expect(first, "OK cache=miss 2");
	expect(start("p", "{\"a\":1}", 1000), "OK cache=hit 2");
	world_at(&world, 1000);
	expect(start("p", "{\"a\":1}", 1000), "OK cache=miss 2");
	assert_int_equal(world.catalog.database.queries, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			stage_test(test_a_miss_is_looked_up_once_and_then_hit),
			stage_test(test_a_database_may_answer_at_once),
			stage_test(test_a_value_is_fresh_until_its_ttl),
			stage_test(test_jitter_spreads_the_ends_of_keys_that_came_together),
			stage_test(test_without_a_word_jitter_is_a_tenth),
			stage_test(test_ttl_0_keeps_nothing),
			stage_test(test_what_is_missing_is_remembered_for_missing_ttl),
			stage_test(test_without_missing_ttl_it_is_not_remembered),
			stage_test(test_errors_are_not_kept),
			stage_test(test_what_is_partial_or_nothing_is_not_kept),
			stage_test(test_null_is_a_value_that_is_kept),
			stage_test(test_stages_of_one_cache_share_values),
			stage_test(test_a_newer_run_replaces_what_an_older_one_stored_and_not_the_reverse),
			stage_test(test_a_long_key_is_passed_by),
			stage_test(test_a_key_without_a_value_is_refused),
			stage_test(test_where_nothing_may_wait_only_hits_are_served),
			stage_test(test_the_verdict_is_that_of_the_first_cache_stage),
	};
	return cmocka_run_group_tests_name("stages/cache", tests, NULL, NULL);
}
