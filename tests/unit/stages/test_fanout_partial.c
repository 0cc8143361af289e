/* SPDX-License-Identifier: Apache-2.0 */
/* A fan-out that does not get all it asked for: what is missing, what is late, and what it cost. */
#include "tests/unit/stages/trial.h"

#define TOO_FEW(causes)                                                                            \
	"{\"error\":\"too few good answers\",\"stage\":\"p/1.fanout\",\"causes\":[" causes "]}"
#define CAUSE(text, status, source)                                                                \
	"{\"error\":\"" text "\",\"status\":\"" status "\",\"stage\":\"p/1.fanout/" source "\"}"
#define TIMED_OUT(source)                                                                          \
	"{\"error\":\"timed out\",\"status\":\"UNAVAILABLE\",\"stage\":\"p/1.fanout/" source       \
	"\",\"timeout\":true}"

static void test_what_failed_is_missing(void **state)
{
	load_fanout("to: [north, south, east], on_error: partial");
	struct trial *trial = start("p", "{}", 1000);
	refuse(&world.north, 0, STATUS_NOT_FOUND, "none");
	refuse(&world.east, 0, STATUS_INTERNAL, "broken");
	expect(trial, "");
	quote(&world.south, 0, "2");
	expect(trial, "OK partial=1 "
		      "{\"south\":2,\"$missing\":{\"north\":\"NOT_FOUND\",\"east\":\"INTERNAL\"}}");
}

static void test_where_all_came_nothing_is_partial(void **state)
{
	load_fanout("to: [north, south], on_error: partial");
	struct trial *trial = start("p", "{}", 1000);
	quote(&world.north, 0, "1");
	quote(&world.south, 0, "2");
	expect(trial, "OK {\"north\":1,\"south\":2}");
}

static void test_nothing_good_is_an_error(void **state)
{
	load_fanout("to: [north, south], on_error: partial");
	struct trial *trial = start("p", "{}", 1000);
	refuse(&world.north, 0, STATUS_NOT_FOUND, "none");
	refuse(&world.south, 0, STATUS_NOT_FOUND, "none");
	expect(trial, "NOT_FOUND " TOO_FEW(CAUSE("none", "NOT_FOUND", "north") "," CAUSE(
				      "none", "NOT_FOUND", "south")));
}

static void test_losers_are_not_missing(void **state)
{
	load_fanout("to: [north, south, east, west], wait: 2, on_error: partial");
	struct trial *enough = start("p", "{}", 1000);
	refuse(&world.north, 0, STATUS_NOT_FOUND, "none");
	quote(&world.south, 0, "2");
	quote(&world.west, 0, "4");
	expect(enough, "OK {\"south\":2,\"west\":4}");
	struct trial *too_few = start("p", "{}", 1000);
	refuse(&world.north, 0, STATUS_NOT_FOUND, "none");
	refuse(&world.south, 0, STATUS_NOT_FOUND, "none");
	refuse(&world.east, 0, STATUS_UNAVAILABLE, "down");
	quote(&world.west, 0, "4");
	expect(too_few, "OK partial=1 "
			"{\"west\":4,\"$missing\":{\"north\":\"NOT_FOUND\",\"south\":\"NOT_FOUND\","
			"\"east\":\"UNAVAILABLE\"}}");
}

static void test_each_has_what_it_lacks(void **state)
{
	load_fanout("to: [north, south], each: {s: '${list}'}, on_error: partial");
	struct trial *trial = start("p", "{\"list\":[\"A\",\"B\",\"C\"]}", 1000);
	for (int i = 0; i < 2; i++) {
		quote(&world.north, 0, "1");
		if (i == 0)
			quote(&world.south, 0, "2");
		else
			refuse(&world.south, 0, STATUS_NOT_FOUND, "none");
	}
	refuse(&world.north, 0, STATUS_NOT_FOUND, "none");
	refuse(&world.south, 0, STATUS_UNAVAILABLE, "down");
	expect(trial, "OK partial=1 {\"A\":{\"north\":1,\"south\":2},"
		      "\"B\":{\"north\":1,\"$missing\":{\"south\":\"NOT_FOUND\"}},\"$missing\":{"
		      "\"C\":\"UNAVAILABLE\"}}");
}

