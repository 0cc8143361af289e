/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One story in which everything happens that can happen to a request, told again and again with
 * memory out at each allocation in turn. Each request is then answered once, as in the first
 * telling or with an error that says so; one is answered not at all only where there was no memory
 * for its reply.
 *
 * The arenas here ask for each of their blocks, so every allocation of all is in turn the one that
 * fails.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pipeline/wire/wire.h"
#include "tests/unit/allocations.h"
#include "tests/unit/requests/fixture.h"

static const char yaml[] =
		"limits: {per_client: 8, client_stall: 5s}\n"
		"pipelines:\n"
		"  product:\n"
		"    takes: {sku: string}\n"
		"    steps:\n"
		"      - cache:\n"
		"          in: hot\n"
		"          key: 'product/${sku}'\n"
		"          ttl: 10s\n"
		"          missing_ttl: 10s\n"
		"          miss: [lookup: {in: catalog, query: 'SELECT :sku'}]\n"
		"  offer:\n"
		"    takes: {sku: string, symbols: [string]}\n"
		"    steps:\n"
		"      - call: {pipeline: product, with: {sku: '${sku}'}}\n"
		"        as: product\n"
		"      - timeout:\n"
		"          after: 1s\n"
		"          steps:\n"
		"            - fanout: {to: [north, south], each: {symbol: '${symbols}'}, "
		"on_error: partial}\n"
		"        as: quotes\n"
		"    reply: {name: '${product.name}', quotes: '${quotes}'}\n"
		"  note:\n"
		"    steps:\n"
		"      - lookup: {in: ledger, query: 'SELECT :n, :s', params: {n: '${n}', "
		"s: 'note ${s}'}, missing: 'null'}\n"
		"        as: note\n"
		"    reply: {note: '${note}', s: '<${s}>'}\n"
		"  any:\n    steps: [fanout: {to: [north, south], wait: any}]\n"
		"  all:\n    steps: [fanout: {to: [north, south, east]}]\n"
		"  board:\n"
		"    takes: {symbols: [string]}\n"
		"    steps: [fanout: {to: [north, south], each: {symbol: '${symbols}'}, ahead: "
		"1}]\n"
		"  two:\n    steps: [fanout: {to: [north, south, east], wait: 2}]\n"
		"  hasty:\n"
		"    steps:\n"
		"      - timeout: {after: 10ms, steps: [lookup: {in: catalog, query: 'SELECT "
		"1'}]}\n";

#define REPLIES_MAX	65
#define SAID_MAX	1024
#define ALLOCATIONS_MIN 300 /* a story without them would prove nothing */
#define OFFER		"\"symbols\":[\"A\",\"B\\u0043\"]"

/* What was said to a request, by its id: the bodies of its parts and of its reply, joined. */
struct said {
	unsigned times;
	unsigned parts;
	enum status status;
	size_t size;
	char body[SAID_MAX];
};

static struct said said[REPLIES_MAX], right[REPLIES_MAX];
static bool wants_any[REPLIES_MAX]; /* the first good answer of several */
static unsigned sent;

static void on_reply(void *user, struct peer *peer, struct text envelope, struct text reply)
{
	struct wire_reply wire;
	uint64_t id;
	assert_null(wire_parse_reply(reply, &wire));
	assert_true(text_to_u64(wire.id, &id) && id < REPLIES_MAX);
	struct said *to = &said[id];
	assert_true(to->size + wire.body.size < sizeof(to->body));
	if (wire.body.size > 0)
		memcpy(to->body + to->size, wire.body.data, wire.body.size);
	to->size += wire.body.size;
	to->body[to->size] = '\0';
	assert_int_equal(to->times, 0);
	if (wire.status == STATUS_MORE) {
		assert_int_equal(wire.seq, ++to->parts);
		return;
	}
	assert_int_equal(wire.parts, to->parts);
	to->times = 1;
	to->status = wire.status;
}

static void on_ended(void *user, const struct record *record)
{
}

static const struct watch listener = {.reply_taken = on_reply, .request_ended = on_ended};

/* A message; read at once. `$cancel` has no reply. */
static __attribute__((format(printf, 3, 4))) void say(
		struct peer *peer, const char *envelope, const char *format, ...)
{
	char message[SAID_MAX];
	va_list arguments;
	va_start(arguments, format);
	int size = vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	struct text text = {message, (size_t)size};
	unsigned id;
	if (sscanf(message, "any %u", &id) == 1)
		wants_any[id] = true;
	sent += strncmp(message, "$cancel", 7) != 0;
	async_enter(&h.world.async, h.world.async.now);
	engine_receive(h.engine, peer->client, text_of(envelope), text, h.world.async.now);
	(void)world_turn(&h.world);
}

