/* SPDX-License-Identifier: Apache-2.0 */
/* The best of many answers, and an end at the first error. */
#include "tests/unit/stages/trial.h"

static void test_the_lowest_of_all(void **state)
{
	load_fanout("to: [north, south, east], best: {lowest: price}");
	struct trial *trial = start("p", "{}", 1000);
	quote(&world.east, 0, "{\"price\":7.5}");
	quote(&world.north, 0, "{\"price\":8}");
	expect(trial, "");
	quote(&world.south, 0, "{\"price\":0.75e1,\"by\":\"s\"}");
	expect(trial, "OK {\"price\":0.75e1,\"by\":\"s\",\"$source\":\"south\"}");
}

static void test_the_highest_by_its_path(void **state)
{
	load_fanout("to: [north, south], best: {highest: bid.price}");
	struct trial *trial = start("p", "{}", 1000);
	quote(&world.north, 0, "{\"bid\":{\"price\":-3}}");
	quote(&world.south, 0, "{\"bid\":{\"price\":-2}}");
	expect(trial, "OK {\"bid\":{\"price\":-2},\"$source\":\"south\"}");
}

static void test_the_best_of_the_first_so_many(void **state)
{
	load_fanout("to: [north, south, east], wait: 2, best: {lowest: price}");
	struct trial *trial = start("p", "{}", 1000);
	quote(&world.east, 0, "{\"price\":9}");
	quote(&world.south, 0, "{\"price\":8}");
	expect(trial, "OK {\"price\":8,\"$source\":\"south\"}");
	assert_int_equal(trial->run.losers, 1);
}

static void test_an_answer_without_the_number_is_a_bad_one(void **state)
{
	static const char *const bad[] = {"{\"cost\":1}", "{\"price\":\"1\"}", "{\"price\":null}",
			"3", "[1]", "null", NULL};
	load_fanout("to: [north, south], best: {lowest: price}");
	for (size_t i = 0; i == 0 || bad[i - 1]; i++) {
		struct trial *trial = start("p", "{}", 1000);
		quote(&world.north, 0, "{\"price\":2}");
		quote(&world.south, 0, bad[i]);
		expect(trial, "INTERNAL " TOO_FEW(CAUSE("its answer has no number \\\"price\\\"",
					      "INTERNAL", "south")));
	}
}

static void test_the_best_of_what_came(void **state)
{
	load_fanout("to: [north, south, east], best: {lowest: price}, on_error: partial");
	struct trial *trial = start("p", "{}", 1000);
	quote(&world.north, 0, "{\"price\":2}");
	quote(&world.east, 0, "{\"price\":1}");
	refuse(&world.south, 0, STATUS_NOT_FOUND, "none");
	expect(trial, "OK partial=1 {\"price\":1,\"$source\":\"east\","
		      "\"$missing\":{\"south\":\"NOT_FOUND\"}}");
}

static void test_the_best_of_each(void **state)
{
	load_fanout("to: [north, south], each: {s: \"${l}\"}, best: {highest: p}");
	struct trial *trial = start("p", "{\"l\":[\"a\",\"b\"]}", 1000);
	quote(&world.north, 0, "{\"p\":1}");
	quote(&world.north, 0, "{\"p\":4}");
	quote(&world.south, 0, "{\"p\":2}");
	quote(&world.south, 0, "{\"p\":3}");
	expect(trial, "OK {\"a\":{\"p\":2,\"$source\":\"south\"},"
		      "\"b\":{\"p\":4,\"$source\":\"north\"}}");
}

/* One sluiced may be a source of another: its own answer may be a best one. */
static void test_what_is_said_of_the_source_is_said_once(void **state)
{
	load_fanout("to: north, best: {lowest: price}");
	struct trial *trial = start("p", "{}", 1000);
	quote(&world.north, 0, "{\"\\u0024source\":\"far\",\"price\":2,\"$missin\\u0067\":{}}");
	expect(trial, "OK {\"price\":2,\"$source\":\"north\"}");
}

