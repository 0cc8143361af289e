/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong with a pipeline beyond its writing, with the exact words and the exact place that a
 * person gets to see. In the YAML here an @ stands before each place that is told of, in the order
 * of the messages.
 */
#include <string.h>

#include "pipeline/base/buffer.h"
#include "tests/unit/stages/trial.h"

struct written {
	const char *yaml;
	const char *messages; /* a line each */
};

/* Takes the marks out of written, and appends each message with the place of its mark to problems.
 */
static void unmark(const struct written *written, struct buffer *yaml, struct buffer *problems)
{
	unsigned line = 1, column = 1;
	const char *message = written->messages;
	for (const char *at = written->yaml; *at; at++) {
		if (*at == '@') {
			size_t size = strcspn(message, "\n") + 1;
			buffer_append_format(problems, "%u:%u: ", line, column);
			buffer_append(problems, (struct text){message, size});
			message += size;
			continue;
		}
		buffer_append_char(yaml, *at);
		column++;
		if (*at == '\n') {
			line++;
			column = 1;
		}
	}
	buffer_append(problems, text_of(message));
	buffer_append_char(yaml, '\0');
	buffer_append_char(problems, '\0');
}

static void check_one(const struct written *written, bool good)
{
	struct buffer yaml, problems;
	assert_int_equal(set_up(NULL), 0);
	buffer_init_arena(&yaml, &world.arena);
	buffer_init_arena(&problems, &world.arena);
	unmark(written, &yaml, &problems);
	bool loaded = world_load(&world, yaml.data);
	assert_string_equal(world_problems(&world), problems.data);
	assert_int_equal(loaded, good);
	assert_int_equal(tear_down(NULL), 0);
}

static void refused(const struct written *written)
{
	for (; written->yaml; written++)
		check_one(written, false);
}

static void taken(const struct written *written)
{
	for (; written->yaml; written++)
		check_one(written, true);
}

#define END                                                                                        \
	{                                                                                          \
		NULL, NULL                                                                         \
	}

#define WITHIN(deadline) "    deadline: " deadline "\n"
#define TIMEOUT_TOO_LONG(key)                                                                      \
	"warning: \"" key                                                                          \
	"\" is longer than the \"deadline\" of its pipeline, which comes first: "                  \
	"shorten it, or raise that\n"

#define P	   "pipelines:\n  p:\n    steps:\n"
#define TAKES_P	   "pipelines:\n  p:\n    takes: {sku: string}\n    steps:\n"
#define LOOK(sql)  "lookup: {in: catalog, query: " sql "}"
#define UNUSED_SQL LOOK("SELECT 1")

