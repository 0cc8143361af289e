/* SPDX-License-Identifier: Apache-2.0 */
/* At a limit, what would wait is refused, and what needn't is served. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/requests/fixture.h"

#define P                                                                                          \
	"pipelines:\n  p:\n    steps:\n"                                                           \
	"      - cache: {in: hot, key: '${a | 0}', ttl: 60s, miss: [lookup: {in: catalog, query: " \
	"SELECT 1}]}\n"                                                                            \
	"  q:\n    steps: [lookup: {in: catalog, query: SELECT 1}]\n"
#define USED_UP(id, what, at)                                                                      \
	id " RESOURCE_EXHAUSTED retry_ms=*\n{\"error\":\"" what "\",\"stage\":\"" at "\"}"
#define TOO_MANY(id, at) USED_UP(id, "too many requests in flight", at)
#define AT_CACHE	 "p/1.cache"
#define AT_LOOKUP	 "q/1.lookup"

static void test_in_flight(void **state)
{
	h.limits.in_flight = 2;
	load(P);
	struct peer *one = connect();
	struct peer *other = connect();
	peer_send(one, "p 1 100");
	row(0, "1");
	expect(one, "1 OK cache=miss\n1");
	peer_send(one, "q 2 100");
	peer_send(other, "q 3 100");
	peer_send(other, "q 4 100");
	expect(other, TOO_MANY("4", AT_LOOKUP));
	assert_in_range(other->retry_ms, 5, 15);
	peer_send(one, "p 5 100\n{\"a\":1}");
	expect(one, TOO_MANY("5", AT_CACHE));
	peer_send(one, "p 6 100");
	expect(one, "6 OK cache=hit\n1");
	peer_send(one, "$ping 7 -");
	expect(one, "7 OK");
	row(0, "2");
	expect(one, "2 OK\n2");
	peer_send(other, "q 8 100");
	expect(other, "");
	assert_int_equal(counts()->in_flight_highest, 2);
}

static void test_new_limits_hold_at_once(void **state)
{
	h.limits.in_flight = 100;
	load(P);
	assert_int_equal(counts()->in_flight_max, 100);
	struct engine_limits limits = h.limits;
	limits.in_flight = 1;
	engine_limit(h.engine, &limits);
	assert_int_equal(counts()->in_flight_max, 1);
	limits.in_flight = 500;
	limits.in_flight_min = 7;
	engine_limit(h.engine, &limits);
	assert_int_equal(counts()->in_flight_max, 7);
	limits.in_flight_min = 8;
	engine_limit(h.engine, &limits);
	assert_int_equal(counts()->in_flight_max, 8);
	limits.in_flight_min = 0;
	engine_limit(h.engine, &limits);
	assert_int_equal(counts()->in_flight_max, 500);
}

/* One after another: an adaptive limit of one is met by each. */
static void test_an_adaptive_limit_is_learned_and_kept(void **state)
{
	h.limits.in_flight = 100;
	h.limits.in_flight_min = 1;
	load(P);
	struct peer *peer = connect();
	for (uint64_t i = 1; i <= 60; i++) {
		peer_send(peer, "q 1 100");
		world_at(&h.world, i * 20);
		row(0, "1");
		expect(peer, "1 OK\n1");
	}
	uint64_t learned = counts()->in_flight_max;
	assert_in_range(learned, 2, 10);
	struct engine_limits limits = h.limits;
	limits.per_client = 50;
	engine_limit(h.engine, &limits);
	assert_int_equal(counts()->in_flight_max, learned);
}

static void test_what_is_reaping_counts(void **state)
{
	h.limits.in_flight = 1;
	load(P);
	h.world.catalog.stubborn = true;
	struct peer *peer = connect();
	peer_send(peer, "q 1 100");
	struct scripted_job *stubborn = job(0);
	peer_send(peer, "$cancel 1 -");
	expect(peer, "1 CANCELLED\n{\"error\":\"cancelled\"}");
	assert_int_equal(counts()->in_flight, 0);
	assert_int_equal(counts()->reaping, 1);
	assert_true(engine_answered(h.engine) && !engine_idle(h.engine));
	peer_send(peer, "q 2 100");
	expect(peer, TOO_MANY("2", AT_LOOKUP));
	scripted_job_end(stubborn, STATUS_OK, "1");
	assert_int_equal(counts()->reaping, 0);
	peer_send(peer, "q 3 100");
	expect(peer, "");
	assert_int_equal(counts()->in_flight, 1);
}

