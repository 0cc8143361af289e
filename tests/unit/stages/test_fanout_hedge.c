/* SPDX-License-Identifier: Apache-2.0 */
/* Who is asked when: hedges, their budgets, and sources that are left alone. */
#include <string.h>

#include "pipeline/base/buffer.h"
#include "tests/unit/stages/trial.h"

static uint64_t asked(const struct scripted_source *source)
{
	return source->source.stats.asked;
}

static void expect_asked(uint64_t north, uint64_t south, uint64_t east)
{
	(void)world_turn(&world);
	assert_int_equal(asked(&world.north), north);
	assert_int_equal(asked(&world.south), south);
	assert_int_equal(asked(&world.east), east);
}

static void test_one_after_another(void **state)
{
	load_fanout("to: [north, south, east], wait: any, hedge: 20ms");
	struct trial *trial = start("p", "{}", 1000);
	expect_asked(1, 0, 0);
	world_at(&world, 19);
	expect_asked(1, 0, 0);
	world_at(&world, 21);
	expect_asked(1, 1, 0);
	world_at(&world, 42);
	expect_asked(1, 1, 1);
	quote(&world.south, 0, "2");
	expect(trial, "OK 2");
	assert_int_equal(trial->run.losers, 2);
}

static void test_a_quick_answer_needs_no_hedge(void **state)
{
	load_fanout("to: [north, south], wait: any, hedge: 20ms");
	struct trial *trial = start("p", "{}", 1000);
	world_at(&world, 10);
	quote(&world.north, 0, "1");
	expect(trial, "OK 1");
	world_at(&world, 100);
	expect_asked(1, 0, 0);
}

static void test_an_error_asks_the_next_at_once(void **state)
{
	load_fanout("to: [north, south, east], wait: any, hedge: 20ms");
	struct trial *trial = start("p", "{}", 1000);
	world_at(&world, 5);
	refuse(&world.north, 0, STATUS_NOT_FOUND, NULL);
	expect_asked(1, 1, 0);
	world_at(&world, 24); /* the wait began anew */
	expect_asked(1, 1, 0);
	refuse(&world.south, 0, STATUS_NOT_FOUND, NULL);
	expect_asked(1, 1, 1);
	quote(&world.east, 0, "3");
	expect(trial, "OK 3");
}

static void test_all_fail(void **state)
{
	static const struct scripted_end down = {STATUS_UNAVAILABLE, "not connected"};
	load_fanout("to: [north, south], wait: any, hedge: 20ms");
	world.north.at_once = &down;
	world.south.at_once = &down;
	struct trial *trial = start("p", "{}", 1000);
	assert_int_equal(trial->status, STATUS_UNAVAILABLE);
	assert_non_null(strstr(answer(trial), "p/1.fanout/north"));
	assert_non_null(strstr(answer(trial), "p/1.fanout/south"));
}

static void test_so_many_are_asked_at_first(void **state)
{
	load_fanout("to: [north, south, east], wait: 2, hedge: 20ms");
	struct trial *trial = start("p", "{}", 1000);
	expect_asked(1, 1, 0);
	quote(&world.north, 0, "1");
	world_at(&world, 21);
	expect_asked(1, 1, 1);
	quote(&world.east, 0, "3");
	expect(trial, "OK {\"north\":1,\"east\":3}");
}

static void test_each_element_is_hedged(void **state)
{
	load_fanout("to: [north, south], wait: any, hedge: 20ms, each: {s: \"${l}\"}");
	struct trial *trial = start("p", "{\"l\":[1,2]}", 1000);
	expect_asked(2, 0, 0);
	quote(&world.north, 0, "10");
	world_at(&world, 21);
	expect_asked(2, 1, 0);
	quote(&world.south, 0, "20");
	expect(trial, "OK {\"1\":10,\"2\":20}");
}

static void test_nothing_is_asked_after_a_cancel(void **state)
{
	load_fanout("to: [north, south], wait: any, hedge: 20ms");
	struct trial *trial = start("p", "{}", 1000);
	world_at(&world, 5);
	cut(trial);
	world_at(&world, 100);
	expect_asked(1, 0, 0);
}

static void test_what_was_cut_off_ends_though_sources_are_stubborn(void **state)
{
	load_fanout("to: [north, south], wait: any, hedge: 20ms");
	world.north.stubborn = true;
	struct trial *trial = start("p", "{}", 1000);
	cut(trial);
	world_at(&world, 50);
	assert_true(trial->scope.count > 0);
	refuse(&world.north, 0, STATUS_UNAVAILABLE, NULL);
	world_at(&world, 51);
	assert_int_equal(trial->scope.count, 0);
	expect_asked(1, 0, 0);
}

