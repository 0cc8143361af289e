/* SPDX-License-Identifier: Apache-2.0 */
/* Answers in parts: when they leave, what waits, and what is left of them when a request ends. */
#include "tests/unit/requests/fixture.h"

#include "pipeline/base/arena.h"

#define P                                                                                          \
	"pipelines:\n"                                                                             \
	"  p:\n    steps: [fanout: {to: [north, south]}]\n"                                        \
	"  each:\n    takes: {e: [string]}\n"                                                      \
	"    steps: [fanout: {each: {e: \"${e}\"}, to: [north, south], ahead: 4}]\n"               \
	"  row:\n    steps: [lookup: {in: catalog, query: SELECT 1}]\n"

static struct peer *start(void)
{
	load(P);
	return connect();
}

static void test_parts_are_counted_apart(void **state)
{
	struct peer *peer = start();
	peer_send(peer, "p 1 100 stream=1");
	quote(&h.world.south, "2");
	expect(peer, "1 MORE seq=1\n{\"south\":2}");
	assert_int_equal(counts()->parts, 1);
	assert_int_equal(counts()->answered, 0);
	assert_int_equal(counts()->in_flight, 1);
	quote(&h.world.north, "1");
	expect(peer, "1 MORE seq=2\n{\"north\":1}");
	expect(peer, "1 OK parts=2\n{}");
	assert_int_equal(counts()->parts, 2);
	assert_int_equal(counts()->answered, 1);
	assert_int_equal(counts()->in_flight, 0);
	/* Two parts of 29 bytes and a last reply of 20. */
	assert_non_null(strstr(harness_record(&h), " out=78"));
	assert_int_equal(counts()->by_status[STATUS_OK], 1);
}

static void test_the_envelope_goes_with_each(void **state)
{
	struct peer *peer = start();
	peer_send_in(peer, "e", "p 1 100 stream=1");
	quote(&h.world.south, "2");
	quote(&h.world.north, "1");
	expect(peer, "[e] 1 MORE seq=1\n{\"south\":2}");
	expect(peer, "[e] 1 MORE seq=2\n{\"north\":1}");
	expect(peer, "[e] 1 OK parts=2\n{}");
}

static void test_what_is_there_at_once_leaves_at_once(void **state)
{
	static const struct scripted_end one = {STATUS_OK, "1"};
	struct peer *peer = start();
	h.world.north.at_once = &one;
	h.world.south.at_once = &one;
	peer_send(peer, "p 1 100 stream=1");
	expect(peer, "1 MORE seq=1\n{\"north\":1}");
	expect(peer, "1 MORE seq=2\n{\"south\":1}");
	expect(peer, "1 OK parts=2\n{}");
}

static void test_one_place_in_the_outbox_for_all_parts(void **state)
{
	struct peer *peer = start();
	peer->room = 0;
	peer_send(peer, "p 1 100 stream=1");
	quote(&h.world.south, "2");
	quote(&h.world.north, "1");
	assert_int_equal(counts()->outboxes, 1);
	assert_int_equal(counts()->in_flight, 1);
	/* Others go behind it, and do not come between it and its like that follow. */
	peer_send(peer, "row 2 100");
	row(0, "3");
	assert_int_equal(counts()->outboxes, 2);
	peer->room = 1;
	harness_flush(&h);
	expect(peer, "1 MORE seq=1\n{\"south\":2}");
	/* The other part, and the last reply. */
	assert_int_equal(counts()->outboxes, 3);
	peer->room = ROOM_FOR_ALL;
	harness_flush(&h);
	expect(peer, "2 OK\n3");
	expect(peer, "1 MORE seq=2\n{\"north\":1}");
	expect(peer, "1 OK parts=2\n{}");
}

static void test_its_reply_waits_behind_its_part(void **state)
{
	struct peer *peer = start();
	peer->room = 0;
	peer_send(peer, "p 1 100 stream=1");
	quote(&h.world.south, "2");
	peer_send(peer, "$cancel 1 -");
	(void)world_turn(&h.world);
	assert_int_equal(counts()->outboxes, 2);
	assert_int_equal(counts()->in_flight, 1);
	/* It has been answered: neither another cancel nor its deadline changes that. */
	peer_send(peer, "$cancel 1 -");
	world_at(&h.world, 200);
	peer->room = ROOM_FOR_ALL;
	harness_flush(&h);
	expect(peer, "1 MORE seq=1\n{\"south\":2}");
	expect(peer, "1 CANCELLED parts=1\n{\"error\":\"cancelled\"}");
	assert_int_equal(counts()->cancelled, 1);
}

