/* SPDX-License-Identifier: Apache-2.0 */
/* What a client may send, and what it is answered. */
#include <stdio.h>

#include "tests/unit/requests/fixture.h"

#define P                                                                                          \
	"pipelines:\n  p:\n    steps: [lookup: {in: catalog, query: 'SELECT :a', params: {a: "     \
	"'${a | 0}'}}]\n"

#define INVALID(why)  " INVALID_ARGUMENT\n{\"error\":\"" why "\"}"
#define RAN_OUT	      " DEADLINE_EXCEEDED\n{\"error\":\"deadline exceeded\"}"
#define IS_CANCELLED  " CANCELLED\n{\"error\":\"cancelled\"}"
#define TARGET_WRONG  "the target must be 1 to 64 of A-Z a-z 0-9 _ -"
#define IS_NO_COMMAND " UNIMPLEMENTED\n{\"error\":\"no such command on this door\"}"

static void test_a_request_is_answered(void **state)
{
	load(P);
	struct peer *peer = connect();
	peer_send(peer, "p 1 100\n{\"a\":7}");
	expect(peer, "");
	assert_int_equal(counts()->in_flight, 1);
	assert_int_equal(job(0)->job.values[0].integer, 7);
	row(0, "{\"x\":1}");
	expect(peer, "1 OK\n{\"x\":1}");
	expect(peer, "");
	assert_int_equal(counts()->in_flight + counts()->reaping, 0);
	assert_int_equal(counts()->answered, 1);
	assert_int_equal(counts()->by_status[STATUS_OK], 1);
}

static void test_no_body_is_an_empty_object(void **state)
{
	load(P);
	struct peer *peer = connect();
	peer_send(peer, "p 1 100");
	assert_int_equal(job(0)->job.values[0].integer, 0);
	row(0, "1");
	expect(peer, "1 OK\n1");
	peer_send(peer, "p 2 100\n");
	row(0, "2");
	expect(peer, "2 OK\n2");
}

static void test_no_value_is_no_body(void **state)
{
	load("pipelines:\n  p:\n    steps: [fanout: {to: north, wait: any}]\n");
	struct peer *peer = connect();
	peer_send(peer, "p 1 100");
	scripted_ask_end(scripted_ask(&h.world.north, 0), STATUS_OK, NULL);
	expect(peer, "1 OK");
}

static void test_replies_say_what_is_to_be_known(void **state)
{
	load("pipelines:\n  p:\n    steps:\n"
	     "      - cache: {in: hot, key: k, ttl: 1s, miss: [lookup: {in: catalog, query: SELECT "
	     "1}]}\n"
	     "      - fanout: {to: [north, south], on_error: partial}\n");
	struct peer *peer = connect();
	peer_send(peer, "p 1 100");
	row(0, "1");
	(void)world_turn(&h.world);
	scripted_ask_end(scripted_ask(&h.world.north, 0), STATUS_OK, "1");
	scripted_ask_end(scripted_ask(&h.world.south, 0), STATUS_NOT_FOUND, NULL);
	expect(peer, "1 OK cache=miss "
		     "partial=1\n{\"north\":1,\"$missing\":{\"south\":\"NOT_FOUND\"}}");
}

static void test_envelopes_are_given_back(void **state)
{
	load(P);
	struct peer *peer = connect();
	peer_send_in(peer, "one", "p 1 100");
	peer_send_in(peer, "two", "p 2 100");
	peer_send_in(peer, "three", "q 3 100");
	expect(peer, "[three] 3 UNIMPLEMENTED\n{\"error\":\"no such pipeline\"}");
	row(1, "2");
	expect(peer, "[two] 2 OK\n2");
	row(0, "1");
	expect(peer, "[one] 1 OK\n1");
}

