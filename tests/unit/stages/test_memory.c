/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is out at any moment: a configuration is then refused, and a run ends with an error
 * or with the right answer, never with another. The arenas here ask for each of their blocks, so
 * every allocation of all is in turn the one that fails.
 */

#include <string.h>

#include "pipeline/async/async.h"
#include "tests/unit/allocations.h"
#include "tests/unit/stages/trial.h"
#include "tests/unit/sweep.h"

#define PLAIN "lookup: {in: ledger, query: 'SELECT :sku, :price'}"

static const char yaml[] =
		"pipelines:\n"
		"  product:\n"
		"    takes: {sku: string, n: number = 1}\n"
		"    steps:\n"
		"      - cache:\n"
		"          in: hot\n"
		"          key: 'product/${sku}/${n}'\n"
		"          ttl: 1s\n"
		"          miss:\n"
		"            - lookup: {in: catalog, query: 'SELECT :sku, :n', json: [symbols], "
		"params: {n: '${n}'}}\n"
		"  offer:\n"
		"    steps:\n"
		"      - call: {pipeline: product, with: {sku: '<${sku}>'}}\n"
		"        as: product\n"
		"      - cache: {in: cold, key: '${product | 0}', ttl: 1s, miss: [\n"
		"          call: {pipeline: other, with: {name: '${product.name | 0}'}}]}\n"
		"        as: other\n"
		"      - timeout:\n"
		"          after: 1s\n"
		"          steps:\n"
		"            - fanout: {to: [north, south, west], each: {symbol: "
		"'${product.symbols}'}, on_error: partial}\n"
		"        as: quotes\n"
		"      - lookup: {in: ledger, query: 'SELECT :price', params: {price: "
		"'${price}'}}\n"
		"        as: list\n"
		"      - fanout: {to: [north, south], each: {symbol: '${list}'}, on_error: "
		"partial}\n"
		"      - when: {value: '${price}', above: '${list.0}', steps: [" PLAIN "]}\n"
		"      - retry: {initial: 0s, steps: [" PLAIN "]}\n"
		"      - when: {value: '${product.name}', equals: '<${sku}>', steps: [" PLAIN "]}\n"
		"    reply: {product: '${product.name}', other: '${other}', quotes: '${quotes}'}\n"
		"  other:\n"
		"    takes: {name: any}\n"
		"    steps:\n"
		"      - lookup: {in: ledger, query: 'SELECT :name', missing: 'null'}\n"
		"    reply: {of: '${name}'}\n";

#define PRODUCT "{\"name\":\"n\",\"symbols\":[\"A\",2]}"
#define QUOTES	"{\"north\":1,\"south\":[2],\"$missing\":{\"west\":\"NOT_FOUND\"}}"
#define PARTIAL "OK cache=miss partial=1 {\"product\":\"n\",\"other\":{\"of\":\"n\"},\"quotes\":{"
#define ANSWER	PARTIAL "\"A\":" QUOTES ",\"2\":" QUOTES "}}"

static void answer_at_once(void)
{
	static const struct scripted_end product = {STATUS_OK, PRODUCT};
	static const struct scripted_end other = {STATUS_OK, "[7]"};
	static const struct scripted_end quotes[] = {
			{STATUS_OK, "1"}, {STATUS_OK, "[2]"}, {STATUS_NOT_FOUND, NULL}};
	world.catalog.at_once = &product;
	world.ledger.at_once = &other;
	world.north.at_once = &quotes[0];
	world.south.at_once = &quotes[1];
	world.west.at_once = &quotes[2];
}

static bool works(void)
{
	const struct query *query = container_of(world.catalog.queries.next, struct query, link);
	struct trial *trial = start("offer", "{\"sku\":\"a\",\"price\":1.5}", 1000);
	return strcmp(answer(trial), ANSWER) == 0 && query->spec->json_column_count == 1;
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
	assert_true(!compiled || works());
	assert_int_equal(tear_down(NULL), 0);
	return compiled;
}

static void test_a_configuration_is_refused(void **state)
{
	assert_true(sweep_allocations(compile_in_turn) > 100);
}

