/* SPDX-License-Identifier: Apache-2.0 */
/* What a source is asked where it has templates of its own, as one over HTTP has. */
#include <stdio.h>

#include "pipeline/base/template.h"
#include "tests/unit/stages/trial.h"

/* The source is asked by that URL, which stands in line 3 of its file. */
static void give_url(struct scripted_source *source, const char *url)
{
	const struct place place = {"test", 3, 17};
	const struct template *template =
			template_compile(text_of(url), false, place, &world.arena, &world.diag);
	assert_non_null(template);
	scripted_source_by_url(source, template);
}

static void load_steps(const char *steps)
{
	char yaml[1024];
	(void)snprintf(yaml, sizeof(yaml), "pipelines:\n  p: {steps: [%s]}\n", steps);
	load(yaml);
}

static void refuses(const char *steps, const char *problems)
{
	char yaml[1024];
	(void)snprintf(yaml, sizeof(yaml), "pipelines:\n  p: {takes: {sku: string}, steps: [%s]}\n",
			steps);
	(void)world_load(&world, yaml);
	assert_string_equal(world_problems(&world), problems);
}

static void asked(const struct scripted_source *source, size_t n, const char *url)
{
	const struct ask *asked = &ask(source, n)->ask;
	assert_non_null(asked->texts);
	if (!text_equal(asked->texts[0], text_of(url)))
		fail_msg("%.*s instead of %s", TEXT_ARG(asked->texts[0]), url);
	assert_null(asked->target.data);
	assert_null(asked->body.data);
}

static void test_names_are_the_fan_outs(void **state)
{
	give_url(&world.north, "/${sku}?at=${row.price}&s=${symbol}&n=${no | a b}");
	load_steps("{lookup: {in: catalog, query: 'SELECT 1'}, as: row},"
		   "{fanout: {each: {symbol: '${symbols}'}, to: [north, south]}}");
	(void)start("p", "{\"sku\":\"a/b\",\"symbols\":[\"\\u00e9\",-1e+5]}", 1000);
	row(0, "{\"price\":1.50}");
	asked(&world.north, 0, "/a%2Fb?at=1.50&s=%C3%A9&n=a%20b");
	asked(&world.north, 1, "/a%2Fb?at=1.50&s=-1e%2B5&n=a%20b");
	/* The one beside it is asked as ever. */
	assert_true(text_equal(ask(&world.south, 0)->ask.target, TEXT("quote")));
	assert_null(ask(&world.south, 0)->ask.texts);
}

static void test_a_value_that_may_not_stand_there(void **state)
{
	give_url(&world.north, "/${sku}");
	load_steps("{fanout: {to: [north]}}");
	expect(start("p", "{}", 1000), "INVALID_ARGUMENT {\"error\":\"\\\"sku\\\" is missing\","
				       "\"stage\":\"p/1.fanout\"}");
	expect(start("p", "{\"sku\":[1]}", 1000),
			"INVALID_ARGUMENT {\"error\":\"\\\"sku\\\" must be a string, a number or a "
			"boolean\",\"stage\":\"p/1.fanout\"}");
	assert_int_equal(world.north.source.stats.asked, 0);
}

static void test_names_are_checked_for_each_fan_out(void **state)
{
	give_url(&world.north, "/${sku}?s=${symbol}");
	refuses("{fanout: {each: {symbol: '${sku}'}, to: [north]}}, {fanout: {to: [south, north]}}",
			"2:110: what source \"north\" is to be asked, by its own templates, does "
			"not "
			"fit here\n"
			"3:17: nothing gives the name \"symbol\"\n");
}

static void test_a_target_must_mean_something(void **state)
{
	give_url(&world.north, "/");
	give_url(&world.east, "/");
	refuses("{fanout: {to: [north, south], target: a, body: {sku: 1}}},"
		"{fanout: {to: [north, east], target: a, body: {sku: 1}}}",
			"2:132: \"target\" means nothing to any of these sources: what they are "
			"asked for stands where they are configured\n"
			"2:141: none of these sources is sent a body, as they are configured\n");
}

/* It is sent no body, so it needs none that the key holds; but of its URL the key must hold all. */
static void test_inside_a_miss(void **state)
{
	give_url(&world.north, "/${sku}");
	give_url(&world.south, "/${sku}/${lang | en}");
	refuses("{cache: {in: hot, key: 'a/${sku}', ttl: 1s, miss: [{fanout: {to: [north]}}]}},"
		"{cache: {in: hot, key: 'b/${sku}', ttl: 1s, miss: [{fanout: {to: [south]}}]}}",
			"2:181: what source \"south\" is to be asked, by its own templates, does "
			"not "
			"fit here\n"
			"3:17: \"miss\" reads \"lang\", which \"key\" does not hold: requests with "
			"other values would share its answer; put ${lang} into the key, or, if "
			"that is "
			"meant, lang into \"unkeyed\"\n");
}

static void test_in_a_flight(void **state)
{
	give_url(&world.north, "/${sku}");
	load_steps("{cache: {in: hot, key: 'a/${sku}', ttl: 1s, miss: [{fanout: {to: [north], "
		   "wait: "
		   "any}}]}}");
	struct trial *trial = start("p", "{\"sku\":\"a?b\"}", 1000);
	asked(&world.north, 0, "/a%3Fb");
	quote(&world.north, 0, "7");
	expect(trial, "OK cache=miss 7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			stage_test(test_names_are_the_fan_outs),
			stage_test(test_a_value_that_may_not_stand_there),
			stage_test(test_names_are_checked_for_each_fan_out),
			stage_test(test_a_target_must_mean_something),
			stage_test(test_inside_a_miss),
			stage_test(test_in_a_flight),
	};
	return cmocka_run_group_tests_name("stages/question", tests, NULL, NULL);
}