/* Each has its own timeout from when it was asked. */
static void test_timeouts_are_each_their_own(void **state)
{
	load_fanout("to: [north, south, east], wait: any, hedge: 20ms, timeout: 30ms");
	struct trial *trial = start("p", "{}", 1000);
	world_at(&world, 21);
	expect_asked(1, 1, 0);
	world_at(&world, 32); /* north has run out */
	expect_asked(1, 1, 1);
	world_at(&world, 45);
	quote(&world.south, 0, "2");
	expect(trial, "OK 2");
}

static void answer_all(unsigned count, uint64_t ms)
{
	for (unsigned i = 0; i < count; i++) {
		struct trial *trial = start("p", "{}", 1000);
		world_at(&world, (world.async.now - WORLD_START) / WORLD_MS + ms);
		quote(&world.north, 0, "1");
		expect(trial, "OK 1");
	}
}

static uint64_t ms_now(void)
{
	return (world.async.now - WORLD_START) / WORLD_MS;
}

static void test_a_quantile_holds_after_enough_samples(void **state)
{
	load_fanout("to: [north, south], wait: any, "
		    "hedge: {after: p95, max: 50ms, samples: 16, budget: 100%}");
	answer_all(15, 10);
	uint64_t before = ms_now();
	struct trial *trial = start("p", "{}", 1000);
	world_at(&world, before + 49);
	expect_asked(16, 0, 0);
	world_at(&world, before + 51);
	expect_asked(16, 1, 0);
	quote(&world.south, 0, "2");
	expect(trial, "OK 2"); /* and north took at least so long */
	before = ms_now();
	trial = start("p", "{}", 1000);
	world_at(&world, before + 49);
	expect_asked(17, 1, 0); /* p95 of 16 is the longest of them */
	world_at(&world, before + 51);
	expect_asked(17, 2, 0);
	quote(&world.north, 0, "1");
	expect(trial, "OK 1");
	answer_all(46, 10);
	before = ms_now();
	trial = start("p", "{}", 1000);
	world_at(&world, before + 9);
	expect_asked(64, 2, 0);
	world_at(&world, before + 12);
	expect_asked(64, 3, 0);
	quote(&world.north, 0, "1");
	expect(trial, "OK 1");
}

static void test_the_budget_stops_it(void **state)
{
	load_fanout("to: [north, south], wait: any, hedge: {after: 5ms, budget: 1%}");
	unsigned hedged = 0;
	for (unsigned i = 0; i < 100; i++) {
		struct trial *trial = start("p", "{}", 1000);
		world_at(&world, ms_now() + 10);
		hedged = (unsigned)asked(&world.south);
		quote(&world.north, 0, "1");
		expect(trial, "OK 1");
	}
	assert_int_equal(hedged, 10); /* that were kept: what is earned is kept up to that */
	struct buffer buffer;
	buffer_init(&buffer);
	pipelines_write_stats(world.pipelines, &buffer);
	buffer_append_char(&buffer, '\0');
	assert_non_null(strstr(buffer.data,
			"\"p/1.fanout\":{\"asked\":110,\"passed_by\":0,\"hedges\":10,"
			"\"hedges_won\":0,\"hedges_refused\":90}"));
	buffer_deinit(&buffer);
}

static void test_no_hedge_when_too_little_remains(void **state)
{
	load_fanout("to: [south, north], wait: any, hedge: {after: 5ms, samples: 16}");
	for (unsigned i = 0; i < 16; i++) {
		struct trial *trial = start("p", "{}", 1000);
		refuse(&world.south, 0, STATUS_NOT_FOUND, NULL);
		world_at(&world, ms_now() + 40);
		quote(&world.north, 0, "1");
		expect(trial, "OK 1");
	}
	struct trial *late = start("p", "{}", 30);
	world_at(&world, ms_now() + 10);
	expect_asked(16, 17, 0);
	struct trial *early = start("p", "{}", 60);
	world_at(&world, ms_now() + 10);
	expect_asked(17, 18, 0);
	cut(late);
	cut(early);
}

/* A source that much fails of is asked only when it must be. */
static void test_a_source_that_fails_is_spared(void **state)
{
	retry_budget_init(&world.south.source.spare, 4);
	load_fanout("to: [north, south, east], wait: any, hedge: 20ms");
	for (unsigned i = 0; i < 2; i++) {
		struct trial *trial = start("p", "{}", 1000);
		refuse(&world.north, 0, STATUS_NOT_FOUND, NULL);
		world_at(&world, ms_now() + 1);
		refuse(&world.south, 0, STATUS_UNAVAILABLE, NULL);
		(void)world_turn(&world);
		quote(&world.east, 0, "3");
		expect(trial, "OK 3");
	}
	expect_asked(2, 2, 2);
	struct trial *trial = start("p", "{}", 1000);
	refuse(&world.north, 0, STATUS_NOT_FOUND, NULL);
	expect_asked(3, 2, 3);
	quote(&world.east, 0, "3");
	expect(trial, "OK 3");
	trial = start("p", "{}", 1000);
	world_at(&world, ms_now() + 22); /* nor is it asked as a hedge */
	expect_asked(4, 2, 3);
	cut(trial);
}

