/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames in, frames out, in batches. Who they come from is in arrivals.c, what they hold in
 * incoming.c; here they meet the engine.
 */
#include "daemon/front.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/arrivals.h"
#include "daemon/incoming.h"
#include "daemon/outgoing.h"
#include "pipeline/async/async.h"
#include "pipeline/base/lesser.h"
#include "pipeline/base/list.h"
#include "pipeline/base/random.h"
#include "pipeline/loop/network.h"

/* Messages a turn: enough to spread the cost of a wake-up, few enough that deadlines and answers
 * don't wait. */
#define BATCH 256
/*
 * Messages that are read before the first of them is answered: their bytes, which another thread
 * wrote, are on their way into this core's cache meanwhile. And messages between two looks at the
 * clock, so that a batch's last replies don't claim the time of its first.
 */
#define CHUNK	     16
#define RECEIVED_MIN 16
#define RECEIVED_MAX 1000
/* The most that is read at the end, when clients go on sending. */
#define REST_MAX     200000
#define ENDPOINT_MAX 256

/*
 * A client's machine that is gone is found by the kernel, which asks a silent one after 5 s and
 * gives it up after 15. It does not know of a process that stands still, so libzmq asks, too, but
 * seldom: at each answer it looks through the timers of all clients, and asking 9,000 of them every
 * 5 s took half a processor. The time to live is for the client, about us.
 */
#define KEEPALIVE_S	     5
#define KEEPALIVE_PROBES     2
#define HEARTBEAT_MS	     60000
#define HEARTBEAT_TIMEOUT_MS 15000
#define HEARTBEAT_TTL_MS     90000
#define HANDSHAKE_MS	     3000
#define BACKLOG		     1024
/* That a client reads again may be told to any call on the socket, and then its descriptor is
 * silent: so what was refused is tried again. */
#define RETRY_NS UINT64_C(20000000)

struct front {
	struct loop *loop;
	struct zsocket socket;
	struct arrivals arrivals;
	struct outgoing outgoing;
	struct engine *engine;
	struct front_options options;
	struct timer retry; /* after a reply that libzmq has refused */
	char endpoint[ENDPOINT_MAX];
	uint64_t received;
};

static void receive(struct front *front, struct client *client, struct incoming *incoming)
{
	char room[INCOMING_ENVELOPE_ROOM];
	struct text envelope, body;
	const char *problem = incoming_split(incoming, room, &envelope, &body);
	if (problem)
		engine_receive_malformed(front->engine, client, envelope, problem);
	else
		engine_receive(front->engine, client, envelope, body, front->received);
}

static void deliver(struct front *front, struct incoming *incoming)
{
	struct connection *connection = arrivals_meet(
			&front->arrivals, incoming_id(incoming), &incoming->frames[0]);
	if (connection && !connection->client)
		connection->client = client_open(front->engine, connection);
	if (connection && connection->client)
		receive(front, connection->client, incoming);
	else
		engine_receive_late(front->engine);
}

/* Reads at most CHUNK messages, of ZSOCKET_TURN_BYTES with those before, then answers them. False:
 * there were fewer, for now. */
static bool read_chunk(struct front *front, size_t *bytes)
{
	struct incoming chunk[CHUNK];
	size_t count = 0;
	while (count < CHUNK && *bytes < ZSOCKET_TURN_BYTES &&
			incoming_read(&chunk[count], &front->socket) == 0) {
		__builtin_prefetch(zmq_msg_data(&chunk[count].frames[0]));
		*bytes += chunk[count].bytes;
		count++;
	}
	front->received = front->loop->async->now;
	for (size_t i = 0; i < count; i++) {
		deliver(front, &chunk[i]);
		incoming_close(&chunk[i]);
	}
	async_enter(front->loop->async, loop_now());
	return count == CHUNK || *bytes >= ZSOCKET_TURN_BYTES;
}

static void on_readable(void *user, struct zsocket *socket)
{
	struct front *front = user;
	size_t bytes = 0;
	engine_begin_batch(front->engine);
	for (int i = 0; i < BATCH / CHUNK && bytes < ZSOCKET_TURN_BYTES &&
			read_chunk(front, &bytes);
			i++)
		;
	/* What woke the socket may be a client that reads again, which libzmq takes note of while
	 * it reads. */
	engine_flush(front->engine);
}

void front_read_rest(struct front *front)
{
	size_t bytes = 0;
	arrivals_catch_up(&front->arrivals);
	for (int i = 0; i < REST_MAX / CHUNK && read_chunk(front, &bytes); i++)
		bytes = 0;
	engine_flush(front->engine);
}

static struct reply *reserve(void *user, void *connection, size_t size)
{
	struct front *front = user;
	struct outgoing_reply *reply = outgoing_reserve(&front->outgoing, size);
	return reply ? &reply->reply : NULL;
}

static void discard(void *user, struct reply *reply)
{
	struct front *front = user;
	outgoing_release(&front->outgoing, container_of(reply, struct outgoing_reply, reply));
}

/* ROUTER refuses at the routing id or not at all; what was begun is completed. */
static int send_frames(struct front *front, const struct connection *connection,
		struct text envelope, zmq_msg_t *message)
{
	int error = zsocket_send_bytes(
			&front->socket, connection->id, connection->id_size, ZMQ_SNDMORE);
	for (struct text frame; error == 0 && incoming_next_frame(&envelope, &frame);)
		error = zsocket_send_bytes(&front->socket, frame.data, frame.size, ZMQ_SNDMORE);
	return error < 0 ? error : zsocket_send(&front->socket, message, 0);
}

