/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of a batch that are started together: each is treated as if it had come alone. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/requests/fixture.h"

#define P                                                                                          \
	"pipelines:\n  p:\n    steps: [lookup: {in: catalog, query: SELECT 1}]\n"                  \
	"  hit:\n    steps:\n"                                                                     \
	"      - cache: {in: hot, key: 'k/${a | 0}', ttl: 3600s, miss: [lookup: {in: catalog, "    \
	"query: SELECT 1}]}\n"
#define GROUP_MAX 8 /* as in pipeline/requests/internal.h */
#define DUPLICATE                                                                                  \
	" INVALID_ARGUMENT duplicate=1\n{\"error\":\"a request with this id is in flight\"}"

/* A peer for which `hit` is one, in a batch. */
static struct peer *start(void)
{
	load(P);
	struct peer *peer = connect();
	peer_send(peer, "hit first 100");
	row(0, "0");
	expect(peer, "first OK cache=miss\n0");
	engine_begin_batch(h.engine);
	return peer;
}

static void test_a_group_starts_when_it_is_full_or_the_batch_ends(void **state)
{
	char text[64];
	struct peer *peer = start();
	for (unsigned i = 0; i < GROUP_MAX - 1; i++) {
		(void)snprintf(text, sizeof(text), "p %u 100", i);
		peer_send(peer, text);
	}
	assert_int_equal(counts()->in_flight, 0);
	assert_false(engine_answered(h.engine)); /* though nothing is in flight yet */
	peer_send(peer, "p last 100");
	assert_int_equal(counts()->in_flight, GROUP_MAX);
	peer_send(peer, "p more 100");
	assert_int_equal(counts()->in_flight, GROUP_MAX);
	harness_flush(&h);
	assert_int_equal(counts()->in_flight, GROUP_MAX + 1);
	/* The batch is over. */
	peer_send(peer, "p alone 100");
	assert_int_equal(counts()->in_flight, GROUP_MAX + 2);
}

static void test_all_kinds_of_keys_are_found(void **state)
{
	struct peer *peer = start();
	peer_send(peer, "hit 1 100\n{\"a\":0}");
	peer_send(peer, "hit 2 100\n{\"a\":1}");
	peer_send(peer, "hit 3 100\n{\"a\":1}");
	peer_send(peer, "hit 4 100");
	harness_flush(&h);
	expect(peer, "1 OK cache=hit\n0");
	expect(peer, "4 OK cache=hit\n0");
	row(0, "1");
	expect(peer, "2 OK cache=miss\n1");
	expect(peer, "3 OK cache=joined\n1");
}

static void test_an_id_is_in_flight_from_the_start_of_its_request(void **state)
{
	struct peer *peer = start();
	peer_send(peer, "hit 1 100");
	peer_send(peer, "hit 1 100");
	peer_send(peer, "p 2 100");
	peer_send(peer, "hit 2 100");
	peer_send(peer, "p 2 0");
	peer_send(peer, "p 2 100\n[");
	harness_flush(&h);
	expect(peer, "1 OK cache=hit\n0");
	expect(peer, "1 OK cache=hit\n0");
	expect(peer, "2" DUPLICATE);
	expect(peer, "2" DUPLICATE);
	expect(peer, "2" DUPLICATE);
	row(0, "2");
	expect(peer, "2 OK\n2");
}

static void test_limits_count_what_came_before(void **state)
{
	h.limits.per_client = 1;
	struct peer *peer = start();
	peer_send(peer, "p 1 100");
	peer_send(peer, "p 2 100");
	peer_send(peer, "hit 3 100");
	harness_flush(&h);
	expect(peer, "2 RESOURCE_EXHAUSTED retry_ms=*\n{\"error\":\"too many requests in flight "
		     "from this client\",\"stage\":\"p/1.lookup\"}");
	expect(peer, "3 OK cache=hit\n0");
	row(0, "1");
	expect(peer, "1 OK\n1");
}

static void test_a_deadline_that_passes_before_the_start(void **state)
{
	struct peer *peer = start();
	peer_send(peer, "hit 1 5");
	peer_send(peer, "hit 2 100");
	world_at(&h.world, 5);
	harness_flush(&h);
	expect(peer, "1 DEADLINE_EXCEEDED\n{\"error\":\"deadline exceeded\"}");
	expect(peer, "2 OK cache=hit\n0");
}