static void test_a_client_that_leaves_takes_all_with_it(void **state)
{
	struct peer *peer = start();
	peer->room = 0;
	peer_send(peer, "p 1 100 stream=1");
	quote(&h.world.south, "2");
	peer_send(peer, "each 2 100 stream=1\n{\"e\":[\"a\",\"b\",\"c\"]}");
	quote(&h.world.south, "2");
	quote(&h.world.south, "2");
	peer_leave(peer);
	(void)world_turn(&h.world);
	assert_int_equal(counts()->gone, 2);
	assert_int_equal(counts()->undelivered, 0);
	assert_int_equal(counts()->in_flight + counts()->outboxes, 0);
}

static void test_a_vanished_client(void **state)
{
	struct peer *peer = start();
	peer_send(peer, "p 1 100 stream=1");
	peer->gone = true;
	quote(&h.world.south, "2");
	assert_int_equal(counts()->parts, 0);
	quote(&h.world.north, "2");
	assert_int_equal(counts()->gone, 1);
	assert_int_equal(counts()->in_flight, 0);
}

static void test_a_part_without_memory_is_the_end(void **state)
{
	struct peer *peer = start();
	peer_send(peer, "each 1 100 stream=1\n{\"e\":[\"a\",\"b\",\"c\"]}");
	quote(&h.world.south, "2");
	expect(peer, "1 MORE seq=1\n{\"a\":{\"south\":2}}");
	h.out_of_memory = true;
	scripted_ask_end(scripted_ask(&h.world.north, 0), STATUS_OK, "1");
	/* The part is pulled from the queue, lost, and nobody pulls any more. */
	for (int i = 0; i < 3 && scripted_ask(&h.world.north, 0); i++)
		quote(&h.world.north, "1");
	h.out_of_memory = false;
	while (scripted_ask(&h.world.north, 0))
		quote(&h.world.north, "1");
	while (scripted_ask(&h.world.south, 0))
		quote(&h.world.south, "1");
	assert_int_equal(counts()->by_status[STATUS_RESOURCE_EXHAUSTED], 1);
	assert_int_equal(counts()->in_flight, 0);
}

/* What waited for a client that nothing else waits for is taken back with its request. */
static void test_a_reply_without_memory_takes_its_part_back(void **state)
{
	struct peer *peer = start();
	peer_send(peer, "p 1 100 stream=1");
	peer->room = 0;
	quote(&h.world.north, "1");
	assert_int_equal(counts()->outboxes, 1);
	h.out_of_memory = true;
	peer_send(peer, "$cancel 1 -");
	h.out_of_memory = false;
	assert_int_equal(counts()->outboxes, 0);
	assert_int_equal(counts()->undelivered, 1);
	world_at(&h.world, 30000);
	assert_false(peer->stalled);
	peer->room = ROOM_FOR_ALL;
	harness_flush(&h);
	expect(peer, "");
}

/* However many elements there are, only so many answers are held. */
static void test_memory_does_not_grow_with_the_answer(void **state)
{
	static char large[10000];
	char request[4096] = "each 1 30000 stream=1\n{\"e\":[";
	memset(large, 'x', sizeof(large) - 1);
	large[0] = large[sizeof(large) - 2] = '"';
	struct peer *peer = start();
	for (int i = 0; i < 100; i++)
		(void)snprintf(request + strlen(request), sizeof(request) - strlen(request),
				"%s\"e%d\"", i > 0 ? "," : "", i);
	(void)snprintf(request + strlen(request), sizeof(request) - strlen(request), "]}");
	struct account *account = engine_account(h.engine);
	peer_send(peer, request);
	size_t before = account->used;
	for (int n = 0; n < 200; n++) {
		if (n == 100)
			peer->room = 0;
		struct scripted_ask *ask = scripted_ask(&h.world.north, 0);
		ask = ask ? ask : scripted_ask(&h.world.south, 0);
		if (!ask) {
			/* All that may be there is there. */
			peer->room = ROOM_FOR_ALL;
			harness_flush(&h);
			(void)world_turn(&h.world);
			n--;
			continue;
		}
		scripted_ask_end(ask, STATUS_OK, large);
		(void)world_turn(&h.world);
		assert_true(account->used < before + 20 * sizeof(large));
	}
	for (int i = 0; i < 200; i++)
		assert_non_null(strstr(peer_take(peer), " MORE seq="));
	expect(peer, "1 OK parts=200\n{}");
}

