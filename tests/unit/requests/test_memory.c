/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is out at any moment of a request: it is refused or answered right. The arenas here
 * ask for each of their blocks.
 */
#include <stdio.h>
#include <string.h>

#include "tests/unit/allocations.h"
#include "tests/unit/requests/fixture.h"

#define P                                                                                          \
	"pipelines:\n  p:\n    steps:\n"                                                           \
	"      - lookup: {in: catalog, query: 'SELECT :a', params: {a: '${pad}'}}\n        as: "   \
	"product\n"                                                                                \
	"      - fanout: {to: [north, south], each: {symbol: '${product.symbols}'}}\n        as: " \
	"quotes\n"                                                                                 \
	"    reply: {pad: '${pad}', quotes: '${quotes}'}\n"

#define PAD_MAX	       2048
#define ARENA_KEPT_MAX 65536 /* as in pipeline/base/arena.c */
#define PRODUCT	       "{\"symbols\":[\"A\",\"B\"]}"
#define QUOTES	       "{\"north\":1,\"south\":[2]}"

/* The answer to request 1 with that many bytes in its body, or its refusal. */
static void check_answer(struct peer *peer, size_t pad, bool *ret_right)
{
	char right[PAD_MAX + 256];
	const char *said = peer_take(peer);
	(void)snprintf(right, sizeof(right),
			"1 OK\n{\"pad\":\"%*s\",\"quotes\":{\"A\":" QUOTES ",\"B\":" QUOTES "}}",
			(int)pad, "");
	*ret_right = strcmp(said, right) == 0;
	if (!*ret_right)
		assert_memory_equal(said, "1 RESOURCE_EXHAUSTED retry_ms=*\n{", 33);
	expect(peer, "");
}

/* Sends it, and lets memory be out after so many allocations, from the message on or from the
 * database's answer on. */
static bool try(struct peer *peer, size_t pad, unsigned successes, bool later)
{
	char message[PAD_MAX + 64];
	bool right;
	(void)snprintf(message, sizeof(message), "p 1 1000\n{\"pad\":\"%*s\"}", (int)pad, "");
	struct text text = text_of(message);
	async_enter(&h.world.async, h.world.async.now);
	if (!later)
		allocations_fail_after(successes);
	engine_receive(h.engine, peer->client, TEXT(""), text, h.world.async.now);
	allocations_heal();
	struct scripted_job *running = scripted_job(&h.world.catalog, 0);
	if (running) {
		if (later)
			allocations_fail_after(successes);
		scripted_job_end(running, STATUS_OK, PRODUCT);
		(void)world_turn(&h.world);
		allocations_heal();
	}
	check_answer(peer, pad, &right);
	return right;
}

static void sweep(bool later)
{
	static const struct scripted_end quotes[] = {{STATUS_OK, "1"}, {STATUS_OK, "[2]"}};
	load(P);
	h.world.north.at_once = &quotes[0];
	h.world.south.at_once = &quotes[1];
	h.before_reply = allocations_heal;
	struct peer *peer = connect();
	unsigned refused = 0;
	for (size_t pad = 0; pad <= PAD_MAX; pad += PAD_MAX) {
		for (unsigned successes = 0; !try(peer, pad, successes, later); successes++)
			refused++;
	}
	assert_true(refused > 0);
}

static void test_memory_is_out_when_a_request_comes(void **state)
{
	sweep(false);
}

static void test_memory_is_out_when_its_answer_comes(void **state)
{
	sweep(true);
}

/* So large that its arena is not kept for others. */
static void hit(struct peer *peer, const char *id)
{
	static char message[ARENA_KEPT_MAX + 64];
	(void)snprintf(message, sizeof(message), "hit %s 100\n{}%*s", id, ARENA_KEPT_MAX, "");
	peer_send(peer, message);
}

/* Replies of a batch that nobody reads: one that there is no memory to keep is undelivered. */
static void test_memory_is_out_when_a_batch_is_not_read(void **state)
{
	static const struct scripted_end zero = {STATUS_OK, "0"};
	load("pipelines: {hit: {steps: [cache: {in: hot, key: k, ttl: 1h, miss: [lookup: {in: "
	     "ledger, query: SELECT 1}]}]}}\n");
	h.world.ledger.at_once = &zero;
	struct peer *peer = connect();
	hit(peer, "first");
	expect(peer, "first OK cache=miss\n0");
	unsigned successes = 0, failed, lost = 0;
	do {
		peer->room = 0;
		engine_begin_batch(h.engine);
		hit(peer, "1");
		hit(peer, "2");
		allocations_fail_once_after(successes++);
		harness_flush(&h);
		failed = allocations_failed();
		allocations_heal();
		assert_in_range(counts()->outboxes, 2 - failed, 2);
		lost += 2 - counts()->outboxes;
		peer->room = ROOM_FOR_ALL;
		harness_flush(&h);
	} while (failed > 0);
	assert_true(lost > 0);
	assert_int_equal(counts()->undelivered, lost);
	assert_int_equal(counts()->answered, counts()->read - lost);
}

static void test_an_engine_or_a_client_without_memory(void **state)
{
	unsigned refused = 0;
	for (;; refused++) {
		set_up(NULL);
		allocations_fail_after(refused);
		const struct engine_ops none = {0};
		struct engine *engine = engine_new(&h.world.async, &h.limits, &none, NULL);
		struct client *client = engine ? client_open(engine, NULL) : NULL;
		allocations_heal();
		if (client)
			client_gone(client);
		engine_free(engine);
		if (client)
			break;
	}
	assert_int_equal(refused, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			request_test(test_memory_is_out_when_a_request_comes),
			request_test(test_memory_is_out_when_its_answer_comes),
			request_test(test_memory_is_out_when_a_batch_is_not_read),
			cmocka_unit_test(test_an_engine_or_a_client_without_memory),
	};
	return cmocka_run_group_tests_name("requests/memory", tests, NULL, NULL);
}