static void end_jobs(struct scripted_database *database, enum status status, const char *text)
{
	while (scripted_job(database, 0)) {
		scripted_job_end(scripted_job(database, 0), status, text);
		(void)world_turn(&h.world);
	}
}

static void end_asks(struct scripted_source *source, enum status status, const char *text)
{
	while (scripted_ask(source, 0)) {
		scripted_ask_end(scripted_ask(source, 0), status, text);
		(void)world_turn(&h.world);
	}
}

/* Missed, joined, hit; there and not there; through a call as well. */
static void tell_of_caches(struct peer *one, struct peer *two)
{
	struct world *world = &h.world;
	say(one, "", "product 1 1000 trace=abc\n{\"sku\":\"a\"}");
	say(two, "", "product 2 1000\n{\"sku\":\"a\"}");
	say(two, "e", "offer 3 1000\n{\"sku\":\"a\"," OFFER "}");
	end_jobs(&world->catalog, STATUS_OK, "{\"name\":\"n\"}");
	say(one, "", "product 4 1000\n{\"sku\":\"a\"}");
	/* None is left, unless the cache had no memory to keep it. */
	end_jobs(&world->catalog, STATUS_OK, "{\"name\":\"n\"}");
	say(one, "", "product 5 1000\n{\"sku\":\"none\"}");
	end_jobs(&world->catalog, STATUS_NOT_FOUND, NULL);
	say(two, "", "product 6 1000\n{\"sku\":\"none\"}");
	end_jobs(&world->catalog, STATUS_NOT_FOUND, NULL);
	end_asks(&world->north, STATUS_OK, "1");
	end_asks(&world->south, STATUS_UNAVAILABLE, "closed");
}

static void tell_of_sources(struct peer *one, struct peer *two)
{
	struct world *world = &h.world;
	say(one, "", "any 10 1000\n{}");
	say(two, "", "all 11 1000\n{\"a\":[1]}");
	say(two, "", "two 12 1000\n{}");
	say(one, "", "all 13 1000\n{}");
	end_asks(&world->north, STATUS_OK, "[1]");
	end_asks(&world->south, STATUS_OK, "{\"b\":2}");
	end_asks(&world->east, STATUS_UNAVAILABLE, "closed");
	say(one, "", "any 14 1000\n{}");
	end_asks(&world->north, STATUS_INTERNAL, "broken");
	end_asks(&world->south, STATUS_NOT_FOUND, NULL);
	say(two, "", "board 16 1000 stream=1\n{" OFFER "}");
	end_asks(&world->north, STATUS_OK, "[1]");
	end_asks(&world->south, STATUS_OK, "null");
	end_asks(&world->north, STATUS_OK, "[2]");
	end_asks(&world->south, STATUS_OK, "null");
	say(two, "", "all 15 1000\n{}");
	end_asks(&world->north, STATUS_OK, "[1]");
	end_asks(&world->south, STATUS_OK, "null");
	end_asks(&world->east, STATUS_OK, "{\"b\":[2]}");
}

/* Values that can't be bound, names that nobody gives, bodies that are wrong, and messages. */
static void tell_of_mistakes(struct peer *peer)
{
	say(peer, "", "note 20 1000\n{\"n\":1,\"s\":\"a\\n\"}");
	end_jobs(&h.world.ledger, STATUS_NOT_FOUND, NULL);
	say(peer, "", "note 21 1000\n{\"n\":[1],\"s\":1}");
	say(peer, "", "note 22 1000\n{\"s\":1}");
	say(peer, "", "note 23 1000\n{");
	say(peer, "", "note 24 1000\n[]");
	say(peer, "", "product 25 1000\n{\"sku\":1}");
	say(peer, "", "nobody 26 1000\n{}");
	say(peer, "", "note 27 0\n{}");
	say(peer, "", "note 28 x\n{}");
	say(peer, "", "note 29 1000\n{\"n\":1e999,\"s\":2}");
	end_jobs(&h.world.ledger, STATUS_INTERNAL, "no such table");
	say(peer, "", "$ping 30 -");
	say(peer, "", "$what 31 -");
}

/* Cancelled, out of time, ended by a timeout, and a database that does not let go. */
static void tell_of_ends(struct peer *one, struct peer *two)
{
	h.world.catalog.stubborn = true;
	say(one, "", "hasty 40 1000\n{}");
	say(one, "", "hasty 41 5\n{}");
	say(two, "", "any 42 1000\n{}");
	say(two, "", "$cancel 42 -");
	say(two, "", "$cancel 42 -");
	world_at(&h.world, 20);
	end_jobs(&h.world.catalog, STATUS_OK, "1");
	h.world.catalog.stubborn = false;
}