static void test_losers_are_reaped(void **state)
{
	load("pipelines:\n  p:\n    steps: [fanout: {to: [north, south], wait: any}]\n");
	static const struct scripted_end one = {STATUS_OK, "1"};
	struct peer *peer = connect();
	h.world.south.stubborn = true;
	peer_send(peer, "p 1 100");
	scripted_ask_end(scripted_ask(&h.world.north, 0), STATUS_OK, "1");
	expect(peer, "1 OK\n1");
	assert_int_equal(counts()->reaping, 1);
	scripted_ask_end(scripted_ask(&h.world.south, 0), STATUS_OK, "2");
	assert_int_equal(counts()->reaping, 0);
	/* The same for one that was answered in the step in which it came. */
	h.world.south.at_once = &one;
	h.world.north.stubborn = true;
	peer_send(peer, "p 2 100");
	expect(peer, "2 OK\n1");
	assert_int_equal(counts()->reaping, 1);
	assert_int_equal(counts()->in_flight, 0);
	scripted_ask_end(scripted_ask(&h.world.north, 0), STATUS_OK, "2");
	assert_int_equal(counts()->reaping, 0);
}

static void test_per_client(void **state)
{
	h.limits.per_client = 2;
	load(P);
	struct peer *one = connect();
	struct peer *other = connect();
	peer_send(one, "q 1 100");
	peer_send(one, "q 2 100");
	peer_send(one, "q 3 100");
	expect(one, USED_UP("3", "too many requests in flight from this client", AT_LOOKUP));
	peer_send(other, "q 3 100");
	expect(other, "");
	row(0, "1");
	expect(one, "1 OK\n1");
	peer_send(one, "q 4 100");
	expect(one, "");
}

static void test_bytes(void **state)
{
	char body[8192];
	load(P);
	struct account *account = engine_account(h.engine);
	struct peer *peer = connect();
	peer_send(peer, "p 1 100");
	row(0, "1");
	expect(peer, "1 OK cache=miss\n1");
	peer_send(peer, "p 2 100\n{\"a\":1}");
	memset(body, ' ', sizeof(body));
	body[0] = '1';
	body[REPLY_LARGE] = '\0';
	row(0, body);
	assert_memory_equal(peer_take(peer), "2 OK cache=miss\n1 ", 18);
	assert_true(peer->size > REPLY_LARGE);
	account_charge(account, h.limits.bytes);
	peer_send(peer, "q 3 100");
	expect(peer, USED_UP("3", "too much memory in use", AT_LOOKUP));
	peer_send(peer, "p 4 100");
	expect(peer, "4 OK cache=hit\n1");
	peer_send(peer, "p 5 100\n{\"a\":1}");
	expect(peer, "5 RESOURCE_EXHAUSTED cache=hit retry_ms=*\n{\"error\":\"too much memory in "
		     "use for so large a reply\"}");
	account_release(account, h.limits.bytes);
	peer_send(peer, "p 6 100\n{\"a\":1}");
	assert_memory_equal(peer_take(peer), "6 OK cache=hit\n1 ", 17);
	peer_send(peer, "q 7 100");
	expect(peer, "");
	assert_true(account->used > 0);
}

static void test_a_request_holds_its_bytes_until_it_is_over(void **state)
{
	char message[4096];
	load(P);
	struct account *account = engine_account(h.engine);
	struct peer *peer = connect();
	size_t before = account->used;
	(void)snprintf(message, sizeof(message), "q 1 100\n{\"a\":\"%3000s\"}", "");
	peer_send(peer, message);
	assert_true(account->used - before > 3000);
	row(0, "1");
	expect(peer, "1 OK\n1");
	assert_int_equal(account->used, before);
}

