/* SPDX-License-Identifier: Apache-2.0 */
/* Asking many: what each is asked, how many answers are waited for, and what is made of them. */
#include "tests/unit/stages/trial.h"

static void test_all_are_waited_for(void **state)
{
	load_fanout("to: [north, south, east]");
	struct trial *trial = start("p", "{\"symbol\":\"A\"}", 1000);
	quote(&world.east, 0, "3");
	quote(&world.north, 0, "{\"bid\":1}");
	expect(trial, "");
	quote(&world.south, 0, "[2]");
	expect(trial, "OK {\"north\":{\"bid\":1},\"south\":[2],\"east\":3}");
	assert_int_equal(trial->run.losers, 0);
}

static void test_any_is_the_first_good_answer(void **state)
{
	load_fanout("to: [north, south, east], wait: any");
	struct trial *trial = start("p", "{}", 1000);
	refuse(&world.north, 0, STATUS_NOT_FOUND, NULL);
	expect(trial, "");
	world_at(&world, 5);
	quote(&world.east, 0, "3");
	expect(trial, "OK 3");
	assert_int_equal(world.south.source.stats.cancelled, 1);
	assert_int_equal(trial->run.losers, 1);
	assert_true(trial->run.wasted_ns == 5 * WORLD_MS);
}

static void test_the_first_so_many_stand_in_their_order(void **state)
{
	load_fanout("to: [north, south, east, west], wait: 2");
	struct trial *trial = start("p", "{}", 1000);
	quote(&world.west, 0, "4");
	refuse(&world.south, 0, STATUS_UNAVAILABLE, "down");
	quote(&world.north, 0, "1");
	expect(trial, "OK {\"north\":1,\"west\":4}");
	assert_int_equal(trial->run.losers, 1);
}

/* Nothing was cancelled. */
static void test_what_answers_in_the_same_moment_is_no_loser(void **state)
{
	load_fanout("to: [north, south, east], wait: any");
	struct trial *trial = start("p", "{}", 1000);
	struct scripted_ask *second = ask(&world.south, 0);
	quote(&world.north, 0, "1");
	scripted_ask_end(second, STATUS_OK, "2");
	expect(trial, "OK 1");
	assert_int_equal(trial->run.losers, 1);
	assert_int_equal(world.east.source.stats.cancelled, 1);
	assert_int_equal(world.south.source.stats.cancelled, 0);
}

static void test_losers_end_after_the_answer(void **state)
{
	load_fanout("to: [north, south], wait: any");
	world.south.stubborn = true;
	struct trial *trial = start("p", "{}", 1000);
	struct scripted_ask *loser = ask(&world.south, 0);
	quote(&world.north, 0, "1");
	expect(trial, "OK 1");
	assert_int_equal(loser->cancelled, LOST);
	assert_true(trial->scope.count > 0);
	scripted_ask_end(loser, STATUS_OK, "2");
}

static void test_one_that_answers_at_once_spares_the_others(void **state)
{
	static const struct scripted_end one = {STATUS_OK, "1"};
	static const struct scripted_end down = {STATUS_UNAVAILABLE, "not connected"};
	load_fanout("to: [north, south, east], wait: any");
	world.north.at_once = &down;
	world.south.at_once = &one;
	struct trial *trial = start("p", "{}", 1000);
	assert_string_equal(trial->answer, "OK 1");
	assert_int_equal(world.east.source.stats.asked, 0);
	assert_int_equal(trial->run.losers, 0);
}

static void test_answers_in_one_turn_count_in_the_order_they_came(void **state)
{
	load_fanout("to: [north, south], wait: any");
	struct trial *trial = start("p", "{}", 1000);
	struct scripted_ask *north = ask(&world.north, 0);
	struct scripted_ask *south = ask(&world.south, 0);
	scripted_ask_end(south, STATUS_OK, "2");
	scripted_ask_end(north, STATUS_OK, "1");
	expect(trial, "OK 2");
}

static void test_every_cause_is_kept(void **state)
{
	load_fanout("to: [north, south, east]");
	struct trial *mixed = start("p", "{}", 1000);
	refuse(&world.south, 0, STATUS_INTERNAL, "its answer is not JSON");
	quote(&world.north, 0, "1");
	expect(mixed, "");
	refuse(&world.east, 0, STATUS_NOT_FOUND, "no such symbol");
	expect(mixed, "UNAVAILABLE " TOO_FEW(CAUSE("its answer is not JSON", "INTERNAL",
				      "south") "," CAUSE("no such symbol", "NOT_FOUND", "east")));
	struct trial *common = start("p", "{}", 1000);
	refuse(&world.east, 0, STATUS_NOT_FOUND, "no such symbol");
	refuse(&world.south, 0, STATUS_NOT_FOUND, "none");
	refuse(&world.north, 0, STATUS_NOT_FOUND, "nothing");
	expect(common, "NOT_FOUND " TOO_FEW(CAUSE("nothing", "NOT_FOUND", "north") "," CAUSE("none",
				       "NOT_FOUND",
				       "south") "," CAUSE("no such symbol", "NOT_FOUND", "east")));
}