static void test_names(void **state)
{
	static const struct written bad[] = {
			{TAKES_P "    - " LOOK("@SELECT :ksu") "\n",
					"nothing gives the name \"ksu\"; did you mean \"sku\"?\n"},
			{TAKES_P "    - " LOOK("@SELECT :price || :sku") "\n",
					"nothing gives the name \"price\"\n"},
			{TAKES_P "    - " LOOK("@SELECT :one") "\n    - " UNUSED_SQL
							       "\n      as: one\n",
					"nothing gives the name \"one\"\n"},
			{P "    - " LOOK("@SELECT :one") "\n    - " UNUSED_SQL "\n      as: one\n",
					"\"one\" is used before the step that gives it (line 6)\n"},
			{P "    - timeout: {after: 1s, steps: [" LOOK(
					 "@SELECT :one") "]}\n    - " UNUSED_SQL
							 "\n      as: one\n",
					"\"one\" is used before the step that gives it (line 6)\n"},
			{P "    - " LOOK("@SELECT :a") "\n      as: a\n",
					"\"a\" is used before the step that gives it (line 5)\n"},
			{TAKES_P "    - timeout: {after: 1s, steps: [{" UNUSED_SQL ", as: one}]}\n"
				 "    - fanout: {to: north, body: {a: @\"${one}\"}}\n",
					"nothing gives the name \"one\"\n"},
			{TAKES_P "    - fanout: {to: north, each: {symbol: \"${sku}\"}}\n    "
				 "- " LOOK("@SELECT :symbol") "\n",
					"nothing gives the name \"symbol\"\n"},
			{TAKES_P "    - " UNUSED_SQL
				 "\n    reply: {a: \"${sku}\", b: @\"${skv.x}\"}\n",
					"nothing gives the name \"skv\"; did you mean \"sku\"?\n"},
			END,
	};
	static const struct written good[] = {
			{P "    - " LOOK("SELECT :anything") "\n    reply: {a: \"${whatever}\"}\n",
					""},
			{TAKES_P "    - " UNUSED_SQL "\n      as: one\n    - " LOOK(
					 "SELECT :one || :sku") "\n      as: one\n    reply: {a: "
								"\"${one.a}\"}\n",
					""},
			{TAKES_P "    - fanout: {to: north, each: {sku: \"${sku}\"}, body: {a: "
				 "\"${sku}\"}}\n",
					""},
			{TAKES_P "    - " LOOK("SELECT :sku") "\n      as: sku\n", ""},
			{P "    - timeout: {after: 1s, steps: [{" UNUSED_SQL
			   ", as: one}]}\n    - " LOOK("SELECT :one") "\n",
					""},
			END,
	};
	refused(bad);
	taken(good);
}

#define CACHE(key, miss) "    - cache: {in: hot, ttl: 1s, key: " key ", miss: [" miss "]}\n"
#define UNHELD(path)                                                                               \
	"\"miss\" reads \"" path                                                                   \
	"\", which \"key\" does not hold: requests with other values would share "                 \
	"its answer; put ${" path "} into the key, or, if that is meant, " path                    \
	" into \"unkeyed\"\n"
#define OTHER_DEFAULT(path)                                                                        \
	"\"miss\" reads \"" path "\" with another default than \"key\": they must be the same\n"

#define UNKEYED(paths, sql)                                                                        \
	"    - cache: {in: hot, ttl: 1s, key: x, unkeyed: " paths ", miss: [" LOOK(sql) "]}\n"

static void test_what_a_miss_may_read_unkeyed(void **state)
{
	static const struct written good[] = {
			{P CACHE("'${a | 1}/${a | 2}'", "fanout: {to: north, body: {x: '${a | 1}', "
							"y: '${a | 2}'}}"),
					""},
			{P UNKEYED("a", "SELECT :a"), ""},
			{P UNKEYED("[a, b]", "SELECT :a + :b"), ""},
			{P "    - cache: {in: hot, ttl: 1s, key: '${a}', unkeyed: [b.c], miss: "
			   "[fanout: "
			   "{to: north, body: {x: '${a}', y: '${b.c.d}', z: '${b.c | 7}'}}]}\n",
					""},
			{P "    - cache: {in: hot, ttl: 1s, key: '${a}', unkeyed: [a], miss: "
			   "[fanout: "
			   "{to: north, body: {x: '${a | 7}'}}]}\n",
					""},
			{P UNKEYED("[a, @b]", "SELECT :a"),
					"warning: \"miss\" reads no \"b\" that \"key\" does "
					"not hold\n"},
			{P CACHE("'${a}', unkeyed: @a", LOOK("SELECT :a")),
					"warning: \"miss\" reads no \"a\" that \"key\" does "
					"not hold\n"},
			END,
	};
	static const struct written bad[] = {
			{P UNKEYED("a", "@SELECT :b + :a"), UNHELD("b")},
			{P UNKEYED("@a | 7", "SELECT :a"),
					"expected a path without a default in \"unkeyed\"\n"},
			{P "    - cache: {in: hot, ttl: 1s, key: '${a}', unkeyed: [b.c], miss: "
			   "[fanout: "
			   "{to: north, body: {x: @'${b}', y: '${b.c}'}}]}\n",
					UNHELD("b")},
			/* Each miss says for itself what it may read. */
			{P "    - cache: {in: hot, ttl: 1s, key: x, miss: [cache: {in: cold, ttl: "
			   "1s, key: y, unkeyed: b, miss: [" LOOK("@SELECT :b") "]}]}\n",
					UNHELD("b")},
			END,
	};
	taken(good);
	refused(bad);
}

