/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that do not read: what waits for them, how long, and what is dropped. */
#include "tests/unit/requests/fixture.h"

#define P                                                                                          \
	"pipelines:\n  p:\n    steps: [lookup: {in: catalog, query: SELECT 1}]\n"                  \
	"  hit:\n    steps:\n"                                                                     \
	"      - cache: {in: hot, key: k, ttl: 3600s, miss: [lookup: {in: ledger, query: SELECT "  \
	"1}]}\n"                                                                                   \
	"  any:\n    steps: [fanout: {to: [north, south], wait: any}]\n"

static const struct scripted_end zero = {STATUS_OK, "0"};

/* A peer for which `hit` is one. */
static struct peer *start(void)
{
	load(P);
	h.world.ledger.at_once = &zero;
	struct peer *peer = connect();
	peer_send(peer, "hit first 100");
	expect(peer, "first OK cache=miss\n0");
	return peer;
}

/* Sends a request whose reply the peer does not take. */
static void hold(struct peer *peer, const char *message, const char *json)
{
	size_t room = peer->room;
	peer->room = 0;
	peer_send(peer, message);
	row(0, json);
	expect(peer, "");
	peer->room = room;
}

static void test_a_reply_waits_until_it_is_taken(void **state)
{
	struct peer *peer = start();
	hold(peer, "p 1 100", "1");
	assert_int_equal(counts()->in_flight, 1);
	assert_int_equal(counts()->outboxes, 1);
	assert_int_equal(counts()->answered, 1);
	peer->room = 0;
	harness_flush(&h);
	expect(peer, "");
	peer->room = 1;
	harness_flush(&h);
	expect(peer, "1 OK\n1");
	assert_int_equal(counts()->in_flight + counts()->outboxes, 0);
	assert_int_equal(counts()->answered, 2);
	harness_flush(&h);
	expect(peer, "");
}

static void test_what_waits_is_still_in_flight(void **state)
{
	struct peer *peer = start();
	hold(peer, "p 1 100", "1");
	peer_send(peer, "p 1 100");
	expect(peer, "1 INVALID_ARGUMENT duplicate=1\n{\"error\":\"a request with this id is in "
		     "flight\"}");
	/* But it has been answered: neither a cancel nor its deadline changes that. */
	peer_send(peer, "$cancel 1 -");
	world_at(&h.world, 200);
	expect(peer, "");
	harness_flush(&h);
	expect(peer, "1 OK\n1");
	peer_send(peer, "p 1 100");
	expect(peer, "");
	assert_int_equal(counts()->cancelled, 0);
}

static void test_later_replies_go_behind_it(void **state)
{
	struct peer *peer = start();
	hold(peer, "p 1 100", "1");
	peer_send_in(peer, "e", "hit 2 100");
	peer_send(peer, "p 3 100");
	row(0, "3");
	peer_send(peer, "$cancel 3 -");
	expect(peer, "");
	assert_int_equal(counts()->outboxes, 3);
	peer->room = 2;
	harness_flush(&h);
	expect(peer, "1 OK\n1");
	expect(peer, "[e] 2 OK cache=hit\n0");
	expect(peer, "");
	peer->room = ROOM_FOR_ALL;
	harness_flush(&h);
	expect(peer, "3 CANCELLED\n{\"error\":\"cancelled\"}");
}

static void test_a_hit_that_is_not_taken_enters_flight(void **state)
{
	struct peer *peer = start();
	peer->room = 0;
	peer_send(peer, "hit 1 100");
	assert_int_equal(counts()->in_flight, 1);
	peer->room = ROOM_FOR_ALL;
	peer_send(peer, "hit 1 100");
	expect(peer, "1 INVALID_ARGUMENT duplicate=1\n{\"error\":\"a request with this id is in "
		     "flight\"}");
	harness_flush(&h);
	expect(peer, "1 OK cache=hit\n0");
	assert_int_equal(counts()->in_flight, 0);
}

