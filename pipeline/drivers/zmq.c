/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A quote source over ZeroMQ: one DEALER a source, towards a ROUTER that speaks the wire.
 *
 * One socket a source, so a source that hangs or is gone fills no queue but its own, and what
 * happens to the connection is known of the source. ZMQ_IMMEDIATE is on: without a connection there
 * is no queue, and nothing asked of a process that has died is ever delivered to the next one. A
 * socket monitor tells when the connection is there and when it is lost; libzmq reconnects by
 * itself.
 */
#include <errno.h>
#include <stdlib.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/endpoint.h"
#include "pipeline/drivers/driver.h"
#include "pipeline/drivers/zmq_ask.h"
#include "pipeline/loop/network.h"

/* Messages taken in one turn: beyond it a batch gains nothing, and others wait. */
#define BATCH 64

/* Messages that libzmq holds towards a source, for bursts; what is beyond is refused, as are bytes
 * beyond zmq_ask.c's bound. */
#define SENT_MAX 100000

/* The same from a source, whose messages are larger; what is beyond waits in its own buffers. */
#define RECEIVED_MAX 1000

/* Up to this over twice a body's limit an answer is refused by us, beyond it by libzmq. */
#define MESSAGE_SPARE (64 * 1024)

#define ENDPOINT_WRONG "expected tcp://HOST:PORT or ipc://PATH, not \"%.*s\""

static const struct option options[] = {
		{.key = "zmq",
				.kind = OPTION_TEXT,
				.required = true,
				.help = "where the source listens: tcp://HOST:PORT or ipc://PATH"},
		{.key = "target",
				.kind = OPTION_WORD,
				.fallback = "quote",
				.help = "what it is asked for, where a fan-out says nothing else"},
		{.key = "body",
				.kind = OPTION_TEMPLATES,
				.help = "its body, where a fan-out says nothing else"},
		{.key = "required",
				.kind = OPTION_BOOLEAN,
				.fallback = "false",
				.help = "whether the daemon is ready only once it has answered"},
		SOURCE_OPTIONS,
		{0},
};

static bool is_endpoint(struct text t)
{
	if (t.size == 0 || memchr(t.data, '\0', t.size))
		return false;
	struct text host, port;
	if (endpoint_split(t, &host, &port))
		return *host.data != '*' && endpoint_is_port(port);
	return endpoint_skip(&t, TEXT("ipc://")) && t.size > 0;
}

static bool init_queues(struct zmq_source *zs)
{
	zs->sent = zmq_sent_new();
	if (zs->sent && pending_init(&zs->pending))
		return true;
	(void)zmq_sent_free(zs->sent);
	return false;
}

static struct resource *create(const struct driver_context *context, const char *name,
		const struct option_map *map, struct diag *diag)
{
	const struct option_value *zmq = option_get(map, "zmq");
	const struct option_value *body = option_get(map, "body");
	if (!is_endpoint(zmq->text)) {
		diag_error(diag, zmq->place, ENDPOINT_WRONG, TEXT_ARG(zmq->text));
		return NULL;
	}
	struct zmq_source *zs = calloc(1, sizeof(*zs) + zmq->text.size + 1);
	if (!zs || !init_queues(zs)) {
		free(zs);
		diag_error(diag, map->place, "out of memory");
		return NULL;
	}
	zs->source = (struct source){
			.ops = &zmq_ask_source_ops,
			.name = name,
			.ask_size = sizeof(struct zmq_ask),
			.limits = context->limits,
			.target = option_text(map, "target"),
			.body = body->given ? body->map : NULL,
	};
	zs->resource = (struct resource){
			.driver = &zmq_driver,
			.name = name,
			.place = zmq->place,
			.required = option_number(map, "required") != 0,
			.source = &zs->source,
	};
	zs->context = context;
	memcpy(zs->endpoint, zmq->text.data, zmq->text.size);
	return &zs->resource;
}

static void tell(struct zmq_source *zs, const char *event, const char *reason)
{
	zs->context->event(zs->context->user, event, text_of(zs->source.name), reason);
}

/* A source that says it knows no `$ping` is there all the same; UNAVAILABLE says that it drains. */
static void on_pong(struct zmq_source *zs, enum status status)
{
	zs->pongs_due--;
	if (status == STATUS_UNAVAILABLE) {
		zs->ping = 0; /* the next is another question */
		zs->pongs_due = 0;
	}
	if (status == STATUS_UNAVAILABLE || zs->resource.ready)
		return;
	zs->resource.ready = true;
	tell(zs, "source_ready", "answered");
}

/* Ours have no leading zeros, and an id must come back as it was. */
static bool read_number(struct text id, uint64_t *ret)
{
	return id.size > 0 && id.data[0] != '0' && text_to_u64(id, ret);
}

static void on_message(struct zmq_source *zs, struct text message)
{
	struct wire_reply reply;
	const char *wrong = wire_parse_reply(message, &reply);
	/* Its last reply would not hold the whole answer. */
	if (!wrong && reply.status == STATUS_MORE)
		wrong = "it is a part, and no parts were asked for";
	uint64_t number = 0; /* of nothing */
	(void)read_number(reply.id, &number);
	bool ended = zmq_ask_answer(zs, number, &reply, wrong);
	if (wrong)
		zs->source.stats.garbage++;
	else if (!ended && zs->pongs_due > 0 && zs->ping == number)
		on_pong(zs, reply.status);
	else if (!ended)
		zs->source.stats.late++;
}

