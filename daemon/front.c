/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames in, frames out. Multipart messages are atomic in libzmq, so a message is read to its last
 * frame or not begun. Disconnects come by the socket's monitor, with the number of a descriptor; a
 * message's own number is asked of its body (ZMQ_SRCFD), where a connection is new or its routing
 * id was chosen by the client.
 */
#include "daemon/front.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/connections.h"
#include "daemon/outgoing.h"
#include "pipeline/async/async.h"
#include "pipeline/base/list.h"
#include "pipeline/base/random.h"
#include "pipeline/loop/zmonitor.h"
#include "pipeline/wire/wire.h"

/* Messages a turn: enough to spread the cost of a wake-up, few enough that deadlines and answers
 * don't wait. */
#define BATCH 256
/*
 * Messages that are read before the first of them is answered: their bytes, which another thread
 * wrote, are on their way into this core's cache meanwhile. And messages between two looks at the
 * clock, so that a batch's last replies don't claim the time of its first.
 */
#define CHUNK 16
/* The most that is read at the end, when clients go on sending. */
#define REST_MAX     200000
#define ENDPOINT_MAX 256
#define FRAMES_MAX   (WIRE_ENVELOPE_FRAMES_MAX + 1)
/* An envelope is kept as its frames, each behind two bytes of size. */
#define ENVELOPE_ROOM (WIRE_ENVELOPE_BYTES_MAX + 2 * WIRE_ENVELOPE_FRAMES_MAX)

/* A client that is silent that long is asked, and cut off if it stays so. */
#define HEARTBEAT_MS	     5000
#define HEARTBEAT_TIMEOUT_MS 15000
#define HANDSHAKE_MS	     3000
#define BACKLOG		     1024
/* That a client reads again may be told to any call on the socket, and then its descriptor is
 * silent: so what was refused is tried again. */
#define RETRY_NS UINT64_C(20000000)
/* Far less than a heartbeat's time, and far more than it takes to hear of a connection's end. */
#define LATELY_MS 1000

/* Their value is an error; libzmq tells of the connection's end right after. */
#define HANDSHAKE_FAILED                                                                           \
	(ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |              \
			ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)

struct front {
	struct loop *loop;
	struct zsocket socket;
	struct zmonitor monitor;
	struct outgoing outgoing;
	struct connections connections;
	struct engine *engine;
	struct front_options options;
	struct timer retry; /* after a reply that libzmq has refused */
	char endpoint[ENDPOINT_MAX];
	bool handshake_failed; /* of the connection whose end is told of next */
	uint64_t received;
};

/* A message as it was read. */
struct incoming {
	zmq_msg_t id;
	zmq_msg_t frames[FRAMES_MAX];
	size_t count;  /* that were kept */
	bool too_many; /* more came, and were dropped */
};

static struct text frame_text(zmq_msg_t *frame)
{
	return (struct text){zmq_msg_data(frame), zmq_msg_size(frame)};
}

/* The client goes first: replies of the batch that is being read may still be handed to its
 * connection. */
static void connection_end(struct front *front, struct connection *connection)
{
	if (connection->client)
		client_gone(connection->client);
	connections_remove(&front->connections, connection);
}

static void descriptor_end(struct front *front, struct descriptor *descriptor)
{
	while (!list_empty(&descriptor->connections))
		connection_end(front, container_of(descriptor->connections.next, struct connection,
						      link));
	descriptor->open = false;
	if (descriptor->probe >= 0)
		(void)close(descriptor->probe);
	descriptor->probe = -1;
}

/*
 * libzmq cuts a connection off when a frame is over ZMQ_MAXMSGSIZE, and does not say so. But a peer
 * that closes has been read to its end before, so it was not the peer where something is left
 * unread, or where its end has not come. A peer that was cut off for its silence has not sent
 * anything lately.
 */