/* Of what was left out for an error nobody knows what it would have read. */
static void test_what_a_miss_may_read_if_it_is_wrong(void **state)
{
	assert_int_equal(set_up(NULL), 0);
	assert_false(world_read(&world,
			P "    - cache: {in: hot, ttl: 1s, key: x, unkeyed: a, miss: [lookup: {in: "
			  "catalog, query: 'SELECT :a', concurrency: 0}]}\n"));
	assert_true(world_compile(&world));
	assert_string_equal(world_problems(&world),
			"4:115: \"concurrency\": expected 1 to 1000, not 0\n");
	assert_int_equal(tear_down(NULL), 0);
}

static void test_what_a_miss_reads(void **state)
{
	static const struct written bad[] = {
			{P CACHE("'product/${sku}'", LOOK("@SELECT :other")), UNHELD("other")},
			{P CACHE("'${a.b}'", "fanout: {to: north, body: {a: @'${a.c}', b: "
					     "'${a.b.c}', c: @'${a}'}}"),
					UNHELD("a.c") UNHELD("a")},
			{P CACHE("x", "{" LOOK("@SELECT :a") "}, {" LOOK("@SELECT :a") "}"),
					UNHELD("a") UNHELD("a")},
			{TAKES_P CACHE("'${sku}'", LOOK("@SELECT :ksu")), UNHELD("ksu")},
			{P CACHE("'${a}'", "cache: {in: cold, ttl: 1s, key: @'${a}/${b}', miss: "
					   "[" LOOK("@SELECT :b") "]}"),
					UNHELD("b") UNHELD("b")},
			{P CACHE("'${a}'", "timeout: {after: 1s, steps: [" LOOK("@SELECT :b") "]}"),
					UNHELD("b")},
			{P CACHE("'${a | 1}'", LOOK("@SELECT :a")), OTHER_DEFAULT("a")},
			{P CACHE("'${a}'", "lookup: {in: catalog, query: 'SELECT :x', params: {x: "
					   "@'${a | 1}'}}"),
					OTHER_DEFAULT("a")},
			{P CACHE("'${a | 1}'", "lookup: {in: catalog, query: 'SELECT :x', params: "
					       "{x: @'${a.b | 2}'}}"),
					OTHER_DEFAULT("a.b")},
			{P CACHE("'${a}'", "{" LOOK("@SELECT :a") "}, {" UNUSED_SQL ", as: a}"),
					"\"a\" is used before the step that gives it (line 4)\n"},
			{P "    - " UNUSED_SQL
			   "\n      as: one\n" CACHE("'${a}'", LOOK("@SELECT :one")),
					UNHELD("one")},
			END,
	};
	static const struct written good[] = {
			{P CACHE("'${a}'",
					 "{" LOOK("SELECT :a") ", as: b}, {" LOOK("SELECT :b") "}"),
					""},
			{P CACHE("'${a | 1}'", "lookup: {in: catalog, query: 'SELECT :x', params: "
					       "{x: '${a | 1}'}}"),
					""},
			{P CACHE("'${a | 1}'", "lookup: {in: catalog, query: 'SELECT :x', params: "
					       "{x: '${a.b | 1}'}}"),
					""},
			{P CACHE("'${a}/${b}'",
					 "cache: {in: cold, ttl: 1s, key: '${b}', miss: [" LOOK(
							 "SELECT :b") "]}"),
					""},
			{P CACHE("'${a}'", "fanout: {to: north, each: {b: '${a}'}, body: {c: "
					   "'${b}'}}"),
					""},
			{P "    - " UNUSED_SQL "\n      as: one\n" CACHE("'${one.id}'",
					 "{lookup: {in: catalog, query: 'SELECT :x', params: {x: "
					 "'${one.id}'}}}, {" UNUSED_SQL ", as: one}"),
					""},
			END,
	};
	refused(bad);
	taken(good);
}