/* North fails, and somebody else is asked, who answers. */
static void replace_north(struct scripted_source *other)
{
	struct trial *trial = start("p", "{}", 1000);
	refuse(&world.north, 0, STATUS_NOT_FOUND, NULL);
	(void)world_turn(&world);
	world_at(&world, ms_now() + 1);
	quote(other, 0, "3");
	expect(trial, "OK 3");
}

/* North is slow, and that is all. */
static void wait_for_north(void)
{
	struct trial *trial = start("p", "{}", 1000);
	world_at(&world, ms_now() + 22);
	quote(&world.north, 0, "1");
	expect(trial, "OK 1");
}

/* Both what is not asked in the place of another and what is not asked as a hedge leads back. */
static void test_a_source_that_is_well_again_comes_back(void **state)
{
	retry_budget_init(&world.south.source.spare, 2);
	retry_budget_failed(&world.south.source.spare);
	load_fanout("to: [north, south, east], wait: any, hedge: 20ms");
	for (unsigned i = 0; i < 25; i++) {
		replace_north(&world.east);
		wait_for_north();
	}
	expect_asked(50, 0, 25);
	replace_north(&world.south);
	expect_asked(51, 1, 25);
	replace_north(&world.south); /* it has more than half of its tokens again */
	expect_asked(52, 2, 25);
}

/* South has taken 40 ms; behind north, which hangs, it has 20 or so. */
static void load_slow(const char *options)
{
	for (unsigned i = 0; i < LATENCY_EVERY; i++)
		latency_record(&world.south.source.latency, 40 * WORLD_MS);
	load_fanout(options);
}

#define SLOW "to: [north, south], wait: any, hedge: {after: 5ms, samples: 16, budget: 100%}"

static struct trial *start_late(void)
{
	struct trial *trial = start("p", "{}", 30);
	world_at(&world, ms_now() + 7);
	return trial;
}

/* South is spared so often; and then the trial in which it is asked. */
static struct trial *spare_south(unsigned times)
{
	uint64_t before = asked(&world.south);
	for (unsigned i = 0; i < times; i++)
		cut(start_late());
	assert_int_equal(asked(&world.south), before);
	struct trial *trial = start_late();
	assert_int_equal(asked(&world.south), before + 1);
	return trial;
}

/* It answers in time. */
static void try_south(unsigned times)
{
	struct trial *trial = spare_south(times);
	quote(&world.south, 0, "2");
	expect(trial, "OK 2");
}

static void test_a_source_that_was_slow_comes_back(void **state)
{
	load_slow(SLOW);
	for (unsigned i = 0; i < LATENCY_EVERY; i++)
		try_south(50U >> (i < 5 ? i : 5));
	try_south(0); /* half of what is known of it was quick */
}

static void expect_to_stay_slow(const char *options)
{
	load_slow(options);
	try_south(50);
	cut(spare_south(25)); /* which says nothing of it */
	try_south(25);
	(void)spare_south(12);
	world_at(&world, ms_now() + 30); /* it has not answered in time */
	try_south(50);
}

static void test_a_source_that_stays_slow_is_left_alone(void **state)
{
	expect_to_stay_slow(SLOW);
}

/* The fan-out has less time than the request, which goes on. */
static void test_a_source_that_stays_slow_may_be_missing(void **state)
{
	expect_to_stay_slow(SLOW ", on_error: partial");
}

static void load_breaker(const char *options)
{
	static const struct breaker_settings settings = {
			.failures = 50, .of = 4, .open = 100 * WORLD_MS, .within = 1000 * WORLD_MS};
	breaker_init(&world.north.source.breaker, &settings);
	load_fanout(options);
}

static void fail_north(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct trial *trial = start("p", "{}", 1000);
		world_at(&world, ms_now() + 1);
		refuse(&world.north, 0, STATUS_UNAVAILABLE, NULL);
		(void)answer(trial);
		if (!trial->answer)
			quote(&world.south, 0, "2");
		(void)answer(trial);
	}
}

static void test_an_open_breaker_is_passed_by(void **state)
{
	load_breaker("to: [north, south], wait: any, hedge: 20ms");
	fail_north(4);
	expect_asked(4, 4, 0);
	struct trial *trial = start("p", "{}", 1000);
	expect_asked(4, 5, 0);
	quote(&world.south, 0, "2");
	expect(trial, "OK 2");
}