static void test_an_error_without_words_has_those_of_its_status(void **state)
{
	load_fanout("to: north");
	struct trial *trial = start("p", "{}", 1000);
	refuse(&world.north, 0, STATUS_PERMISSION_DENIED, NULL);
	expect(trial, "PERMISSION_DENIED " TOO_FEW(
				      CAUSE("PERMISSION_DENIED", "PERMISSION_DENIED", "north")));
}

static void expect_asked(const struct scripted_source *source, size_t n, const char *target,
		const char *body)
{
	struct scripted_ask *asked = ask(source, n);
	assert_true(text_equal(asked->ask.target, text_of(target)));
	assert_true(text_equal(asked->ask.body, text_of(body)));
}

static void test_what_is_asked(void **state)
{
	load("pipelines:\n  p:\n    steps: [fanout: {to: [north, south]}]\n"
	     "  q:\n    steps: [fanout: {to: north, target: price, body: {s: \"${symbol}\", n: 1, "
	     "t: \"<${symbol}>\"}}]\n"
	     "  r:\n    steps: [fanout: {to: north, each: {\"a-b\": \"${list}\"}}]\n");
	struct trial *whole = start("p", "{\"symbol\" : \"A\"}", 1000);
	expect_asked(&world.north, 0, "quote", "{\"symbol\" : \"A\"}");
	expect_asked(&world.south, 0, "quote", "{\"symbol\" : \"A\"}");
	cut(whole);
	struct trial *made = start("q", "{\"symbol\":\"A\\\"\"}", 1000);
	expect_asked(&world.north, 0, "price", "{\"s\":\"A\\\"\",\"n\":1,\"t\":\"<A\\\">\"}");
	cut(made);
	struct trial *each = start("r", "{\"list\":[\"x\",1.50]}", 1000);
	expect_asked(&world.north, 0, "quote", "{\"a-b\":\"x\"}");
	expect_asked(&world.north, 1, "quote", "{\"a-b\":1.50}");
	cut(each);
}

static void test_a_source_may_have_a_target_and_a_body_of_its_own(void **state)
{
	struct path *path = path_compile(
			TEXT("symbol"), (struct place){"sources", 1, 1}, &world.arena, &world.diag);
	struct template_part part = {.path = path};
	struct template template = {.parts = &part, .part_count = 1};
	const struct option_value value = {.name = TEXT("sym"), .template = &template};
	const struct option_map body = {.values = &value, .count = 1};
	world.south.source.target = TEXT("price");
	world.south.source.body = &body;
	load_fanout("to: [south, north, west], each: {symbol: '${list}'}");
	(void)start("p", "{\"list\":[\"A\"]}", 1000);
	expect_asked(&world.south, 0, "price", "{\"sym\":\"A\"}");
	expect_asked(&world.north, 0, "quote", "{\"symbol\":\"A\"}");
	expect_asked(&world.west, 0, "quote", "{\"symbol\":\"A\"}");
}

static void test_what_all_are_sent_is_made_once_for_each_element(void **state)
{
	load_fanout("to: [north, south], each: {symbol: '${list}'}, body: {s: '<${symbol}>'}");
	(void)start("p", "{\"list\":[\"A\",\"B\"]}", 1000);
	expect_asked(&world.north, 0, "quote", "{\"s\":\"<A>\"}");
	expect_asked(&world.north, 1, "quote", "{\"s\":\"<B>\"}");
	for (size_t i = 0; i < 2; i++)
		assert_ptr_equal(ask(&world.north, i)->ask.body.data,
				ask(&world.south, i)->ask.body.data);
}

static void test_each_element_is_asked_for(void **state)
{
	load_fanout("to: [north, south], each: {symbol: '${list}'}, wait: any");
	struct trial *trial = start("p", "{\"list\":[\"A\",2,\"A\",\"\\u0041\",\"2\",2.0]}", 1000);
	assert_int_equal(world.north.source.stats.asked, 3);
	quote(&world.south, 2, "{\"p\":3}");
	quote(&world.north, 1, "{\"p\":2}");
	expect(trial, "");
	quote(&world.south, 0, "{\"p\":1}");
	expect(trial, "OK {\"A\":{\"p\":1},\"2\":{\"p\":2},\"2.0\":{\"p\":3}}");
	assert_int_equal(trial->run.losers, 3);
}

static void test_each_waits_for_all_of_each(void **state)
{
	load_fanout("to: [north, south], each: {symbol: '${list}'}");
	struct trial *trial = start("p", "{\"list\":[\"A\",\"B\"]}", 1000);
	for (int i = 0; i < 2; i++) {
		quote(&world.north, 0, "1");
		expect(trial, "");
		quote(&world.south, 0, "2");
	}
	expect(trial, "OK {\"A\":{\"north\":1,\"south\":2},\"B\":{\"north\":1,\"south\":2}}");
}

