/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session: what peers, resources and the clock do to an engine, one after another. Whatever they
 * do, each reply is well formed, and in the end nothing is left and all counts add up.
 *
 * An input is a digit for the limits, one for the configuration, and then for each step a letter
 * with its operands: a digit is one byte, a text ends with NUL. What is no letter of a step is
 * passed over.
 */
#include "pipeline/base/arena.h"
#include "pipeline/base/json.h"
#include "pipeline/wire/wire.h"
#include "tests/fuzz/fuzz.h"
#include "tests/sim/harness.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* clang-format off */
#define ROW \
	"  row: {takes: {sku: string}, deadline: 200ms, steps: [lookup: {in: catalog, query:\n" \
	"    'SELECT :sku', queue: 2}]}\n"
#define ROWS \
	"  rows: {steps: [lookup: {in: ledger, query: 'SELECT :a', params: {a: '${a.0 | 1}'},\n" \
	"    missing: 'null', concurrency: 1, queue: 1}], reply: {rows: '${a | 2}'}}\n"
#define HIT \
	"  hit: {takes: {sku: string}, steps: [cache: {in: hot, key: 'hit/${sku}', ttl: 1s,\n" \
	"    missing_ttl: 100ms, waiters: 2, miss: [lookup: {in: catalog, query: 'SELECT :sku',\n" \
	"      concurrency: 2, queue: 1}]}]}\n"
#define BRIEF \
	"  brief: {deadline: 50ms, steps: [cache: {in: cold, key: 'b/${a | x}/${b | y}', ttl: 0s,\n" \
	"    miss: [timeout: {after: 20ms, steps: [cache: {in: hot, key: 'c/${a | x}', ttl: 10s,\n" \
	"      miss: [fanout: {to: [north, south], wait: any, body: {a: '${a | x}'}}]}]}]}]}\n"
#define ALL \
	"  all: {steps: [fanout: {to: [north, south], wait: all, timeout: 100ms}]}\n"
#define ANY \
	"  any: {steps: [fanout: {to: [north, south, east, west], wait: any}]}\n"
#define TWO \
	"  two: {deadline: 100ms, steps: [fanout: {to: [north, south, east, west], wait: 2,\n" \
	"    on_error: partial, timeout: 80ms}]}\n"
#define EACH \
	"  each: {takes: {list: [any]}, steps: [fanout: {to: [east, west], each: {symbol:\n" \
	"    '${list}'}, max: 4, on_error: partial, wait: any}]}\n"
#define OFFER \
	"  offer: {takes: {sku: string}, deadline: 500ms, steps: [{call: hit, as: product},\n" \
	"    {fanout: {to: [north, south], each: {symbol: '${product.symbols}'}, wait: any,\n" \
	"      timeout: 80ms, on_error: partial}, as: quotes}],\n" \
	"    reply: {product: '${product}', quotes: '${quotes}', by: 'for ${sku}'}}\n"
#define TWICE \
	"  twice: {steps: [timeout: {after: 300ms, steps: [{call: {pipeline: row, with: {sku:\n" \
	"    '${sku}'}}, as: one}, {call: all, as: other}]}], reply: {sku: '${sku}'}}\n"
#define SLOW \
	"  slow: {deadline: 50ms, steps: [cache: {in: cold, key: slow, ttl: 1s, miss: [lookup: {in:\n" \
	"    ledger, query: SELECT 1}]}]}\n"
#define KEPT \
	"  kept: {takes: {sku: string, locale: string = en}, steps: [cache: {in: hot, key:\n" \
	"    'kept/${sku}/${locale}', ttl: 5s, miss: [call: row]}]}\n"
/* clang-format on */

/* A few pipelines each, because reading them takes longer than what is done with them. */
static const char *const configurations[] = {
		"pipelines:\n" ROW ROWS HIT,
		"pipelines:\n" ALL ANY TWO EACH,
		"pipelines:\n" HIT OFFER BRIEF SLOW,
		"pipelines:\n" ROW ALL TWICE KEPT,
};

/* Beside the first, each is so tight that it is met. */
static const struct engine_limits limits[] = {
		{.in_flight = 100, .per_client = 50, .bytes = 1 << 20},
		{.in_flight = 3, .per_client = 2, .bytes = 1 << 20},
		{.in_flight = 100, .per_client = 1, .bytes = 1 << 20},
		{.in_flight = 100, .per_client = 50, .bytes = 8192},
		{.in_flight = 4, .per_client = 50, .bytes = 1},
};

/* Two of these make a large reply. */
#define TEN(text) text text text text text text text text text text
#define MUCH	  "\"" TEN(TEN(TEN("abc"))) "\""

static const struct scripted_end ends[] = {
		{STATUS_OK, "{\"symbols\":[\"A\",2,\"A\"]}"},
		{STATUS_OK, "null"},
		{STATUS_NOT_FOUND, NULL},
		{STATUS_UNAVAILABLE, "down"},
		{STATUS_INTERNAL, "\"\n\xff"},
		{STATUS_OK, MUCH},
};

