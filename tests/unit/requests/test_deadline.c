/* SPDX-License-Identifier: Apache-2.0 */
/* How long a request may take, and what it is answered when that is over. */
#include "tests/unit/requests/fixture.h"

#define STEPS	"    steps: [lookup: {in: catalog, query: SELECT 1}]\n"
#define P	"pipelines:\n  p:\n" STEPS "  q:\n    deadline: 50ms\n" STEPS
#define RAN_OUT " DEADLINE_EXCEEDED\n{\"error\":\"deadline exceeded\"}"

/* That a request which was sent at the start is answered at that time and no sooner. */
static void runs_out_at(struct peer *peer, uint64_t ms, const char *reply)
{
	world_at(&h.world, ms - 1);
	expect(peer, "");
	world_at(&h.world, ms + 1);
	expect(peer, reply);
}

static void test_the_budget_is_the_deadline(void **state)
{
	load(P);
	struct peer *peer = connect();
	peer_send(peer, "p 1 100");
	runs_out_at(peer, 100, "1" RAN_OUT);
	assert_int_equal(h.world.catalog.cancelled, 1);
}

static void test_without_a_budget_the_usual_deadline_holds(void **state)
{
	h.limits.deadline = 200 * WORLD_MS;
	load(P);
	struct peer *peer = connect();
	peer_send(peer, "p 1 -");
	runs_out_at(peer, 200, "1" RAN_OUT);
}

static void test_the_pipelines_deadline_is_a_cap(void **state)
{
	h.limits.deadline = 20 * WORLD_MS;
	load(P);
	struct peer *peer = connect();
	peer_send(peer, "q 1 100");
	peer_send(peer, "q 2 -");
	peer_send(peer, "q 3 30");
	runs_out_at(peer, 30, "3" RAN_OUT);
	runs_out_at(peer, 50, "1" RAN_OUT);
	expect(peer, "2" RAN_OUT);
}

static void test_the_longest_allowed_is_a_cap(void **state)
{
	h.limits.max_deadline = 40 * WORLD_MS;
	load(P);
	struct peer *peer = connect();
	peer_send(peer, "p 1 999999999");
	peer_send(peer, "p 2 -");
	peer_send(peer, "q 3 100");
	runs_out_at(peer, 40, "1" RAN_OUT);
	expect(peer, "2" RAN_OUT);
	expect(peer, "3" RAN_OUT);
}

static void test_a_deadline_between_two_milliseconds(void **state)
{
	load("pipelines:\n  p:\n    deadline: 3900us\n" STEPS);
	struct peer *peer = connect();
	peer_send(peer, "p 1 3");
	peer_send(peer, "p 2 4");
	async_enter(&h.world.async, WORLD_START + 3 * WORLD_MS);
	scripted_job_end(scripted_job(&h.world.catalog, 0), STATUS_OK, "1");
	expect(peer, "1" RAN_OUT);
	row(0, "2");
	expect(peer, "2 OK\n2");
}

static void test_no_budget_is_no_time(void **state)
{
	load(P);
	struct peer *peer = connect();
	peer_send(peer, "p 1 0");
	expect(peer, "1 DEADLINE_EXCEEDED\n{\"error\":\"no time was given\"}");
	peer_send(peer, "p 2 0");
	expect(peer, "2 DEADLINE_EXCEEDED\n{\"error\":\"no time was given\"}");
	assert_int_equal(h.world.catalog.database.queries, 0);
}

static void test_what_comes_at_the_deadline_is_late(void **state)
{
	load(P);
	struct peer *peer = connect();
	peer_send(peer, "p 1 100");
	peer_send(peer, "p 2 100");
	world_at(&h.world, 99);
	row(0, "1");
	expect(peer, "1 OK\n1");
	async_enter(&h.world.async, WORLD_START + 100 * WORLD_MS);
	row(0, "2");
	expect(peer, "2" RAN_OUT);
}

/* What names the time as its reason is no cancel. */
static void test_a_cancel_at_the_deadline_is_not_counted_as_one(void **state)
{
	load(P);
	struct peer *peer = connect();
	peer_send(peer, "p 1 100");
	peer_send(peer, "p 2 200");
	async_enter(&h.world.async, WORLD_START + 100 * WORLD_MS);
	peer_send(peer, "$cancel 1 -");
	expect(peer, "1" RAN_OUT);
	assert_int_equal(counts()->cancelled, 0);
	peer_send(peer, "$cancel 2 -");
	expect(peer, "2 CANCELLED\n{\"error\":\"cancelled\"}");
	assert_int_equal(counts()->cancelled, 1);
}

/* It counts from when the message was read, and what waited too long is not begun. */
static void test_time_runs_from_when_it_was_read(void **state)
{
	load(P);
	struct peer *peer = connect();
	world_at(&h.world, 1000);
	peer_send_text(peer, TEXT(""), TEXT("p 1 100"), WORLD_START + 970 * WORLD_MS);
	expect(peer, "");
	world_at(&h.world, 1069);
	expect(peer, "");
	peer_send_text(peer, TEXT(""), TEXT("p 2 100"), WORLD_START + 969 * WORLD_MS);
	expect(peer, "2" RAN_OUT);
	world_at(&h.world, 1071);
	expect(peer, "1" RAN_OUT);
	assert_int_equal(h.world.catalog.database.queries, 1);
}

static void test_not_even_a_hit_comes_after_its_deadline(void **state)
{
	load("pipelines:\n  p:\n    steps:\n"
	     "      - cache: {in: hot, key: k, ttl: 60s, miss: [lookup: {in: catalog, query: "
	     "SELECT 1}]}\n");
	struct peer *peer = connect();
	peer_send(peer, "p 1 100");
	row(0, "1");
	expect(peer, "1 OK cache=miss\n1");
	world_at(&h.world, 1000);
	peer_send_text(peer, TEXT(""), TEXT("p 2 10"), WORLD_START + 991 * WORLD_MS);
	expect(peer, "2 OK cache=hit\n1");
	peer_send_text(peer, TEXT(""), TEXT("p 3 10"), WORLD_START + 990 * WORLD_MS);
	expect(peer, "3" RAN_OUT);
}

static void test_a_cancel_in_the_turn_of_the_deadline(void **state)
{
	load(P);
	struct peer *peer = connect();
	peer_send(peer, "p 1 100");
	/* The deadline is past, but the wheel, a tick behind, has not told the request yet. */
	async_enter(&h.world.async, WORLD_START + 100 * WORLD_MS);
	peer_send(peer, "$cancel 1 -");
	expect(peer, "1 DEADLINE_EXCEEDED\n{\"error\":\"deadline exceeded\"}");
	expect(peer, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			request_test(test_the_budget_is_the_deadline),
			request_test(test_without_a_budget_the_usual_deadline_holds),
			request_test(test_the_pipelines_deadline_is_a_cap),
			request_test(test_the_longest_allowed_is_a_cap),
			request_test(test_a_deadline_between_two_milliseconds),
			request_test(test_no_budget_is_no_time),
			request_test(test_what_comes_at_the_deadline_is_late),
			request_test(test_a_cancel_at_the_deadline_is_not_counted_as_one),
			request_test(test_time_runs_from_when_it_was_read),
			request_test(test_not_even_a_hit_comes_after_its_deadline),
			request_test(test_a_cancel_in_the_turn_of_the_deadline),
	};
	return cmocka_run_group_tests_name("requests/deadline", tests, NULL, NULL);
}
