/* SPDX-License-Identifier: Apache-2.0 */
/* A fan-out whose answer goes in parts, to a reader that the tests play. */
#include <stdio.h>
#include <string.h>

#include "pipeline/async/async.h"
#include "pipeline/async/stream_queue.h"
#include "tests/unit/allocations.h"
#include "tests/unit/stages/trial.h"
#include "tests/unit/sweep.h"

static struct stream_queue queue;
static void *places[PARTS_MAX];

static void load_parts(const char *options)
{
	char yaml[1024];
	(void)snprintf(yaml, sizeof(yaml),
			"pipelines:\n  p:\n    takes: {e: [string]}\n    steps:\n      - fanout: "
			"{each: {e: \"${e}\"}, %s}\n",
			options);
	load(yaml);
}

static struct trial *prepare_parts(const char *body)
{
	struct trial *trial = prepare("p", body, 1000);
	stream_queue_init(&queue, &trial->scope, places, PARTS_MAX);
	trial->run.parts = &queue;
	return trial;
}

static struct trial *start_parts(const char *body)
{
	struct trial *trial = prepare_parts(body);
	run(trial);
	return trial;
}

/* The next part as one text; "": there is none now. */
static const char *next(void)
{
	static char text[512];
	void *element;
	(void)world_turn(&world);
	if (stream_pull(&queue.stream, &element) != STREAM_ITEM)
		return "";
	const struct part *part = element;
	(void)snprintf(text, sizeof(text), "%.*s%.*s%.*s", TEXT_ARG(part->head),
			TEXT_ARG(part->value), TEXT_ARG(part->tail));
	return text;
}

#define expect_part(text) assert_string_equal(next(), text)

static int end_queue(void **state)
{
	if (!queue.stream.over)
		stream_close(&queue.stream, LOST);
	return tear_down(state);
}

#define parts_test(function) cmocka_unit_test_setup_teardown(function, set_up, end_queue)

static void test_each_answer_is_a_part(void **state)
{
	load_parts("to: [north, south]");
	struct trial *trial = start_parts("{\"e\":[\"a\",\"b\"]}");
	quote(&world.south, 1, "{\"p\":1}");
	expect_part("{\"b\":{\"south\":{\"p\":1}}}");
	expect_part("");
	quote(&world.south, 0, "2");
	quote(&world.north, 0, "3");
	expect_part("{\"a\":{\"south\":2}}");
	expect_part("{\"a\":{\"north\":3}}");
	expect(trial, "");
	quote(&world.north, 0, "4");
	expect_part("{\"b\":{\"north\":4}}");
	expect(trial, "OK {}");
}

static void test_the_end_says_that_a_part_was_partial(void **state)
{
	load_parts("to: [north, south]");
	struct trial *trial = start_parts("{\"e\":[\"a\"]}");
	quote_partly(&world.north, 0, "1");
	expect_part("{\"a\":{\"north\":1}}");
	quote(&world.south, 0, "2");
	expect_part("{\"a\":{\"south\":2}}");
	expect_part("");
	expect(trial, "OK partial=1 {}");
}

static void test_it_ends_when_all_is_read(void **state)
{
	load_parts("to: [north, south]");
	struct trial *trial = start_parts("{\"e\":[\"a\"]}");
	quote(&world.north, 0, "1");
	quote(&world.south, 0, "2");
	expect(trial, "");
	expect_part("{\"a\":{\"north\":1}}");
	expect(trial, "");
	expect_part("{\"a\":{\"south\":2}}");
	expect(trial, "OK {}");
}

static void test_no_more_is_asked_than_has_room(void **state)
{
	load_parts("to: [north, south], ahead: 3");
	struct trial *trial = start_parts("{\"e\":[\"a\",\"b\",\"c\"]}");
	assert_int_equal(world.north.source.stats.asked, 1);
	/* Where an element is complete only its good answers take room, until they are read. */
	refuse(&world.north, 0, STATUS_NOT_FOUND, "none");
	(void)world_turn(&world);
	assert_int_equal(world.north.source.stats.asked, 1);
	quote(&world.south, 0, "1");
	(void)world_turn(&world);
	assert_int_equal(world.north.source.stats.asked, 2);
	expect_part("{\"a\":{\"south\":1}}");
	(void)world_turn(&world);
	assert_int_equal(world.north.source.stats.asked, 2);
	quote(&world.north, 0, "2");
	quote(&world.south, 0, "3");
	(void)world_turn(&world);
	assert_int_equal(world.north.source.stats.asked, 2);
	expect_part("{\"b\":{\"north\":2}}");
	(void)world_turn(&world);
	assert_int_equal(world.north.source.stats.asked, 3);
	expect_part("{\"b\":{\"south\":3}}");
	quote(&world.north, 0, "4");
	quote(&world.south, 0, "5");
	expect_part("{\"c\":{\"north\":4}}");
	expect_part("{\"c\":{\"south\":5}}");
	expect(trial, "NOT_FOUND {\"error\":\"too few good answers\",\"stage\":\"p/1.fanout\","
		      "\"causes\":[{\"error\":\"none\",\"status\":\"NOT_FOUND\",\"stage\":\"p/"
		      "1.fanout/north\"}]}");
}

