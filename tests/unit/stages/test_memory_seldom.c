/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is out at any moment, as in test_memory.c, where caches are passed by or hold what is
 * old, and in what few pipelines say.
 */
#include <string.h>

#include "pipeline/async/async.h"
#include "tests/unit/allocations.h"
#include "tests/unit/stages/trial.h"
#include "tests/unit/sweep.h"

#define LEDGER "lookup: {in: ledger, query: SELECT 1}"

/* A miss that calls, what it may read beside its key, a best answer, values that are viewed first
 * where a default stands for them, a template of a source's own. */
static const char yaml[] =
		"pipelines:\n"
		"  p:\n"
		"    takes: {sku: string, who: string}\n"
		"    steps:\n"
		"      - cache: {in: hot, key: 'p/${sku}', unkeyed: [who], ttl: 1s, jitter: 0s, "
		"stale: "
		"1h, miss: [\n"
		"          cache: {in: cold, key: 'q/${sku}', ttl: 1s, miss: [lookup: {in: "
		"catalog, "
		"query: 'SELECT :sku'}]},\n"
		"          call: q]}\n"
		"      - when: {value: '<${sku}>', equals: '<${who}>', steps: [" LEDGER "]}\n"
		"        as: first\n"
		"      - lookup: {in: ledger, query: 'SELECT :n', params: {n: '${first.0 | 7}'}}\n"
		"        as: second\n"
		"      - when: {value: '${second.0 | 7}', above: 6, steps: [" LEDGER "]}\n"
		"        as: third\n"
		"      - cache: {in: cold, key: '${third.0 | 7}', ttl: 0s, miss: [" LEDGER "]}\n"
		"      - fanout: {to: [north, south], best: {lowest: price.of}}\n"
		"        as: best\n"
		"      - fanout: {to: [east], wait: any}\n"
		"    reply: {of: '${best.$source}'}\n"
		"  q:\n"
		"    takes: {sku: string, who: string}\n"
		"    steps:\n"
		"      - lookup: {in: catalog, query: 'SELECT :who'}\n"
		"  r:\n"
		"    steps:\n"
		"      - cache: {in: hot, key: 'r/${x}', ttl: 1s, miss: [\n"
		"          cache: {in: cold, key: 'r/${x}', ttl: 1s, miss: [\n"
		"            lookup: {in: catalog, query: 'SELECT :x'}]}]}\n";

#define BODY   "{\"sku\":\"a\",\"who\":\"a\"}"
#define ANSWER "{\"of\":\"south\"}"

static void answer_at_once(void)
{
	static const struct scripted_end row = {STATUS_OK, "{\"n\":1}"};
	static const struct scripted_end list = {STATUS_OK, "[7]"};
	static const struct scripted_end quotes[] = {{STATUS_OK, "{\"price\":{\"of\":2}}"},
			{STATUS_OK, "{\"price\":{\"of\":1}}"}, {STATUS_OK, "3"}};
	world.catalog.at_once = &row;
	world.ledger.at_once = &list;
	world.north.at_once = &quotes[0];
	world.south.at_once = &quotes[1];
	world.east.at_once = &quotes[2];
}

/* East is asked by a header, too. */
static void read(void)
{
	const struct place nowhere = {"sluice.yaml", 1, 1};
	assert_int_equal(set_up(NULL), 0);
	assert_true(world_read(&world, yaml));
	const struct template *header = template_compile(
			TEXT("<${sku}>"), false, nowhere, &world.arena, &world.diag);
	assert_non_null(header);
	scripted_source_with_header(&world.east, header);
}

static void begin(void)
{
	read();
	assert_true(world_compile(&world));
	answer_at_once();
	before_answer = allocations_heal;
}

/* Whether it ended as if there were memory. */
static bool run_in_turn(struct trial *trial, const char *right)
{
	sweep_fail();
	run(trial);
	(void)world_turn(&world);
	allocations_heal();
	const char *said = answer(trial);
	bool good = strcmp(said, right) == 0;
	if (!good && !strstr(said, "RESOURCE_EXHAUSTED"))
		fail_msg("%s", said);
	before_answer = NULL;
	assert_int_equal(tear_down(NULL), 0);
	return good;
}

/* Whether it was taken; what is taken works. */
static bool compile_in_turn(void)
{
	assert_int_equal(set_up(NULL), 0);
	assert_true(world_read(&world, yaml));
	sweep_fail();
	bool compiled = world_compile(&world);
	allocations_heal();
	assert_int_equal(compiled, world.diag.errors == 0);
	answer_at_once();
	if (compiled)
		expect(start("p", BODY, 1000), "OK cache=miss " ANSWER);
	assert_int_equal(tear_down(NULL), 0);
	return compiled;
}

static void test_a_configuration_is_refused(void **state)
{
	assert_true(sweep_allocations(compile_in_turn) > 100);
}

static bool miss_in_turn(void)
{
	begin();
	return run_in_turn(prepare("p", BODY, 1000), "OK cache=miss " ANSWER);
}

static void test_what_is_not_there(void **state)
{
	assert_true(sweep_allocations(miss_in_turn) > 30);
}

/* Nobody else finds its flight. */
static bool fresh_in_turn(void)
{
	begin();
	struct trial *trial = prepare("p", BODY, 1000);
	trial->run.fresh = true;
	return run_in_turn(trial, "OK cache=miss " ANSWER);
}

static void test_what_is_to_be_fresh(void **state)
{
	assert_true(sweep_allocations(fresh_in_turn) > 30);
}

/* Where there is no memory to refresh it, it is given all the same. */
static bool stale_in_turn(void)
{
	begin();
	expect(start("p", BODY, 1000), "OK cache=miss " ANSWER);
	world_at(&world, (world.async.now - WORLD_START) / WORLD_MS + 1001);
	before_answer = allocations_heal;
	return run_in_turn(prepare("p", BODY, 1000), "OK cache=stale " ANSWER);
}

static void test_what_is_stale(void **state)
{
	assert_true(sweep_allocations(stale_in_turn) > 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_a_configuration_is_refused),
			cmocka_unit_test(test_what_is_not_there),
			cmocka_unit_test(test_what_is_to_be_fresh),
			cmocka_unit_test(test_what_is_stale),
	};
	return cmocka_run_group_tests_name("stages/memory_seldom", tests, NULL, NULL);
}