static void test_refusals_and_commands_are_never_kept(void **state)
{
	struct peer *peer = start();
	hold(peer, "p 1 100", "1");
	/* They do not wait for their turn. */
	peer_send(peer, "none 2 100");
	expect(peer, "2 UNIMPLEMENTED\n{\"error\":\"no such pipeline\"}");
	peer_send(peer, "$ping 3 -");
	expect(peer, "3 OK");
	peer->room = 0;
	peer_send(peer, "none 4 100");
	peer_send(peer, "$ping 5 -");
	peer_send(peer, "p 6 100\n[]");
	peer_send(peer, "nonsense");
	assert_int_equal(counts()->undelivered, 4);
	assert_int_equal(counts()->outboxes, 1);
	peer->room = ROOM_FOR_ALL;
	harness_flush(&h);
	expect(peer, "1 OK\n1");
	expect(peer, "");
}

static void test_per_client_bounds_the_outbox(void **state)
{
	h.limits.per_client = 2;
	struct peer *peer = start();
	struct peer *other = connect();
	peer->room = 0;
	peer_send(peer, "hit 1 100");
	peer_send(peer, "hit 2 100");
	peer_send(peer, "hit 3 100");
	peer_send(other, "hit 4 100");
	assert_int_equal(counts()->undelivered, 1);
	assert_int_equal(counts()->outboxes, 2);
	peer->room = ROOM_FOR_ALL;
	/* Full as it is, it can't wait for anything more; a refusal isn't kept, so it need not go
	 * behind. */
	peer_send(peer, "p 5 100");
	expect(peer, "5 RESOURCE_EXHAUSTED retry_ms=*\n{\"error\":\"too many requests in flight "
		     "from this client\",\"stage\":\"p/1.lookup\"}");
	harness_flush(&h);
	expect(peer, "1 OK cache=hit\n0");
	expect(peer, "2 OK cache=hit\n0");
	expect(peer, "");
	expect(other, "4 OK cache=hit\n0");
}

static void test_who_is_in_flight_has_a_place_in_the_outbox(void **state)
{
	h.limits.per_client = 1;
	struct peer *peer = start();
	hold(peer, "p 1 100", "1");
	assert_int_equal(counts()->outboxes, 1);
	harness_flush(&h);
	expect(peer, "1 OK\n1");
}

static void test_bytes_are_charged_while_a_reply_waits(void **state)
{
	struct peer *peer = start();
	struct account *account = engine_account(h.engine);
	peer_send(peer, "p 1 100");
	size_t running = account->used;
	peer->room = 0;
	row(0, "\"0123456789012345678901234567890123456789012345678901234567890123456789\"");
	(void)world_turn(&h.world);
	assert_true(account->used >= running + 70);
	peer->room = 1;
	harness_flush(&h);
	assert_int_equal(counts()->in_flight, 0);
	assert_true(account->used < running);
}

/* What is in use while a reply of that size waits. */
static size_t used_by(struct peer *peer, size_t size)
{
	static const char header[] = "1 OK us=0\n";
	char json[REPLY_LARGE + 1] = {0};
	memset(json, '1', size - strlen(header));
	hold(peer, "p 1 100", json);
	size_t used = engine_account(h.engine)->used;
	harness_flush(&h);
	assert_int_equal(strlen(peer_take(peer)), size - strlen(" us=0"));
	return used;
}

/* A large one by who makes it, from its making on. */
static void test_a_reply_is_charged_once(void **state)
{
	struct peer *peer = start();
	size_t small = used_by(peer, REPLY_LARGE - 1);
	assert_in_range(used_by(peer, REPLY_LARGE) - small, 1, 100);
}

static void test_who_does_not_read_for_long_is_treated_as_gone(void **state)
{
	struct peer *peer = start();
	struct peer *other = connect();
	hold(peer, "p 1 60000", "1");
	world_at(&h.world, 4000);
	hold(other, "p 1 60000", "1");
	hold(peer, "p 2 60000", "2");
	peer_send(peer, "p 3 60000");
	world_at(&h.world, 4999);
	assert_false(peer->stalled);
	world_at(&h.world, 5001);
	assert_true(peer->stalled && !other->stalled);
	assert_int_equal(h.world.catalog.cancelled, 1);
	assert_int_equal(counts()->gone, 3);
	assert_int_equal(counts()->clients, 1);
	assert_int_equal(counts()->in_flight, 1);
	harness_flush(&h);
	expect(other, "1 OK\n1");
	expect(peer, "");
}

