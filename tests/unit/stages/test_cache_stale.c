/* SPDX-License-Identifier: Apache-2.0 */
/* Values that are not fresh: given all the same, refreshed in the background, and given to who
 * can't have a new one. */
#include <stdio.h>

#include "pipeline/base/blob.h"
#include "pipeline/resources/cache.h"
#include "tests/unit/stages/trial.h"

#define LOOK "lookup: {in: catalog, query: 'SELECT :sku'}"

/* Fresh for 10 s, stale for 5 more, and for 20 more if there is no other. */
#define AGES "ttl: 10s, jitter: 0s, stale: 5s, stale_if_error: 20s"

/* Stands until the next. */
static const char *written(const char *deadline, const char *options)
{
	static char yaml[1024];
	(void)snprintf(yaml, sizeof(yaml),
			"pipelines:\n  product:\n    deadline: %s\n    steps:\n"
			"      - cache: {in: hot, key: 'product/${sku}', %s, miss: [" LOOK "]}\n",
			deadline, options);
	return yaml;
}

static void load_with(const char *deadline, const char *options)
{
	load(written(deadline, options));
}

/* The n-th job ends, and all that comes of it is done. */
static void come(size_t n, const char *json)
{
	row(n, json);
	(void)world_turn(&world);
}

static struct trial *ask_for(const char *sku)
{
	char body[64];
	(void)snprintf(body, sizeof(body), "{\"sku\":\"%s\"}", sku);
	return start("product", body, 1000);
}

static void fill(const char *sku, const char *json)
{
	struct trial *trial = ask_for(sku);
	come(0, json);
	(void)answer(trial);
	assert_int_equal(trial->status, STATUS_OK);
}

static uint64_t queries(void)
{
	(void)world_turn(&world);
	return world.catalog.database.queries;
}

static void no_luck(enum status status)
{
	scripted_job_end(job(0), status, "no luck");
	(void)world_turn(&world);
}

static void test_what_is_stale_is_given_at_once_and_refreshed(void **state)
{
	load_with("1s", AGES);
	fill("a", "1");
	world_at(&world, 9999);
	expect(ask_for("a"), "OK cache=hit 1");
	assert_int_equal(queries(), 1);
	world_at(&world, 10000);
	struct trial *trial = ask_for("a");
	assert_string_equal(trial->answer, "OK cache=stale 1");
	assert_int_equal(queries(), 2);
	come(0, "2");
	expect(ask_for("a"), "OK cache=hit 2");
	assert_int_equal(queries(), 2);
	/* It is as new as if it had been waited for. */
	world_at(&world, 19999);
	expect(ask_for("a"), "OK cache=hit 2");
	world_at(&world, 20000);
	expect(ask_for("a"), "OK cache=stale 2");
	come(0, "3");
}

/* As after a reload that says so. */
static void test_what_is_not_kept_takes_the_place_of_what_was(void **state)
{
	load("pipelines:\n  product:\n    steps:\n"
	     "      - cache: {in: hot, key: 'product/${sku}', " AGES ", miss: [" LOOK "]}\n"
	     "  now:\n    steps:\n"
	     "      - cache: {in: hot, key: 'product/${sku}', ttl: 0s, miss: [" LOOK "]}\n");
	fill("a", "1");
	world_at(&world, 10000);
	expect(start("now", "{\"sku\":\"a\"}", 1000), "OK cache=stale 1");
	come(0, "2");
	struct trial *trial = start("now", "{\"sku\":\"a\"}", 1000);
	expect(trial, "");
	come(0, "3");
	expect(trial, "OK cache=miss 3");
}

static void test_one_refresh_a_key_is_under_way(void **state)
{
	load_with("1s", AGES);
	fill("a", "1");
	fill("b", "1");
	world_at(&world, 14999);
	for (int i = 0; i < 3; i++) {
		expect(ask_for("a"), "OK cache=stale 1");
		expect(ask_for("b"), "OK cache=stale 1");
	}
	assert_int_equal(queries(), 4);
	come(1, "3");
	come(0, "2");
	expect(ask_for("a"), "OK cache=hit 2");
	expect(ask_for("b"), "OK cache=hit 3");
}

static void test_a_refresh_outlives_who_set_it_off(void **state)
{
	load_with("300ms", AGES);
	fill("a", "1");
	world_at(&world, 10000);
	expect(start("product", "{\"sku\":\"a\"}", 1), "OK cache=stale 1");
	world_at(&world, 10299);
	assert_int_equal(job(0)->cancelled, REASON_NONE);
	come(0, "2");
	expect(ask_for("a"), "OK cache=hit 2");
}