/* Replies that are refused: to what waited, to what was answered at once, and in a batch. */
static void tell_of_outboxes(struct peer *one, struct peer *two)
{
	one->room = 0;
	say(one, "", "any 50 1000\n{}");
	end_asks(&h.world.south, STATUS_OK, "3");
	say(one, "", "board 54 1000 stream=1\n{" OFFER "}");
	end_asks(&h.world.north, STATUS_OK, "5");
	end_asks(&h.world.south, STATUS_OK, "6");
	say(one, "", "board 55 1000 stream=1\n{" OFFER "}");
	end_asks(&h.world.north, STATUS_OK, "7");
	say(one, "", "$cancel 55 -");
	say(one, "e", "product 51 1000\n{\"sku\":\"a\"}");
	end_jobs(&h.world.catalog, STATUS_OK, "{\"name\":\"n\"}");
	engine_begin_batch(h.engine);
	two->room = 1;
	say(two, "", "product 52 1000\n{\"sku\":\"a\"}");
	say(two, "", "product 53 1000\n{\"sku\":\"a\"}");
	end_jobs(&h.world.catalog, STATUS_OK, "{\"name\":\"n\"}");
	harness_flush(&h);
	one->room = two->room = ROOM_FOR_ALL;
	harness_flush(&h);
	(void)world_turn(&h.world);
	end_asks(&h.world.north, STATUS_OK, "8");
	end_asks(&h.world.south, STATUS_OK, "9");
}

static void tell_of_the_drain(struct peer *one, struct peer *two)
{
	say(one, "", "note 60 1000\n{\"n\":1,\"s\":2}");
	say(two, "", "note 61 1000\n{\"n\":1,\"s\":3}");
	say(two, "", "all 62 1000\n{}");
	engine_drain(h.engine);
	say(one, "", "$ping 63 -");
	say(one, "", "any 64 1000\n{}");
	end_asks(&h.world.north, STATUS_OK, "4");
	peer_leave(one);
	engine_cut(h.engine);
	(void)world_turn(&h.world);
}

static void tell(struct peer *one, struct peer *two)
{
	tell_of_caches(one, two);
	tell_of_sources(one, two);
	tell_of_mistakes(two);
	tell_of_ends(one, two);
	tell_of_outboxes(one, two);
	tell_of_the_drain(one, two);
}

/*
 * As in the first telling, or with an error that memory explains, if only as one cause of several.
 * A part without memory may be missing under a status that it has in common with another, and where
 * there was none for the first good answer, the next one is.
 */
static void check_reply(size_t id)
{
	const struct said *reply = &said[id], *expected = &right[id];
	if (reply->status == STATUS_OK && expected->status == STATUS_OK) {
		if (strcmp(reply->body, expected->body) != 0)
			assert_true(wants_any[id] || strstr(reply->body, "$missing"));
	} else if (reply->status != expected->status) {
		assert_true(reply->status == STATUS_RESOURCE_EXHAUSTED ||
				strstr(reply->body, "\"status\":\"RESOURCE_EXHAUSTED\""));
	}
}

/* The one who left may have been told before, of what then did not take long. */
static void check_replies(unsigned failed)
{
	unsigned unanswered = 0;
	for (size_t id = 0; id < REPLIES_MAX; id++) {
		unanswered += said[id].times < right[id].times;
		assert_in_range(said[id].times, 0, 1);
		if (said[id].times > 0 && right[id].times > 0)
			check_reply(id);
	}
	assert_true(unanswered <= failed);
}

/* Tells it once, with memory that fails after so many allocations; how many have failed. */
static unsigned tell_with(void (*fail_after)(unsigned), unsigned successes)
{
	memset(said, 0, sizeof(said));
	sent = 0;
	harness_init(&h);
	h.world.watch = &listener;
	load(yaml);
	struct peer *one = connect(), *two = connect();
	fail_after(successes);
	tell(one, two);
	unsigned failed = allocations_failed();
	allocations_heal();
	assert_int_equal(counts()->read, sent);
	assert_true(harness_deinit(&h));
	return failed;
}

static unsigned count_answered(void)
{
	unsigned answered = 0;
	for (size_t id = 0; id < REPLIES_MAX; id++)
		answered += said[id].times;
	return answered;
}

static void sweep(void (*fail_after)(unsigned))
{
	unsigned successes = 0, failed;
	assert_int_equal(tell_with(fail_after, UINT_MAX), 0);
	memcpy(right, said, sizeof(said));
	assert_int_equal(count_answered(), sent - 1); /* all but who left */
	do {
		failed = tell_with(fail_after, successes++);
		check_replies(failed);
	} while (failed > 0);
	assert_true(successes > ALLOCATIONS_MIN);
}

static void test_one_allocation_fails(void **state)
{
	sweep(allocations_fail_once_after);
}

static void test_memory_is_out_from_then_on(void **state)
{
	sweep(allocations_fail_after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_one_allocation_fails),
			cmocka_unit_test(test_memory_is_out_from_then_on),
	};
	return cmocka_run_group_tests_name("requests/memory_story", tests, NULL, NULL);
}