#define LIST "{\"list\":[\"A\",\"\\u0024missing\"]}"

/* It would be a member of the reply twice. */
static void test_no_element_is_named_missing(void **state)
{
	load_fanout("to: north, each: {s: '${list}'}, wait: any, on_error: partial");
	expect(start("p", LIST, 1000),
			"INVALID_ARGUMENT {\"error\":\"an element of \\\"each\\\" is named "
			"$missing, "
			"where the reply has a member of that name for those that are\",\"stage\":"
			"\"p/1.fanout\"}");
}

static void test_where_nothing_can_be_missing_it_may(void **state)
{
	load_fanout("to: north, each: {s: '${list}'}, wait: any");
	struct trial *trial = start("p", LIST, 1000);
	quote(&world.north, 0, "1");
	quote(&world.north, 0, "2");
	expect(trial, "OK {\"A\":1,\"$missing\":2}");
}

static void test_each_with_any_lacks_elements(void **state)
{
	load_fanout("to: [north, south], each: {s: '${list}'}, wait: any, on_error: partial");
	struct trial *some = start("p", "{\"list\":[\"A\",\"B\"]}", 1000);
	refuse(&world.north, 0, STATUS_NOT_FOUND, "none");
	refuse(&world.south, 0, STATUS_NOT_FOUND, "none");
	quote(&world.north, 0, "1");
	expect(some, "OK partial=1 {\"B\":1,\"$missing\":{\"A\":\"NOT_FOUND\"}}");
	struct trial *none = start("p", "{\"list\":[\"A\"]}", 1000);
	refuse(&world.north, 0, STATUS_NOT_FOUND, "none");
	refuse(&world.south, 0, STATUS_UNAVAILABLE, "down");
	expect(none, "UNAVAILABLE " TOO_FEW(CAUSE("none", "NOT_FOUND", "north") "," CAUSE(
				     "down", "UNAVAILABLE", "south")));
}

static void test_a_branch_has_a_timeout_of_its_own(void **state)
{
	load_fanout("to: [north, south], timeout: 50ms");
	struct trial *trial = start("p", "{}", 1000);
	world_at(&world, 49);
	quote(&world.north, 0, "1");
	expect(trial, "");
	world_at(&world, 51);
	expect(trial, "UNAVAILABLE " TOO_FEW(TIMED_OUT("south")));
	assert_int_equal(world.south.source.stats.cancelled, 1);
	assert_int_equal(trial->run.losers, 0);
}

static void test_what_timed_out_is_missing(void **state)
{
	load_fanout("to: [north, south, east], timeout: 50ms, on_error: partial");
	world.south.stubborn = true;
	struct trial *trial = start("p", "{}", 1000);
	quote(&world.north, 0, "1");
	world_at(&world, 51);
	expect(trial, "OK partial=1 "
		      "{\"north\":1,\"$missing\":{\"south\":\"UNAVAILABLE\",\"east\":"
		      "\"UNAVAILABLE\"}}");
}

static void test_a_source_that_says_the_time_is_over_has_timed_out(void **state)
{
	load_fanout("to: [north, south], timeout: 50ms, on_error: partial");
	struct trial *trial = start("p", "{}", 1000);
	refuse(&world.south, 0, STATUS_DEADLINE_EXCEEDED, "too slow");
	quote(&world.north, 0, "1");
	expect(trial, "OK partial=1 {\"north\":1,\"$missing\":{\"south\":\"UNAVAILABLE\"}}");
	struct trial *whole = start("p", "{}", 40);
	refuse(&world.south, 0, STATUS_DEADLINE_EXCEEDED, "too slow");
	quote(&world.north, 0, "1");
	expect(whole, "OK partial=1 {\"north\":1,\"$missing\":{\"south\":\"DEADLINE_EXCEEDED\"}}");
}