static void test_bodies_are_checked(void **state)
{
	h.limits.json = (struct json_limits){.bytes = 40, .depth = 3, .values = 10};
	load(P);
	struct peer *peer = connect();
	peer_send(peer, "p 1 100\n{\"a\":1");
	expect(peer, "1" INVALID("the body is not JSON: expected ',' or '}' at byte 6"));
	peer_send(peer, "p 2 100\n[]");
	expect(peer, "2" INVALID("the body must be a JSON object"));
	peer_send(peer, "p 3 100\n{\"a\":[[[1]]]}");
	expect(peer, "3" INVALID("the body is not JSON: nested too deeply at byte 7"));
	peer_send(peer, "p 4 100\n{\"a\":[1,2,3,4,5,6,7,8,9]}");
	expect(peer, "4" INVALID("the body is not JSON: too many values at byte 20"));
	peer_send(peer, "p 5 100\n{\"a\":\"012345678901234567890123456789012\"}");
	expect(peer, "5 INVALID_ARGUMENT max=40\n{\"error\":\"the body is over its limit\"}");
	peer_send(peer, "p 6 100\n{\"a\":\"01234567890123456789012345678901\"}");
	expect(peer, "");
	assert_int_equal(h.world.catalog.database.queries, 1);
}

static void test_headers_are_checked(void **state)
{
	load(P);
	struct peer *peer = connect();
	peer_send(peer, "");
	expect(peer, "-" INVALID(TARGET_WRONG));
	peer_send(peer, "p");
	expect(peer, "-" INVALID("the id is missing"));
	peer_send(peer, "p 1 x");
	expect(peer, "1" INVALID("the budget must be 1 to 9 digits (milliseconds), or -"));
	peer_send(peer, "p/q 2 100");
	expect(peer, "2" INVALID(TARGET_WRONG));
	async_enter(&h.world.async, h.world.async.now);
	engine_receive_malformed(h.engine, peer->client, TEXT("e"), "more frames than one");
	expect(peer, "[e] -" INVALID("more frames than one"));
	assert_int_equal(counts()->by_status[STATUS_INVALID_ARGUMENT], 5);
}

static void test_targets(void **state)
{
	load(P);
	struct peer *peer = connect();
	peer_send(peer, "P 1 100");
	expect(peer, "1 UNIMPLEMENTED\n{\"error\":\"no such pipeline\"}");
	peer_send(peer, "$status 2 100");
	expect(peer, "2" IS_NO_COMMAND);
	peer_send(peer, "$ping 3 0");
	expect(peer, "3 OK");
	peer_send_in(peer, "e", "$ping 3 -");
	expect(peer, "[e] 3 OK");
	assert_int_equal(counts()->read, 4);
}

static void test_an_id_is_taken_while_it_is_in_flight(void **state)
{
	load(P);
	struct peer *peer = connect();
	struct peer *other = connect();
	peer_send(peer, "p 1 100");
	peer_send(peer, "p 1 100");
	expect(peer, "1 INVALID_ARGUMENT duplicate=1\n{\"error\":\"a request with this id is in "
		     "flight\"}");
	peer_send_in(peer, "e", "p 1 100");
	peer_send(other, "p 1 100");
	expect(peer, "");
	expect(other, "");
	row(0, "1");
	expect(peer, "1 OK\n1");
	peer_send(peer, "p 1 100");
	row(0, "2");
	expect(peer, "[e] 1 OK\n2");
	row(0, "3");
	expect(other, "1 OK\n3");
	row(0, "4");
	expect(peer, "1 OK\n4");
}

static void test_many_are_told_apart(void **state)
{
	char message[64];
	load(P);
	struct peer *peer = connect();
	for (unsigned i = 0; i < 900; i++) {
		(void)snprintf(message, sizeof(message), "p %u 1000", i);
		peer_send(peer, message);
	}
	assert_int_equal(counts()->in_flight, 900);
	for (unsigned i = 0; i < 900; i += 2) {
		(void)snprintf(message, sizeof(message), "$cancel %u -", i);
		peer_send(peer, message);
		(void)snprintf(message, sizeof(message), "%u" IS_CANCELLED, i);
		expect(peer, message);
	}
	for (unsigned i = 1; i < 900; i += 2) {
		row(0, "1");
		(void)snprintf(message, sizeof(message), "%u OK\n1", i);
		expect(peer, message);
	}
}

