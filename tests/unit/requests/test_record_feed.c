/* SPDX-License-Identifier: Apache-2.0 */
/* What feeds make of the requests of a real engine. */
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "pipeline/base/arena.h"
#include "tests/unit/allocations.h"
#include "tests/unit/requests/fixture.h"

#define P                                                                                          \
	"pipelines:\n"                                                                             \
	"  product:\n    steps:\n"                                                                 \
	"      - cache: {in: hot, key: \"${sku}\", ttl: 100s, miss: [lookup: {in: catalog, "       \
	"query: \"SELECT :sku\"}]}\n"                                                              \
	"  kept:\n    steps: [cache: {in: hot, key: k, ttl: 1s, miss: [fanout: {to: [north], "     \
	"body: "                                                                                   \
	"{}, wait: any}]}]\n"                                                                      \
	"  patient:\n    steps: [retry: {attempts: 2, initial: 1ms, max: 1ms, steps: [timeout: "   \
	"{after: 20ms, steps: [cache: {in: hot, key: p, ttl: 1s, miss: [fanout: {to: [north], "    \
	"body: {}, wait: any}]}]}]}]\n"                                                            \
	"  raced:\n    steps: [cache: {in: hot, key: r, ttl: 0s, miss: [fanout: {to: [north, "     \
	"south], body: {}, wait: any}]}]\n"                                                        \
	"  offer:\n    steps: [fanout: {to: [north, south, east], wait: any}]\n"                   \
	"  best:\n    steps: [fanout: {to: [north, south], each: {s: \"${all}\"}, on_error: "      \
	"partial, timeout: 20ms, best: {lowest: price}}]\n"

#define expect_told(text) assert_string_equal(harness_told(&h), text)

static unsigned requests;

static void load_feeds(const char *feeds)
{
	char yaml[2048];
	(void)snprintf(yaml, sizeof(yaml), "telemetry:\n  feeds:\n%s" P, feeds);
	load(yaml);
	requests = 0;
}

/* A lookup that takes so many milliseconds. */
static void product(struct peer *peer, uint64_t ms)
{
	char message[64];
	uint64_t now = (h.world.async.now - WORLD_START) / WORLD_MS;
	(void)snprintf(message, sizeof(message), "product %u 10000\n{\"sku\":%u}", requests,
			requests);
	requests++;
	peer_send(peer, message);
	world_at(&h.world, now + ms);
	row(0, "{}");
	(void)world_turn(&h.world);
}

static void test_where_and_select(void **state)
{
	load_feeds("    slow: {from: request.product, where: {us: {above: 4999}}, select: [cache, "
		   "us, pipeline]}\n");
	struct peer *peer = connect();
	product(peer, 4);
	expect_told("");
	product(peer, 5);
	expect_told("feed.slow,\"cache\":\"miss\",\"us\":5000,\"pipeline\":\"product\"\n");
	peer_send(peer, "offer 9 1000");
	world_at(&h.world, 100);
	quote(&h.world.north, "1");
	expect_told(""); /* of another pipeline */
}

static void test_one_request_in_many_feeds(void **state)
{
	load_feeds("    all: {select: id}\n"
		   "    some: {from: [request.product.OK, request.product.NOT_FOUND, request.-], "
		   "select: id}\n"
		   "    none: {from: request.offer, select: id}\n"
		   "    both: {from: [request, request.product, request.product.OK], select: "
		   "id}\n");
	struct peer *peer = connect();
	product(peer, 1);
	expect_told("feed.all,\"id\":\"0\"\nfeed.some,\"id\":\"0\"\nfeed.both,\"id\":\"0\"\n");
	peer_send(peer, "product 1 0\n{\"sku\":9}");
	(void)world_turn(&h.world);
	expect_told("feed.all,\"id\":\"1\"\nfeed.both,\"id\":\"1\"\n");
	peer_send(peer, "what");
	(void)world_turn(&h.world);
	expect_told("feed.all,\"id\":null\nfeed.some,\"id\":null\nfeed.both,\"id\":null\n");
}