static void test_keys(void **state)
{
#define UNSEPARATED                                                                                \
	"two values in \"key\" need a character between them that no number holds, such as /: "    \
	"different "                                                                               \
	"values could give one key\n"
#define ALIKE(path)                                                                                \
	"warning: this key begins like that of " path                                              \
	" in the same cache, but \"miss\" differs: one would "                                     \
	"read what the other stored\n"
	static const struct written bad[] = {
			{P CACHE("@'${a}${b}'", UNUSED_SQL), UNSEPARATED},
			{P CACHE("@'${a}-1e+5.${b}'", UNUSED_SQL), UNSEPARATED},
			{P CACHE("@'x/${a}/${b}true${c}'", UNUSED_SQL), UNSEPARATED},
			{P "    - cache: {in: hot, ttl: 1s, jitter: @2s, key: x, miss: [" UNUSED_SQL
			   "]}\n",
					"\"jitter\" is longer than \"ttl\"\n"},
			{P "    - cache: {in: hot, ttl: 1s, waiters: @3, waiters_in_all: 2, key: "
			   "x, miss: [" UNUSED_SQL "]}\n",
					"\"waiters\" for one key are more than "
					"\"waiters_in_all\"\n"},
			{P "    - cache: {in: hot, ttl: 1s, refresh_at: @100%, key: x, miss: "
			   "[" UNUSED_SQL "]}\n",
					"\"refresh_at\": expected 1% to 99%, not 100%\n"},
			{P "    - cache: {in: hot, ttl: 1s, refresh_at: @800ms, key: x, miss: "
			   "[" UNUSED_SQL "]}\n",
					"\"refresh_at\": expected a percentage such as 80%, up "
					"to 100%, not \"800ms\"\n"},
			{P "    - cache: {in: hot, ttl: 1s, background: @0, key: x, miss: "
			   "[" UNUSED_SQL "]}\n",
					"\"background\": expected at least 1, not 0\n"},
			END,
	};
	static const struct written alike[] = {
			{P CACHE("'x/${a}'", UNUSED_SQL) CACHE("@'x/${b}'", LOOK("SELECT 2")),
					ALIKE("p/1.cache")},
			{P CACHE("'x/${a}'", UNUSED_SQL) CACHE("'x/${b}'", UNUSED_SQL), ""},
			{P CACHE("'x/${a}'", UNUSED_SQL) CACHE("'y/${b}'", LOOK("SELECT 2")), ""},
			{P CACHE("'x/${a}'", UNUSED_SQL) "    - cache: {in: cold, ttl: 1s, key: "
							 "'x/${b}', miss: [" LOOK(
									 "SELECT 2") "]}\n",
					""},
			{P CACHE("''", UNUSED_SQL) CACHE("@''", LOOK("SELECT 2")),
					ALIKE("p/1.cache")},
			{P CACHE("'${a}/${b}'", UNUSED_SQL) "  q:\n    steps:\n" CACHE(
					 "@'${b}'", LOOK("SELECT 2")),
					ALIKE("p/1.cache")},
			END,
	};
	refused(bad);
	taken(alike);
}