static void test_a_refresh_lives_to_its_ceiling(void **state)
{
	load_with("300ms", AGES);
	fill("a", "1");
	world_at(&world, 10000);
	expect(ask_for("a"), "OK cache=stale 1");
	world_at(&world, 10301);
	assert_null(scripted_job(&world.catalog, 0));
	assert_int_equal(world.catalog.cancelled, 1);
	/* It has failed: another is tried a second later. */
	expect(ask_for("a"), "OK cache=stale 1");
	assert_int_equal(queries(), 2);
	world_at(&world, 11299);
	expect(ask_for("a"), "OK cache=stale 1");
	assert_int_equal(queries(), 2);
	world_at(&world, 11302);
	expect(ask_for("a"), "OK cache=stale 1");
	assert_int_equal(queries(), 3);
	come(0, "2");
}

static void test_a_refresh_lives_no_longer_than_any_request(void **state)
{
	world.max_deadline = 300 * WORLD_MS;
	assert_true(world_load(&world, written("1s", AGES))); /* and it is warned of that */
	fill("a", "1");
	world_at(&world, 10000);
	expect(ask_for("a"), "OK cache=stale 1");
	world_at(&world, 10299);
	assert_int_equal(job(0)->cancelled, REASON_NONE);
	world_at(&world, 10301);
	assert_null(scripted_job(&world.catalog, 0));
	assert_int_equal(world.catalog.cancelled, 1);
}

/* The world comes to that time: what is due has run out, and nobody has heard of it yet. */
static void come_to(uint64_t ms)
{
	async_enter(&world.async, WORLD_START + ms * WORLD_MS);
}

static void test_what_runs_out_as_others_ask_has_failed_for_them_too(void **state)
{
	load_with("300ms", AGES);
	fill("a", "1");
	world_at(&world, 10000);
	expect(ask_for("a"), "OK cache=stale 1");
	come_to(10301);
	expect(ask_for("a"), "OK cache=stale 1");
	assert_int_equal(queries(), 2);
	world_at(&world, 11302);
	expect(ask_for("a"), "OK cache=stale 1");
	assert_int_equal(queries(), 3);
	come(0, "2");
}

static void test_what_is_old_is_given_at_once_when_its_refresh_runs_out(void **state)
{
	load_with("300ms", AGES);
	fill("a", "1");
	world_at(&world, 15000);
	struct trial *first = start("product", "{\"sku\":\"a\"}", 1);
	world_at(&world, 15001);
	expect(first, "OK cache=stale 1");
	come_to(15301);
	struct trial *trial = ask_for("a");
	assert_non_null(trial->answer);
	assert_string_equal(trial->answer, "OK cache=stale 1");
	assert_int_equal(queries(), 2);
}

static void test_what_runs_out_as_others_ask_holds_nobody_off_without_throttle(void **state)
{
	load_with("300ms", AGES ", throttle: 0s");
	fill("a", "1");
	world_at(&world, 10000);
	expect(ask_for("a"), "OK cache=stale 1");
	come_to(10301);
	expect(ask_for("a"), "OK cache=stale 1");
	assert_int_equal(queries(), 3);
	come(0, "2");
}

static void test_there_are_no_more_refreshes_than_may_be(void **state)
{
	load_with("1s", AGES ", background: 2");
	fill("a", "1");
	fill("b", "2");
	fill("c", "3");
	world_at(&world, 10000);
	expect(ask_for("a"), "OK cache=stale 1");
	expect(ask_for("b"), "OK cache=stale 2");
	expect(ask_for("c"), "OK cache=stale 3");
	assert_int_equal(queries(), 5);
	come(0, "4");
	expect(ask_for("c"), "OK cache=stale 3");
	assert_int_equal(queries(), 6);
	come(0, "5");
	come(0, "6");
	expect(ask_for("c"), "OK cache=hit 6");
}

static void test_where_nothing_may_wait_what_is_stale_is_served_and_not_refreshed(void **state)
{
	load_with("1s", AGES);
	fill("a", "1");
	world_at(&world, 10000);
	expect(start_without_waiting("product", "{\"sku\":\"a\"}"), "OK cache=stale 1");
	world_at(&world, 34999);
	expect(start_without_waiting("product", "{\"sku\":\"a\"}"), "OK cache=stale 1");
	world_at(&world, 35000);
	expect(start_without_waiting("product", "{\"sku\":\"a\"}"),
			"RESOURCE_EXHAUSTED {\"error\":\"too many requests in "
			"flight\",\"stage\":\"product/1.cache\"}");
	assert_int_equal(queries(), 1);
}