/* What the transport takes is bounded in bytes too, for the sake of the memory that it holds. */
static void test_large_parts_wait_for_those_before_them(void **state)
{
	static char large[300000];
	memset(large, '1', sizeof(large) - 1);
	struct peer *peer = start(), *other = connect();
	peer->hoards = true;
	peer_send(peer, "each 1 30000 stream=1\n{\"e\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}");
	while (scripted_ask(&h.world.north, 0) || scripted_ask(&h.world.south, 0)) {
		bool north = scripted_ask(&h.world.north, 0);
		quote(north ? &h.world.north : &h.world.south, large);
	}
	assert_int_equal(counts()->parts, 3);
	assert_int_equal(counts()->outboxes, 1);
	/* Nobody else waits for that. */
	peer_send(other, "p 1 100 stream=1");
	quote(&h.world.north, large);
	quote(&h.world.south, "2");
	assert_int_equal(counts()->parts, 5);
	assert_int_equal(counts()->answered, 1);
	peer_read(peer);
	for (int n = 3; n < 10; n++) {
		bool north = scripted_ask(&h.world.north, 0);
		if (north || scripted_ask(&h.world.south, 0))
			quote(north ? &h.world.north : &h.world.south, large);
	}
	assert_int_equal(counts()->parts, 12);
	assert_int_equal(counts()->answered, 2);
	assert_int_equal(counts()->outboxes, 0);
}

/* How many parts leave where the first is as large as may lie unread, and the next of that size. */
static uint64_t parts_of_size(size_t size)
{
	static const char head[] = "1 MORE us=0 seq=2\n{\"south\":";
	static char large[1024 * 1024];
	char json[REPLY_LARGE] = {0};
	uint64_t before = counts()->parts;
	struct peer *peer = connect();
	memset(large, '1', sizeof(large) - 1);
	memset(json, '1', size - strlen(head) - 1);
	peer->hoards = true;
	peer_send(peer, "p 1 30000 stream=1");
	quote(&h.world.north, large);
	quote(&h.world.south, json);
	uint64_t parts = counts()->parts - before;
	peer_leave(peer);
	return parts;
}

static void test_small_parts_wait_for_nothing(void **state)
{
	load(P);
	assert_int_equal(parts_of_size(REPLY_LARGE - 1), 2);
	assert_int_equal(parts_of_size(REPLY_LARGE), 1);
}

/* One part may be larger than the bound; and who does not read for too long is gone. */
static void test_who_hoards_is_gone(void **state)
{
	static char large[1024 * 1024 + 1];
	memset(large, '1', sizeof(large) - 1);
	struct peer *peer = start();
	peer->hoards = true;
	peer_send(peer, "p 1 30000 stream=1");
	quote(&h.world.north, large);
	quote(&h.world.south, large);
	assert_int_equal(counts()->parts, 1);
	/* The other part, and the last reply. */
	assert_int_equal(counts()->outboxes, 2);
	world_at(&h.world, 6000);
	assert_true(peer->stalled);
	assert_int_equal(counts()->gone, 1);
	assert_int_equal(counts()->in_flight + counts()->outboxes, 0);
}

static void read_some(struct peer *peer, size_t size)
{
	peer->unread -= size;
	account_release(engine_account(h.engine), size);
	engine_returned(h.engine, client_number(peer->client), size);
}

