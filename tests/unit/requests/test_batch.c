/* SPDX-License-Identifier: Apache-2.0 */
/* Replies that leave together: none is lost, and each is treated as if it had left alone. */
#include <stdio.h>

#include "tests/unit/requests/fixture.h"

#define P                                                                                          \
	"pipelines:\n  p:\n    steps: [lookup: {in: catalog, query: SELECT 1}]\n"                  \
	"  hit:\n    steps:\n"                                                                     \
	"      - cache: {in: hot, key: k, ttl: 3600s, miss: [lookup: {in: ledger, query: SELECT "  \
	"1}]}\n"
#define BATCH_MAX 256 /* both as in pipeline/requests/internal.h */
#define GROUP_MAX 8

static const struct scripted_end zero = {STATUS_OK, "0"};

/* A peer for which `hit` is one, in a batch. */
static struct peer *start(void)
{
	load(P);
	h.world.ledger.at_once = &zero;
	struct peer *peer = connect();
	peer_send(peer, "hit first 100");
	expect(peer, "first OK cache=miss\n0");
	engine_begin_batch(h.engine);
	return peer;
}

static void test_what_is_answered_at_once_leaves_at_the_end(void **state)
{
	struct peer *peer = start();
	struct peer *other = connect();
	peer_send(peer, "hit 1 100");
	peer_send(other, "hit 2 100");
	peer_send(peer, "hit 3 100");
	expect(peer, "");
	assert_int_equal(counts()->answered, 1);
	harness_flush(&h);
	expect(peer, "1 OK cache=hit\n0");
	expect(peer, "3 OK cache=hit\n0");
	expect(other, "2 OK cache=hit\n0");
	assert_int_equal(counts()->answered, 4);
	/* The batch is over. */
	peer_send(peer, "hit 4 100");
	expect(peer, "4 OK cache=hit\n0");
}

static void test_what_can_not_wait_does_not_overtake(void **state)
{
	struct peer *peer = start();
	peer_send(peer, "hit 0 100");
	peer_send_in(peer, "e", "hit 1 100");
	peer_send(peer, "p 2 100");
	peer_send(peer, "none 3 100");
	expect(peer, "0 OK cache=hit\n0");
	expect(peer, "[e] 1 OK cache=hit\n0");
	expect(peer, "3 UNIMPLEMENTED\n{\"error\":\"no such pipeline\"}");
	row(0, "2");
	expect(peer, "2 OK\n2");
	harness_flush(&h);
	expect(peer, "");
}

/* Only a reply to one who has others in the batch takes them along, and all with them. */
static void test_what_can_not_wait_leaves_the_batch_of_others_alone(void **state)
{
	struct peer *peer = start();
	struct peer *other = connect();
	peer_send(peer, "hit 1 100");
	harness_flush(&h);
	expect(peer, "1 OK cache=hit\n0");
	engine_begin_batch(h.engine);
	peer_send(other, "hit 2 100");
	peer_send(peer, "none 3 100");
	expect(peer, "3 UNIMPLEMENTED\n{\"error\":\"no such pipeline\"}");
	expect(other, "");
	harness_flush(&h);
	expect(other, "2 OK cache=hit\n0");
}

static void test_what_goes_behind_an_outbox_stays_in_order(void **state)
{
	struct peer *peer = start();
	peer->room = 0;
	peer_send(peer, "hit 0 100");
	peer_send_in(peer, "e", "hit 1 100");
	peer_send(peer, "hit 2 100");
	harness_flush(&h);
	peer->room = ROOM_FOR_ALL;
	harness_flush(&h);
	expect(peer, "0 OK cache=hit\n0");
	expect(peer, "[e] 1 OK cache=hit\n0");
	expect(peer, "2 OK cache=hit\n0");
}