static const enum status failures[] = {STATUS_UNAVAILABLE, STATUS_RESOURCE_EXHAUSTED,
		STATUS_INTERNAL, STATUS_DEADLINE_EXCEEDED};

static void test_what_is_old_is_given_where_what_it_waits_for_fails(void **state)
{
	load_with("1s", AGES ", throttle: 0s");
	fill("a", "1");
	for (unsigned i = 0; i < 4; i++) {
		world_at(&world, 15000 + i * 1000);
		struct trial *trial = ask_for("a");
		assert_int_equal(queries(), 2 + i);
		no_luck(failures[i]);
		expect(trial, "OK cache=stale 1");
	}
}

static void test_a_failed_refresh_leaves_the_old_value_and_is_not_tried_again_at_once(void **state)
{
	load_with("1s", AGES ", throttle: 500ms");
	fill("a", "1");
	for (unsigned i = 0; i < 4; i++) {
		world_at(&world, 10000 + i * 1000);
		expect(ask_for("a"), "OK cache=stale 1");
		assert_int_equal(queries(), 2 + i);
		no_luck(failures[i]);
		world_at(&world, 10499 + i * 1000);
		expect(ask_for("a"), "OK cache=stale 1");
		assert_int_equal(queries(), 2 + i);
	}
	world_at(&world, 13500);
	expect(ask_for("a"), "OK cache=stale 1");
	assert_int_equal(queries(), 6);
	come(0, "2");
	expect(ask_for("a"), "OK cache=hit 2");
}

static void test_what_is_not_there_any_more_is_no_failure(void **state)
{
	load_with("1s", AGES ", missing_ttl: 1s");
	fill("a", "1");
	world_at(&world, 10000);
	expect(ask_for("a"), "OK cache=stale 1");
	no_luck(STATUS_NOT_FOUND);
	expect(ask_for("a"), "NOT_FOUND cache=hit {\"error\":\"not "
			     "found\",\"stage\":\"product/1.cache\"}");
}

static void test_not_found_replaces_also_where_it_is_not_remembered(void **state)
{
	load_with("1s", AGES);
	fill("a", "1");
	world_at(&world, 10000);
	expect(ask_for("a"), "OK cache=stale 1");
	no_luck(STATUS_NOT_FOUND);
	struct trial *trial = ask_for("a");
	expect(trial, "");
	come(0, "2");
	expect(trial, "OK cache=miss 2");
}

static void test_what_is_old_waits_for_a_new_one(void **state)
{
	load_with("1s", AGES);
	fill("a", "1");
	world_at(&world, 15000);
	struct trial *first = ask_for("a");
	struct trial *second = ask_for("a");
	expect(first, "");
	assert_int_equal(queries(), 2);
	come(0, "2");
	expect(first, "OK cache=miss 2");
	expect(second, "OK cache=joined 2");
}

static void test_where_a_new_one_fails_the_old_one_is_given(void **state)
{
	load_with("1s", AGES);
	fill("a", "1");
	world_at(&world, 34990);
	struct trial *first = ask_for("a");
	struct trial *second = ask_for("a");
	no_luck(STATUS_UNAVAILABLE);
	expect(first, "OK cache=stale 1");
	expect(second, "OK cache=stale 1");
	/* Spared for a while, and given at once. */
	world_at(&world, 34999);
	expect(ask_for("a"), "OK cache=stale 1");
	assert_int_equal(queries(), 2);
	world_at(&world, 35000);
	struct trial *third = ask_for("a");
	expect(third, "");
	no_luck(STATUS_UNAVAILABLE);
	expect(third, "UNAVAILABLE cache=miss {\"error\":\"no "
		      "luck\",\"stage\":\"product/1.cache/1.lookup\"}");
}

static void test_an_old_value_that_became_too_old_while_waiting_is_not_given(void **state)
{
	load_with("1s", AGES);
	fill("a", "1");
	world_at(&world, 34900);
	struct trial *trial = ask_for("a");
	world_at(&world, 35000);
	no_luck(STATUS_UNAVAILABLE);
	expect(trial, "UNAVAILABLE cache=miss {\"error\":\"no "
		      "luck\",\"stage\":\"product/1.cache/1.lookup\"}");
}

static void test_an_error_that_is_no_failure_is_passed_on(void **state)
{
	load("pipelines:\n  p:\n    steps:\n"
	     "      - cache: {in: hot, key: k, " AGES
	     ", miss: [fanout: {to: north, body: {}, wait: "
	     "any}]}\n");
	struct trial *trial = start("p", "{}", 1000);
	quote(&world.north, 0, "1");
	expect(trial, "OK cache=miss 1");
	world_at(&world, 15000);
	trial = start("p", "{}", 1000);
	refuse(&world.north, 0, STATUS_PERMISSION_DENIED, "no");
	(void)answer(trial);
	assert_int_equal(trial->status, STATUS_PERMISSION_DENIED);
	/* Nor is the next one held off. */
	trial = start("p", "{}", 1000);
	expect(trial, "");
	quote(&world.north, 0, "2");
	expect(trial, "OK cache=miss 2");
}