static void test_the_first_error_ends_it(void **state)
{
	load_fanout("to: [north, south, east], fail_fast: true");
	struct trial *trial = start("p", "{}", 1000);
	quote(&world.north, 0, "1");
	world_at(&world, 5);
	refuse(&world.south, 0, STATUS_NOT_FOUND, "none");
	expect(trial, "NOT_FOUND " TOO_FEW(CAUSE("none", "NOT_FOUND", "south")));
	assert_int_equal(world.east.source.stats.cancelled, 1);
	assert_int_equal(trial->run.losers, 1);
	assert_true(trial->run.wasted_ns == 5 * WORLD_MS);
}

static void test_as_long_as_enough_can_come_it_goes_on(void **state)
{
	load_fanout("to: [north, south, east], wait: 2, fail_fast: true");
	struct trial *trial = start("p", "{}", 1000);
	refuse(&world.south, 0, STATUS_NOT_FOUND, "none");
	expect(trial, "");
	refuse(&world.north, 0, STATUS_NOT_FOUND, "no");
	expect(trial, "NOT_FOUND " TOO_FEW(CAUSE("no", "NOT_FOUND", "north") "," CAUSE(
				      "none", "NOT_FOUND", "south")));
}

static void test_an_error_at_once_spares_the_others(void **state)
{
	static const struct scripted_end down = {STATUS_UNAVAILABLE, "not connected"};
	load_fanout("to: [north, south, east], fail_fast: true");
	world.south.at_once = &down;
	struct trial *trial = start("p", "{}", 1000);
	expect(trial, "UNAVAILABLE " TOO_FEW(CAUSE("not connected", "UNAVAILABLE", "south")));
	assert_int_equal(world.north.source.stats.cancelled, 1);
	assert_int_equal(world.east.source.stats.asked, 0);
}

static void test_the_first_element_that_fails_ends_all(void **state)
{
	load_fanout("to: [north, south], each: {s: \"${l}\"}, fail_fast: true");
	struct trial *trial = start("p", "{\"l\":[\"a\",\"b\",\"c\"]}", 1000);
	quote(&world.north, 0, "1");
	quote(&world.south, 0, "2");
	expect(trial, "");
	refuse(&world.south, 1, STATUS_NOT_FOUND, "none");
	expect(trial, "NOT_FOUND " TOO_FEW(CAUSE("none", "NOT_FOUND", "south")));
	assert_int_equal(trial->run.losers, 3);
}

static void test_an_element_that_fails_at_once_spares_the_others(void **state)
{
	static const struct scripted_end down = {STATUS_UNAVAILABLE, "not connected"};
	load_fanout("to: [north, south], each: {s: \"${l}\"}, fail_fast: true");
	world.south.at_once = &down;
	struct trial *trial = start("p", "{\"l\":[\"a\",\"b\"]}", 1000);
	expect(trial, "UNAVAILABLE " TOO_FEW(CAUSE("not connected", "UNAVAILABLE", "south")));
	assert_int_equal(world.north.source.stats.asked, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			stage_test(test_the_lowest_of_all),
			stage_test(test_the_highest_by_its_path),
			stage_test(test_the_best_of_the_first_so_many),
			stage_test(test_an_answer_without_the_number_is_a_bad_one),
			stage_test(test_the_best_of_what_came),
			stage_test(test_the_best_of_each),
			stage_test(test_what_is_said_of_the_source_is_said_once),
			stage_test(test_the_first_error_ends_it),
			stage_test(test_as_long_as_enough_can_come_it_goes_on),
			stage_test(test_an_error_at_once_spares_the_others),
			stage_test(test_the_first_element_that_fails_ends_all),
			stage_test(test_an_element_that_fails_at_once_spares_the_others),
	};
	return cmocka_run_group_tests_name("stages/fanout_best", tests, NULL, NULL);
}