static void test_resources(void **state)
{
	static const struct written bad[] = {
			{P "    - lookup: {in: @catalogue, query: SELECT 1}\n",
					"there is no database \"catalogue\"; did you mean "
					"\"catalog\"?\n"},
			{P "    - lookup: {in: @hot, query: SELECT 1}\n",
					"there is no database \"hot\"\n"},
			{P "    - cache: {in: @hto, ttl: 1s, key: x, miss: [" UNUSED_SQL "]}\n",
					"there is no cache \"hto\"; did you mean \"hot\"?\n"},
			{P "    - fanout: {to: [north, @sud, @sout], body: {}}\n",
					"there is no source \"sud\"\nthere is no source \"sout\"; "
					"did you mean \"south\"?\n"},
			{P "    - fanout: {to: [north, south, @north, east, @north], body: {}}\n",
					"source \"north\" is named twice\nsource \"north\" is "
					"named twice\n"},
			{P "    - fanout: {to: [north, south], wait: @3, body: {}}\n",
					"\"wait\" is 3, but there are only 2 sources\n"},
			{P "    - fanout: {to: [north, south], wait: @4294967297, body: {}}\n",
					"\"wait\": expected 1 to 4294967295, not 4294967297\n"},
			{P "    - fanout: {to: [north, south], target: @'a b', body: {}}\n",
					"\"target\" must be 1 to 64 of A-Z a-z 0-9 _ -\n"},
			{P "    - lookup: {in: catalog, query: 'SELECT :a', params: {@b: 1, a: 2, "
			   "@A: 1}}\n",
					"the query has no \":b\"; did you mean \"a\"?\nthe query "
					"has no \":A\"; did you mean \"a\"?\n"},
			END,
	};
	refused(bad);
}

static void test_what_a_fanout_takes_and_when_it_asks(void **state)
{
	static const struct written bad[] = {
			{P "    - fanout: {to: north, best: @{lowest: a, highest: b}}\n",
					"\"best\" needs one of \"lowest\" and \"highest\"\n"},
			{P "    - fanout: {to: north, best: @{}}\n",
					"\"best\" needs one of \"lowest\" and \"highest\"\n"},
			{P "    - fanout: {to: north, best: {lowest: @a..b}}\n",
					"expected the path of a number, such as price or "
					"offer.price\n"},
			{P "    - fanout: {to: north, best: {highest: @a..b}}\n",
					"expected the path of a number, such as price or "
					"offer.price\n"},
			{P "    - fanout: {to: north, wait: any, best: @{lowest: a}}\n",
					"\"best\" needs \"wait: all\" or a number: any answer is "
					"not yet the best\n"},
			{P "    - fanout: {to: north, on_error: partial, fail_fast: @true}\n",
					"\"fail_fast\" and \"on_error: partial\" contradict each "
					"other: one ends at the first error, the other answers in "
					"spite of it\n"},
			{P "    - fanout: {to: [north, south], wait: any, hedge: @p96}\n",
					"\"after\": expected a duration such as 250ms (ns, us, ms, "
					"s, m "
					"or h), or one of p50, p75, p90, p95, p99, not \"p96\"; "
					"did "
					"you mean \"p90\"?\n"},
			{P "    - fanout: {to: [north, south], hedge: @20ms}\n",
					"\"hedge\" needs \"wait: any\" or a number below that of "
					"the sources: all are asked as it is\n"},
			{P "    - fanout: {to: [north, south], wait: 2, hedge: @20ms}\n",
					"\"hedge\" needs \"wait: any\" or a number below that of "
					"the sources: all are asked as it is\n"},
			{P "    - fanout: {to: north, wait: any, hedge: @20ms}\n",
					"\"hedge\" needs \"wait: any\" or a number below that of "
					"the sources: all are asked as it is\n"},
			{P "    - fanout: {to: [north, south], wait: any, hedge: {after: 5ms, max: "
			   "@7ms}}\n",
					"\"min\" and \"max\" hold a quantile such as p95; "
					"\"after\" "
					"is a duration of its own\n"},
			{P "    - fanout: {to: [north, south], wait: any, hedge: {after: 5ms, min: "
			   "@7ms}}\n",
					"\"min\" and \"max\" hold a quantile such as p95; "
					"\"after\" "
					"is a duration of its own\n"},
			{P "    - fanout: {to: [north, south], wait: any, hedge: {after: p95, min: "
			   "@200ms}}\n",
					"\"min\" is longer than \"max\"\n"},
			END,
	};
	refused(bad);
}