/* Without memory an ask ends RESOURCE_EXHAUSTED, and what others answered will do. */
static bool is_partial(const char *said)
{
	static const char beginning[] = PARTIAL;
	struct arena arena;
	struct json json;
	struct json_error error;
	if (strncmp(said, beginning, sizeof(beginning) - 1) != 0)
		return false;
	arena_init(&arena, NULL);
	bool valid = json_parse(&json, &arena, text_of(strchr(said, '{')), &world.limits, &error);
	arena_deinit(&arena);
	return valid && strstr(said, ":\"RESOURCE_EXHAUSTED\"") && !strstr(said, "null") &&
	       !strstr(said, "{}");
}

static bool is_refused(const char *said)
{
	return strncmp(said, "RESOURCE_EXHAUSTED ", sizeof("RESOURCE_EXHAUSTED ") - 1) == 0;
}

/* Whether it ended as if there were memory. */
static bool run_in_turn(void)
{
	assert_int_equal(set_up(NULL), 0);
	load(yaml);
	answer_at_once();
	struct trial *trial = prepare("offer", "{\"sku\":\"a\",\"price\":1.5}", 1000);
	before_answer = allocations_heal;
	sweep_fail();
	run(trial);
	allocations_heal();
	const char *said = answer(trial);
	bool good = strcmp(said, ANSWER) == 0;
	assert_true(good || is_refused(said) || is_partial(said));
	assert_int_equal(tear_down(NULL), 0);
	return good;
}

static void test_a_run_is_refused_or_right(void **state)
{
	assert_true(sweep_allocations(run_in_turn) > 100);
}

static const char waits[] = "pipelines:\n"
			    "  p:\n"
			    "    steps:\n"
			    "      - retry: {initial: 10ms, steps: [lookup: {in: catalog, query: "
			    "'SELECT 1'}]}\n"
			    "        as: row\n"
			    "      - fanout: {to: [north, south], wait: any, hedge: 10ms, body: "
			    "{of: '${row}'}}\n";

static void let_pass(uint64_t ms)
{
	world_at(&world, (world.async.now - WORLD_START) / WORLD_MS + ms);
}

/* The first attempt fails, the second does not; north is slow, so south is asked as its hedge. A
 * third attempt, where memory was out in the second, begins after another 20 ms at the latest. */
static void run_and_wait(struct trial *trial)
{
	static const struct scripted_end locked = {STATUS_UNAVAILABLE, "locked"};
	static const struct scripted_end row = {STATUS_OK, "1"};
	static const struct scripted_end price = {STATUS_OK, "2"};
	world.catalog.at_once = &locked;
	world.south.at_once = &price;
	run(trial);
	world.catalog.at_once = &row;
	let_pass(11);
	let_pass(11);
	let_pass(21);
	let_pass(11);
}

/* That the first attempt has failed is no secret where a later one had no memory. */
static bool is_unavailable(const char *said)
{
	return strncmp(said, "UNAVAILABLE ", sizeof("UNAVAILABLE ") - 1) == 0;
}

/* Whether it ended as if there were memory. */
static bool wait_in_turn(void)
{
	assert_int_equal(set_up(NULL), 0);
	load(waits);
	struct trial *trial = prepare("p", "{}", 1000);
	before_answer = allocations_heal;
	sweep_fail();
	run_and_wait(trial);
	allocations_heal();
	/* Where memory was out for the answer of the hedge, north's is waited for. */
	if (!trial->answer && world.north.source.stats.pending > 0)
		quote(&world.north, 0, "2");
	const char *said = answer(trial);
	bool good = strcmp(said, "OK 2") == 0;
	assert_true(good || is_refused(said) || is_unavailable(said));
	assert_int_equal(tear_down(NULL), 0);
	return good;
}

static void test_what_waits_is_refused_or_right(void **state)
{
	assert_true(sweep_allocations(wait_in_turn) > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_a_configuration_is_refused),
			cmocka_unit_test(test_a_run_is_refused_or_right),
			cmocka_unit_test(test_what_waits_is_refused_or_right),
	};
	return cmocka_run_group_tests_name("stages/memory", tests, NULL, NULL);
}