static void test_cancel(void **state)
{
	load(P);
	struct peer *peer = connect();
	peer_send(peer, "p 1 100");
	peer_send_in(peer, "e", "p 2 100");
	peer_send(peer, "$cancel 3 -");
	peer_send(peer, "$cancel 2 -");
	expect(peer, "");
	peer_send(peer, "$cancel 1 -");
	expect(peer, "1" IS_CANCELLED);
	peer_send(peer, "$cancel 1 -");
	peer_send_in(peer, "e", "$cancel 2 -");
	expect(peer, "[e] 2" IS_CANCELLED);
	expect(peer, "");
	assert_int_equal(h.world.catalog.cancelled, 2);
	assert_int_equal(counts()->read, 2);
	assert_int_equal(counts()->cancelled, 2);
}

static void test_a_cancel_that_is_malformed_is_ignored(void **state)
{
	load(P);
	struct peer *peer = connect();
	peer_send(peer, "p 1 100");
	peer_send(peer, "$cancel 1/2 -");
	peer_send(peer, "$cancel - -");
	peer_send(peer, "$cancel\n{}");
	peer_send(peer, "$cancel  1 -");
	peer_send(peer, "$cancel 1");
	peer_send(peer, "$cancel");
	expect(peer, "");
	assert_int_equal(counts()->read, 1);
	peer_send(peer, "$cancelled 1 -");
	expect(peer, "1" IS_NO_COMMAND);
}

/* The answer has come, but nobody has looked at it yet. */
static void test_what_the_loop_sees_first_wins(void **state)
{
	load(P);
	struct peer *peer = connect();
	peer_send(peer, "p 1 100");
	row(0, "1");
	peer_send(peer, "$cancel 1 -");
	expect(peer, "1" IS_CANCELLED);
	expect(peer, "");
	peer_send(peer, "p 2 100");
	row(0, "2");
	expect(peer, "2 OK\n2");
	peer_send(peer, "$cancel 2 -");
	expect(peer, "");
}

static void test_refused_by_takes(void **state)
{
	load("pipelines:\n  p:\n    takes: {sku: string}\n    steps: [lookup: {in: catalog, query: "
	     "'SELECT :sku'}]\n");
	struct peer *peer = connect();
	peer_send(peer, "p 1 100\n{\"sku\":1}");
	expect(peer, "1" INVALID("\\\"sku\\\" must be of type string"));
	assert_int_equal(counts()->in_flight_highest, 0);
}

/* What clients see of it, retry_ms and when values expire, tells them nothing of the keys then. */
static void test_keys_of_tables_have_a_generator_of_their_own(void **state)
{
	struct async untouched;
	async_init(&untouched, WORLD_START, 1);
	load(P);
	assert_memory_equal(&h.world.async.random, &untouched.random, sizeof(untouched.random));
	assert_memory_not_equal(&h.world.async.keys, &untouched.keys, sizeof(untouched.keys));
	assert_memory_not_equal(&untouched.keys, &untouched.random, sizeof(untouched.keys));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			request_test(test_a_request_is_answered),
			request_test(test_no_body_is_an_empty_object),
			request_test(test_no_value_is_no_body),
			request_test(test_replies_say_what_is_to_be_known),
			request_test(test_envelopes_are_given_back),
			request_test(test_bodies_are_checked),
			request_test(test_headers_are_checked),
			request_test(test_targets),
			request_test(test_an_id_is_taken_while_it_is_in_flight),
			request_test(test_many_are_told_apart),
			request_test(test_cancel),
			request_test(test_a_cancel_that_is_malformed_is_ignored),
			request_test(test_what_the_loop_sees_first_wins),
			request_test(test_refused_by_takes),
			request_test(test_keys_of_tables_have_a_generator_of_their_own),
	};
	return cmocka_run_group_tests_name("requests/request", tests, NULL, NULL);
}
