/* SPDX-License-Identifier: Apache-2.0 */
/* Every way to write an option wrong, with the exact words and the exact place that a person gets
 * to see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/conf/tables.h"

struct bad {
	const char *written;
	const char *errors;
};

static void check(struct reading *reading, const struct bad *bad)
{
	for (; bad->written; bad++) {
		reading_read(reading, text_of(bad->written));
		assert_string_equal(reading_errors(reading), bad->errors);
		assert_null(reading->map);
	}
}

#define STEP "listen: a\npipelines:\n  p:\n  - "

static void keys(void **state)
{
	static const struct bad bad[] = {
			{"lisen: a\nlisten: b\n",
					"1:1: unknown key \"lisen\"; did you mean \"listen\"?\n"},
			{"listen: a\nwhatever: 1\n",
					"2:1: unknown key \"whatever\"; expected one of listen, "
					"every, limits, doors, resources, pipelines\n"},
			{"listen: a\n\"a\\nb\": 1\n",
					"2:1: unknown key \"a\\nb\"; expected one of listen, "
					"every, limits, doors, resources, pipelines\n"},
			{"listen: a\nlimits: {depht: 3}\n",
					"2:10: unknown key \"depht\"; did you mean \"depth\"?\n"},
			{"listen: a\ncontrol: [what, ever]\n",
					"2:1: \"control\" is not in this version\n"},
			{"every: 1s\n", "1:1: \"listen\" is missing: the front door\n"},
			{"listen: a\ndoors:\n- address: b\n- {backlog: 3}\n",
					"4:3: \"address\" is missing: where it listens\n"},
			{NULL, NULL},
	};
	check(*state, bad);
}

static void numbers(void **state)
{
	static const struct bad bad[] = {
			{"listen: a\nevery: 30\n", "2:8: \"every\": expected a duration such as "
						   "250ms (ns, us, ms, s, m or h), not \"30\"\n"},
			{"listen: a\nevery: 30MiB\n",
					"2:8: \"every\": expected a duration such as 250ms (ns, "
					"us, ms, s, m or h), not \"30MiB\"\n"},
			{"listen: a\nevery: 10ms\n",
					"2:8: \"every\": expected 100ms to 1h, not 10ms\n"},
			{"listen: a\nevery: 90m\n",
					"2:8: \"every\": expected 100ms to 1h, not 90m\n"},
			{"listen: a\nevery:\n", "2:7: \"every\": expected a duration such as 250ms "
						"(ns, us, ms, s, m or h), not nothing\n"},
			{"listen: a\nevery: [1s]\n", "2:8: \"every\": expected a duration such as "
						     "250ms (ns, us, ms, s, m or h), not a list\n"},
			{"listen: a\nlimits:\n  message: 64\n",
					"3:12: \"message\": expected a size such as 64MiB (B, KiB, "
					"MiB or GiB), not \"64\"\n"},
			{"listen: a\nlimits:\n  message: 17MiB\n",
					"3:12: \"message\": expected at most 16MiB, not 17MiB\n"},
			{"listen: a\nlimits: {depth: 0}\n",
					"2:17: \"depth\": expected at least 1, not 0\n"},
			{"listen: a\nlimits: {depth: -1}\n", "2:17: \"depth\": expected a whole "
							     "number such as 100, not \"-1\"\n"},
			{"listen: a\nlimits: {depth: {}}\n", "2:17: \"depth\": expected a whole "
							     "number such as 100, not a map\n"},
			{"listen: a\nlimits: {strict: yes}\n",
					"2:18: \"strict\": expected true or false, not \"yes\"\n"},
			{"listen: a\nlimits: {strict: 'true'}\n",
					"2:18: \"strict\": expected true or false without quotes, "
					"not \"true\"\n"},
			{NULL, NULL},
	};
	check(*state, bad);
}

static void texts(void **state)
{
	static const struct bad bad[] = {
			{"listen:\nevery: 1s\n", "1:8: \"listen\": expected a text, not nothing\n"},
			{"listen: {a: b}\n", "1:9: \"listen\": expected a text, not a map\n"},
			{STEP "call: a.b\n", "4:11: \"pipeline\": expected a word of 1 to 64 of "
					     "A-Z a-z 0-9 _ -, not \"a.b\"\n"},
			{STEP "lookup: {in: {}, query: ''}\n",
					"4:18: \"in\": expected the name of "
					"a database, not a map\n"
					"4:29: \"query\": expected 1B to 2KiB, not 0B\n"},
			{STEP "lookup: {in: d, query: [SELECT]}\n",
					"4:28: \"query\": expected a text, not a list\n"},
			{STEP "lookup: {in: d, query: q, json: [a, 'b c']}\n",
					"4:41: \"json\": expected a word of 1 to 64 of A-Z a-z 0-9 "
					"_ -, not \"b c\"\n"},
			{STEP "lookup: {in: d, query: q, json: {a: b}}\n",
					"4:37: \"json\": expected a list, not a map\n"},
			{STEP "lookup: {in: d, query: q, json: }\n",
					"4:37: \"json\": expected a list, not nothing\n"},
			{STEP "lookup: {in: d, query: q, rows: al}\n",
					"4:37: \"rows\": expected one of first, all, not \"al\"; "
					"did you mean \"all\"?\n"},
			{STEP "lookup: {in: d, query: q, rows: 3}\n",
					"4:37: \"rows\": expected one of first, all, not \"3\"\n"},
			{STEP "fanout: {to: s, wait: some}\n",
					"4:27: \"wait\": expected one of all, any, or a whole "
					"number, not \"some\"\n"},
			{STEP "fanout: {to: s, wait: 10}\n",
					"4:27: \"wait\": expected 1 to 9, not 10\n"},
			{STEP "fanout: {to: [a, b, c, d]}\n",
					"4:18: \"to\": expected 1 to 3 of them, not 4\n"},
			{STEP "fanout: {to: []}\n",
					"4:18: \"to\": expected 1 to 3 of them, not 0\n"},
			{NULL, NULL},
	};
	check(*state, bad);
}

static void maps_and_names(void **state)
{
	static const struct bad bad[] = {
			{"listen: a\nlimits: 3\n", "2:9: \"limits\": expected a map, not \"3\"\n"},
			{"listen: a\nlimits:\n", "2:8: \"limits\": expected a map, not nothing\n"},
			{"listen: a\ndoors: {address: b}\n",
					"2:8: \"doors\": expected a list, not a map\n"},
			{"listen: a\ndoors: [[b]]\n", "2:9: \"doors\": expected a map or "
						      "\"address\" alone, not a list\n"},
			{"listen: a\npipelines: [p]\n", "2:12: \"pipelines\": expected a map of "
							"names, not a list\n"},
			{"listen: a\npipelines: {a b: [pass]}\n",
					"2:13: expected a name of 1 to 64 of A-Z a-z 0-9 _ -, not "
					"\"a b\"\n"},
			{"listen: a\npipelines: {'': [pass]}\n", "2:13: expected a name of 1 to 64 "
								 "of A-Z a-z 0-9 _ -, not \"\"\n"},
			{"listen: a\npipelines:\n  "
			 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggggg: "
			 "[pass]\n",
					"3:3: expected a name of 1 to 64 of A-Z a-z 0-9 _ -, not "
					"\"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeee\"..."
					"\n"},
			{"listen: a\npipelines: {p: }\n", "2:16: \"p\": expected a map or "
							  "\"steps\" alone, not nothing\n"},
			{"listen: a\nresources: {a: {memory: 1MiB}, b: {memory: 1KiB}, c: {sqlite: "
			 "x}, d: {sqlite: y}}\n",
					"2:12: \"resources\": expected at most 3 of them, not 4\n"},
			{STEP "call: {pipeline: q, with: {'a.b': c, d: [e], f: '${'}}\n",
					"4:32: expected a name of 1 to 64 of A-Z a-z 0-9 _ -, not "
					"\"a.b\"\n"
					"4:45: \"d\": expected a text, not a list\n"
					"4:53: expected '}' at the end of \"${\" (a literal ${ is "
					"written $${)\n"},
			{STEP "lookup: {in: d, query: q, params: {a: b, c: d, e: f}}\n",
					"4:39: \"params\": expected at most 2 of them, not 3\n"},
			{STEP "lookup: {in: d, query: q, params: none}\n",
					"4:39: \"params\": expected a map of names, not "
					"\"none\"\n"},
			{NULL, NULL},
	};
	check(*state, bad);
}

static void variants(void **state)
{
	static const struct bad bad[] = {
			{"listen: a\nresources: {r: memory}\n",
					"2:16: \"r\": expected a map, not \"memory\"\n"},
			{"listen: a\nresources: {r: {}}\n",
					"2:16: \"r\": expected one of the keys sqlite, memory\n"},
			{"listen: a\nresources: {r: {size: 1MiB}}\n",
					"2:16: \"r\": expected one of the keys sqlite, memory\n"},
			{"listen: a\nresources: {r: {connections: 4, sqlit: x}}\n",
					"2:33: unknown key \"sqlit\"; did you mean \"sqlite\"?\n"},
			{"listen: a\nresources: {r: {connections: 65, sqlite: x, memory: 1MiB}}\n",
					"2:30: \"connections\": expected 1 to 64, not 65\n"
					"2:45: \"memory\" and \"sqlite\" exclude each other\n"},
			{"listen: a\nresources: {r: {memory: 1MiB, connections: 4}}\n",
					"2:31: unknown key \"connections\": it goes with "
					"\"sqlite\", not with \"memory\"\n"},
			{"listen: a\nresources: {r: {memory: 1MiB, connection: 4}, q: {sqlite: "
			 "x, memory: x}}\n",
					"2:31: unknown key \"connection\"; expected one of memory\n"
					"2:62: \"memory\" and \"sqlite\" exclude each other\n"},
			{"listen: a\nresources:\n  r: {postgres: {what: ever}}\n",
					"3:7: \"postgres\" is not in this version\n"},
			{"listen: a\nresources:\n  r: {oracle: {what: ever}}\n",
					"3:7: \"oracle\" is not in this build of sluiced, which "
					"was "
					"made without liboracle\n"},
			{NULL, NULL},
	};
	check(*state, bad);
}

static void steps(void **state)
{
	static const struct bad bad[] = {
			{"listen: a\npipelines: {p: {steps: pass}}\n",
					"2:24: \"steps\": expected a list of steps, not "
					"\"pass\"\n"},
			{"listen: a\npipelines: {p: {}}\n",
					"2:16: \"steps\" is missing: what it does\n"},
			{STEP "lokup: {in: d}\n",
					"4:5: unknown step \"lokup\"; did you mean \"lookup\"?\n"},
			{STEP "pas\n", "4:5: unknown step \"pas\"; did you mean \"pass\"?\n"},
			{STEP "everything\n", "4:5: unknown step \"everything\"; expected one of "
					      "cache, lookup, fanout, call, pass, group\n"},
			{STEP "call\n", "4:5: \"pipeline\" is missing: which\n"},
			{STEP "call:\n", "4:5: \"pipeline\" is missing: which\n"},
			{STEP "[pass]\n", "4:5: \"steps\": expected a step, not a list\n"},
			{STEP "\n", "4:4: \"steps\": expected a step, not nothing\n"},
			{STEP "as: x\n", "4:5: expected a step, one of cache, lookup, fanout, "
					 "call, pass, group\n"},
			{STEP "call: q\n    as: a.b\n", "5:9: \"as\": expected a name of 1 to 64 "
							"of A-Z a-z 0-9 _ -, not \"a.b\"\n"},
			{STEP "call: q\n    pass: {}\n", "5:5: \"pass\" stands beside \"call\"; "
							 "each step has a \"- \" of its own\n"},
			{STEP "fanout:\n    to: [s]\n", "4:5: \"to\" is missing: who is asked\n"
							"5:5: \"to\" belongs inside \"fanout\"; "
							"indent it further\n"},
			{STEP "call: q\n    name: x\n", "5:5: unknown key \"name\" beside "
							"\"call\"; expected only \"as\"\n"},
			{STEP "call: [q]\n", "4:11: \"call\": expected a map or \"pipeline\" "
					     "alone, not a list\n"},
			{STEP "retry: {attempts: 3}\n    attempts: 3\n",
					"4:5: \"retry\" is not in this version\n"
					"5:5: unknown key \"attempts\" beside \"retry\"; expected "
					"only \"as\"\n"},
			{STEP "retry\n", "4:5: \"retry\" is not in this version\n"},
			{STEP "cache: hot\n", "4:12: \"cache\": expected a map, not \"hot\"\n"},
			{STEP "cache:\n      in: hot\n      stale: 5s\n      miss:\n      - cal: "
			      "q\n",
					"5:7: \"key\" is missing: what it is found by\n"
					"5:7: \"ttl\" is missing: how long it keeps\n"
					"6:7: \"stale\" is not in this version\n"
					"8:9: unknown step \"cal\"; did you mean \"call\"?\n"},
			{STEP "cache: {in: hot, key: k, ttl: 1us, miss: []}\n",
					"4:35: \"ttl\": expected at least 1ms, not 1us\n"
					"4:46: \"miss\": expected at least 1 of them, not 0\n"},
			{NULL, NULL},
	};
	check(*state, bad);
}

#define TAKES "listen: a\npipelines:\n  p:\n    steps: [pass]\n    takes: "

static void types(void **state)
{
	static const struct bad bad[] = {
			{TAKES "[sku]\n", "5:12: \"takes\": expected a map from names to types, "
					  "not a list\n"},
			{TAKES "{a: strng}\n", "5:16: \"a\": expected a type (string, number, "
					       "boolean, object, any, or one in brackets), not "
					       "\"strng\"; did you mean \"string\"?\n"},
			{TAKES "{a: [text], b: }\n",
					"5:17: \"a\": expected a type (string, number, boolean, "
					"object, any, or one in brackets), not \"text\"\n"
					"5:27: \"b\": expected a type (string, number, boolean, "
					"object, any, or one in brackets), not nothing\n"},
			{TAKES "{a: [string, number]}\n",
					"5:16: \"a\": expected a type (string, number, boolean, "
					"object, any, or one in brackets), not a list\n"},
			{TAKES "{a: [[string]]}\n",
					"5:17: \"a\": expected a type (string, number, boolean, "
					"object, any, or one in brackets), not a list\n"},
			{TAKES "{a: {b: string}}\n",
					"5:16: \"a\": expected a type (string, number, boolean, "
					"object, any, or one in brackets), not a map\n"},
			{TAKES "{a: number = ten, b: number = 01, c: number = \"1\"}\n",
					"5:16: \"a\": expected a number as default, not \"number = "
					"ten\"\n"
					"5:33: \"b\": expected a number as default, not \"number = "
					"01\"\n"
					"5:49: \"c\": expected a number as default, not \"number = "
					"\\\"1\\\"\"\n"},
			{TAKES "{a: boolean = yes, b: any = null, c: object = x}\n",
					"5:16: \"a\": expected true or false as default, not "
					"\"boolean = yes\"\n"
					"5:34: \"b\": expected no default (only a string, number "
					"or boolean has one), not \"any = null\"\n"
					"5:49: \"c\": expected no default (only a string, number "
					"or boolean has one), not \"object = x\"\n"},
			{TAKES "{a.b: string}\n", "5:13: expected a name of 1 to 64 of A-Z a-z 0-9 "
						  "_ -, not \"a.b\"\n"},
			{TAKES "{a: any, b: any, c: any, d: any, e: any, f: any, g: any}\n",
					"5:12: \"takes\": expected at most 6 of them, not 7\n"},
			{NULL, NULL},
	};
	check(*state, bad);
}

static void all_of_a_file(void **state)
{
	static const struct bad bad[] = {
			{"every: soon\n"
			 "limits: {depth: many, strict: on}\n"
			 "resources:\n"
			 "  hot: {memory: 64}\n"
			 "  cold: {memry: 1MiB}\n"
			 "pipelines:\n"
			 "  p:\n"
			 "    takes: {sku: str}\n"
			 "    steps:\n"
			 "    - lookup: {in: cold, qery: SELECT 1, rows: none}\n"
			 "    - cal: q\n"
			 "    reply: {a: '${'}\n"
			 "  p: []\n",
					"1:1: \"listen\" is missing: the front door\n"
					"1:8: \"every\": expected a duration such as 250ms (ns, "
					"us, ms, s, m or h), not \"soon\"\n"
					"2:17: \"depth\": expected a whole number such as 100, not "
					"\"many\"\n"
					"2:31: \"strict\": expected true or false, not \"on\"\n"
					"4:17: \"memory\": expected a size such as 64MiB (B, KiB, "
					"MiB or GiB), not \"64\"\n"
					"5:10: unknown key \"memry\"; did you mean \"memory\"?\n"
					"8:18: \"sku\": expected a type (string, number, boolean, "
					"object, any, or one in brackets), not \"str\"\n"
					"10:15: \"query\" is missing: its SQL\n"
					"10:26: unknown key \"qery\"; did you mean \"query\"?\n"
					"10:48: \"rows\": expected one of first, all, not "
					"\"none\"\n"
					"11:7: unknown step \"cal\"; did you mean \"call\"?\n"
					"12:16: expected '}' at the end of \"${\" (a literal ${ is "
					"written $${)\n"
					"13:3: \"p\" is given twice, first at line 7\n"},
			{NULL, NULL},
	};
	check(*state, bad);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, reading_setup, reading_teardown)
	const struct CMUnitTest tests[] = {
			TEST(keys),
			TEST(numbers),
			TEST(texts),
			TEST(maps_and_names),
			TEST(variants),
			TEST(steps),
			TEST(types),
			TEST(all_of_a_file),
	};
	return cmocka_run_group_tests_name("conf/errors", tests, NULL, NULL);
}
