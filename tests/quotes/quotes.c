/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A quote source to try sluice with and to test it by: it speaks the wire over a ROUTER, and is as
 * slow, forgetful or broken as its options say. What it does is fixed by its seed and by the order
 * of what it is asked.
 *
 *   quote    {"symbol": "AAPL"} is answered {"source": NAME, "symbol": "AAPL", "price": …}
 *   stats    is answered at once with its counters
 *   $ping    is answered at once, $cancel drops what has not been answered yet; other commands are
 * ignored
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/hash.h"
#include "pipeline/base/json.h"
#include "pipeline/base/random.h"
#include "tests/quotes/answers.h"
#include "tests/quotes/settings.h"

#define NS_PER_MS UINT64_C(1000000)

/* Requests taken before answers that are due get their turn. */
#define BATCH 256

#define QUEUE_MAX 100000

/* Of a symbol as written, quotes included. */
#define SYMBOL_MAX 64

static const struct json_limits limits = {.bytes = 1 << 20, .depth = 32, .values = 10000};

struct quotes {
	struct settings settings;
	struct random random;
	struct random pace; /* of its own, so that it leaves the other draws as they are */
	struct hash_key price_key;
	void *socket;
	struct answers answers;
	uint64_t asked;
	uint64_t answered; /* twice counts once */
	uint64_t cancelled;
};

static uint64_t now_ns(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 * NS_PER_MS + (uint64_t)now.tv_nsec;
}

/* Whether this time is one of the share of all. */
static bool happens(struct random *random, double share)
{
	return (double)(random_next(random) >> 11) * 0x1p-53 < share;
}

static void give(struct quotes *quotes, struct answer *answer)
{
	uint64_t now = now_ns();
	for (unsigned n = 0; n < answer->times; n++)
		(void)answer_send(answer, quotes->socket, now);
	answer_free(answer);
}

static void write_error(struct answer *answer, enum status status, const char *message)
{
	answer->status = status;
	buffer_append(&answer->body, TEXT("{\"error\":"));
	buffer_append_json_string(&answer->body, text_of(message));
	buffer_append_char(&answer->body, '}');
}

/* Between 10.00 and 499.99, and always the same for a symbol and a seed. */
static void write_quote(struct quotes *quotes, struct answer *answer, struct text symbol)
{
	uint64_t cents = 1000 + hash_text(&quotes->price_key, symbol) % 49000;
	buffer_append(&answer->body, TEXT("{\"source\":"));
	buffer_append_json_string(&answer->body, text_of(quotes->settings.name));
	buffer_append(&answer->body, TEXT(",\"symbol\":"));
	buffer_append(&answer->body, symbol);
	buffer_append_format(&answer->body, ",\"price\":%" PRIu64 ".%02u}", cents / 100,
			(unsigned)(cents % 100));
}

/* The symbol that a body names, as written; absent if it names none. */
static struct text read_symbol(struct text body, struct arena *arena)
{
	struct json json;
	struct json_error error;
	if (!body.data || !json_parse(&json, arena, body, &limits, &error))
		return (struct text){NULL, 0};
	uint32_t at = json_member(&json, 0, TEXT("symbol"));
	if (at == JSON_NONE || json_kind(&json, at) != JSON_STRING ||
			json.values[at].size > SYMBOL_MAX)
		return (struct text){NULL, 0};
	return json_raw(&json, at);
}

/*
 * Draws what becomes of a quote. All draws are made for each, whatever the shares are, so that what
 * one option changes leaves the rest as it was.
 */
static void draw_fate(struct quotes *quotes, struct answer *answer)
{
	const struct settings *settings = &quotes->settings;
	uint64_t jitter_ns = random_below(&quotes->random, settings->jitter_ms * NS_PER_MS + 1);
	bool fails = happens(&quotes->random, settings->fail);
	bool hangs = happens(&quotes->random, settings->hang);
	bool garbage = happens(&quotes->random, settings->garbage);
	bool twice = happens(&quotes->random, settings->twice);
	uint64_t takes_ns = settings->latency_ms * NS_PER_MS + jitter_ns;
	if (happens(&quotes->pace, settings->slow))
		takes_ns *= settings->slower;
	answer->due_ns = hangs ? ANSWER_NEVER : answer->asked_ns + takes_ns;
	answer->times = twice ? 2 : 1;
	if (fails || garbage)
		buffer_clear(&answer->body);
	if (fails)
		write_error(answer, STATUS_UNAVAILABLE, "this source fails now and then");
	else if (garbage)
		buffer_append(&answer->body, TEXT("{\"source\":"));
}

static void on_quote(struct quotes *quotes, struct answer *answer, struct text body)
{
	struct arena arena;
	arena_init(&arena, NULL);
	struct text symbol = read_symbol(body, &arena);
	quotes->asked++;
	if (symbol.data) {
		write_quote(quotes, answer, symbol);
		draw_fate(quotes, answer);
		answers_add(&quotes->answers, answer);
	} else {
		write_error(answer, STATUS_INVALID_ARGUMENT, "expected {\"symbol\": \"…\"}");
		quotes->answered++;
		give(quotes, answer);
	}
	arena_deinit(&arena);
}

static void on_cancel(struct quotes *quotes, const struct envelope *envelope, struct text id)
{
	if (quotes->settings.ignore_cancel)
		return;
	struct answer *answer = answers_take(&quotes->answers, envelope, id);
	if (!answer)
		return;
	quotes->cancelled++;
	answer_free(answer);
}