/* Those that wait for one value too: each reply would be a copy of its own. */
static void test_waiters_get_no_more_bytes_than_there_are(void **state)
{
	char message[16], body[5000];
	unsigned refused = 0;
	memset(body, '1', sizeof(body) - 1);
	body[sizeof(body) - 1] = '\0';
	h.limits.bytes = 500000;
	load(P);
	struct peer *peer = connect();
	peer->hoards = true;
	for (unsigned i = 0; i < 150; i++) {
		(void)snprintf(message, sizeof(message), "p %u 100", i);
		peer_send(peer, message);
	}
	row(0, body);
	for (unsigned i = 0; i < 150; i++)
		refused += strstr(peer_take(peer), "RESOURCE_EXHAUSTED") != NULL;
	expect(peer, "");
	assert_in_range(refused, 50, 120);
	assert_in_range(engine_account(h.engine)->peak, h.limits.bytes, h.limits.bytes + 20000);
}

/* Too late is no time that an answer took. */
static void test_late_requests_say_nothing_of_the_time(void **state)
{
	load("limits: {in_flight: 1}\n" P);
	struct peer *peer = connect();
	for (uint64_t i = 1; i <= 10; i++) {
		peer_send(peer, "q 1 30000");
		world_at(&h.world, i * 2000);
		row(0, "1");
		expect(peer, "1 OK\n1");
	}
	for (int i = 0; i < 3000; i++) {
		peer_send(peer, "q 2 0");
		assert_non_null(strstr(peer_take(peer), "DEADLINE_EXCEEDED"));
	}
	peer_send(peer, "q 3 30000");
	peer_send(peer, "q 4 30000");
	expect(peer, TOO_MANY("4", AT_LOOKUP));
	assert_in_range(peer->retry_ms, 240, 760);
}

/* A quarter of the median, give or take half; what was refused at once says nothing of how long the
 * others take. */
static void test_retry_ms_follows_the_pipeline(void **state)
{
	char message[64];
	h.limits.per_client = 1;
	load(P);
	struct peer *peer = connect();
	for (unsigned i = 0; i < 300; i++) {
		peer_send(peer, "q 1 1000");
		world_at(&h.world, 400 * (i + 1));
		row(0, "1");
		expect(peer, "1 OK\n1");
	}
	peer_send(peer, "q 1 100000");
	uint64_t least = UINT64_MAX, most = 0;
	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(message, sizeof(message), "q x%u 1000", i);
		peer_send(peer, message);
		assert_non_null(strstr(peer_take(peer), "RESOURCE_EXHAUSTED retry_ms=*"));
		least = peer->retry_ms < least ? peer->retry_ms : least;
		most = peer->retry_ms > most ? peer->retry_ms : most;
	}
	assert_in_range(least, 50, 60);
	assert_in_range(most, 140, 160);
}

/* It is asked for after the first, and the next are others. */
static void test_retry_ms_does_not_hang_on_the_first_request(void **state)
{
	h.limits.per_client = 1;
	load(P);
	struct peer *peer = connect();
	for (uint64_t i = 0; i < 4; i++) {
		peer_send(peer, "q 1 30000");
		peer_send(peer, "q 2 30000");
		expect(peer, USED_UP("2", "too many requests in flight from this client",
					     AT_LOOKUP));
		world_at(&h.world, 20000 + i);
		row(0, "1");
		expect(peer, "1 OK\n1");
	}
	peer_send(peer, "q 1 30000");
	peer_send(peer, "q 2 30000");
	expect(peer, USED_UP("2", "too many requests in flight from this client", AT_LOOKUP));
	assert_in_range(peer->retry_ms, 5, 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			request_test(test_in_flight),
			request_test(test_new_limits_hold_at_once),
			request_test(test_an_adaptive_limit_is_learned_and_kept),
			request_test(test_what_is_reaping_counts),
			request_test(test_losers_are_reaped),
			request_test(test_per_client),
			request_test(test_bytes),
			request_test(test_a_request_holds_its_bytes_until_it_is_over),
			request_test(test_waiters_get_no_more_bytes_than_there_are),
			request_test(test_late_requests_say_nothing_of_the_time),
			request_test(test_retry_ms_follows_the_pipeline),
			request_test(test_retry_ms_does_not_hang_on_the_first_request),
	};
	return cmocka_run_group_tests_name("requests/limits", tests, NULL, NULL);
}