static bool was_cut_off(const struct descriptor *descriptor)
{
	int unread = 0;
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);
	if (descriptor->probe < 0 ||
			getsockopt(descriptor->probe, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
		return false;
	/* Reset by a peer that died: what it had sent is not read any more. */
	if (info.tcpi_state == TCP_CLOSE)
		return false;
	if (ioctl(descriptor->probe, FIONREAD, &unread) == 0 && unread > 0)
		return true;
	return info.tcpi_state == TCP_ESTABLISHED && info.tcpi_last_data_recv < LATELY_MS;
}

static void on_disconnected(struct front *front, struct descriptor *descriptor)
{
	bool failed = front->handshake_failed;
	front->handshake_failed = false;
	if (!failed && was_cut_off(descriptor)) {
		uint64_t number = 0;
		if (!list_empty(&descriptor->connections)) {
			struct connection *connection = container_of(
					descriptor->connections.next, struct connection, link);
			number = connection->client ? client_number(connection->client) : 0;
		}
		front->options.on_oversize(front->options.user, number);
	}
	descriptor_end(front, descriptor);
}

/*
 * -1 where the number is no socket's any more: to close a second descriptor of a file that SQLite
 * has open would drop its locks.
 */
static int duplicate(int fd)
{
	struct stat stat;
	if (fstat(fd, &stat) < 0 || !S_ISSOCK(stat.st_mode))
		return -1;
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static void on_event(void *user, unsigned event, int value, struct text address)
{
	struct front *front = user;
	if (event & HANDSHAKE_FAILED) {
		front->handshake_failed = true;
		return;
	}
	struct descriptor *descriptor = connections_descriptor(&front->connections, value);
	if (!descriptor)
		return;
	if (event == ZMQ_EVENT_DISCONNECTED) {
		on_disconnected(front, descriptor);
		return;
	}
	/* A number that is accepted again has been closed, whatever was seen of it. */
	descriptor_end(front, descriptor);
	descriptor->open = true;
	descriptor->probe = duplicate(value);
}

/* A connection's first message, or one of a client that chose its id and may be another one now.
 * NULL: it has gone already. */
static struct connection *connection_meet(
		struct front *front, uint64_t hash, struct text id, int fd)
{
	/* Whatever happened to that descriptor before was announced before. */
	zmonitor_drain(&front->monitor);
	struct connection *connection = connections_find(&front->connections, hash, id);
	if (connection && connection->fd == fd)
		return connection;
	if (connection)
		connection_end(front, connection);
	else if (routing_id_automatic(id) && connections_ended(&front->connections, hash))
		return NULL;
	struct descriptor *descriptor = connections_descriptor(&front->connections, fd);
	if (!descriptor || !descriptor->open)
		return NULL;
	return connections_add(&front->connections, hash, id, fd);
}

static struct connection *connection_of(struct front *front, struct incoming *incoming)
{
	struct text id = frame_text(&incoming->id);
	/* libzmq sets none that is longer, and takes any from a peer that speaks for itself. */
	if (id.size > ROUTING_ID_MAX)
		return NULL;
	uint64_t hash = connections_hash(&front->connections, id);
	struct connection *connection = connections_find(&front->connections, hash, id);
	if (connection && routing_id_automatic(id))
		return connection;
	return connection_meet(front, hash, id, zmq_msg_get(&incoming->frames[0], ZMQ_SRCFD));
}

/*
 * How many frames the envelope has, the empty one included; 0: there is none. A lone empty frame is
 * an empty message; what is longer than an envelope may be is none.
 */
static size_t envelope_frames(struct incoming *incoming)
{
	if (incoming->count == 1)
		return 0;
	for (size_t i = 0; i < incoming->count && i < WIRE_ENVELOPE_FRAMES_MAX; i++) {
		if (zmq_msg_size(&incoming->frames[i]) == 0)
			return i + 1;
	}
	return 0;
}

/* False: it is over its limit. */
static bool pack_envelope(struct incoming *incoming, size_t count, char *room, struct text *ret)
{
	size_t at = 0, bytes = 0;
	for (size_t i = 0; i < count; i++) {
		struct text frame = frame_text(&incoming->frames[i]);
		bytes += frame.size;
		if (bytes > WIRE_ENVELOPE_BYTES_MAX)
			return false;
		room[at++] = (char)(frame.size >> 8);
		room[at++] = (char)frame.size;
		if (frame.size > 0)
			memcpy(room + at, frame.data, frame.size);
		at += frame.size;
	}
	*ret = (struct text){room, at};
	return true;
}

static void receive(struct front *front, struct client *client, struct incoming *incoming)
{
	char room[ENVELOPE_ROOM];
	struct text envelope = {room, 0};
	size_t frames = envelope_frames(incoming);
	if (!pack_envelope(incoming, frames, room, &envelope)) {
		engine_receive_malformed(front->engine, client, envelope,
				"the envelope is over its limit of 512 bytes");
		return;
	}
	if (incoming->too_many || incoming->count != frames + 1) {
		engine_receive_malformed(front->engine, client, envelope,
				"expected one frame, or an envelope and one frame");
		return;
	}
	engine_receive(front->engine, client, envelope, frame_text(&incoming->frames[frames]),
			front->received);
}

static void deliver(struct front *front, struct incoming *incoming)
{
	struct connection *connection = connection_of(front, incoming);
	if (connection && !connection->client)
		connection->client = client_open(front->engine, connection);
	if (connection && connection->client)
		receive(front, connection->client, incoming);
	else
		engine_receive_late(front->engine);
}

/* Reads a message whole. 0 or -EAGAIN. */
static int read_message(struct front *front, struct incoming *incoming)
{
	incoming->count = 0;
	incoming->too_many = false;
	(void)zmq_msg_init(&incoming->id);
	int error = zsocket_receive(&front->socket, &incoming->id);
	if (error < 0) {
		(void)zmq_msg_close(&incoming->id);
		return error;
	}
	for (zmq_msg_t *last = &incoming->id; error == 0 && zmq_msg_more(last);) {
		zmq_msg_t *frame = &incoming->frames[incoming->count];
		if (incoming->count == FRAMES_MAX) {
			incoming->too_many = true;
			(void)zmq_msg_close(--frame);
			incoming->count--;
		}
		(void)zmq_msg_init(frame);
		error = zsocket_receive(&front->socket, frame);
		incoming->count++;
		last = frame;
	}
	return error;
}

static void close_message(struct incoming *incoming)
{
	(void)zmq_msg_close(&incoming->id);
	for (size_t i = 0; i < incoming->count; i++)
		(void)zmq_msg_close(&incoming->frames[i]);
}

/* Reads at most CHUNK messages, then answers them. False: there were fewer, for now. */
static bool read_chunk(struct front *front)
{
	struct incoming chunk[CHUNK];
	size_t count = 0;
	while (count < CHUNK && read_message(front, &chunk[count]) == 0) {
		__builtin_prefetch(zmq_msg_data(&chunk[count].frames[0]));
		count++;
	}
	front->received = front->loop->async->now;
	for (size_t i = 0; i < count; i++) {
		deliver(front, &chunk[i]);
		close_message(&chunk[i]);
	}
	async_enter(front->loop->async, loop_now());
	return count == CHUNK;
}

static void on_readable(void *user, struct zsocket *socket)
{
	struct front *front = user;
	engine_begin_batch(front->engine);
	for (int i = 0; i < BATCH / CHUNK && read_chunk(front); i++)
		;
	/* What woke the socket may be a client that reads again, which libzmq takes note of while
	 * it reads. */
	engine_flush(front->engine);
}

void front_read_rest(struct front *front)
{
	zmonitor_drain(&front->monitor);
	for (int i = 0; i < REST_MAX / CHUNK && read_chunk(front); i++)
		;
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
	for (size_t at = 0; error == 0 && at < envelope.size;) {
		size_t size = (size_t)(unsigned char)envelope.data[at] << 8 |
			      (unsigned char)envelope.data[at + 1];
		error = zsocket_send_bytes(
				&front->socket, envelope.data + at + 2, size, ZMQ_SNDMORE);
		at += 2 + size;
	}
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
	int error = send_frames(front, connection, envelope, &outgoing->message);
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

static bool set_options(void *socket, const struct front_options *options)
{
	int64_t message_max = (int64_t)(2 * options->message_max + 64 * 1024);
	return set_int(socket, ZMQ_ROUTER_MANDATORY, 1) &&
	       set_int(socket, ZMQ_ROUTER_HANDOVER, 0) &&
	       set_int(socket, ZMQ_SNDHWM, (int)(2 * options->per_client)) &&
	       set_int(socket, ZMQ_LINGER, 0) && set_int(socket, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS) &&
	       set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS) &&
	       set_int(socket, ZMQ_HEARTBEAT_TTL, HEARTBEAT_TIMEOUT_MS) &&
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
	error = zmonitor_init(&front->monitor, front->loop, zmq, socket,
			ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | HANDSHAKE_FAILED, on_event,
			front);
	if (error < 0)
		return error;
	size_t size = sizeof(front->endpoint);
	if (zmq_bind(socket, front->options.endpoint) < 0 ||
			zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, front->endpoint, &size) < 0)
		return -errno;
	return 0;
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
	random_hash_key(&loop->async->random, &key);
	int error = connections_init(&front->connections, &key);
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
	zsocket_pause(&front->socket, false);
}

void front_stalled(struct front *front, void *connection)
{
	struct connection *stalled = connection;
	stalled->client = NULL;
}

/* The engine has let go of its clients, so connections are only forgotten. */
static void forget_all(struct front *front)
{
	for (struct connection *any; (any = connections_any(&front->connections)) != NULL;) {
		any->client = NULL;
		connections_remove(&front->connections, any);
	}
}

void front_close(struct front *front, int linger_ms)
{
	timer_disarm(&front->loop->async->wheel, &front->retry);
	forget_all(front);
	zmonitor_deinit(&front->monitor);
	if (front->socket.socket)
		(void)set_int(front->socket.socket, ZMQ_LINGER, linger_ms);
	zsocket_deinit(&front->socket);
}

void front_free(struct front *front)
{
	if (!front)
		return;
	outgoing_deinit(&front->outgoing);
	connections_deinit(&front->connections);
	free(front);
}