static void test_what_is_no_request_comes_after_those_before_it(void **state)
{
	struct peer *peer = start();
	peer_send(peer, "p 1 100");
	peer_send(peer, "$cancel 1 -");
	expect(peer, "1 CANCELLED\n{\"error\":\"cancelled\"}");
	peer_send(peer, "p 2 100\n[]");
	expect(peer, "");
	peer_send(peer, "$ping 3 -");
	expect(peer, "2 INVALID_ARGUMENT\n{\"error\":\"the body must be a JSON object\"}");
	expect(peer, "3 OK");
	peer_send(peer, "p 4 100\n[]");
	peer_send(peer, "p  5 100");
	expect(peer, "4 INVALID_ARGUMENT\n{\"error\":\"the body must be a JSON object\"}");
	expect(peer, "- INVALID_ARGUMENT\n{\"error\":\"tokens are separated by exactly one space, "
		     "and none stands at the end\"}");
	peer_send(peer, "p 6 100");
	peer_send(peer, "none 7 100");
	assert_int_equal(counts()->in_flight, 1);
	expect(peer, "7 UNIMPLEMENTED\n{\"error\":\"no such pipeline\"}");
}

static void test_a_large_message_waits_for_nobody(void **state)
{
	char text[4096] = "p 2 100\n{\"a\":\"";
	size_t size = strlen(text);
	memset(text + size, 'x', 3000);
	memcpy(text + size + 3000, "\"}", 3);
	struct peer *peer = start();
	peer_send(peer, "p 1 100");
	assert_int_equal(counts()->in_flight, 0);
	peer_send(peer, text);
	assert_int_equal(counts()->in_flight, 2);
}

static void test_who_leaves_before_the_start(void **state)
{
	struct peer *peer = start();
	struct peer *other = connect();
	peer_send(peer, "p 1 100");
	peer_send(other, "hit 2 100");
	peer_leave(peer);
	expect(other, "2 OK cache=hit\n0");
	assert_int_equal(counts()->gone, 1);
	harness_flush(&h);
}

/* How much more of limits.bytes is used up once a request waits. */
static size_t bytes_of_a_request(struct peer *peer)
{
	size_t before = engine_account(h.engine)->used;
	peer_send(peer, "p probe 100");
	harness_flush(&h);
	return engine_account(h.engine)->used - before;
}

/* Leaves room for so many bytes. */
static void leave_room(size_t bytes)
{
	struct account *account = engine_account(h.engine);
	account_charge(account, account->max - account->used - bytes);
}

static void make_room(size_t charged)
{
	account_release(engine_account(h.engine), charged);
}

/* How many of a group's requests may wait where memory is there for three. */
static void test_memory_of_those_behind_counts_against_nobody(void **state)
{
	char text[128];
	struct peer *peer = start();
	size_t each = bytes_of_a_request(peer);
	for (int batch = 0; batch < 2; batch++) {
		uint64_t before = counts()->in_flight;
		size_t used = engine_account(h.engine)->used;
		leave_room(3 * each + 1);
		size_t charged = engine_account(h.engine)->used - used;
		if (batch)
			engine_begin_batch(h.engine);
		for (unsigned i = 0; i < GROUP_MAX; i++) {
			(void)snprintf(text, sizeof(text), "p %d.%u 100", batch, i);
			peer_send(peer, text);
		}
		harness_flush(&h);
		assert_int_equal(counts()->in_flight - before, 3);
		for (unsigned i = 3; i < GROUP_MAX; i++) {
			(void)snprintf(text, sizeof(text),
					"%d.%u RESOURCE_EXHAUSTED retry_ms=*\n{\"error\":\"too "
					"much "
					"memory in use\",\"stage\":\"p/1.lookup\"}",
					batch, i);
			expect(peer, text);
		}
		make_room(charged);
	}
}

/* What fills the memory to its last byte leaves none to wait with. */
static void test_memory_that_is_just_used_up(void **state)
{
	struct peer *peer = start();
	size_t each = bytes_of_a_request(peer);
	size_t used = engine_account(h.engine)->used;
	leave_room(each);
	size_t charged = engine_account(h.engine)->used - used;
	peer_send(peer, "p 1 100");
	assert_non_null(strstr(peer_take(peer), "1 RESOURCE_EXHAUSTED"));
	make_room(1);
	peer_send(peer, "p 2 100");
	expect(peer, "");
	make_room(charged - 1);
}