/* How a database's job can end; a source's answer can have any status. */
static const enum status job_statuses[] = {STATUS_OK, STATUS_NOT_FOUND, STATUS_UNAVAILABLE,
		STATUS_INTERNAL, STATUS_RESOURCE_EXHAUSTED};

static const char *const envelopes[] = {"", "a", "b", "\x01 a longer one, with spaces"};

static const unsigned steps_ms[] = {0, 1, 2, 5, 20, 50, 100, 500, 5000, 40000};

struct session {
	struct harness harness;
	struct input input;
	struct peer *peer;	   /* that acts; NULL: nobody has connected */
	size_t checked[PEERS_MAX]; /* of each peer's replies, in bytes */
	bool batch;		   /* one has begun */
	bool over;		   /* the engine has let go of all clients */
};

static bool is_json(struct text t)
{
	static const struct json_limits none = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
	struct arena arena;
	struct json json;
	struct json_error error;
	arena_init(&arena, NULL);
	bool is = json_parse(&json, &arena, t, &none, &error);
	arena_deinit(&arena);
	return is;
}

static void check_reply(struct text said)
{
	for (size_t i = 1; i < COUNT(envelopes) && said.data[0] == '['; i++) {
		size_t size = strlen(envelopes[i]);
		if (said.size > size + 3 && memcmp(said.data + 1, envelopes[i], size) == 0)
			said = (struct text){said.data + size + 3, said.size - size - 3};
	}
	struct wire_reply reply;
	must(wire_parse_reply(said, &reply) == NULL);
	must(!reply.body.data || is_json(reply.body));
	must(reply.status == STATUS_OK || (reply.body.data && reply.body.data[0] == '{'));
}

static void check_replies(struct session *session)
{
	for (size_t i = 0; i < session->harness.peer_count; i++) {
		const struct buffer *replies = &session->harness.peers[i].replies;
		must(!replies->failed);
		while (session->checked[i] < replies->size) {
			const char *said = replies->data + session->checked[i];
			check_reply(text_of(said));
			session->checked[i] += strlen(said) + 1;
		}
	}
}

static void enter(struct session *session)
{
	struct async *async = &session->harness.world.async;
	async_enter(async, async->now);
}

static void end_batch(struct session *session)
{
	if (session->batch)
		harness_flush(&session->harness);
	session->batch = false;
}

static void choose_peer(struct session *session)
{
	struct harness *harness = &session->harness;
	size_t n = input_digit(&session->input) % PEERS_MAX;
	session->peer = n < harness->peer_count ? &harness->peers[n] : harness_connect(harness);
	must(session->peer != NULL);
}

static void send_message(struct session *session, struct text envelope, uint64_t ago_ms)
{
	struct world *world = &session->harness.world;
	struct text message = input_text(&session->input);
	if (session->peer && session->peer->client) {
		peer_send_text(session->peer, envelope, message,
				world->async.now - ago_ms * WORLD_MS);
	} else {
		enter(session);
		engine_receive_late(session->harness.engine);
	}
}

static unsigned take_ms(struct session *session)
{
	return steps_ms[input_digit(&session->input) % COUNT(steps_ms)];
}

static struct text take_envelope(struct session *session)
{
	return text_of(envelopes[input_digit(&session->input) % COUNT(envelopes)]);
}

/* NULL where there is no text. Its NUL stands in the input, or behind it. */
static const char *take_answer(struct session *session)
{
	struct text t = input_text(&session->input);
	return t.size ? t.data : NULL;
}

static struct scripted_database *take_database(struct session *session)
{
	struct world *world = &session->harness.world;
	return input_digit(&session->input) & 1 ? &world->ledger : &world->catalog;
}

static struct scripted_source *take_source(struct session *session)
{
	struct world *world = &session->harness.world;
	struct scripted_source *const sources[] = {
			&world->north, &world->south, &world->east, &world->west};
	return sources[input_digit(&session->input) % COUNT(sources)];
}

/* A row is checked by the driver, so here it is JSON. */
static void end_job(struct session *session)
{
	struct scripted_database *database = take_database(session);
	struct scripted_job *job = scripted_job(database, input_digit(&session->input));
	enum status status = job_statuses[input_digit(&session->input) % COUNT(job_statuses)];
	const char *answer = take_answer(session);
	bool row = answer && is_json(text_of(answer));
	enter(session);
	if (job)
		scripted_job_end(job, status, status == STATUS_OK && !row ? ends[0].text : answer);
}

static void end_ask(struct session *session)
{
	struct scripted_source *source = take_source(session);
	struct scripted_ask *ask = scripted_ask(source, input_digit(&session->input));
	enum status status = (enum status)(input_digit(&session->input) % STATUS_COUNT);
	const char *answer = take_answer(session);
	enter(session);
	if (ask)
		scripted_ask_end(ask, status, answer);
}

