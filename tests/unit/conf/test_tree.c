/* SPDX-License-Identifier: Apache-2.0 */
/* What good configurations come to: every kind in every way of writing it, with places and
 * defaults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/conf/tables.h"

/* What the root table comes to where only `listen` is given. */
#define DEFAULTS                                                                                   \
	"every*@1:1 1000000000, limits*@1:1 {message*@1:1 1048576, depth*@1:1 32, strict*@1:1 0}"

static const char *tree(void **state, const char *text)
{
	struct reading *reading = *state;
	reading_read(reading, text_of(text));
	assert_string_equal(reading_errors(reading), "");
	assert_non_null(reading->map);
	return reading_tree(reading);
}

static void defaults(void **state)
{
	assert_string_equal(tree(state, "listen: a\n"), "{listen@1:9 'a', " DEFAULTS "}");
	assert_string_equal(tree(state, "listen: a\nlimits: {}\n"),
			"{listen@1:9 'a', every*@1:1 1000000000, limits@2:9 {message*@2:9 1048576, "
			"depth*@2:9 32, strict*@2:9 0}}");
}

static void scalars(void **state)
{
	assert_string_equal(tree(state, "listen: 'tcp://127.0.0.1:5555'\n"
					"every: \"250ms\"\n"
					"limits:\n"
					"  message: 64KiB\n"
					"  depth: 64\n"
					"  strict: true\n"),
			"{listen@1:9 'tcp://127.0.0.1:5555', every@2:8 250000000, limits@4:3 "
			"{message@4:12 65536, depth@5:10 64, strict@6:11 1}}");
	assert_string_equal(tree(state, "listen: null\n"), "{listen@1:9 'null', " DEFAULTS "}");
	assert_string_equal(tree(state, "\xef\xbb\xbflisten: \"\xc3\xa9\"\n"),
			"{listen@1:9 '\xc3\xa9', " DEFAULTS "}");
	assert_string_equal(tree(state, "%YAML 1.1\n---\nlisten: ''\n...\n"),
			"{listen@3:9 '', every*@3:1 1000000000, limits*@3:1 {message*@3:1 1048576, "
			"depth*@3:1 32, strict*@3:1 0}}");
}

static void lists_and_bare_keys(void **state)
{
	assert_string_equal(tree(state, "listen: a\n"
					"doors: b\n"),
			"{listen@1:9 'a', " DEFAULTS ", doors@2:8 [{address@2:8 'b'}]}");
	assert_string_equal(tree(state, "listen: a\n"
					"doors:\n"
					"- b\n"
					"- {address: c, backlog: 3}\n"),
			"{listen@1:9 'a', " DEFAULTS
			", doors@3:1 [{address@3:3 'b'}, {address@4:13 'c', backlog@4:25 3}]}");
	assert_string_equal(tree(state, "listen: a\n"
					"doors: []\n"),
			"{listen@1:9 'a', " DEFAULTS ", doors@2:8 []}");
}

static void named(void **state)
{
	assert_string_equal(tree(state, "listen: a\n"
					"resources:\n"
					"  hot:\n"
					"    memory: 64MiB\n"
					"  Cat_1-x: {connections: 2, sqlite: /c.db}\n"),
			"{listen@1:9 'a', " DEFAULTS
			", resources@3:3 {hot@3:3 memory {memory@4:13 67108864}, Cat_1-x@5:3 "
			"sqlite {sqlite@5:37 '/c.db', connections@5:26 2}}}");
	assert_string_equal(tree(state, "listen: a\nresources: {}\npipelines: {}\n"),
			"{listen@1:9 'a', " DEFAULTS ", resources@2:12 {}, pipelines@3:12 {}}");
}