static void test_an_outbox_that_moves_is_not_stalled(void **state)
{
	struct peer *peer = start();
	hold(peer, "p 1 60000", "1");
	hold(peer, "p 2 60000", "2");
	hold(peer, "p 3 60000", "3");
	for (unsigned s = 4; s <= 8; s += 4) {
		world_at(&h.world, 1000 * s);
		peer->room = 1;
		harness_flush(&h);
	}
	world_at(&h.world, 12999);
	assert_false(peer->stalled);
	assert_int_equal(counts()->outboxes, 1);
	world_at(&h.world, 13001);
	assert_true(peer->stalled);
	expect(peer, "1 OK\n1");
	expect(peer, "2 OK\n2");
	expect(peer, "");
}

static void test_a_client_may_be_gone_before_it_is_known(void **state)
{
	struct peer *peer = start();
	hold(peer, "p 1 100", "1");
	hold(peer, "p 2 100", "2");
	peer_send(peer, "p 3 100");
	peer->gone = true;
	harness_flush(&h);
	assert_int_equal(counts()->gone, 2);
	row(0, "3");
	assert_int_equal(counts()->gone, 3);
	peer_send(peer, "hit 4 100");
	peer_send(peer, "$ping 5 -");
	assert_int_equal(counts()->gone, 5);
	assert_int_equal(counts()->in_flight, 0);
}

static void test_a_client_that_leaves_takes_its_outbox_along(void **state)
{
	struct peer *peer = start();
	hold(peer, "p 1 100", "1");
	peer_send(peer, "p 2 100");
	peer_leave(peer);
	assert_int_equal(counts()->gone, 2);
	assert_int_equal(counts()->outboxes, 0);
	world_at(&h.world, 6000);
	assert_false(peer->stalled);
}

/*
 * The memory of a request that waits in the outbox goes when its losers have ended and its reply
 * has left, in either order; be it answered later or in the step in which it came.
 */
static void lose(struct peer *peer, bool at_once, bool loser_first)
{
	static const struct scripted_end one = {STATUS_OK, "1"};
	h.world.north.stubborn = true;
	h.world.south.at_once = at_once ? &one : NULL;
	peer->room = 0;
	peer_send(peer, "any 1 1000");
	if (!at_once)
		scripted_ask_end(scripted_ask(&h.world.south, 0), STATUS_OK, "1");
	assert_int_equal(counts()->outboxes, 1);
	if (loser_first)
		scripted_ask_end(scripted_ask(&h.world.north, 0), STATUS_OK, "2");
	(void)world_turn(&h.world);
	peer->room = ROOM_FOR_ALL;
	harness_flush(&h);
	expect(peer, "1 OK\n1");
	assert_int_equal(counts()->reaping, !loser_first);
	if (!loser_first)
		scripted_ask_end(scripted_ask(&h.world.north, 0), STATUS_OK, "2");
	assert_int_equal(counts()->reaping, 0);
}

static void test_what_waits_may_have_losers(void **state)
{
	struct peer *peer = start();
	lose(peer, false, false);
	lose(peer, false, true);
	lose(peer, true, false);
	lose(peer, true, true);
}

static void test_a_reply_for_which_there_is_no_memory(void **state)
{
	struct peer *peer = start();
	peer_send(peer, "p 1 100");
	h.out_of_memory = true;
	row(0, "1");
	peer_send(peer, "$ping 2 -");
	expect(peer, "");
	assert_int_equal(counts()->undelivered, 2);
	assert_int_equal(counts()->in_flight, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			request_test(test_a_reply_waits_until_it_is_taken),
			request_test(test_what_waits_is_still_in_flight),
			request_test(test_later_replies_go_behind_it),
			request_test(test_a_hit_that_is_not_taken_enters_flight),
			request_test(test_refusals_and_commands_are_never_kept),
			request_test(test_per_client_bounds_the_outbox),
			request_test(test_who_is_in_flight_has_a_place_in_the_outbox),
			request_test(test_bytes_are_charged_while_a_reply_waits),
			request_test(test_a_reply_is_charged_once),
			request_test(test_who_does_not_read_for_long_is_treated_as_gone),
			request_test(test_an_outbox_that_moves_is_not_stalled),
			request_test(test_a_client_may_be_gone_before_it_is_known),
			request_test(test_a_client_that_leaves_takes_its_outbox_along),
			request_test(test_what_waits_may_have_losers),
			request_test(test_a_reply_for_which_there_is_no_memory),
	};
	return cmocka_run_group_tests_name("requests/outbox", tests, NULL, NULL);
}