static void test_what_came_is_answered_before_the_deadline(void **state)
{
	load_fanout("to: [north, south], on_error: partial");
	struct trial *some = start("p", "{}", 100);
	quote(&world.north, 0, "1");
	struct trial *none = start("p", "{}", 100);
	world_at(&world, 97);
	expect(some, "");
	world_at(&world, 99);
	expect(some, "OK partial=1 {\"north\":1,\"$missing\":{\"south\":\"DEADLINE_EXCEEDED\"}}");
	expect(none, "DEADLINE_EXCEEDED " TOO_FEW(CAUSE("deadline exceeded", "DEADLINE_EXCEEDED",
				     "north") "," CAUSE("deadline exceeded", "DEADLINE_EXCEEDED",
				     "south")));
}

static void test_without_partial_the_deadline_is_the_end(void **state)
{
	load_fanout("to: [north, south]");
	struct trial *trial = start("p", "{}", 100);
	quote(&world.north, 0, "1");
	world_at(&world, 99);
	expect(trial, "");
	world_at(&world, 101);
	expect(trial, "DEADLINE_EXCEEDED {\"error\":\"deadline exceeded\"}");
}

static void test_a_timeout_that_is_longer_than_what_remains_is_none(void **state)
{
	load_fanout("to: north, timeout: 500ms");
	struct trial *trial = start("p", "{}", 100);
	world_at(&world, 101);
	expect(trial, "DEADLINE_EXCEEDED {\"error\":\"deadline exceeded\"}");
}

static void test_no_time_to_ask(void **state)
{
	load_fanout("to: [north, south], on_error: partial");
	struct trial *trial = start("p", "{}", 3);
	expect(trial, "DEADLINE_EXCEEDED " TOO_FEW(
				      CAUSE("no time is left to ask", "DEADLINE_EXCEEDED",
						      "north") "," CAUSE("no time is left to ask",
						      "DEADLINE_EXCEEDED", "south")));
	assert_int_equal(world.north.source.stats.asked, 0);
}

static void test_a_partial_answer_stays_partial_on_its_way(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - call: q\n        as: quotes\n      - lookup: "
	     "{in: catalog, query: SELECT 1}\n"
	     "    reply: {quotes: \"${quotes}\"}\n"
	     "  q:\n    steps: [timeout: {after: 1s, steps: [fanout: {to: [north, south], "
	     "on_error: partial}]}]\n");
	struct trial *trial = start("p", "{}", 1000);
	quote(&world.north, 0, "1");
	refuse(&world.south, 0, STATUS_UNAVAILABLE, "down");
	row(0, "1");
	expect(trial, "OK partial=1 "
		      "{\"quotes\":{\"north\":1,\"$missing\":{\"south\":\"UNAVAILABLE\"}}}");
}

static void expect_after_two(
		const char *options, const char *north, const char *south, const char *expected)
{
	load_fanout(options);
	struct trial *trial = start("p", "{}", 1000);
	quote_partly(&world.north, 0, north);
	if (answer(trial)[0] == '\0')
		quote(&world.south, 0, south);
	expect(trial, expected);
}

static void test_what_a_source_gives_as_partial_stays_so(void **state)
{
	expect_after_two("to: [north, south]", "1", "2", "OK partial=1 {\"north\":1,\"south\":2}");
}

static void test_a_winner_that_is_partial(void **state)
{
	expect_after_two("to: [north, south], wait: any", "1", "2", "OK partial=1 1");
}

static void test_the_best_one_is_partial(void **state)
{
	expect_after_two("to: [north, south], best: {lowest: price}", "{\"price\":1}",
			"{\"price\":2}", "OK partial=1 {\"price\":1,\"$source\":\"north\"}");
}

/* Nothing of it is given. */
static void test_another_than_the_best_is_partial(void **state)
{
	expect_after_two("to: [north, south], best: {highest: price}", "{\"price\":1}",
			"{\"price\":2}", "OK {\"price\":2,\"$source\":\"south\"}");
}

