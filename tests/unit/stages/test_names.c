/* SPDX-License-Identifier: Apache-2.0 */
/* What a body must hold, what names stand for, and what a reply is made of. */
#include "tests/unit/stages/trial.h"

#define FIRST	     "{lookup: {in: catalog, query: SELECT 1}, as: first}"
#define REFUSED(why) "INVALID_ARGUMENT {\"error\":\"" why "\"}"

static void test_bodies_are_checked_against_takes(void **state)
{
	static const struct {
		const char *body;
		const char *answer;
	} bodies[] = {
			{"{\"s\":\"x\",\"n\":1,\"b\":true,\"o\":{},\"l\":[\"a\"],\"a\":null,"
			 "\"more\":[]}",
					""},
			{"{\"s\":\"\",\"n\":-1.5e3,\"b\":false,\"o\":{\"x\":1},\"l\":[],\"a\":{}}",
					""},
			{"{\"n\":1,\"b\":true,\"o\":{},\"l\":[],\"a\":1}",
					REFUSED("\\\"s\\\" is missing (string)")},
			{"{\"s\":null,\"n\":1,\"b\":true,\"o\":{},\"l\":[],\"a\":1}",
					REFUSED("\\\"s\\\" must be of type string")},
			{"{\"s\":\"\",\"n\":\"1\",\"b\":true,\"o\":{},\"l\":[],\"a\":1}",
					REFUSED("\\\"n\\\" must be of type number")},
			{"{\"s\":\"\",\"n\":1,\"b\":0,\"o\":{},\"l\":[],\"a\":1}",
					REFUSED("\\\"b\\\" must be of type boolean")},
			{"{\"s\":\"\",\"n\":1,\"b\":true,\"o\":[],\"l\":[],\"a\":1}",
					REFUSED("\\\"o\\\" must be of type object")},
			{"{\"s\":\"\",\"n\":1,\"b\":true,\"o\":{},\"l\":[\"a\",1],\"a\":1}",
					REFUSED("\\\"l\\\" must be of type [string]")},
			{"{\"s\":\"\",\"n\":1,\"b\":true,\"o\":{},\"l\":\"a\",\"a\":1}",
					REFUSED("\\\"l\\\" must be of type [string]")},
			{"{\"s\":\"\",\"n\":1,\"b\":true,\"o\":{},\"l\":[]}",
					REFUSED("\\\"a\\\" is missing (any)")},
	};
	load("pipelines:\n  p:\n    takes: {s: string, n: number, b: boolean, o: object, l: "
	     "[string], a: any}\n"
	     "    steps: [" FIRST "]\n");
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		expect(start("p", bodies[i].body, 1000), bodies[i].answer);
	assert_int_equal(world.catalog.database.queries, 2);
}

static void test_defaults_stand_in_for_what_is_missing(void **state)
{
	load("pipelines:\n  p:\n    takes: {locale: string = en, qty: number = 1.50, all: boolean "
	     "= false}\n"
	     "    steps: [" FIRST "]\n    reply: {l: \"${locale}\", q: \"${qty}\", a: \"${all}\", "
	     "t: \"${locale}/${qty}\"}\n");
	struct trial *without = start("p", "{}", 1000);
	struct trial *with = start("p", "{\"locale\":\"de\",\"qty\":2,\"all\":true}", 1000);
	row(0, "1");
	row(0, "1");
	expect(without, "OK {\"l\":\"en\",\"q\":1.50,\"a\":false,\"t\":\"en/1.50\"}");
	expect(with, "OK {\"l\":\"de\",\"q\":2,\"a\":true,\"t\":\"de/2\"}");
}

static void test_without_a_reply_the_last_value_is_it(void **state)
{
	load("pipelines:\n  p:\n    steps: [" FIRST ", lookup: {in: catalog, query: SELECT 2}]\n");
	struct trial *trial = start("p", "{}", 1000);
	row(0, "1");
	row(0, "{\"two\": 2}");
	expect(trial, "OK {\"two\": 2}");
}

static void test_replies_are_made_of_templates(void **state)
{
	load("pipelines:\n  p:\n    steps: [" FIRST "]\n    reply:\n"
	     "      whole: \"${first}\"\n      path: \"${first.list.1}\"\n      text: "
	     "\"<${first.name}, ${n}>\"\n"
	     "      constant: 5\n      quoted: '5'\n      default: \"${first.none | [no]}\"\n      "
	     "literal: \"$${n}\"\n");
	struct trial *trial = start("p", "{\"n\":1.0}", 1000);
	row(0, "{\"name\":\"a\\\"b\",\"list\":[1,{\"x\":null}]}");
	expect(trial, "OK "
		      "{\"whole\":{\"name\":\"a\\\"b\",\"list\":[1,{\"x\":null}]},\"path\":{\"x\":"
		      "null},"
		      "\"text\":\"<a\\\"b, "
		      "1.0>\",\"constant\":5,\"quoted\":\"5\",\"default\":\"[no]\",\"literal\":\"${"
		      "n}\"}");
}