static void on_retry(struct timer *timer)
{
	engine_flush(container_of(timer, struct front, retry)->engine);
}

static void come_again(struct front *front)
{
	struct async *async = front->loop->async;
	if (!timer_armed(&front->retry))
		timer_arm(&async->wheel, &front->retry, async->now + RETRY_NS);
}

static enum sent send_reply(void *user, void *connection, struct text envelope, struct reply *reply)
{
	struct front *front = user;
	struct outgoing_reply *outgoing = container_of(reply, struct outgoing_reply, reply);
	const struct connection *to = connection;
	outgoing_sending(outgoing, to->client ? client_number(to->client) : 0);
	int error = send_frames(front, to, envelope, &outgoing->message);
	if (error < 0)
		outgoing_sending(outgoing, 0);
	if (error == -EAGAIN) {
		come_again(front);
		return SENT_FULL;
	}
	outgoing_release(&front->outgoing, outgoing);
	return error == 0 ? SENT_TAKEN : SENT_GONE;
}

struct engine_ops front_engine_ops(struct front *front)
{
	return (struct engine_ops){
			.reserve = reserve, .send = send_reply, .discard = discard, .door = front};
}

static bool set_int(void *socket, int option, int value)
{
	return zmq_setsockopt(socket, option, &value, sizeof(value)) == 0;
}

/* Messages of one client that libzmq holds until they are read; what is beyond waits in its own
 * buffers. As large as they may be, they are no more than all that is held for requests. */
static int received_max(const struct front_options *options)
{
	uint64_t count = lesser(options->bytes / options->message_max, RECEIVED_MAX);
	return count < RECEIVED_MIN ? RECEIVED_MIN : (int)count;
}

static bool set_options(void *socket, const struct front_options *options)
{
	int64_t message_max = (int64_t)(2 * options->message_max + 64 * 1024);
	return set_int(socket, ZMQ_ROUTER_MANDATORY, 1) &&
	       set_int(socket, ZMQ_ROUTER_HANDOVER, 0) &&
	       set_int(socket, ZMQ_SNDHWM, (int)(2 * options->per_client)) &&
	       set_int(socket, ZMQ_RCVHWM, received_max(options)) &&
	       set_int(socket, ZMQ_LINGER, 0) && set_int(socket, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS) &&
	       set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS) &&
	       set_int(socket, ZMQ_HEARTBEAT_TTL, HEARTBEAT_TTL_MS) &&
	       set_int(socket, ZMQ_TCP_KEEPALIVE, 1) &&
	       set_int(socket, ZMQ_TCP_KEEPALIVE_IDLE, KEEPALIVE_S) &&
	       set_int(socket, ZMQ_TCP_KEEPALIVE_INTVL, KEEPALIVE_S) &&
	       set_int(socket, ZMQ_TCP_KEEPALIVE_CNT, KEEPALIVE_PROBES) &&
	       set_int(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) &&
	       set_int(socket, ZMQ_BACKLOG, BACKLOG) &&
	       zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &message_max, sizeof(message_max)) == 0;
}

/* The monitor is there before the first client can be. */
static int open_socket(struct front *front, void *zmq)
{
	void *socket = zmq_socket(zmq, ZMQ_ROUTER);
	if (!socket)
		return -errno;
	int error = set_options(socket, &front->options) ? 0 : -errno;
	if (error == 0)
		error = zsocket_init(&front->socket, front->loop, socket, LOOP_PRIORITY_FRONT,
				on_readable, front);
	if (error < 0) {
		(void)zmq_close(socket);
		return error;
	}
	zsocket_pause(&front->socket, true);
	error = arrivals_watch(&front->arrivals, front->loop, zmq, socket);
	if (error < 0)
		return error;
	size_t size = sizeof(front->endpoint);
	error = network_bind(socket, front->options.endpoint);
	if (error == 0 && zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, front->endpoint, &size) < 0)
		error = -errno;
	return error;
}

struct front *front_new(
		struct loop *loop, void *zmq, const struct front_options *options, int *ret_error)
{
	struct front *front = calloc(1, sizeof(*front));
	struct hash_key key;
	if (!front) {
		*ret_error = -ENOMEM;
		return NULL;
	}
	front->loop = loop;
	front->options = *options;
	timer_init(&front->retry, on_retry);
	random_hash_key(&loop->async->keys, &key);
	int error = arrivals_init(&front->arrivals, &key, options->on_oversize, options->user);
	if (error == 0)
		error = outgoing_init(&front->outgoing, loop);
	if (error == 0)
		error = open_socket(front, zmq);
	if (error == 0)
		return front;
	*ret_error = error;
	front_close(front, 0);
	front_free(front);
	return NULL;
}

const char *front_endpoint(const struct front *front)
{
	return front->endpoint;
}

void front_open(struct front *front, struct engine *engine)
{
	front->engine = engine;
	front->outgoing.account = engine_account(engine);
	front->outgoing.engine = engine;
	zsocket_pause(&front->socket, false);
}

void front_stalled(struct front *front, void *connection)
{
	struct connection *stalled = connection;
	stalled->client = NULL;
}

void front_close(struct front *front, int linger_ms)
{
	timer_disarm(&front->loop->async->wheel, &front->retry);
	arrivals_close(&front->arrivals);
	if (front->socket.socket)
		(void)set_int(front->socket.socket, ZMQ_LINGER, linger_ms);
	zsocket_deinit(&front->socket);
}

void front_free(struct front *front)
{
	if (!front)
		return;
	outgoing_deinit(&front->outgoing);
	arrivals_deinit(&front->arrivals);
	free(front);
}