static void test_one_element_is_partial(void **state)
{
	load_fanout("to: north, each: {s: '${list}'}, wait: any");
	struct trial *trial = start("p", "{\"list\":[\"A\",\"B\"]}", 1000);
	quote_partly(&world.north, 0, "1");
	quote(&world.north, 0, "2");
	expect(trial, "OK partial=1 {\"A\":1,\"B\":2}");
}

/* What is partial says nothing of why the reply can't be made. */
static void test_an_error_is_not_partial(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - fanout: {to: [north, south], on_error: "
	     "partial}\n"
	     "        as: quotes\n    reply: {x: \"${quotes.none}\"}\n");
	struct trial *trial = start("p", "{}", 1000);
	quote(&world.north, 0, "1");
	refuse(&world.south, 0, STATUS_UNAVAILABLE, "down");
	expect(trial, "INVALID_ARGUMENT {\"error\":\"\\\"quotes.none\\\" is "
		      "missing\",\"stage\":\"p\"}");
}

/* The second's body can't be made when the first has been asked already. */
static void test_asks_that_were_in_vain_are_losers(void **state)
{
	struct path *path = path_compile(
			TEXT("none"), (struct place){"sources", 1, 1}, &world.arena, &world.diag);
	struct template_part part = {.path = path};
	struct template template = {.parts = &part, .part_count = 1};
	const struct option_value value = {.name = TEXT("a"), .template = &template};
	const struct option_map body = {.values = &value, .count = 1};
	world.south.source.body = &body;
	load_fanout("to: [north, south]");
	struct trial *trial = start("p", "{}", 1000);
	expect(trial, "INVALID_ARGUMENT {\"error\":\"\\\"none\\\" is "
		      "missing\",\"stage\":\"p/1.fanout\"}");
	assert_int_equal(world.north.source.stats.cancelled, 1);
	assert_int_equal(trial->run.losers, 1);
}

/* Both have timed out, one with its answer here, when all is cut off before anybody has looked. */
static void test_what_had_answered_when_all_was_cut_off_is_no_loser(void **state)
{
	load_fanout("to: [north, south], timeout: 5ms");
	struct trial *trial = start("p", "{}", 1000);
	quote(&world.north, 0, "1");
	async_enter(&world.async, WORLD_START + 10 * WORLD_MS);
	cut(trial);
	(void)world_turn(&world);
	assert_int_equal(trial->scope.count, 0);
	assert_int_equal(trial->run.losers, 1);
	assert_true(trial->run.wasted_ns == 10 * WORLD_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			stage_test(test_what_failed_is_missing),
			stage_test(test_where_all_came_nothing_is_partial),
			stage_test(test_nothing_good_is_an_error),
			stage_test(test_losers_are_not_missing),
			stage_test(test_each_has_what_it_lacks),
			stage_test(test_no_element_is_named_missing),
			stage_test(test_where_nothing_can_be_missing_it_may),
			stage_test(test_each_with_any_lacks_elements),
			stage_test(test_a_branch_has_a_timeout_of_its_own),
			stage_test(test_what_timed_out_is_missing),
			stage_test(test_a_source_that_says_the_time_is_over_has_timed_out),
			stage_test(test_what_came_is_answered_before_the_deadline),
			stage_test(test_without_partial_the_deadline_is_the_end),
			stage_test(test_a_timeout_that_is_longer_than_what_remains_is_none),
			stage_test(test_no_time_to_ask),
			stage_test(test_a_partial_answer_stays_partial_on_its_way),
			stage_test(test_what_a_source_gives_as_partial_stays_so),
			stage_test(test_a_winner_that_is_partial),
			stage_test(test_the_best_one_is_partial),
			stage_test(test_another_than_the_best_is_partial),
			stage_test(test_one_element_is_partial),
			stage_test(test_an_error_is_not_partial),
			stage_test(test_asks_that_were_in_vain_are_losers),
			stage_test(test_what_had_answered_when_all_was_cut_off_is_no_loser),
	};
	return cmocka_run_group_tests_name("stages/fanout_partial", tests, NULL, NULL);
}
