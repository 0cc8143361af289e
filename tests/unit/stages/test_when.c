/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that run under a condition, and what stands where they do not. */
#include <string.h>

#include "pipeline/base/buffer.h"
#include "tests/unit/stages/trial.h"

#define LOOK "lookup: {in: catalog, query: 'SELECT 1'}"

static const struct scripted_end found = {STATUS_OK, "7"};
static const struct scripted_end cheap = {STATUS_OK, "{\"price\":3}"};

static const char *ask_for(const char *body)
{
	return answer(start("p", body, 1000));
}

static void load_condition(const char *condition)
{
	char yaml[512];
	(void)snprintf(yaml, sizeof(yaml),
			"pipelines:\n  p:\n    steps:\n      - when: {value: '${x}', %s, steps: "
			"[" LOOK "]}\n",
			condition);
	load(yaml);
	world.catalog.at_once = &found;
}

/* Whether the condition holds for each body. */
static void holds(const char *const *bodies, bool expected)
{
	for (; *bodies; bodies++)
		assert_string_equal(ask_for(*bodies), expected ? "OK 7" : "OK");
}

#define BODIES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_present(void **state)
{
	load_condition("present: true");
	holds(BODIES("{\"x\":null}", "{\"x\":0}", "{\"x\":\"\"}", "{\"x\":[]}"), true);
	holds(BODIES("{}", "{\"y\":1}"), false);
}

static void test_not_present(void **state)
{
	load_condition("present: false");
	holds(BODIES("{}"), true);
	holds(BODIES("{\"x\":null}"), false);
}

static void test_equals(void **state)
{
	load_condition("equals: 1.50");
	holds(BODIES("{\"x\":1.5}", "{\"x\":15e-1}"), true);
	holds(BODIES("{}", "{\"x\":\"1.50\"}", "{\"x\":1.51}", "{\"x\":[1.50]}"), false);
}

static void test_equals_a_string(void **state)
{
	load_condition("equals: 'a\"b'");
	holds(BODIES("{\"x\":\"a\\\"b\"}", "{\"x\":\"\\u0061\\u0022b\"}"), true);
	holds(BODIES("{\"x\":\"a\"}", "{\"x\":null}"), false);
}

static void test_equals_what_a_path_gives(void **state)
{
	load_condition("equals: '${y.0 | none}'");
	holds(BODIES("{\"x\":1,\"y\":[1.0]}", "{\"x\":\"none\"}"), true);
	holds(BODIES("{\"x\":1}", "{\"y\":[1]}", "{\"x\":[],\"y\":[[]]}"), false);
}

static void test_above(void **state)
{
	load_condition("above: -2.5");
	holds(BODIES("{\"x\":-2.4}", "{\"x\":1e400}"), true);
	holds(BODIES("{}", "{\"x\":-2.5}", "{\"x\":-25e-1}", "{\"x\":-3}", "{\"x\":\"7\"}",
			      "{\"x\":null}"),
			false);
}

static void test_below_what_a_path_gives(void **state)
{
	load_condition("below: '${y}'");
	holds(BODIES("{\"x\":1,\"y\":1.1}"), true);
	holds(BODIES("{\"x\":1}", "{\"x\":1,\"y\":1}", "{\"x\":1,\"y\":\"2\"}"), false);
}

static void test_a_text_is_built(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - when: {value: '${x}-${y}', equals: 'a-1', "
	     "steps: "
	     "[" LOOK "]}\n");
	world.catalog.at_once = &found;
	holds(BODIES("{\"x\":\"a\",\"y\":1}"), true);
	holds(BODIES("{\"x\":\"a\"}", "{\"x\":\"a\",\"y\":[]}", "{\"x\":\"a\",\"y\":2}"), false);
}

static void test_what_was_there_before_stands(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - " LOOK "\n"
	     "      - timeout: {after: 1s, steps: [when: {value: '${x}', equals: 1, steps: [\n"
	     "          when: {value: '${y}', equals: 1, steps: [lookup: {in: ledger, query: "
	     "'SELECT "
	     "2'}]}]}]}\n");
	world.catalog.at_once = &found;
	world.ledger.at_once = &cheap;
	assert_string_equal(ask_for("{}"), "OK 7");
	assert_string_equal(ask_for("{\"x\":1}"), "OK 7");
	assert_string_equal(ask_for("{\"x\":1,\"y\":1}"), "OK {\"price\":3}");
}

