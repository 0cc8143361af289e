/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of each request, once, at its end; and what is counted of all. */
#include <string.h>

#include "pipeline/base/json.h"
#include "tests/unit/requests/fixture.h"

#define P                                                                                          \
	"pipelines:\n  p:\n    steps:\n"                                                           \
	"      - lookup: {in: ledger, query: SELECT 1, missing: 'null'}\n"                         \
	"      - call: q\n"                                                                        \
	"      - timeout: {after: 1s, steps: [fanout: {to: [north, south], wait: any}]}\n"         \
	"  q:\n    steps:\n"                                                                       \
	"      - cache: {in: hot, key: k, ttl: 10s, miss: [lookup: {in: catalog, query: SELECT "   \
	"1}]}\n"

#define expect_record(text) assert_string_equal(harness_record(&h), text)

static struct scripted_job *ledger_job(void)
{
	(void)world_turn(&h.world);
	return scripted_job(&h.world.ledger, 0);
}

static void test_the_stages_that_it_met(void **state)
{
	load(P);
	struct peer *peer = connect();
	peer_send(peer, "p 1 1000 trace=00-1\n{}");
	world_at(&h.world, 2);
	scripted_job_end(ledger_job(), STATUS_NOT_FOUND, NULL);
	(void)world_turn(&h.world);
	world_at(&h.world, 12);
	row(0, "1");
	(void)world_turn(&h.world);
	world_at(&h.world, 15);
	scripted_ask_end(scripted_ask(&h.world.south, 0), STATUS_OK, "7");
	expect(peer, "1 OK cache=miss\n7");
	expect_record("p OK id=1 client=1 us=15000 in=22 out=26 trace=00-1\n"
		      "p/1.lookup OK us=2000\n"
		      "p/2.call OK us=10000\n"
		      "q/1.cache OK us=10000\n"
		      "q/1.cache/1.lookup OK us=10000 flight=1\n"
		      "p/3.timeout OK us=3000\n"
		      "p/3.timeout/1.fanout OK us=3000");
	assert_int_equal(h.observed, 1);
}

static void test_a_waiter_sees_the_flight_as_it_stands(void **state)
{
	load(P);
	struct peer *peer = connect();
	peer_send(peer, "q 1 1000");
	world_at(&h.world, 5);
	peer_send(peer, "q 2 1000");
	peer_send(peer, "$cancel 1 -");
	expect(peer, "1 CANCELLED cache=miss\n{\"error\":\"cancelled\"}");
	expect_record("q CANCELLED asked id=1 client=1 us=5000 in=8 out=52\n"
		      "q/1.cache - us=0\n"
		      "q/1.cache/1.lookup - us=0 flight=1");
	world_at(&h.world, 9);
	row(0, "1");
	expect(peer, "2 OK cache=joined\n1");
	expect_record("q OK id=2 client=1 us=4000 in=8 out=27\n"
		      "q/1.cache OK us=4000\n"
		      "q/1.cache/1.lookup OK us=9000 flight=1");
}

static void test_a_hit_meets_one_stage(void **state)
{
	load(P);
	struct peer *peer = connect();
	peer_send(peer, "q 1 1000");
	row(0, "1");
	expect(peer, "1 OK cache=miss\n1");
	peer_send(peer, "q 2 1000");
	expect(peer, "2 OK cache=hit\n1");
	expect_record("q OK id=2 client=1 us=0 in=8 out=21\nq/1.cache OK us=0");
}

static void test_why_it_ended(void **state)
{
	load("pipelines:\n  p:\n    steps: [lookup: {in: catalog, query: SELECT 1}]\n");
	struct peer *peer = connect();
	peer_send(peer, "p 1 100");
	world_at(&h.world, 101);
	expect(peer, "1 DEADLINE_EXCEEDED\n{\"error\":\"deadline exceeded\"}");
	assert_non_null(strstr(harness_record(&h), "p DEADLINE_EXCEEDED deadline id=1 "));
	peer_send(peer, "p 2 100");
	async_enter(&h.world.async, h.world.async.now);
	engine_cut(h.engine);
	assert_non_null(strstr(harness_record(&h), "p UNAVAILABLE drain id=2 "));
	peer_send(peer, "p 3 100");
	peer_leave(peer);
	expect_record("p CANCELLED gone id=3 client=1 us=0 in=7 out=0\np/1.lookup - us=0");
	assert_int_equal(h.observed, 3);
}