/* More sources than `ahead` says are asked all the same: for one element at a time. */
static void test_one_element_is_always_asked_for(void **state)
{
	load_parts("to: [north, south, east, west], ahead: 1");
	struct trial *trial = start_parts("{\"e\":[\"a\",\"b\"]}");
	struct scripted_source *const sources[] = {
			&world.north, &world.south, &world.east, &world.west};
	for (int element = 0; element < 2; element++) {
		for (int i = 0; i < 4; i++) {
			assert_int_equal(sources[i]->source.stats.asked, element + 1);
			quote(sources[i], 0, "1");
		}
		for (int i = 0; i < 4; i++)
			assert_string_not_equal(next(), "");
		(void)world_turn(&world);
	}
	expect(trial, "OK {}");
}

static void test_memory_is_given_back_element_by_element(void **state)
{
	static char large[50000];
	memset(large, '1', sizeof(large) - 1);
	load_parts("to: [north], ahead: 1");
	struct trial *trial = start_parts("{\"e\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\"]}");
	size_t at_first = account.used;
	for (int i = 0; i < 7; i++) {
		quote(&world.north, 0, large);
		(void)world_turn(&world);
		assert_true(account.used > at_first + sizeof(large) / 2);
		assert_string_not_equal(next(), "");
		/* It is the reader's until the next is asked for. */
		expect_part("");
		(void)world_turn(&world);
		assert_true(account.used <= at_first);
	}
	expect(trial, "OK {}");
}

static void test_an_error_names_some_causes(void **state)
{
	char body[512] = "{\"e\":[";
	load_parts("to: [north], ahead: 1, max: 1000");
	for (int i = 0; i < 20; i++)
		(void)snprintf(body + strlen(body), sizeof(body) - strlen(body), "%s\"e%d\"",
				i > 0 ? "," : "", i);
	(void)snprintf(body + strlen(body), sizeof(body) - strlen(body), "]}");
	struct trial *trial = start_parts(body);
	for (int i = 0; i < 20; i++) {
		char text[16];
		(void)snprintf(text, sizeof(text), "reason %d", i);
		refuse(&world.north, 0, i == 19 ? STATUS_INTERNAL : STATUS_NOT_FOUND, text);
		(void)world_turn(&world);
		memset(text, 'x', sizeof(text) - 1);
	}
	const char *said = answer(trial);
	/* That the last was another counts, though it is not named. */
	assert_memory_equal(said, "UNAVAILABLE ", 12);
	assert_non_null(strstr(said, "\"reason 0\""));
	assert_non_null(strstr(said, "\"reason 15\""));
	assert_null(strstr(said, "\"reason 16\""));
}

static void test_nobody_wants_it_any_more(void **state)
{
	load_parts("to: [north, south], ahead: 2");
	struct trial *trial = start_parts("{\"e\":[\"a\",\"b\"]}");
	quote(&world.north, 0, "1");
	(void)world_turn(&world);
	stream_close(&queue.stream, LOST);
	assert_true(strncmp(answer(trial), "CANCELLED ", 10) == 0);
	assert_int_equal(world.south.source.stats.cancelled, 1);
	assert_int_equal(world.north.source.stats.asked, 1);

	/* The same, found by whoever has an answer. */
	struct trial *other = start_parts("{\"e\":[\"a\",\"b\"]}");
	stream_close(&queue.stream, LOST);
	expect(other, "");
	quote(&world.north, 0, "1");
	assert_true(strncmp(answer(other), "CANCELLED ", 10) == 0);
	assert_int_equal(world.south.source.stats.cancelled, 2);
}

static void test_cut_off_while_it_waits_for_its_reader(void **state)
{
	load_parts("to: [north]");
	struct trial *trial = start_parts("{\"e\":[\"a\"]}");
	quote(&world.north, 0, "1");
	(void)world_turn(&world);
	cut(trial);
	(void)world_turn(&world);
	expect_part("");
}

static void test_cut_off_while_it_waits_for_sources(void **state)
{
	load_parts("to: [north, south], ahead: 2");
	world.south.stubborn = true;
	struct trial *trial = start_parts("{\"e\":[\"a\",\"b\"]}");
	quote(&world.north, 0, "1");
	(void)world_turn(&world);
	cut(trial);
	quote(&world.south, 0, "1");
	(void)world_turn(&world);
	assert_int_equal(world.north.source.stats.asked, 1);
}