static void test_each_of_nothing_is_an_empty_object(void **state)
{
	load_fanout("to: [north, south], each: {symbol: '${list}'}");
	expect(start("p", "{\"list\":[]}", 1000), "OK {}");
}

#define REFUSED(why) "INVALID_ARGUMENT {\"error\":\"" why "\",\"stage\":\"p/1.fanout\"}"

static void test_what_each_may_not_be(void **state)
{
	load_fanout("to: north, each: {symbol: '${list}'}, max: 3");
	expect(start("p", "{\"list\":\"A\"}", 1000),
			REFUSED("\\\"each\\\" needs an array of strings or numbers"));
	expect(start("p", "{\"list\":[\"A\",null]}", 1000),
			REFUSED("\\\"each\\\" needs an array of strings or numbers"));
	expect(start("p", "{\"list\":[[]]}", 1000),
			REFUSED("\\\"each\\\" needs an array of strings or numbers"));
	expect(start("p", "{\"list\":[1,2,3,4]}", 1000),
			REFUSED("\\\"each\\\" has more than 3 elements"));
	expect(start("p", "{}", 1000), REFUSED("\\\"list\\\" is missing"));
	assert_int_equal(world.north.source.stats.asked, 0);
	expect(start("p", "{\"list\":[1,2,2,1,3,3,1]}", 1000), "");
	assert_int_equal(world.north.source.stats.asked, 3);
}

/* One failed element is enough, and all have ended by then. */
static void test_each_fails_with_all_causes(void **state)
{
	load_fanout("to: [north, south], each: {symbol: '${list}'}, wait: any");
	struct trial *trial = start("p", "{\"list\":[\"A\",\"B\"]}", 1000);
	refuse(&world.north, 0, STATUS_NOT_FOUND, "no A");
	refuse(&world.south, 0, STATUS_NOT_FOUND, "no A");
	expect(trial, "");
	quote(&world.north, 0, "1");
	expect(trial, "NOT_FOUND " TOO_FEW(CAUSE("no A", "NOT_FOUND", "north") "," CAUSE(
				      "no A", "NOT_FOUND", "south")));
}

static void test_a_body_that_cannot_be_made_asks_nobody(void **state)
{
	load_fanout("to: [north, south], body: {a: '${x.y}'}");
	expect(start("p", "{\"x\":1}", 1000), REFUSED("\\\"x.y\\\" is missing"));
	assert_int_equal(world.north.source.stats.asked, 0);
}

static void test_where_nothing_may_wait_nobody_is_asked(void **state)
{
	load_fanout("to: [north, south]");
	expect(start_without_waiting("p", "{}"), "RESOURCE_EXHAUSTED {\"error\":\"too many "
						 "requests in flight\",\"stage\":\"p/1.fanout\"}");
	assert_int_equal(world.north.source.stats.asked, 0);
}

static void test_the_trace_is_passed_on(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - lookup: {in: catalog, query: SELECT 1}\n      "
	     "- fanout: {to: north}\n"
	     "      - cache: {in: hot, key: k, ttl: 1s, miss: [fanout: {to: north, body: {}, wait: "
	     "any}]}\n");
	struct trial *trial = start("p", "{}", 1000);
	trial->run.trace = TEXT("00-1-2-3");
	row(0, "1");
	assert_true(text_equal(ask(&world.north, 0)->ask.trace, TEXT("00-1-2-3")));
	quote(&world.north, 0, "1");
	assert_true(text_equal(ask(&world.north, 0)->ask.trace, TEXT("00-1-2-3")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			stage_test(test_all_are_waited_for),
			stage_test(test_any_is_the_first_good_answer),
			stage_test(test_the_first_so_many_stand_in_their_order),
			stage_test(test_what_answers_in_the_same_moment_is_no_loser),
			stage_test(test_losers_end_after_the_answer),
			stage_test(test_one_that_answers_at_once_spares_the_others),
			stage_test(test_answers_in_one_turn_count_in_the_order_they_came),
			stage_test(test_every_cause_is_kept),
			stage_test(test_an_error_without_words_has_those_of_its_status),
			stage_test(test_what_is_asked),
			stage_test(test_a_source_may_have_a_target_and_a_body_of_its_own),
			stage_test(test_what_all_are_sent_is_made_once_for_each_element),
			stage_test(test_each_element_is_asked_for),
			stage_test(test_each_waits_for_all_of_each),
			stage_test(test_each_of_nothing_is_an_empty_object),
			stage_test(test_what_each_may_not_be),
			stage_test(test_each_fails_with_all_causes),
			stage_test(test_a_body_that_cannot_be_made_asks_nobody),
			stage_test(test_where_nothing_may_wait_nobody_is_asked),
			stage_test(test_the_trace_is_passed_on),
	};
	return cmocka_run_group_tests_name("stages/fanout", tests, NULL, NULL);
}