static void test_what_never_became_a_request(void **state)
{
	load(P);
	struct peer *peer = connect();
	peer_send(peer, "none 1 100 trace=00-2");
	expect_record("- UNIMPLEMENTED id=1 client=1 us=0 in=21 out=49 trace=00-2");
	peer_send(peer, "p 2 0");
	expect_record("p DEADLINE_EXCEEDED id=2 client=1 us=0 in=5 out=54");
	peer_send(peer, "p ? 0");
	assert_non_null(strstr(
			harness_record(&h), "- INVALID_ARGUMENT id=- client=1 us=0 in=5 out="));
	peer_send(peer, "p 3 100\n[]");
	assert_non_null(strstr(
			harness_record(&h), "p INVALID_ARGUMENT id=3 client=1 us=0 in=10 out="));
	assert_int_equal(h.observed, 4);
	/* Commands are not told of. */
	peer_send(peer, "$ping 4 -");
	peer_send(peer, "$cancel 4 -");
	peer_send(peer, "$status 5 -");
	(void)world_turn(&h.world);
	assert_int_equal(h.observed, 4);
}

static void test_a_reply_is_told_of_once_however_it_leaves(void **state)
{
	load("pipelines:\n  p:\n    steps: [lookup: {in: catalog, query: SELECT 1}]\n");
	struct peer *peer = connect();
	peer->room = 0;
	peer_send(peer, "p 1 100");
	row(0, "1");
	(void)world_turn(&h.world);
	assert_int_equal(h.observed, 1);
	peer->room = 1;
	harness_flush(&h);
	expect(peer, "1 OK\n1");
	assert_int_equal(h.observed, 1);
}

static void test_stats_are_json(void **state)
{
	load(P);
	struct peer *peer = connect();
	peer_send(peer, "q 1 1000");
	world_at(&h.world, 3);
	row(0, "1");
	expect(peer, "1 OK cache=miss\n1");
	peer_send(peer, "q 2 0");
	peer_send(peer, "p 3 1000");
	struct buffer buffer;
	struct json json;
	struct json_error error;
	buffer_init_arena(&buffer, &h.world.arena);
	buffer_append_char(&buffer, '{');
	engine_write_stats(h.engine, &buffer);
	buffer_append_char(&buffer, '}');
	assert_true(json_parse(
			&json, &h.world.arena, buffer_text(&buffer), &h.limits.json, &error));
	buffer_append_char(&buffer, '\0');
	static const char *const parts[] = {
			"{\"read\":3,\"answered\":2,\"gone\":0,\"undelivered\":0,\"parts\":0,"
			"\"cancelled\":0,"
			"\"in_flight\":1,"
			"\"in_flight_highest\":1,\"in_flight_max\":10000,\"reaping\":0,"
			"\"outboxes\":0,\"clients\":1,"
			"\"bytes\":",
			",\"ended\":{\"OK\":1,\"DEADLINE_EXCEEDED\":1},\"pipelines\":{\"p\":{"
			"\"ended\":{},",
			"\"q\":{\"ended\":{\"OK\":1,\"DEADLINE_EXCEEDED\":1},",
			"\"max\":3000}",
			"\"q/"
			"1.cache\":{\"hits\":0,\"missing\":0,\"stale\":0,\"misses\":1,\"joined\":0,"
			"\"fresh\":0,\"refreshes\":0,\"refresh_failures\":0,\"throttled\":0,"
			"\"background\":0,\"flights\":0,\"flown\":1,"
			"\"waiting\":0,\"waiting_highest\":1}",
			"\"p/1.lookup\":{\"running\":1,",
	};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		assert_non_null(strstr(buffer.data, parts[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			request_test(test_the_stages_that_it_met),
			request_test(test_a_waiter_sees_the_flight_as_it_stands),
			request_test(test_a_hit_meets_one_stage),
			request_test(test_why_it_ended),
			request_test(test_what_never_became_a_request),
			request_test(test_a_reply_is_told_of_once_however_it_leaves),
			request_test(test_stats_are_json),
	};
	return cmocka_run_group_tests_name("requests/record", tests, NULL, NULL);
}