/* A loser that does not end at once keeps its element's memory, and nothing else. */
static void test_a_loser_ends_later(void **state)
{
	load_parts("to: [north, south], wait: any");
	world.south.stubborn = true;
	struct trial *trial = start_parts("{\"e\":[\"a\"]}");
	quote(&world.north, 0, "1");
	expect_part("{\"a\":1}");
	expect(trial, "OK {}");
	assert_int_equal(trial->run.losers, 1);
	quote(&world.south, 0, "2");
	(void)world_turn(&world);
}

static const struct scripted_end one = {STATUS_OK, "1"};
static const struct scripted_end none = {STATUS_NOT_FOUND, "none"};

/* What a fan-out says with memory, and what it says of north's 1 and south's NOT_FOUND. */
static struct {
	const char *options;
	const char *parts[4];
	const char *end;
	bool silent; /* north says nothing */
} told[] = {
		{"to: [north, south], ahead: 2, on_error: partial, body: {e: \"<${e}>\"}",
				{"{\"a\":{\"north\":1}}",
						"{\"a\":{\"$missing\":{\"south\":\"NOT_FOUND\"}}}",
						"{\"b\":{\"north\":1}}",
						"{\"b\":{\"$missing\":{\"south\":\"NOT_FOUND\"}}}"},
				"OK partial=1 {}", false},
		{"to: [north, south], wait: any, on_error: partial",
				{"{\"a\":1}", "{\"b\":1}", "", ""}, "OK {}", false},
		{"to: [east], wait: any", {"{\"a\":null}", "{\"b\":null}", "", ""}, "OK {}", false},
		{"to: [north, west], wait: any, hedge: 10ms",
				{"{\"a\":{\"p\":3}}", "{\"b\":{\"p\":3}}", "", ""}, "OK {}", true},
		{"to: [west], on_error: partial, best: {lowest: p}",
				{"{\"a\":{\"p\":3,\"$source\":\"west\"}}",
						"{\"b\":{\"p\":3,\"$source\":\"west\"}}", "", ""},
				"OK {}", false},
};
static size_t now; /* of these */

/* Memory that is out at any moment: it ends with an error then, or all is right, or a source or an
 * element is missing: one of which the sources failed in different ways is UNAVAILABLE. */
static bool works_in_turn(void)
{
	static const struct scripted_end nothing = {STATUS_OK, NULL};
	static const struct scripted_end three = {STATUS_OK, "{\"p\":3}"};
	assert_int_equal(set_up(NULL), 0);
	load_parts(told[now].options);
	world.north.at_once = told[now].silent ? NULL : &one;
	world.south.at_once = &none;
	world.east.at_once = &nothing;
	world.west.at_once = &three;
	struct trial *trial = prepare_parts("{\"e\":[\"a\",\"b\"]}");
	before_answer = allocations_heal;
	sweep_fail();
	run(trial);
	world_at(&world, 11);
	bool right = true, refused = false;
	for (int i = 0; i < 4; i++) {
		const char *part = next();
		right &= strcmp(part, told[now].parts[i]) == 0;
		refused |= strstr(part, "RESOURCE_EXHAUSTED") || strstr(part, "UNAVAILABLE");
	}
	(void)next();
	allocations_heal();
	/* Where there was none to ask another, who is silent is waited for. */
	world_at(&world, 1001);
	const char *said = answer(trial);
	right &= strcmp(said, told[now].end) == 0;
	assert_true(right || refused || strstr(said, "RESOURCE_EXHAUSTED") ||
			strstr(said, "UNAVAILABLE") || strstr(said, "DEADLINE_EXCEEDED"));
	before_answer = NULL;
	assert_int_equal(end_queue(NULL), 0);
	return right;
}

static void test_memory_is_out(void **state)
{
	for (now = 0; now < sizeof(told) / sizeof(*told); now++)
		assert_true(sweep_allocations(works_in_turn) > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			parts_test(test_each_answer_is_a_part),
			parts_test(test_the_end_says_that_a_part_was_partial),
			parts_test(test_it_ends_when_all_is_read),
			parts_test(test_no_more_is_asked_than_has_room),
			parts_test(test_one_element_is_always_asked_for),
			parts_test(test_memory_is_given_back_element_by_element),
			parts_test(test_an_error_names_some_causes),
			parts_test(test_nobody_wants_it_any_more),
			parts_test(test_cut_off_while_it_waits_for_its_reader),
			parts_test(test_cut_off_while_it_waits_for_sources),
			parts_test(test_a_loser_ends_later),
			cmocka_unit_test(test_memory_is_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