static void on_stats(struct quotes *quotes, struct answer *answer)
{
	buffer_append_format(&answer->body,
			"{\"asked\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"cancelled\":%" PRIu64
			"}",
			quotes->asked, quotes->answered, quotes->cancelled);
	give(quotes, answer);
}

static void on_request(struct quotes *quotes, struct envelope *envelope, struct text message)
{
	struct wire_request request;
	const char *wrong = wire_parse_request(message, &request);
	if (!wrong && text_equal(request.target, TEXT("$cancel"))) {
		on_cancel(quotes, envelope, request.id);
		return;
	}
	bool ping = !wrong && text_equal(request.target, TEXT("$ping"));
	if (!wrong && !ping && request.target.data[0] == '$')
		return;
	struct answer *answer = answer_new(envelope, request.id);
	if (!answer)
		return;
	answer->asked_ns = now_ns();
	if (!wrong && text_equal(request.target, TEXT("quote"))) {
		on_quote(quotes, answer, request.body);
		return;
	}
	if (!wrong && text_equal(request.target, TEXT("stats"))) {
		on_stats(quotes, answer);
		return;
	}
	if (wrong)
		write_error(answer, STATUS_INVALID_ARGUMENT, wrong);
	else if (!ping)
		write_error(answer, STATUS_UNIMPLEMENTED, "asked for neither quote nor stats");
	give(quotes, answer);
}

/* Takes one message, whose last frame is the request. False: there is none. */
static bool receive(struct quotes *quotes)
{
	struct envelope envelope = {.count = 0};
	zmq_msg_t frame;
	bool whole = true;
	(void)zmq_msg_init(&frame);
	bool any = zmq_msg_recv(&frame, quotes->socket, ZMQ_DONTWAIT) >= 0;
	while (any && zmq_msg_more(&frame)) {
		whole = whole && envelope.count < ENVELOPE_MAX;
		if (whole) {
			zmq_msg_t *kept = &envelope.frames[envelope.count++];
			(void)zmq_msg_init(kept);
			(void)zmq_msg_move(kept, &frame);
		}
		if (zmq_msg_recv(&frame, quotes->socket, 0) < 0)
			break;
	}
	if (any && whole)
		on_request(quotes, &envelope,
				(struct text){zmq_msg_data(&frame), zmq_msg_size(&frame)});
	for (size_t i = 0; i < envelope.count; i++)
		(void)zmq_msg_close(&envelope.frames[i]);
	(void)zmq_msg_close(&frame);
	return any;
}

static void give_due(struct quotes *quotes)
{
	struct answer *answer;
	while ((answer = answers_take_due(&quotes->answers, now_ns()))) {
		quotes->answered++;
		give(quotes, answer);
	}
}

/* Serves until a signal comes. */
static void serve(struct quotes *quotes, int signals)
{
	zmq_pollitem_t items[] = {
			{.socket = quotes->socket, .events = ZMQ_POLLIN},
			{.fd = signals, .events = ZMQ_POLLIN},
	};
	while (!(items[1].revents & ZMQ_POLLIN)) {
		for (int n = 0; n < BATCH && receive(quotes); n++)
			;
		give_due(quotes);
		if (zmq_poll(items, 2, answers_wait_ms(&quotes->answers, now_ns())) < 0 &&
				errno != EINTR)
			return;
	}
}

static int bind_and_tell(struct quotes *quotes)
{
	const int linger_ms = 200;
	const int queue = QUEUE_MAX;
	char endpoint[256];
	size_t size = sizeof(endpoint);
	(void)zmq_setsockopt(quotes->socket, ZMQ_LINGER, &linger_ms, sizeof(linger_ms));
	(void)zmq_setsockopt(quotes->socket, ZMQ_SNDHWM, &queue, sizeof(queue));
	(void)zmq_setsockopt(quotes->socket, ZMQ_RCVHWM, &queue, sizeof(queue));
	if (zmq_bind(quotes->socket, quotes->settings.bind) != 0 ||
			zmq_getsockopt(quotes->socket, ZMQ_LAST_ENDPOINT, endpoint, &size) != 0) {
		fprintf(stderr, "quotes: cannot bind %s: %s\n", quotes->settings.bind,
				zmq_strerror(errno));
		return 1;
	}
	printf("listening %s\n", endpoint);
	return fflush(stdout) == 0 ? 0 : 1;
}

static int run(struct quotes *quotes, int signals)
{
	void *context = zmq_ctx_new();
	quotes->socket = context ? zmq_socket(context, ZMQ_ROUTER) : NULL;
	if (!quotes->socket) {
		fprintf(stderr, "quotes: no socket: %s\n", zmq_strerror(errno));
		return 1;
	}
	answers_init(&quotes->answers);
	random_init(&quotes->random, quotes->settings.seed);
	random_hash_key(&quotes->random, &quotes->price_key);
	random_init(&quotes->pace, quotes->settings.seed + 1);
	int code = bind_and_tell(quotes);
	if (code == 0)
		serve(quotes, signals);
	answers_deinit(&quotes->answers);
	(void)zmq_close(quotes->socket);
	(void)zmq_ctx_term(context);
	return code;
}

int main(int argc, char **argv)
{
	struct quotes quotes = {0};
	int code = 0;
	if (!settings_read(&quotes.settings, argc, argv, &code))
		return code;
	/*
	 * Blocked before libzmq starts its threads, so that they are blocked in all, and read from
	 * a descriptor.
	 */
	sigset_t mask;
	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGTERM);
	(void)sigaddset(&mask, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &mask, NULL);
	int signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0) {
		perror("quotes: signalfd");
		return 1;
	}
	code = run(&quotes, signals);
	(void)close(signals);
	return code;
}