static void test_warnings(void **state)
{
	static const struct written warned[] = {
			{P "    - lookup: {in: ledger, query: SELECT 1, concurrency: @2}\n",
					"warning: \"concurrency\" is over the 1 connections of "
					"\"ledger\": what is over waits inside it\n"},
			{P "    - lookup: {in: catalog, query: SELECT 1, concurrency: 4}\n", ""},
			{P "    - fanout: {to: [north, south], wait: 2, body: {}}\n", ""},
			{P "    - fanout: {to: [north, south], wait: any, hedge: p95}\n", ""},
			{P "    - timeout: {after: @11ms, steps: [" UNUSED_SQL
			   "]}\n" WITHIN("10ms"),
					TIMEOUT_TOO_LONG("after")},
			{P "    - timeout: {after: 10ms, steps: [" UNUSED_SQL "]}\n" WITHIN("10ms"),
					""},
			{P "    - timeout: {after: 1h, steps: [" UNUSED_SQL "]}\n", ""},
			{P "    - fanout: {to: [north, south], timeout: @11ms}\n" WITHIN("10ms"),
					TIMEOUT_TOO_LONG("timeout")},
			{P CACHE("x", "fanout: {to: north, timeout: @11ms, body: {}}")
							WITHIN("10ms"),
					TIMEOUT_TOO_LONG("timeout")},
			{P "    - fanout: {to: [north, south], timeout: 10ms}\n" WITHIN("10ms"),
					""},
			{P "    - fanout: {to: [north, south]}\n    deadline: @30001ms\n",
					"warning: \"deadline\" is longer than \"max_deadline\" in "
					"\"limits\", which comes first: shorten it, or raise "
					"that\n"},
			{P "    - fanout: {to: [north, south]}\n" WITHIN("30s"), ""},
			END,
	};
	taken(warned);
}

#define WHEN(options) P "    - when: " options "\n"

#define RETRY(options) P "    - retry: " options "\n"

static void test_retries(void **state)
{
	static const struct written bad[] = {
			{RETRY("{initial: 20ms, max: @10ms, steps: [" UNUSED_SQL "]}"),
					"\"max\" is shorter than \"initial\"\n"},
			{RETRY("@{initial: 1s, steps: [" UNUSED_SQL "]}"),
					"\"max\" is shorter than \"initial\"\n"},
			{RETRY("{steps: [{" UNUSED_SQL
			       ", as: v}]}") "    - lookup: {in: catalog, query: @'SELECT :v'}\n"
					     "    takes: {x: string}\n",
					"nothing gives the name \"v\"; did you mean \"x\"?\n"},
			{P CACHE("'${x}'", "retry: {steps: [lookup: {in: catalog, query: @'SELECT "
					   ":y'}]}"),
					"\"miss\" reads \"y\", which \"key\" does not hold: "
					"requests with "
					"other values would share its answer; put ${y} into the "
					"key, or, if that is meant, y into \"unkeyed\"\n"},
			{P CACHE("'${x}'", "retry: {steps: [fanout: {to: [@north]}]}"),
					"inside \"miss\", a fan-out needs \"each\" or \"body\": it "
					"would "
					"ask \"north\" with the whole body, which \"key\" does not "
					"hold\n"},
			END,
	};
	refused(bad);
}