static void test_an_open_breaker_answers_at_once(void **state)
{
	load_breaker("to: north");
	fail_north(4);
	struct trial *trial = start("p", "{}", 1000);
	expect(trial, "UNAVAILABLE {\"error\":\"too few good answers\",\"stage\":\"p/1.fanout\","
		      "\"causes\":[{\"error\":\"left alone for a while, because it failed too "
		      "often\",\"status\":\"UNAVAILABLE\",\"stage\":\"p/1.fanout/north\"}]}");
	expect_asked(4, 0, 0);
	world_at(&world, ms_now() + 100);
	trial = start("p", "{}", 1000);
	expect_asked(5, 0, 0);
	struct trial *second = start("p", "{}", 1000); /* one at a time */
	expect_asked(5, 0, 0);
	assert_int_equal(second->status, STATUS_UNAVAILABLE);
	world_at(&world, ms_now() + 1);
	quote(&world.north, 0, "1");
	expect(trial, "OK {\"north\":1}");
	assert_int_equal(world.north.source.breaker.state, BREAKER_CLOSED);
}

static void test_a_cancelled_call_is_no_failure(void **state)
{
	load_breaker("to: north");
	for (unsigned i = 0; i < 20; i++) {
		struct trial *trial = start("p", "{}", 1000);
		world_at(&world, ms_now() + 1);
		cut(trial);
	}
	expect_asked(20, 0, 0);
	assert_int_equal(world.north.source.breaker.state, BREAKER_CLOSED);
	fail_north(4);
	assert_int_equal(world.north.source.breaker.state, BREAKER_OPEN);
	world_at(&world, ms_now() + 100);
	struct trial *trial = start("p", "{}", 1000);
	cut(trial); /* the one that was let through */
	(void)world_turn(&world);
	trial = start("p", "{}", 1000);
	expect_asked(26, 0, 0);
	cut(trial);
}

static void test_a_timeout_is_a_failure(void **state)
{
	load_breaker("to: north, timeout: 10ms");
	for (unsigned i = 0; i < 8; i++) {
		(void)start("p", "{}", 8); /* it was given too little time */
		world_at(&world, ms_now() + 30);
	}
	assert_int_equal(world.north.source.breaker.state, BREAKER_CLOSED);
	for (unsigned i = 0; i < 4; i++) {
		(void)start("p", "{}", 1000);
		world_at(&world, ms_now() + 20);
	}
	assert_int_equal(world.north.source.breaker.state, BREAKER_OPEN);
}

/* Nor a sign of how long it takes: it has not seen it. */
static void test_what_was_never_sent_is_no_failure(void **state)
{
	load_breaker("to: north, timeout: 10ms");
	world.north.holds = true;
	for (unsigned i = 0; i < 20; i++) {
		(void)start("p", "{}", 1000);
		world_at(&world, ms_now() + 20);
	}
	assert_int_equal(world.north.source.breaker.state, BREAKER_CLOSED);
	assert_int_equal(world.north.source.latency.known, 0);
}

/* It waits for 9 ms of the 10, and then the source is given up after 1 ms. */
static void test_time_counts_from_when_it_was_sent(void **state)
{
	load_fanout("to: north, timeout: 10ms");
	world.north.holds = true;
	for (unsigned i = 0; i < LATENCY_EVERY; i++) {
		(void)start("p", "{}", 1000);
		world_at(&world, ms_now() + 9);
		scripted_ask_send(scripted_ask(&world.north, 0));
		world_at(&world, ms_now() + 10);
	}
	assert_in_range(world.north.source.latency.quantiles[P50], 1, 5 * WORLD_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			stage_test(test_one_after_another),
			stage_test(test_a_quick_answer_needs_no_hedge),
			stage_test(test_an_error_asks_the_next_at_once),
			stage_test(test_all_fail),
			stage_test(test_so_many_are_asked_at_first),
			stage_test(test_each_element_is_hedged),
			stage_test(test_nothing_is_asked_after_a_cancel),
			stage_test(test_what_was_cut_off_ends_though_sources_are_stubborn),
			stage_test(test_timeouts_are_each_their_own),
			stage_test(test_a_quantile_holds_after_enough_samples),
			stage_test(test_the_budget_stops_it),
			stage_test(test_no_hedge_when_too_little_remains),
			stage_test(test_a_source_that_fails_is_spared),
			stage_test(test_a_source_that_is_well_again_comes_back),
			stage_test(test_a_source_that_was_slow_comes_back),
			stage_test(test_a_source_that_stays_slow_is_left_alone),
			stage_test(test_a_source_that_stays_slow_may_be_missing),
			stage_test(test_an_open_breaker_is_passed_by),
			stage_test(test_an_open_breaker_answers_at_once),
			stage_test(test_a_cancelled_call_is_no_failure),
			stage_test(test_a_timeout_is_a_failure),
			stage_test(test_what_was_never_sent_is_no_failure),
			stage_test(test_time_counts_from_when_it_was_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