static void test_a_large_hit_is_not_refused_for_those_behind_it(void **state)
{
	char value[REPLY_LARGE + 3];
	struct peer *peer = start();
	memset(value, 'x', sizeof(value));
	value[0] = value[sizeof(value) - 2] = '"';
	value[sizeof(value) - 1] = '\0';
	peer_send(peer, "hit large 100\n{\"a\":1}");
	harness_flush(&h);
	row(0, value);
	assert_true(strlen(peer_take(peer)) > REPLY_LARGE);
	size_t each = bytes_of_a_request(peer);
	size_t used = engine_account(h.engine)->used;
	leave_room(each + 1);
	size_t charged = engine_account(h.engine)->used - used;
	engine_begin_batch(h.engine);
	peer_send(peer, "hit large 100\n{\"a\":1}");
	for (unsigned i = 1; i < GROUP_MAX; i++)
		peer_send(peer, "hit small 100");
	harness_flush(&h);
	assert_int_equal(strncmp(peer_take(peer), "large OK cache=hit", 18), 0);
	for (unsigned i = 1; i < GROUP_MAX; i++)
		expect(peer, "small OK cache=hit\n0");
	make_room(charged);
}

static void test_one_that_is_late_costs_no_memory(void **state)
{
	static char text[100000] = "p late 0\n{\"a\":\"";
	size_t size = strlen(text);
	memset(text + size, 'x', sizeof(text) - size - 1);
	memcpy(text + sizeof(text) - 3, "\"}", 3);
	struct peer *peer = start();
	size_t peak = engine_account(h.engine)->peak;
	peer_send(peer, text);
	expect(peer, "late DEADLINE_EXCEEDED\n{\"error\":\"no time was given\"}");
	assert_int_equal(engine_account(h.engine)->peak, peak);
}

static void test_a_drain_begins_after_those_before_it(void **state)
{
	struct peer *peer = start();
	peer_send(peer, "p 1 100");
	engine_drain(h.engine);
	assert_int_equal(counts()->in_flight, 1);
	peer_send(peer, "p 2 100");
	expect(peer, "2 UNAVAILABLE retry_ms=*\n{\"error\":\"draining\"}");
	row(0, "1");
	expect(peer, "1 OK\n1");
}

static void test_new_limits_hold_after_those_before_them(void **state)
{
	struct peer *peer = start();
	struct engine_limits limits = h.limits;
	limits.in_flight = 1;
	peer_send(peer, "p 1 100");
	peer_send(peer, "p 2 100");
	engine_limit(h.engine, &limits);
	assert_int_equal(counts()->in_flight, 2);
}

static void test_a_generation_begins_after_those_before_it(void **state)
{
	struct peer *peer = start();
	peer_send(peer, "p 1 100");
	assert_true(harness_reload(&h, P));
	assert_int_equal(counts()->in_flight, 1);
	harness_flush(&h);
	row(0, "1");
	expect(peer, "1 OK\n1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			request_test(test_a_group_starts_when_it_is_full_or_the_batch_ends),
			request_test(test_all_kinds_of_keys_are_found),
			request_test(test_an_id_is_in_flight_from_the_start_of_its_request),
			request_test(test_limits_count_what_came_before),
			request_test(test_a_deadline_that_passes_before_the_start),
			request_test(test_what_is_no_request_comes_after_those_before_it),
			request_test(test_a_large_message_waits_for_nobody),
			request_test(test_who_leaves_before_the_start),
			request_test(test_memory_of_those_behind_counts_against_nobody),
			request_test(test_memory_that_is_just_used_up),
			request_test(test_a_large_hit_is_not_refused_for_those_behind_it),
			request_test(test_one_that_is_late_costs_no_memory),
			request_test(test_a_drain_begins_after_those_before_it),
			request_test(test_new_limits_hold_after_those_before_them),
			request_test(test_a_generation_begins_after_those_before_it),
	};
	return cmocka_run_group_tests_name("requests/group", tests, NULL, NULL);
}