static void test_who_waits_too_long_gets_the_old_one_in_time(void **state)
{
	load_with("1s", AGES);
	fill("a", "1");
	world_at(&world, 15000);
	struct trial *trial = start("product", "{\"sku\":\"a\"}", 100);
	world_at(&world, 15097);
	expect(trial, "");
	world_at(&world, 15099);
	expect(trial, "OK cache=stale 1");
	/* The refresh goes on, for whoever comes. */
	struct trial *other = ask_for("a");
	come(0, "2");
	expect(other, "OK cache=joined 2");
	assert_int_equal(queries(), 2);
}

static void test_who_has_no_time_at_all_gets_the_old_one(void **state)
{
	load_with("1s", AGES);
	fill("a", "1");
	world_at(&world, 15000);
	struct trial *trial = start("product", "{\"sku\":\"a\"}", 1);
	world_at(&world, 15001);
	expect(trial, "OK cache=stale 1");
	come(0, "2");
	expect(ask_for("a"), "OK cache=hit 2");
}

static void test_one_that_is_cut_while_it_waits_is_cancelled(void **state)
{
	load_with("1s", AGES);
	fill("a", "1");
	world_at(&world, 15000);
	struct trial *trial = ask_for("a");
	cut(trial);
	expect(trial, "CANCELLED cache=miss {\"error\":\"cancelled\"}");
	come(0, "2");
	expect(ask_for("a"), "OK cache=hit 2");
}

static void test_where_no_more_may_wait_the_old_one_is_given(void **state)
{
	load_with("1s", AGES ", waiters: 1");
	fill("a", "1");
	world_at(&world, 15000);
	struct trial *first = ask_for("a");
	expect(ask_for("a"), "OK cache=stale 1");
	come(0, "2");
	expect(first, "OK cache=miss 2");
}

static void test_an_early_refresh(void **state)
{
	load_with("1s", "ttl: 10s, jitter: 0s, refresh_at: 80%");
	fill("a", "1");
	world_at(&world, 7999);
	expect(ask_for("a"), "OK cache=hit 1");
	assert_int_equal(queries(), 1);
	world_at(&world, 8000);
	expect(ask_for("a"), "OK cache=hit 1");
	expect(ask_for("a"), "OK cache=hit 1");
	assert_int_equal(queries(), 2);
	no_luck(STATUS_UNAVAILABLE);
	expect(ask_for("a"), "OK cache=hit 1");
	assert_int_equal(queries(), 2);
	world_at(&world, 9000);
	expect(ask_for("a"), "OK cache=hit 1");
	assert_int_equal(queries(), 3);
	come(0, "2");
	expect(ask_for("a"), "OK cache=hit 2");
}

static void test_nobody_asks_and_nothing_is_refreshed(void **state)
{
	load_with("1s", AGES ", refresh_at: 50%");
	fill("a", "1");
	world_at(&world, 100000);
	assert_int_equal(queries(), 1);
	struct trial *trial = ask_for("a");
	expect(trial, "");
	come(0, "2");
	expect(trial, "OK cache=miss 2");
}

static void test_a_drain_ends_refreshes_at_once(void **state)
{
	load_with("1s", AGES);
	fill("a", "1");
	fill("b", "1");
	world_at(&world, 10000);
	world.catalog.stubborn = true;
	expect(ask_for("a"), "OK cache=stale 1");
	struct scripted_job *running = job(0);
	pipelines_drain(world.pipelines);
	assert_int_equal(running->cancelled, DRAIN);
	/* And none begins. */
	expect(ask_for("b"), "OK cache=stale 1");
	assert_int_equal(queries(), 3);
	scripted_job_end(running, STATUS_OK, "2");
	expect(ask_for("a"), "OK cache=stale 1");
}

static void test_a_drain_leaves_a_refresh_to_who_waits_for_it(void **state)
{
	load_with("1s", AGES);
	fill("a", "1");
	world_at(&world, 15000);
	struct trial *trial = ask_for("a");
	pipelines_drain(world.pipelines);
	assert_int_equal(job(0)->cancelled, REASON_NONE);
	come(0, "2");
	expect(trial, "OK cache=miss 2");
}