static void test_conditions(void **state)
{
	static const struct written bad[] = {
			{WHEN("@{value: '${x}', steps: [" UNUSED_SQL "]}"),
					"\"when\" needs one of \"present\", \"equals\", \"above\" "
					"and "
					"\"below\"\n"},
			{WHEN("{value: '${x}', below: @3, equals: 3, steps: [" UNUSED_SQL "]}"),
					"there is a condition already: \"equals\"\n"},
			{WHEN("{value: '${x}', above: @a, steps: [" UNUSED_SQL "]}"),
					"expected a number, or ${path}\n"},
			{WHEN("{value: '${x}', below: @'3', steps: [" UNUSED_SQL "]}"),
					"expected a number, or ${path}\n"},
			{WHEN("{value: '${x}', below: @'3${x}', steps: [" UNUSED_SQL "]}"),
					"expected a number, or ${path}\n"},
			{WHEN("{value: '${x}', present: true, steps: @[]}"),
					"\"steps\": expected at least 1 of them, not 0\n"},
			{P CACHE("x", "when: {value: @'${x}', present: true, steps: [" UNUSED_SQL
				      "]}"),
					UNHELD("x")},
			{P CACHE("'${x}'", "when: {value: '${x}', equals: @'${y}', steps: "
					   "[" UNUSED_SQL "]}"),
					UNHELD("y")},
			{WHEN("{value: 1, present: true, steps: [{" UNUSED_SQL
			      ", as: v}]}") "    - lookup: {in: catalog, query: @'SELECT :v'}\n"
					    "    takes: {x: string}\n",
					"nothing gives the name \"v\"; did you mean \"x\"?\n"},
			END,
	};
	refused(bad);
}

#define CALL(name, called) "  " name ":\n    steps: [call: " called "]\n"
#define CIRCLE(a, b)	   "pipelines call each other in a circle: \"" a "\" calls \"" b "\"\n"

static void test_calls(void **state)
{
	static const struct written bad[] = {
			{"pipelines:\n" CALL("a", "@b"), "there is no pipeline \"b\"; did you mean "
							 "\"a\"?\n"},
			{"pipelines:\n" CALL("a", "@a"), CIRCLE("a", "a")},
			{"pipelines:\n" CALL("a", "b") CALL("b", "c") CALL("c", "@a"),
					CIRCLE("c", "a")},
			{"pipelines:\n" CALL("a", "b") "  b:\n    steps:\n" CACHE(
					 "x", "call: {pipeline: @a, with: {}}"),
					CIRCLE("b", "a")},
			{P CACHE("x", "call: @q") "  q:\n    steps: [" UNUSED_SQL "]\n",
					"inside \"miss\", a call of \"q\" needs "
					"\"with\", for \"q\" has no \"takes\" and "
					"would read "
					"the whole body\n"},
			{P CACHE("'${sku}'", "call: @q") "  q:\n    takes: {sku: "
							 "string, qty: number = 1}\n   "
							 " steps: [" UNUSED_SQL "]\n",
					UNHELD("qty")},
			{P CACHE("'${sku}'", "call: {pipeline: q, with: {sku: "
					     "@'${ksu}'}}") "  q:\n    steps: "
							    "[" UNUSED_SQL "]\n",
					UNHELD("ksu")},
			{P CACHE("'${a}'", "fanout: {to: [@north, @south]}"),
					"inside \"miss\", a fan-out needs \"each\" "
					"or \"body\": it would ask \"north\" with "
					"the whole "
					"body, which \"key\" does not hold\n"
					"inside \"miss\", a fan-out needs \"each\" "
					"or \"body\": it would ask \"south\" with "
					"the whole "
					"body, which \"key\" does not hold\n"},
			{P CACHE("'${a}'", "fanout: {to: north, each: {b: @'${b}'}}"), UNHELD("b")},
			END,
	};
	static const struct written good[] = {
			{"pipelines:\n" CALL("a", "c") CALL(
					 "b", "c") "  c:\n    steps: [" UNUSED_SQL "]\n",
					""},
			{P CACHE("'${sku}/${qty}'",
					 "call: q") "  q:\n    takes: {sku: string, qty: number = "
						    "1}\n    steps: [" UNUSED_SQL "]\n",
					""},
			{P CACHE("x", "call: {pipeline: q, with: {}}") "  q:\n    steps: "
								       "[" UNUSED_SQL "]\n",
					""},
			{P CACHE("'${a}'", "fanout: {to: north, body: {}}"), ""},
			END,
	};
	refused(bad);
	taken(good);
}