/* Takes one message off the socket, and adds up its bytes. False: there is none. */
static bool receive(struct zmq_source *zs, size_t *bytes)
{
	zmq_msg_t frame;
	(void)zmq_msg_init(&frame);
	bool any = zsocket_receive(&zs->socket, &frame) == 0;
	*bytes += zmq_msg_size(&frame);
	if (any && !zmq_msg_more(&frame)) {
		on_message(zs, (struct text){zmq_msg_data(&frame), zmq_msg_size(&frame)});
	} else if (any) {
		zs->source.stats.garbage++;
		while (zmq_msg_more(&frame) && zsocket_receive(&zs->socket, &frame) == 0)
			;
	}
	(void)zmq_msg_close(&frame);
	return any;
}

static void on_readable(void *user, struct zsocket *socket)
{
	size_t bytes = 0;
	for (int n = 0; n < BATCH && bytes < ZSOCKET_TURN_BYTES && receive(user, &bytes); n++)
		;
}

/* Sent again at each open(), until a source answers that neither drains nor has lost it. The number
 * stays, so that a slow answer is one all the same. */
static void ping(struct zmq_source *zs)
{
	uint64_t number = zs->ping ? zs->ping : pending_number(&zs->pending);
	struct text absent = {NULL, 0};
	if (zmq_ask_send(zs, TEXT("$ping"), number, WIRE_BUDGET_NONE, absent, absent) < 0)
		return;
	zs->ping = number;
	zs->pongs_due++;
}

static void on_up(struct zmq_source *zs)
{
	zs->source.stats.up = true;
	if (!zs->resource.ready)
		ping(zs);
	tell(zs, "source_up", "connected");
}

/* Nothing more can come: with ZMQ_IMMEDIATE, libzmq drops what was not fetched in time. */
static void on_down(struct zmq_source *zs)
{
	zs->source.stats.up = false;
	zs->ping = 0;
	zs->pongs_due = 0;
	zmq_ask_lose_all(zs);
	tell(zs, "source_down", "connection lost");
}

/* A connection that fails in its handshake is reported as disconnected too, and was never up. */
static void on_event(void *user, unsigned event, int value, struct text address)
{
	struct zmq_source *zs = user;
	if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED && !zs->source.stats.up)
		on_up(zs);
	else if (event == ZMQ_EVENT_DISCONNECTED && zs->source.stats.up)
		on_down(zs);
}

/* clang-format off */
static const struct setting {
	int option;
	int value; /* times in milliseconds */
} settings[] = {
	{ZMQ_IMMEDIATE, 1},
	{ZMQ_LINGER, 0},
	{ZMQ_SNDHWM, SENT_MAX},
	{ZMQ_RCVHWM, RECEIVED_MAX},
	{ZMQ_CONNECT_TIMEOUT, 2000},
	{ZMQ_HANDSHAKE_IVL, 5000},
	{ZMQ_RECONNECT_IVL, 100},
	{ZMQ_RECONNECT_IVL_MAX, 2000}, /* it doubles up to this */
	{ZMQ_HEARTBEAT_IVL, 1000},
	{ZMQ_HEARTBEAT_TIMEOUT, 3000},
	{ZMQ_HEARTBEAT_TTL, 3000}, /* the same for the source, about us */
};
/* clang-format on */

static int set_options(struct zmq_source *zs, void *socket)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		const struct setting *set = &settings[i];
		if (zmq_setsockopt(socket, set->option, &set->value, sizeof(set->value)) != 0)
			return -errno;
	}
	int64_t max = 2 * (int64_t)zs->context->limits->bytes + MESSAGE_SPARE;
	return zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max, sizeof(max)) == 0 ? 0 : -errno;
}

static int connect_source(struct zmq_source *zs)
{
	const struct driver_context *context = zs->context;
	void *socket = zmq_socket(context->zmq, ZMQ_DEALER);
	if (!socket)
		return -errno;
	int r = zsocket_init(
			&zs->socket, context->loop, socket, LOOP_PRIORITY_ANSWERS, on_readable, zs);
	if (r < 0) {
		(void)zmq_close(socket);
		return r;
	}
	r = set_options(zs, socket);
	if (r < 0)
		return r;
	r = zmonitor_init(&zs->monitor, context->loop, context->zmq, socket,
			ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED, on_event, zs);
	if (r < 0)
		return r;
	return network_connect(socket, zs->endpoint);
}

/* Connecting goes on in the background, so once is enough; what fails here can't be right later
 * either. */
static void open_source(struct resource *resource, struct diag *diag)
{
	struct zmq_source *zs = container_of(resource, struct zmq_source, resource);
	if (zs->socket.socket) {
		if (zs->source.stats.up && zs->resource.required && !zs->resource.ready)
			ping(zs);
		return;
	}
	int r = connect_source(zs);
	if (r < 0)
		diag_error(diag, resource->place, "source \"%s\" cannot connect to %s: %s",
				resource->name, zs->endpoint, zmq_strerror(-r));
}

/* No thread of ours is in it, so there is nothing to wait for. */
static bool close_source(struct resource *resource, uint64_t until)
{
	struct zmq_source *zs = container_of(resource, struct zmq_source, resource);
	zmonitor_deinit(&zs->monitor);
	zsocket_deinit(&zs->socket);
	zs->look = sd_event_source_disable_unref(zs->look);
	account_settle(zs->context->account, &zs->charged, 0);
	return true;
}

static void free_source(struct resource *resource)
{
	struct zmq_source *zs = container_of(resource, struct zmq_source, resource);
	pending_deinit(&zs->pending);
	(void)zmq_sent_free(zs->sent);
	free(zs);
}

const struct driver zmq_driver = {
		.name = "zmq",
		.kind = DRIVER_SOURCE,
		.help = "a quote source that speaks the wire over ZeroMQ",
		.options = options,
		.create = create,
		.open = open_source,
		.close = close_source,
		.free = free_source,
};