static void steps(void **state)
{
	assert_string_equal(tree(state, "listen: a\n"
					"pipelines:\n"
					"  short: [pass]\n"
					"  long:\n"
					"    steps:\n"
					"    - cache:\n"
					"        in: hot\n"
					"        key: product/${sku}\n"
					"        ttl: 30s\n"
					"        miss:\n"
					"        - lookup:\n"
					"            in: catalog\n"
					"            query: |\n"
					"              SELECT 1\n"
					"            params: {sku: \"${other.0}\"}\n"
					"            json: [symbols]\n"
					"            rows: all\n"
					"    - as: product\n"
					"      call: product\n"
					"    - call: {pipeline: p, with: {a: \"${b}\"}}\n"
					"    - group:\n"
					"      - pass:\n"
					"      - pass: {note: n}\n"
					"      as: g\n"
					"    - group: {after: 50ms, steps: []}\n"
					"    - fanout: {to: north, wait: any}\n"
					"    - fanout: {to: [north, south], wait: 2, target: \"${t "
					"| x}\"}\n"),
			"{listen@1:9 'a', " DEFAULTS
			", pipelines@3:3 {short@3:3 {steps@3:10 [pass@3:11{note*@3:11 ''}]}, "
			"long@4:3 {steps@6:5 [cache@6:7{in@7:13 'hot', key@8:14 product/<sku|>, "
			"ttl@9:14 30000000000, miss@11:9 [lookup@11:11{in@12:17 'catalog', "
			"query@13:20 'SELECT 1\n', params@15:21 {sku@15:22 <other.0|>}, json@16:19 "
			"['symbols'], rows@17:19 choice 1 number 0}]}; call@19:7{pipeline@19:13 "
			"'product'} as product@18:11; call@20:7{pipeline@20:24 'p', with@20:33 "
			"{a@20:34 <b|>}}; group@21:7{steps@22:7 [pass@22:9{note*@22:9 ''}; "
			"pass@23:9{note@23:22 'n'}]} as g@24:11; group@25:7{steps@25:35 [], "
			"after@25:22 50000000}; fanout@26:7{to@26:20 ['north'], wait@26:33 choice "
			"1 number 0, target*@26:15 \"quote\"}; fanout@27:7{to@27:20 ['north', "
			"'south'], wait@27:42 choice -1 number 2, target@27:53 <t|\"x\">}]}}}");
}

/* Without quotes a number, true, false or null is that JSON value; with them it is a string. */
static void templates(void **state)
{
	assert_string_equal(tree(state, "listen: a\n"
					"pipelines:\n"
					"  p:\n"
					"    steps: [pass]\n"
					"    reply: {a: 1, b: '1', c: true, d: \"null\", e: null, "
					"f: x, g: \"\",\n"
					"            h: 'x${a.b}y', i: 1.50}\n"),
			"{listen@1:9 'a', " DEFAULTS
			", pipelines@3:3 {p@3:3 {steps@4:12 [pass@4:13{note*@4:13 ''}], reply@5:12 "
			"{a@5:13 1, b@5:19 \"1\", c@5:27 true, d@5:36 \"null\", e@5:47 null, "
			"f@5:56 \"x\", g@5:62 \"\", h@6:13 x<a.b|>y, i@6:28 1.50}}}}");
}

static void types(void **state)
{
	assert_string_equal(tree(state, "listen: a\n"
					"pipelines:\n"
					"  p:\n"
					"    takes: {sku: string, symbols: [string], qty: number = "
					"1.5e3,\n"
					"            locale: string = en \"GB\", gift: "
					"boolean=true, rest: any}\n"
					"    steps: []\n"
					"  q:\n"
					"    takes:\n"
					"      o: object\n"
					"      n: [number]\n"
					"      empty: 'string ='\n"
					"      any: [any]\n"
					"    steps: []\n"),
			"{listen@1:9 'a', " DEFAULTS
			", pipelines@3:3 {p@3:3 {takes@4:12 {sku@4:13 string, symbols@4:26 "
			"[string], qty@4:45 number=1.5e3, locale@5:13 string=\"en \\\"GB\\\"\", "
			"gift@5:39 boolean=true, rest@5:59 any}, steps@6:12 []}, q@7:3 {takes@9:7 "
			"{o@9:7 object, n@10:7 [number], empty@11:7 string=\"\", any@12:7 [any]}, "
			"steps@13:12 []}}}");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, reading_setup, reading_teardown)
	const struct CMUnitTest tests[] = {
			TEST(defaults),
			TEST(scalars),
			TEST(lists_and_bare_keys),
			TEST(named),
			TEST(steps),
			TEST(templates),
			TEST(types),
	};
	return cmocka_run_group_tests_name("conf/tree", tests, NULL, NULL);
}