/* A pipeline of `depth` stages, one inside the other, the innermost of which calls `called` or is a
 * lookup. */
static void append_nested(struct buffer *yaml, const char *name, unsigned depth, bool mark,
		const char *called)
{
	buffer_append_format(yaml, "  %s:\n    steps: ", name);
	for (unsigned i = 1; i < depth; i++)
		buffer_append(yaml, TEXT("[timeout: {after: 1s, steps: "));
	if (called)
		buffer_append_format(yaml, "[call: %s%s]", mark ? "@" : "", called);
	else
		buffer_append_format(yaml, "%s[" UNUSED_SQL "]", mark ? "@" : "");
	for (unsigned i = 1; i < depth; i++)
		buffer_append(yaml, TEXT("}]"));
	buffer_append_char(yaml, '\n');
}

static void check_nested(unsigned inner, unsigned outer, const char *messages)
{
	struct buffer yaml;
	buffer_init(&yaml);
	buffer_append(&yaml, TEXT("pipelines:\n"));
	append_nested(&yaml, "inner", inner, messages[0] && outer == 0, NULL);
	if (outer > 0)
		append_nested(&yaml, "outer", outer, messages[0], "inner");
	buffer_append_char(&yaml, '\0');
	check_one(&(struct written){yaml.data, messages}, messages[0] == '\0');
	buffer_deinit(&yaml);
}

static void test_nesting(void **state)
{
	check_nested(32, 0, "");
	check_nested(33, 0, "stages are nested deeper than 32\n");
	check_nested(12, 20, "");
	check_nested(13, 20, "stages are nested deeper than 32, with those of \"inner\"\n");
}

/* Each calls the one before twice, so a run needs twice as much at each; what is between before and
 * after calls the largest of them so many times. */
static void check_doubling(
		const char *before, unsigned calls, const char *after, const char *messages)
{
	struct buffer yaml;
	buffer_init(&yaml);
	buffer_append(&yaml, TEXT("pipelines:\n  p0:\n    steps: [" UNUSED_SQL "]\n"));
	for (unsigned i = 1; i <= 7; i++)
		buffer_append_format(&yaml, "  p%u:\n    steps: [call: p%u, call: p%u]\n", i, i - 1,
				i - 1);
	buffer_append(&yaml, text_of(before));
	for (unsigned i = 0; i < calls; i++)
		buffer_append_format(
				&yaml, "%scall: {pipeline: p7, with: {a: 1}}", i > 0 ? ", " : "");
	buffer_append(&yaml, text_of(after));
	buffer_append_char(&yaml, '\0');
	check_one(&(struct written){yaml.data, messages}, messages[0] == '\0');
	buffer_deinit(&yaml);
}

static void test_what_a_run_needs(void **state)
{
	static const char *const too_much = "a request to \"last\" would need more than 1 MiB: it "
					    "calls too many others\n";
	check_doubling("  last: {steps: [", 1, "]}\n", "");
	check_doubling("  @last: {steps: [", 64, "]}\n", too_much);
	check_doubling("  last: {steps: [cache: {in: hot, key: k, ttl: 1s, miss: @[", 64, "]}]}\n",
			too_much);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_names),
			cmocka_unit_test(test_what_a_miss_reads),
			cmocka_unit_test(test_what_a_miss_may_read_unkeyed),
			cmocka_unit_test(test_what_a_miss_may_read_if_it_is_wrong),
			cmocka_unit_test(test_keys),
			cmocka_unit_test(test_resources),
			cmocka_unit_test(test_what_a_fanout_takes_and_when_it_asks),
			cmocka_unit_test(test_warnings),
			cmocka_unit_test(test_retries),
			cmocka_unit_test(test_conditions),
			cmocka_unit_test(test_calls),
			cmocka_unit_test(test_nesting),
			cmocka_unit_test(test_what_a_run_needs),
	};
	return cmocka_run_group_tests_name("stages/compile", tests, NULL, NULL);
}