/* Each of these, of a request with status OK, cache hit, us 0, no reason. */
static void test_conditions(void **state)
{
	static const struct {
		const char *where;
		bool holds;
	} cases[] = {
			{"status: OK", true},
			{"status: [NOT_FOUND, OK]", true},
			{"status: {not: OK}", false},
			{"status: {not: [NOT_FOUND, INTERNAL]}", true},
			{"cache: hit", true},
			{"cache: {equals: [miss, joined]}", false},
			{"cache: {present: true}", true},
			{"cache: {present: false}", false},
			{"reason: {present: false}", true},
			{"reason: deadline", false},
			{"reason: {not: deadline}", true},
			{"us: 0", true},
			{"us: [1, 2]", false},
			{"us: 1", false},
			{"us: {above: 0}", false},
			{"us: {below: 1}", true},
			{"us: {below: 0}", false},
			{"bytes_in: {above: 20, below: 23}", true},
			{"bytes_in: {above: 22}", false},
			{"status: OK, cache: miss", false},
			{"status: OK, cache: hit, pipeline: product, generation: 1", true},
			{"losers: 0, wasted_us: 0, queue_us: 0", true},
			{"id: {not: [b, c]}, trace: {present: false}", true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char feed[256];
		if (i > 0)
			assert_int_equal(set_up(state), 0);
		(void)snprintf(feed, sizeof(feed), "    f: {where: {%s}, select: cache}\n",
				cases[i].where);
		load_feeds(feed);
		struct peer *peer = connect();
		product(peer, 1);
		(void)harness_told(&h);
		peer_send(peer, "product a 10\n{\"sku\":0}");
		(void)world_turn(&h.world);
		const char *expected = cases[i].holds ? "feed.f,\"cache\":\"hit\"\n" : "";
		const char *told = harness_told(&h);
		if (strcmp(told, expected) != 0)
			print_error("where: {%s}\n", cases[i].where);
		assert_string_equal(told, expected);
		if (i + 1 < sizeof(cases) / sizeof(cases[0]))
			assert_int_equal(tear_down(state), 0);
	}
}

static void test_all_members_unless_some_are_chosen(void **state)
{
	load_feeds("    f: {}\n");
	product(connect(), 3);
	expect_told("feed.f,\"pipeline\":\"product\",\"id\":\"0\",\"client\":\"c1\",\"status\":"
		    "\"OK\",\"reason\":null,\"us\":3000,\"queue_us\":0,\"stages\":[{\"path\":"
		    "\"product/1.cache\",\"us\":3000,\"status\":\"OK\"},{\"path\":"
		    "\"product/1.cache/1.lookup\",\"us\":3000,\"status\":\"OK\",\"flight\":1}],"
		    "\"sources\":[],\"cache\":\"miss\",\"bytes_in\":25,\"bytes_out\":26,\"parts\":"
		    "0,"
		    "\"losers\":0,\"wasted_us\":0,\"generation\":1,\"trace\":null\n");
}

static void test_sample(void **state)
{
	load_feeds("    f: {sample: 4, select: id}\n");
	struct peer *peer = connect();
	for (int row_of_four = 0; row_of_four < 10; row_of_four++) {
		int told = 0;
		for (int i = 0; i < 4; i++) {
			product(peer, 1);
			told += harness_told(&h)[0] != '\0';
		}
		assert_int_equal(told, 1);
	}
}

/* 9 and 11 ms in turn: mean 10, deviation 1. */
static void test_an_outlier_and_what_it_was_held_against(void **state)
{
	load_feeds("    odd: {outlier: {field: us, over: 3, warmup: 20}, select: [us, status]}\n");
	struct peer *peer = connect();
	for (int i = 0; i < 20; i++)
		product(peer, i % 2 ? 11 : 9);
	product(peer, 12);
	expect_told("");
	product(peer, 50);
	expect_told("outlier.odd,\"held\":{\"field\":\"us\",\"reading\":50000,\"mean\":10095.238,"
		    "\"deviation\":1064.794,\"samples\":21},\"us\":50000,\"status\":\"OK\"\n");
}

/* What `where` keeps out teaches it nothing. */
static void test_an_outlier_among_those_that_pass(void **state)
{
	load_feeds("    odd: {where: {cache: miss}, outlier: {field: us, warmup: 3}, select: "
		   "us}\n");
	struct peer *peer = connect();
	for (int i = 0; i < 3; i++)
		product(peer, 10);
	for (int i = 0; i < 50; i++) {
		peer_send(peer, "product hit 10\n{\"sku\":0}");
		(void)world_turn(&h.world);
	}
	product(peer, 10);
	expect_told("");
	product(peer, 11);
	expect_told("outlier.odd,\"held\":{\"field\":\"us\",\"reading\":11000,\"mean\":10000.000,"
		    "\"deviation\":0.000,\"samples\":4},\"us\":11000\n");
}

static void test_what_became_of_each_question(void **state)
{
	load_feeds("    f: {from: request.offer, select: sources}\n");
	struct peer *peer = connect();
	peer_send(peer, "offer 1 1000");
	world_at(&h.world, 3);
	scripted_ask_end(scripted_ask(&h.world.south, 0), STATUS_UNAVAILABLE, "no");
	world_at(&h.world, 7);
	quote(&h.world.east, "1");
	expect_told("feed.f,\"sources\":["
		    "{\"stage\":\"offer/1.fanout\",\"source\":\"north\",\"element\":null,"
		    "\"us\":7000,\"end\":\"lost\",\"status\":null},"
		    "{\"stage\":\"offer/1.fanout\",\"source\":\"south\",\"element\":null,"
		    "\"us\":3000,\"end\":\"failed\",\"status\":\"UNAVAILABLE\"},"
		    "{\"stage\":\"offer/1.fanout\",\"source\":\"east\",\"element\":null,"
		    "\"us\":7000,\"end\":\"won\",\"status\":\"OK\"}]\n");
}

static void test_a_question_of_a_flight(void **state)
{
	load_feeds("    f: {from: request.kept, select: sources}\n");
	struct peer *peer = connect();
	peer_send(peer, "kept 1 1000");
	quote(&h.world.north, "1");
	expect_told("feed.f,\"sources\":[{\"stage\":\"kept/1.cache/1.fanout\",\"source\":"
		    "\"north\",\"element\":null,\"us\":0,\"end\":\"won\",\"status\":\"OK\","
		    "\"flight\":1}]\n");
}

/* Those of the first flight, which a timeout has ended, and whom nobody else waited for. */
static void test_costs_of_a_flight_that_a_timeout_has_ended(void **state)
{
	load_feeds("    f: {from: request.patient, select: [status, losers, wasted_us]}\n");
	struct peer *peer = connect();
	peer_send(peer, "patient 1 1000");
	world_at(&h.world, 21);
	world_at(&h.world, 30);
	quote(&h.world.north, "1");
	expect_told("feed.f,\"status\":\"OK\",\"losers\":1,\"wasted_us\":20115\n");
}

/* South is a loser, and of one of them, whenever in the turn they are cut off in which north
 * answers. */
static void expect_one_to_tell(struct peer *peer, size_t after)
{
	peer_send(peer, "raced 1 1000");
	peer_send(peer, "raced 2 1000");
	(void)world_turn(&h.world);
	scripted_ask_end(scripted_ask(&h.world.north, 0), STATUS_OK, "1");
	runner_drain(&h.world.async.runner, after);
	peer_send(peer, "$cancel 1 -");
	peer_send(peer, "$cancel 2 -");
	(void)world_turn(&h.world);
	const char *told = harness_told(&h);
	if (strcmp(told, "feed.f,\"losers\":0\nfeed.f,\"losers\":1\n") != 0)
		assert_string_equal(told, "feed.f,\"losers\":1\nfeed.f,\"losers\":0\n");
}

static void test_costs_of_a_flight_that_ends_as_its_waiters_do(void **state)
{
	load_feeds("    f: {from: request.raced, select: losers}\n");
	struct peer *peer = connect();
	for (size_t after = 0; after < 20; after++)
		expect_one_to_tell(peer, after);
}

static void test_the_best_wins_and_who_is_silent_times_out(void **state)
{
	load_feeds("    f: {from: request.best, select: sources}\n");
	struct peer *peer = connect();
	peer_send(peer, "best 1 1000\n{\"all\":[\"a\",2]}");
	scripted_ask_end(scripted_ask(&h.world.north, 0), STATUS_OK, "{\"price\":5}");
	scripted_ask_end(scripted_ask(&h.world.south, 0), STATUS_OK, "{\"price\":4}");
	scripted_ask_end(scripted_ask(&h.world.south, 0), STATUS_OK, "{\"price\":3}");
	world_at(&h.world, 30);
	expect_told("feed.f,\"sources\":["
		    "{\"stage\":\"best/1.fanout\",\"source\":\"north\",\"element\":\"a\","
		    "\"us\":0,\"end\":\"beaten\",\"status\":\"OK\"},"
		    "{\"stage\":\"best/1.fanout\",\"source\":\"south\",\"element\":\"a\","
		    "\"us\":0,\"end\":\"won\",\"status\":\"OK\"},"
		    "{\"stage\":\"best/1.fanout\",\"source\":\"north\",\"element\":\"2\","
		    "\"us\":20115,\"end\":\"timeout\",\"status\":null},"
		    "{\"stage\":\"best/1.fanout\",\"source\":\"south\",\"element\":\"2\","
		    "\"us\":0,\"end\":\"won\",\"status\":\"OK\"}]\n");
}

static void test_questions_that_are_cut_off(void **state)
{
	load_feeds("    f: {from: request.offer, select: [reason, sources]}\n");
	struct peer *peer = connect();
	peer_send(peer, "offer 1 1000");
	world_at(&h.world, 2);
	scripted_ask_end(scripted_ask(&h.world.south, 0), STATUS_NOT_FOUND, "no");
	(void)world_turn(&h.world);
	peer_send(peer, "$cancel 1 -");
	(void)world_turn(&h.world);
	expect_told("feed.f,\"reason\":\"asked\",\"sources\":["
		    "{\"stage\":\"offer/1.fanout\",\"source\":\"north\",\"element\":null,"
		    "\"us\":2000,\"end\":\"-\",\"status\":null},"
		    "{\"stage\":\"offer/1.fanout\",\"source\":\"south\",\"element\":null,"
		    "\"us\":2000,\"end\":\"failed\",\"status\":\"NOT_FOUND\"},"
		    "{\"stage\":\"offer/1.fanout\",\"source\":\"east\",\"element\":null,"
		    "\"us\":2000,\"end\":\"-\",\"status\":null}]\n");
}

/* What has gone in parts is forgotten with its memory. */
static void test_questions_of_an_answer_in_parts(void **state)
{
	load_feeds("    f: {from: request.best, select: [parts, sources]}\n");
	struct peer *peer = connect();
	peer_send(peer, "best 1 1000 stream=1\n{\"all\":[\"a\",\"b\"]}");
	scripted_ask_end(scripted_ask(&h.world.north, 0), STATUS_OK, "{\"price\":5}");
	quote(&h.world.south, "{\"price\":4}");
	world_at(&h.world, 3);
	peer_send(peer, "$cancel 1 -");
	(void)world_turn(&h.world);
	expect_told("feed.f,\"parts\":1,\"sources\":["
		    "{\"stage\":\"best/1.fanout\",\"source\":\"north\",\"element\":\"b\","
		    "\"us\":3000,\"end\":\"-\",\"status\":null},"
		    "{\"stage\":\"best/1.fanout\",\"source\":\"south\",\"element\":\"b\","
		    "\"us\":3000,\"end\":\"-\",\"status\":null}]\n");
}

/* ---- what is wrong */

static void check_problem(void **state, const char *feed, const char *problem)
{
	char yaml[2048];
	(void)snprintf(yaml, sizeof(yaml), "telemetry:\n  feeds:\n    f: {%s}\n" P, feed);
	if (harness_load(&h, yaml))
		print_error("no problem: %s\n", feed);
	const char *found = world_problems(&h.world);
	if (!strstr(found, problem))
		print_error("%s: expected %s\nfound %s\n", feed, problem, found);
	assert_non_null(strstr(found, problem));
	assert_int_equal(h.world.diag.errors, 1);
	assert_int_equal(tear_down(state), 0);
	assert_int_equal(set_up(state), 0);
}

static void test_errors_say_where_and_what_was_meant(void **state)
{
	check_problem(state, "from: stats",
			"3:15: expected `request`, `request.PIPELINE` or "
			"`request.PIPELINE.STATUS`, "
			"not \"stats\"");
	check_problem(state, "from: request.product.OK.more", "3:15: expected `request`, ");
	check_problem(state, "from: request.prodct",
			"3:15: there is no pipeline \"prodct\"; did you mean \"product\"?");
	check_problem(state, "from: request.", "3:15: there is no pipeline \"\"");
	check_problem(state, "from: request.product.MORE", "3:15: there is no status \"MORE\"");
	check_problem(state, "from: request.product.MOR", "3:15: there is no status \"MOR\"\n");
	check_problem(state, "from: request.product.NOTFOUND",
			"3:15: there is no status \"NOTFOUND\"; did you mean \"NOT_FOUND\"?");
	check_problem(state, "where: {stauts: OK}",
			"3:17: the event of a request has no member \"stauts\"; did you mean "
			"\"status\"?");
	check_problem(state, "where: {status: NOTFOUND}",
			"3:25: \"status\" is never \"NOTFOUND\"; did you mean \"NOT_FOUND\"?");
	check_problem(state, "where: {status: MORE}", "3:25: \"status\" is never \"MORE\"");
	check_problem(state, "where: {reason: {not: dedline}}",
			"3:31: \"reason\" is never \"dedline\"; did you mean \"deadline\"?");
	check_problem(state, "where: {cache: hits}",
			"3:24: \"cache\" is never \"hits\"; did you mean \"hit\"?");
	check_problem(state, "where: {us: fast}",
			"3:21: \"us\" is a number: expected a whole number, not \"fast\"");
	check_problem(state, "where: {status: {above: 3}}", "3:33: \"status\" is no number");
	check_problem(state, "where: {us: {present: true}}", "3:31: \"us\" is always there");
	check_problem(state, "where: {us: {above: 5, below: 6}}",
			"3:29: no number is above 5 and below 6");
	check_problem(state, "where: {stages: x}", "3:17: \"stages\" can't be compared");
	check_problem(state, "where: {us: {}}", "3:17: nothing is said of \"us\"");
	check_problem(state, "select: [us, stage]",
			"3:22: the event of a request has no member \"stage\"; did you mean "
			"\"stages\"?");
	check_problem(state, "select: [us, us]", "3:22: \"us\" is chosen twice");
	check_problem(state, "outlier: status", "3:18: \"status\" is no number, so it has no mean");
	check_problem(state, "outlier: usec",
			"3:18: the event of a request has no member \"usec\"");
	load(P); /* for tear_down() */
}

/* What the table refuses, before anything is compiled. */
static void check_option(const char *feed, const char *problem)
{
	static const struct option root[] = {
			{.key = "f", .kind = OPTION_MAP, .table = record_feed_options},
			{.key = NULL},
	};
	char yaml[256];
	struct arena arena;
	struct diag diag;
	arena_init(&arena, NULL);
	diag_init(&diag, &arena);
	(void)snprintf(yaml, sizeof(yaml), "f: {%s}", feed);
	assert_null(conf_read("feed", text_of(yaml), root, &arena, &diag));
	assert_non_null(strstr(diag.first->message, problem));
	arena_deinit(&arena);
}

static void test_what_the_table_refuses(void **state)
{
	check_option("where: {us: {abve: 5}}", "unknown key \"abve\"; did you mean \"above\"?");
	check_option("outlier: {over: 3}", "\"field\" is missing");
	check_option("outlier: {field: us, side: up}", "\"side\": expected one of");
	check_option("sample: 0", "\"sample\": expected 1 to 1000000000, not 0");
	check_option("smaple: 3", "unknown key \"smaple\"; did you mean \"sample\"?");
}

/* More than an arena asks for at first: with so much or less in use, whatever is asked for is at
 * some time the first to need another chunk. */
#define FIRST_CHUNK 2048

/* False: there was too little memory, and it says so. */
static bool compiles(const struct option_map *map, size_t pad, unsigned successes)
{
	struct arena arena;
	struct diag found;
	arena_init(&arena, NULL);
	diag_init(&found, &arena);
	assert_non_null(arena_alloc(&arena, pad));
	allocations_fail_once_after(successes);
	struct record_feeds *feeds = record_feeds_compile(option_get(map, "feeds")->map,
			option_get(map, "pipelines")->map, &h.world.async.random, &arena, &found);
	unsigned failed = allocations_failed();
	allocations_heal();
	bool compiled = found.errors == 0;
	assert_int_equal(compiled, failed == 0);
	assert_true(feeds || !compiled);
	record_feeds_close(feeds);
	arena_deinit(&arena);
	return compiled;
}

static void test_without_memory(void **state)
{
	static const struct option root[] = {
			{.key = "feeds", .kind = OPTION_NAMED, .table = record_feed_options},
			{.key = "pipelines", .kind = OPTION_NAMED, .table = pipeline_options},
			{.key = NULL},
	};
	struct arena arena;
	struct diag diag;
	unsigned refused = 0;
	load(P);
	arena_init(&arena, NULL);
	diag_init(&diag, &arena);
	const struct option_map *map = conf_read("feeds",
			TEXT("feeds:\n  f: {where: {us: [1, 2], status: {not: OK}}, outlier: "
			     "us}\n" P),
			root, &arena, &diag);
	assert_non_null(map);
	for (size_t pad = 0; pad < FIRST_CHUNK; pad += 16) {
		for (unsigned successes = 0; !compiles(map, pad, successes); successes++)
			refused++;
	}
	assert_true(refused > FIRST_CHUNK / 16);
	arena_deinit(&arena);
}

/* What feeds that are put together anew say of themselves, when they have inherited. */
static void expect_inherited(const char *feeds, const char *expected)
{
	static const struct option root[] = {
			{.key = "feeds", .kind = OPTION_NAMED, .table = record_feed_options},
			{.key = "pipelines", .kind = OPTION_NAMED, .table = pipeline_options},
			{.key = NULL},
	};
	char yaml[2048];
	struct arena arena;
	struct diag diag;
	struct buffer stats;
	arena_init(&arena, NULL);
	diag_init(&diag, &arena);
	buffer_init(&stats);
	(void)snprintf(yaml, sizeof(yaml), "feeds:\n%s" P, feeds);
	const struct option_map *map = conf_read("feeds", text_of(yaml), root, &arena, &diag);
	assert_non_null(map);
	struct record_feeds *made = record_feeds_compile(option_get(map, "feeds")->map,
			option_get(map, "pipelines")->map, &h.world.async.random, &arena, &diag);
	assert_int_equal(diag.errors, 0);
	record_feeds_inherit(made, h.feeds);
	record_feeds_write_stats(made, &stats);
	buffer_append_char(&stats, '\0');
	assert_string_equal(stats.data, expected);
	buffer_deinit(&stats);
	record_feeds_close(made);
	arena_deinit(&arena);
}

#define LEARNED(events, samples, mean)                                                             \
	"\"odd\":{\"events\":" events ",\"samples\":" samples ",\"mean\":" mean                    \
	",\"deviation\":0.000}"

static void test_what_was_learned_goes_on(void **state)
{
	load_feeds("    odd: {where: {cache: miss}, outlier: {field: us, warmup: 3}, select: us}\n"
		   "    all: {select: us}\n");
	struct peer *peer = connect();
	for (int i = 0; i < 4; i++)
		product(peer, 10);
	(void)harness_told(&h);
	expect_inherited("  odd: {where: {cache: miss}, outlier: {field: us, warmup: 3}, select: "
			 "us}\n"
			 "  all: {select: us}\n",
			LEARNED("0", "4", "10000.000") ",\"all\":{\"events\":4}");
	/* What is told of it does not matter, nor does the order. */
	expect_inherited("  all: {sample: 2}\n"
			 "  odd: {where: {cache: [miss]}, outlier: {field: us, warmup: 3}, sample: "
			 "7}\n",
			"\"all\":{\"events\":4}," LEARNED("0", "4", "10000.000"));
	/* With other readings, or held against another limit, it is something else. */
	expect_inherited("  odd: {where: {cache: hit}, outlier: {field: us, warmup: 3}}\n",
			LEARNED("0", "0", "0.000"));
	expect_inherited("  odd: {where: {cache: miss}, outlier: {field: us, warmup: 4}}\n",
			LEARNED("0", "0", "0.000"));
	expect_inherited("  odd: {where: {cache: miss}, from: request.offer, outlier: {field: us, "
			 "warmup: 3}}\n",
			LEARNED("0", "0", "0.000"));
	/* One that learns nothing, and one of another name. */
	expect_inherited("  odd: {where: {cache: miss}}\n", "\"odd\":{\"events\":0}");
	expect_inherited("  even: {where: {cache: miss}}\n", "\"even\":{\"events\":0}");
	expect_inherited("  all: {outlier: us}\n", "\"all\":{\"events\":4,\"samples\":0,\"mean\":"
						   "0.000,\"deviation\":0.000}");
}

static void test_feeds_without_telemetry(void **state)
{
	load(P);
	assert_int_equal(h.feeds->count, 0);
	product(connect(), 1);
	expect_told("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			request_test(test_where_and_select),
			request_test(test_one_request_in_many_feeds),
			request_test(test_conditions),
			request_test(test_all_members_unless_some_are_chosen),
			request_test(test_sample),
			request_test(test_an_outlier_and_what_it_was_held_against),
			request_test(test_an_outlier_among_those_that_pass),
			request_test(test_what_became_of_each_question),
			request_test(test_a_question_of_a_flight),
			request_test(test_costs_of_a_flight_that_a_timeout_has_ended),
			request_test(test_costs_of_a_flight_that_ends_as_its_waiters_do),
			request_test(test_the_best_wins_and_who_is_silent_times_out),
			request_test(test_questions_that_are_cut_off),
			request_test(test_questions_of_an_answer_in_parts),
			request_test(test_errors_say_where_and_what_was_meant),
			cmocka_unit_test(test_what_the_table_refuses),
			request_test(test_without_memory),
			request_test(test_what_was_learned_goes_on),
			request_test(test_feeds_without_telemetry),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