static void test_what_a_drain_has_cut_off_has_not_failed(void **state)
{
	load_with("1s", AGES);
	fill("a", "1");
	world_at(&world, 10000);
	expect(ask_for("a"), "OK cache=stale 1");
	pipelines_drain(world.pipelines);
	(void)world_turn(&world);
	struct blob *value;
	struct text key = TEXT("product/\"a\"");
	uint64_t hash = hash_text(&world.hot->hash_key, key);
	assert_int_equal(world.hot->ops->get(world.hot, hash, key, world.async.now, &value),
			CACHE_STALE);
	blob_unref(value);
}

static void test_a_partial_answer_neither_replaces_nor_is_asked_for_at_once(void **state)
{
	load("pipelines:\n  p:\n    steps:\n"
	     "      - cache: {in: hot, key: k, " AGES ", miss: [fanout: {to: [north, south], body: "
	     "{}, on_error: partial}]}\n");
	struct trial *trial = start("p", "{}", 1000);
	quote(&world.north, 0, "1");
	quote(&world.south, 0, "2");
	expect(trial, "OK cache=miss {\"north\":1,\"south\":2}");
	world_at(&world, 10000);
	expect(start("p", "{}", 1000), "OK cache=stale {\"north\":1,\"south\":2}");
	quote(&world.north, 0, "3");
	refuse(&world.south, 0, STATUS_UNAVAILABLE, "down");
	(void)world_turn(&world);
	expect(start("p", "{}", 1000), "OK cache=stale {\"north\":1,\"south\":2}");
	assert_int_equal(world.north.source.stats.asked, 2);
}

static void test_a_value_that_can_not_be_kept_replaces_the_old_one(void **state)
{
	static char large[200000];
	(void)snprintf(large, sizeof(large), "\"%0*d\"", (int)sizeof(large) - 10, 1);
	load_with("1s", AGES);
	fill("a", "1");
	world_at(&world, 10000);
	expect(ask_for("a"), "OK cache=stale 1");
	come(0, large);
	struct trial *first = ask_for("a");
	struct trial *second = ask_for("a");
	expect(first, "");
	come(0, "3");
	expect(first, "OK cache=miss 3");
	expect(second, "OK cache=joined 3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			stage_test(test_what_is_stale_is_given_at_once_and_refreshed),
			stage_test(test_what_is_not_kept_takes_the_place_of_what_was),
			stage_test(test_one_refresh_a_key_is_under_way),
			stage_test(test_a_refresh_outlives_who_set_it_off),
			stage_test(test_a_refresh_lives_to_its_ceiling),
			stage_test(test_a_refresh_lives_no_longer_than_any_request),
			stage_test(test_what_runs_out_as_others_ask_has_failed_for_them_too),
			stage_test(test_what_is_old_is_given_at_once_when_its_refresh_runs_out),
			stage_test(test_what_runs_out_as_others_ask_holds_nobody_off_without_throttle),
			stage_test(test_there_are_no_more_refreshes_than_may_be),
			stage_test(test_where_nothing_may_wait_what_is_stale_is_served_and_not_refreshed),
			stage_test(test_what_is_old_is_given_where_what_it_waits_for_fails),
			stage_test(test_a_failed_refresh_leaves_the_old_value_and_is_not_tried_again_at_once),
			stage_test(test_what_is_not_there_any_more_is_no_failure),
			stage_test(test_not_found_replaces_also_where_it_is_not_remembered),
			stage_test(test_what_is_old_waits_for_a_new_one),
			stage_test(test_where_a_new_one_fails_the_old_one_is_given),
			stage_test(test_an_old_value_that_became_too_old_while_waiting_is_not_given),
			stage_test(test_an_error_that_is_no_failure_is_passed_on),
			stage_test(test_who_waits_too_long_gets_the_old_one_in_time),
			stage_test(test_who_has_no_time_at_all_gets_the_old_one),
			stage_test(test_one_that_is_cut_while_it_waits_is_cancelled),
			stage_test(test_where_no_more_may_wait_the_old_one_is_given),
			stage_test(test_an_early_refresh),
			stage_test(test_nobody_asks_and_nothing_is_refreshed),
			stage_test(test_a_drain_ends_refreshes_at_once),
			stage_test(test_a_drain_leaves_a_refresh_to_who_waits_for_it),
			stage_test(test_what_a_drain_has_cut_off_has_not_failed),
			stage_test(test_a_partial_answer_neither_replaces_nor_is_asked_for_at_once),
			stage_test(test_a_value_that_can_not_be_kept_replaces_the_old_one),
	};
	return cmocka_run_group_tests_name("stages/cache_stale", tests, NULL, NULL);
}
