/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that leave, and an engine that does. */
#include "tests/unit/requests/fixture.h"

#define P                                                                                          \
	"pipelines:\n  p:\n    steps: [lookup: {in: catalog, query: SELECT 1}]\n"                  \
	"  hit:\n    steps:\n"                                                                     \
	"      - cache: {in: hot, key: k, ttl: 3600s, miss: [lookup: {in: catalog, query: SELECT " \
	"1}]}\n"
#define DRAINING(id) id " UNAVAILABLE retry_ms=*\n{\"error\":\"draining\"}"

static void test_who_leaves_is_not_worked_for(void **state)
{
	load(P);
	h.world.catalog.stubborn = true;
	struct peer *peer = connect();
	peer_send(peer, "p 1 100");
	peer_send(peer, "p 2 100");
	struct scripted_job *first = job(0);
	row(1, "2");
	peer_leave(peer);
	expect(peer, "");
	assert_int_equal(first->cancelled, GONE);
	assert_int_equal(counts()->gone, 2);
	assert_int_equal(counts()->in_flight, 0);
	assert_int_equal(counts()->reaping, 1);
	assert_int_equal(counts()->by_status[STATUS_CANCELLED], 2);
	scripted_job_end(first, STATUS_OK, "1");
	assert_int_equal(counts()->reaping, 0);
}

static void test_who_stays_is_served_by_the_flight_of_who_left(void **state)
{
	load(P);
	struct peer *leaving = connect();
	struct peer *staying = connect();
	peer_send(leaving, "hit 1 100");
	peer_send(staying, "hit 1 100");
	peer_leave(leaving);
	row(0, "1");
	expect(staying, "1 OK cache=joined\n1");
}

static void test_what_was_read_too_late_is_gone(void **state)
{
	load(P);
	async_enter(&h.world.async, h.world.async.now);
	engine_receive_late(h.engine);
	assert_int_equal(counts()->read, 1);
	assert_int_equal(counts()->gone, 1);
}

static void test_clients_are_numbered(void **state)
{
	load(P);
	struct peer *first = connect();
	assert_int_equal(client_number(first->client), 1);
	peer_leave(first);
	assert_int_equal(client_number(connect()->client), 2);
	assert_int_equal(counts()->clients, 1);
}

static void test_a_drain_takes_nothing_new(void **state)
{
	load(P);
	struct peer *peer = connect();
	peer_send(peer, "hit 1 100");
	row(0, "1");
	expect(peer, "1 OK cache=miss\n1");
	peer_send(peer, "p 2 100");
	peer_send(peer, "p 3 100");
	async_enter(&h.world.async, h.world.async.now);
	engine_drain(h.engine);
	peer_send(peer, "p 4 100");
	expect(peer, DRAINING("4"));
	assert_in_range(peer->retry_ms, 5, 15);
	peer_send(peer, "hit 5 100");
	expect(peer, DRAINING("5"));
	peer_send(peer, "$ping 6 -");
	expect(peer, DRAINING("6"));
	peer_send(peer, "none 7 100");
	expect(peer, DRAINING("7"));
	peer_send(peer, "p 8");
	expect(peer, "8 INVALID_ARGUMENT\n{\"error\":\"the budget is missing\"}");
	peer_send(peer, "$cancel 3 -");
	expect(peer, "3 CANCELLED\n{\"error\":\"cancelled\"}");
	assert_false(engine_answered(h.engine) || engine_idle(h.engine));
	row(0, "2");
	expect(peer, "2 OK\n2");
	assert_true(engine_answered(h.engine) && engine_idle(h.engine));
}

static void test_a_drain_before_there_is_a_configuration(void **state)
{
	const struct engine_ops none = {0};
	assert_int_equal(set_up(NULL), 0);
	struct engine *engine = engine_new(&h.world.async, &h.limits, &none, NULL);
	assert_non_null(engine);
	engine_drain(engine);
	assert_true(engine_idle(engine));
	engine_free(engine);
}

static void test_a_cut_answers_all_that_is_in_flight(void **state)
{
	load(P);
	h.world.catalog.stubborn = true;
	struct peer *one = connect();
	struct peer *other = connect();
	peer_send(one, "p 1 100");
	peer_send(one, "hit 2 100");
	peer_send(other, "hit 3 100");
	other->room = 0;
	peer_send(other, "p 4 100");
	row(2, "4");
	assert_int_equal(counts()->outboxes, 1);
	async_enter(&h.world.async, h.world.async.now);
	engine_drain(h.engine);
	engine_cut(h.engine);
	expect(one, DRAINING("1"));
	expect(one, "2 UNAVAILABLE cache=miss retry_ms=*\n{\"error\":\"draining\"}");
	assert_int_equal(job(0)->cancelled, DRAIN);
	assert_int_equal(counts()->outboxes, 2);
	assert_false(engine_answered(h.engine));
	other->room = ROOM_FOR_ALL;
	harness_flush(&h);
	expect(other, "4 OK\n4");
	expect(other, "3 UNAVAILABLE cache=joined retry_ms=*\n{\"error\":\"draining\"}");
	assert_true(engine_answered(h.engine) && !engine_idle(h.engine));
	scripted_job_end(job(0), STATUS_OK, "1");
	scripted_job_end(job(0), STATUS_OK, "2");
	(void)world_turn(&h.world);
	assert_true(engine_idle(h.engine));
}

static void test_a_drop_is_the_end(void **state)
{
	load(P);
	struct peer *one = connect();
	struct peer *other = connect();
	one->room = 0;
	peer_send(one, "p 1 100");
	row(0, "1");
	peer_send(one, "p 2 100");
	peer_send(other, "p 3 100");
	assert_int_equal(counts()->outboxes, 1);
	async_enter(&h.world.async, h.world.async.now);
	engine_drop(h.engine);
	one->client = NULL;
	other->client = NULL;
	assert_int_equal(counts()->undelivered, 1);
	assert_int_equal(counts()->gone, 2);
	assert_int_equal(counts()->clients, 0);
	assert_true(engine_answered(h.engine));
	expect(other, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			request_test(test_who_leaves_is_not_worked_for),
			request_test(test_who_stays_is_served_by_the_flight_of_who_left),
			request_test(test_what_was_read_too_late_is_gone),
			request_test(test_clients_are_numbered),
			request_test(test_a_drain_takes_nothing_new),
			cmocka_unit_test(test_a_drain_before_there_is_a_configuration),
			request_test(test_a_cut_answers_all_that_is_in_flight),
			request_test(test_a_drop_is_the_end),
	};
	return cmocka_run_group_tests_name("requests/end", tests, NULL, NULL);
}