static void test_a_batch_that_is_too_large_leaves_in_parts(void **state)
{
	char text[64];
	struct peer *peer = start();
	for (unsigned i = 0; i < BATCH_MAX + GROUP_MAX; i++) {
		(void)snprintf(text, sizeof(text), "hit %u 100", i);
		peer_send(peer, text);
	}
	for (unsigned i = 0; i < BATCH_MAX; i++) {
		(void)snprintf(text, sizeof(text), "%u OK cache=hit\n0", i);
		expect(peer, text);
	}
	expect(peer, "");
	harness_flush(&h);
	for (unsigned i = BATCH_MAX; i < BATCH_MAX + GROUP_MAX; i++) {
		(void)snprintf(text, sizeof(text), "%u OK cache=hit\n0", i);
		expect(peer, text);
	}
}

static void test_who_does_not_read_gets_the_rest_later(void **state)
{
	struct peer *peer = start();
	peer_send(peer, "hit 1 100");
	peer_send(peer, "hit 2 100");
	peer_send(peer, "hit 3 100");
	peer->room = 1;
	harness_flush(&h);
	expect(peer, "1 OK cache=hit\n0");
	assert_int_equal(counts()->in_flight, 2);
	assert_int_equal(counts()->outboxes, 2);
	peer->room = ROOM_FOR_ALL;
	peer_send(peer, "hit 2 100");
	expect(peer, "2 INVALID_ARGUMENT duplicate=1\n{\"error\":\"a request with this id is in "
		     "flight\"}");
	/* What is answered now goes behind it, in a batch as without one. */
	engine_begin_batch(h.engine);
	peer_send(peer, "hit 4 100");
	harness_flush(&h);
	expect(peer, "2 OK cache=hit\n0");
	expect(peer, "3 OK cache=hit\n0");
	expect(peer, "4 OK cache=hit\n0");
	assert_int_equal(counts()->in_flight + counts()->reaping, 0);
}

/* Of two that have one name, because the first had been answered when the second was read. */
static void test_a_cancel_is_for_the_one_that_runs(void **state)
{
	struct peer *peer = start();
	peer_send(peer, "hit 1 100");
	peer_send(peer, "p 1 100");
	peer->room = 0;
	harness_flush(&h);
	assert_int_equal(counts()->in_flight, 2);
	assert_int_equal(counts()->outboxes, 1);
	peer_send(peer, "$cancel 1 -");
	assert_int_equal(counts()->outboxes, 2);
	assert_int_equal(h.world.catalog.cancelled, 1);
	peer->room = ROOM_FOR_ALL;
	harness_flush(&h);
	expect(peer, "1 OK cache=hit\n0");
	expect(peer, "1 CANCELLED\n{\"error\":\"cancelled\"}");
}

static void test_per_client_bounds_what_waits(void **state)
{
	h.limits.per_client = 2;
	struct peer *peer = start();
	peer_send(peer, "hit 1 100");
	peer_send(peer, "hit 2 100");
	peer_send(peer, "hit 3 100");
	peer->room = 0;
	harness_flush(&h);
	assert_int_equal(counts()->outboxes, 2);
	assert_int_equal(counts()->undelivered, 1);
}

static void test_who_leaves_meanwhile(void **state)
{
	struct peer *peer = start();
	struct peer *other = connect();
	peer_send(peer, "hit 1 100");
	peer_send(other, "hit 2 100");
	peer_leave(peer);
	expect(other, "2 OK cache=hit\n0");
	peer_send(other, "hit 3 100");
	other->gone = true;
	harness_flush(&h);
	assert_int_equal(counts()->gone, 1);
	expect(other, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			request_test(test_what_is_answered_at_once_leaves_at_the_end),
			request_test(test_what_can_not_wait_does_not_overtake),
			request_test(test_what_can_not_wait_leaves_the_batch_of_others_alone),
			request_test(test_what_goes_behind_an_outbox_stays_in_order),
			request_test(test_a_batch_that_is_too_large_leaves_in_parts),
			request_test(test_who_does_not_read_gets_the_rest_later),
			request_test(test_a_cancel_is_for_the_one_that_runs),
			request_test(test_per_client_bounds_what_waits),
			request_test(test_who_leaves_meanwhile),
	};
	return cmocka_run_group_tests_name("requests/batch", tests, NULL, NULL);
}