static const struct scripted_end *take_end(struct session *session)
{
	unsigned n = input_digit(&session->input);
	return n < COUNT(ends) ? &ends[n] : NULL;
}

static void move_clock(struct session *session)
{
	struct world *world = &session->harness.world;
	uint64_t ms = (world->async.now - WORLD_START) / WORLD_MS;
	world_at(world, ms + take_ms(session));
}

static void check_stats(struct session *session)
{
	struct buffer buffer;
	buffer_init(&buffer);
	buffer_append_char(&buffer, '{');
	engine_write_stats(session->harness.engine, &buffer);
	buffer_append_char(&buffer, '}');
	must(is_json(buffer_text(&buffer)));
	buffer_deinit(&buffer);
}

static void drop(struct session *session)
{
	enter(session);
	engine_drop(session->harness.engine);
	for (size_t i = 0; i < session->harness.peer_count; i++)
		session->harness.peers[i].client = NULL;
	session->over = true;
}

/* What a peer does. False: step is nothing of that kind. */
static bool act_as_peer(struct session *session, unsigned step)
{
	switch (step) {
	case 'p':
		choose_peer(session);
		return true;
	case 's':
		send_message(session, TEXT(""), 0);
		return true;
	case 'e':
		send_message(session, take_envelope(session), 0);
		return true;
	case 'l':
		send_message(session, TEXT(""), take_ms(session));
		return true;
	case 'm':
		enter(session);
		if (session->peer && session->peer->client)
			engine_receive_malformed(session->harness.engine, session->peer->client,
					take_envelope(session), "it is malformed");
		return true;
	case 'x':
		if (session->peer)
			peer_leave(session->peer);
		return true;
	case 'g':
		if (session->peer)
			session->peer->gone = true;
		return true;
	case 'r':
		if (session->peer)
			session->peer->room = input_digit(&session->input);
		return true;
	case 'R':
		if (session->peer)
			session->peer->room = ROOM_FOR_ALL;
		return true;
	default:
		return false;
	}
}

/* What a resource does, likewise. */
static bool act_as_resource(struct session *session, unsigned step)
{
	struct scripted_database *database;
	struct scripted_source *source;
	switch (step) {
	case 'j':
		end_job(session);
		return true;
	case 'q':
		end_ask(session);
		return true;
	case 'o':
		database = take_database(session);
		database->at_once = take_end(session);
		return true;
	case 'O':
		source = take_source(session);
		source->at_once = take_end(session);
		return true;
	case 'w':
		database = take_database(session);
		database->stubborn = !database->stubborn;
		return true;
	case 'W':
		source = take_source(session);
		source->stubborn = !source->stubborn;
		return true;
	default:
		return false;
	}
}

/* What happens to the engine beside that. */
static void act(struct session *session, unsigned step)
{
	struct harness *harness = &session->harness;
	switch (step) {
	case 't':
		(void)world_turn(&harness->world);
		break;
	case '+':
		move_clock(session);
		break;
	case 'f':
		harness_flush(harness);
		break;
	case 'M':
		harness->out_of_memory = !harness->out_of_memory;
		break;
	case 'S':
		check_stats(session);
		break;
	case 'D':
		enter(session);
		engine_drain(harness->engine);
		break;
	case 'C':
		enter(session);
		engine_cut(harness->engine);
		break;
	case 'X':
		drop(session);
		break;
	default:
		break;
	}
}

/* A batch holds messages and nothing else, as it does where it is read from a socket. */
static bool is_message(unsigned step)
{
	return step == 's' || step == 'e' || step == 'l' || step == 'm' || step == 'p';
}

static void play(struct session *session)
{
	while (!session->over && session->input.at < session->input.end) {
		unsigned step = input_byte(&session->input);
		if (!is_message(step))
			end_batch(session);
		if (step == 'b') {
			enter(session);
			engine_begin_batch(session->harness.engine);
			session->batch = true;
		} else if (!act_as_peer(session, step) && !act_as_resource(session, step)) {
			act(session, step);
		}
		check_replies(session);
	}
	end_batch(session);
}

static void run(struct input input)
{
	struct session session = {.input = input};
	struct harness *harness = &session.harness;
	harness_init(harness);
	const struct engine_limits *tight = &limits[input_digit(&session.input) % COUNT(limits)];
	harness->limits.in_flight = tight->in_flight;
	harness->limits.per_client = tight->per_client;
	harness->limits.bytes = tight->bytes;
	harness->limits.json = (struct json_limits){.bytes = 4096, .depth = 8, .values = 100};
	unsigned n = input_digit(&session.input) % COUNT(configurations);
	must(harness_load(harness, configurations[n]));
	play(&session);
	check_replies(&session);
	must(harness_deinit(harness));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Answers are borrowed until the session ends, and the last one may end with the input. */
	char *bytes = malloc(size + 1);
	must(bytes != NULL);
	if (size > 0)
		memcpy(bytes, data, size);
	bytes[size] = '\0';
	run((struct input){bytes, bytes + size});
	free(bytes);
	return 0;
}