static void test_a_called_pipeline_begins_without_a_value(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - " LOOK "\n      - call: q\n"
	     "  q:\n    steps:\n      - when: {value: '${x}', present: true, steps: [" LOOK "]}\n");
	world.catalog.at_once = &found;
	assert_string_equal(ask_for("{}"), "OK");
	assert_string_equal(ask_for("{\"x\":1}"), "OK 7");
}

static void test_a_name_stands_for_what_it_did(void **state)
{
	load("pipelines:\n  p:\n    takes: {x: number, n: string = none}\n    steps:\n"
	     "      - lookup: {in: ledger, query: 'SELECT 1'}\n        as: price\n"
	     "      - when: {value: '${x}', above: 0, steps: [" LOOK "]}\n        as: price\n"
	     "      - when: {value: '${x}', above: 0, steps: [" LOOK "]}\n        as: n\n"
	     "      - when: {value: '${x}', above: 0, steps: [" LOOK "]}\n        as: new\n"
	     "    reply: {price: '${price}', n: '${n}', new: '${new | 0}'}\n");
	world.catalog.at_once = &found;
	world.ledger.at_once = &cheap;
	assert_string_equal(ask_for("{\"x\":1}"), "OK {\"price\":7,\"n\":7,\"new\":7}");
	assert_string_equal(ask_for("{\"x\":0}"),
			"OK {\"price\":{\"price\":3},\"n\":\"none\",\"new\":0}");
}

static void test_a_miss_depends_on_it_through_its_key(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - cache: {in: hot, key: '${a}/${x | 0}', ttl: "
	     "10s, "
	     "miss: [\n"
	     "          lookup: {in: ledger, query: 'SELECT 1'},\n"
	     "          when: {value: '${x | 0}', equals: '${a}', steps: [" LOOK "]}]}\n");
	world.catalog.at_once = &found;
	world.ledger.at_once = &cheap;
	assert_string_equal(ask_for("{\"a\":1}"), "OK cache=miss {\"price\":3}");
	assert_string_equal(ask_for("{\"a\":1,\"x\":1}"), "OK cache=miss 7");
	assert_string_equal(ask_for("{\"a\":1,\"x\":1,\"more\":1}"), "OK cache=hit 7");
	assert_string_equal(ask_for("{\"a\":1}"), "OK cache=hit {\"price\":3}");
}

static void test_no_value_is_not_kept(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - cache: {in: hot, key: '${a}', ttl: 10s, miss: "
	     "[\n"
	     "          when: {value: '${a}', equals: 1, steps: [" LOOK "]}]}\n");
	assert_string_equal(ask_for("{\"a\":2}"), "OK cache=miss");
	assert_string_equal(ask_for("{\"a\":2}"), "OK cache=miss");
}

static void test_its_steps_may_wait_and_fail(void **state)
{
	load_condition("present: true");
	world.catalog.at_once = NULL;
	struct trial *good = start("p", "{\"x\":1}", 1000), *bad = start("p", "{\"x\":1}", 1000);
	struct trial *gone = start("p", "{\"x\":1}", 1000);
	row(0, "8");
	expect(good, "OK 8");
	scripted_job_end(job(0), STATUS_NOT_FOUND, NULL);
	expect(bad, "NOT_FOUND {\"error\":\"not found\",\"stage\":\"p/1.when/1.lookup\"}");
	cut(gone);
	expect(gone, "CANCELLED {\"error\":\"cancelled\"}");
}

static void test_stats(void **state)
{
	load_condition("present: true");
	(void)ask_for("{\"x\":1}");
	(void)ask_for("{}");
	(void)ask_for("{}");
	struct buffer buffer;
	buffer_init(&buffer);
	pipelines_write_stats(world.pipelines, &buffer);
	buffer_append_char(&buffer, '\0');
	assert_non_null(strstr(buffer.data, "\"p/1.when\":{\"taken\":1,\"passed\":2}"));
	buffer_deinit(&buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			stage_test(test_present),
			stage_test(test_not_present),
			stage_test(test_equals),
			stage_test(test_equals_a_string),
			stage_test(test_equals_what_a_path_gives),
			stage_test(test_above),
			stage_test(test_below_what_a_path_gives),
			stage_test(test_a_text_is_built),
			stage_test(test_what_was_there_before_stands),
			stage_test(test_a_called_pipeline_begins_without_a_value),
			stage_test(test_a_name_stands_for_what_it_did),
			stage_test(test_a_miss_depends_on_it_through_its_key),
			stage_test(test_no_value_is_not_kept),
			stage_test(test_its_steps_may_wait_and_fail),
			stage_test(test_stats),
	};
	return cmocka_run_group_tests_name("stages/when", tests, NULL, NULL);
}