/* Who reads slowly is asked for slowly, however long one part takes. */
static void test_who_reads_a_little_is_not_gone(void **state)
{
	static char large[1040000], body[5000];
	memset(large, '1', sizeof(large) - 1);
	memset(body, '1', sizeof(body) - 1);
	struct peer *peer = start();
	peer->hoards = true;
	for (int i = 0; i < 200; i++) {
		peer_send(peer, "row 1 100");
		row(0, body);
		assert_non_null(strstr(peer_take(peer), "1 OK"));
	}
	peer_send(peer, "p s 30000 stream=1");
	quote(&h.world.north, large);
	assert_int_equal(counts()->outboxes, 1);
	for (uint64_t ms = 100; ms <= 19000; ms += 100) {
		world_at(&h.world, ms);
		read_some(peer, REPLY_LARGE);
	}
	assert_false(peer->stalled);
	assert_int_equal(counts()->outboxes, 1);
	peer_read(peer);
	assert_int_equal(counts()->outboxes, 0);
	assert_int_equal(counts()->parts, 1);
}

/* Has a reply of so many bytes taken by one who does not read it. */
static void leave_unread(struct peer *peer, size_t size)
{
	static const char header[] = "1 OK us=0\n";
	char json[REPLY_LARGE] = {0};
	memset(json, '1', size - strlen(header));
	peer_send(peer, "row 1 100");
	row(0, json);
	assert_int_equal(strlen(peer_take(peer)), size - strlen(" us=0"));
}

/* Only large replies are ever told to have been read, so only they count as unread. */
static void test_small_replies_hold_no_part_back(void **state)
{
	static char large[1046000];
	memset(large, '1', sizeof(large) - 1);
	struct peer *peer = start();
	peer->hoards = true;
	leave_unread(peer, REPLY_LARGE - 1);
	peer_send(peer, "p s 30000 stream=1");
	quote(&h.world.north, large);
	assert_non_null(strstr(peer_take(peer), "s MORE seq=1"));
	peer_read(peer);
	peer->hoards = true;
	leave_unread(peer, REPLY_LARGE);
	quote(&h.world.south, large);
	expect(peer, "");
	peer_read(peer);
	assert_non_null(strstr(peer_take(peer), "s MORE seq=2"));
	expect(peer, "s OK parts=2\n{}");
}

/* A part that is held back comes after what was answered before it, which is not held back. */
static void test_a_part_waits_behind_the_batch(void **state)
{
	static char large[1040000];
	static const struct scripted_end at_once = {STATUS_OK, large};
	static const struct scripted_end small = {STATUS_OK, "2"};
	memset(large, '1', sizeof(large) - 1);
	load("limits: {per_client: 1}\n" P);
	struct peer *peer = connect();
	peer->hoards = true;
	h.world.north.at_once = &at_once;
	h.world.south.at_once = &small;
	h.world.catalog.at_once = &small;
	peer_send(peer, "p 1 100");
	assert_non_null(strstr(peer_take(peer), "1 OK"));
	engine_begin_batch(h.engine);
	peer_send(peer, "row 2 100");
	peer_send(peer, "p 3 100 stream=1");
	harness_flush(&h);
	assert_int_equal(counts()->undelivered, 0);
	expect(peer, "2 OK\n2");
	expect(peer, "");
	peer_read(peer);
	assert_non_null(strstr(peer_take(peer), "3 MORE seq=1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			request_test(test_parts_are_counted_apart),
			request_test(test_the_envelope_goes_with_each),
			request_test(test_what_is_there_at_once_leaves_at_once),
			request_test(test_one_place_in_the_outbox_for_all_parts),
			request_test(test_its_reply_waits_behind_its_part),
			request_test(test_a_client_that_leaves_takes_all_with_it),
			request_test(test_a_vanished_client),
			request_test(test_a_part_without_memory_is_the_end),
			request_test(test_a_reply_without_memory_takes_its_part_back),
			request_test(test_memory_does_not_grow_with_the_answer),
			request_test(test_large_parts_wait_for_those_before_them),
			request_test(test_small_parts_wait_for_nothing),
			request_test(test_who_hoards_is_gone),
			request_test(test_who_reads_a_little_is_not_gone),
			request_test(test_small_replies_hold_no_part_back),
			request_test(test_a_part_waits_behind_the_batch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