static void test_a_reply_that_cannot_be_made_names_the_path(void **state)
{
	load("pipelines:\n  p:\n    steps: [" FIRST "]\n    reply: {a: \"${first.x}\"}\n"
	     "  q:\n    steps: [" FIRST "]\n    reply: {a: \"<${first}>\"}\n");
	struct trial *missing = start("p", "{}", 1000);
	struct trial *wrong = start("q", "{}", 1000);
	row(0, "[]");
	row(0, "[]");
	expect(missing, "INVALID_ARGUMENT {\"error\":\"\\\"first.x\\\" is "
			"missing\",\"stage\":\"p\"}");
	expect(wrong, "INVALID_ARGUMENT {\"error\":\"\\\"first\\\" must be a string, a number or a "
		      "boolean\",\"stage\":\"q\"}");
}

static void test_the_nearest_name_is_meant(void **state)
{
	load("pipelines:\n  p:\n    takes: {a: number}\n    steps:\n"
	     "      - {lookup: {in: catalog, query: 'SELECT :a'}, as: b}\n"
	     "      - timeout: {after: 1s, steps: [{lookup: {in: catalog, query: 'SELECT :a || "
	     ":b'}, as: b},\n"
	     "                                     {lookup: {in: catalog, query: 'SELECT :b'}, as: "
	     "a}]}\n"
	     "        as: c\n"
	     "      - {lookup: {in: catalog, query: 'SELECT :a || :b || :c'}, as: a}\n"
	     "    reply: {a: \"${a}\", b: \"${b}\", c: \"${c}\"}\n");
	struct trial *trial = start("p", "{\"a\":1}", 1000);
	assert_int_equal(job(0)->job.values[0].integer, 1);
	row(0, "2");
	assert_int_equal(job(0)->job.values[0].integer, 1);
	assert_int_equal(job(0)->job.values[1].integer, 2);
	row(0, "3");
	assert_int_equal(job(0)->job.values[0].integer, 3);
	row(0, "4");
	assert_int_equal(job(0)->job.values[0].integer, 1);
	assert_int_equal(job(0)->job.values[1].integer, 2);
	assert_int_equal(job(0)->job.values[2].integer, 4);
	row(0, "5");
	expect(trial, "OK {\"a\":5,\"b\":2,\"c\":4}");
}

static void test_names_in_a_miss(void **state)
{
	load("pipelines:\n  p:\n    steps:\n"
	     "      - {lookup: {in: catalog, query: SELECT 1}, as: one}\n"
	     "      - cache:\n          in: hot\n          key: '${one.id}/${b | 0}'\n          "
	     "ttl: 1s\n          miss:\n"
	     "            - {lookup: {in: catalog, query: 'SELECT :x || :y', params: {x: "
	     "'${one.id}', y: '${b | 0}'}}, as: one}\n"
	     "            - lookup: {in: catalog, query: 'SELECT :one'}\n"
	     "        as: two\n    reply: {one: \"${one}\", two: \"${two}\"}\n");
	struct trial *trial = start("p", "{}", 1000);
	row(0, "{\"id\":7}");
	assert_int_equal(job(0)->job.values[0].integer, 7);
	assert_int_equal(job(0)->job.values[1].integer, 0);
	row(0, "8");
	assert_int_equal(job(0)->job.values[0].integer, 8);
	row(0, "9");
	expect(trial, "OK cache=miss {\"one\":{\"id\":7},\"two\":9}");
}

static void test_a_step_without_a_value_gives_its_name_none(void **state)
{
	load("pipelines:\n  p:\n    steps: [{fanout: {to: north, wait: any}, as: quote}]\n"
	     "    reply: {quote: \"${quote | none}\"}\n");
	struct trial *trial = start("p", "{}", 1000);
	scripted_ask_end(ask(&world.north, 0), STATUS_OK, NULL);
	expect(trial, "OK {\"quote\":\"none\"}");
}

static void test_an_error_ends_the_steps(void **state)
{
	load("pipelines:\n  p:\n    steps: [" FIRST
	     ", lookup: {in: catalog, query: 'SELECT :none'}]\n");
	struct trial *first = start("p", "{}", 1000);
	struct trial *second = start("p", "{}", 1000);
	scripted_job_end(job(0), STATUS_NOT_FOUND, NULL);
	row(0, "1");
	expect(first, "NOT_FOUND {\"error\":\"not found\",\"stage\":\"p/1.lookup\"}");
	expect(second, "INVALID_ARGUMENT {\"error\":\"\\\"none\\\" is "
		       "missing\",\"stage\":\"p/2.lookup\"}");
	assert_int_equal(world.catalog.database.queries, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			stage_test(test_bodies_are_checked_against_takes),
			stage_test(test_defaults_stand_in_for_what_is_missing),
			stage_test(test_without_a_reply_the_last_value_is_it),
			stage_test(test_replies_are_made_of_templates),
			stage_test(test_a_reply_that_cannot_be_made_names_the_path),
			stage_test(test_the_nearest_name_is_meant),
			stage_test(test_names_in_a_miss),
			stage_test(test_a_step_without_a_value_gives_its_name_none),
			stage_test(test_an_error_ends_the_steps),
	};
	return cmocka_run_group_tests_name("stages/names", tests, NULL, NULL);
}
