/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disconnects come by the socket's monitor, with the number of a descriptor; a message's own number
 * is asked of its body (ZMQ_SRCFD), where a connection is new or its routing id was chosen by the
 * client.
 */
#include "daemon/arrivals.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipeline/requests/engine.h"

/* Far less than a heartbeat's time, and far more than it takes to hear of a connection's end. */
#define LATELY_MS 1000

/* Their value is an error; libzmq tells of the connection's end right after. */
#define HANDSHAKE_FAILED                                                                           \
	(ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |              \
			ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)

/* The client goes first: replies of the batch that is being read may still be handed to its
 * connection. */
static void connection_end(struct arrivals *arrivals, struct connection *connection)
{
	if (connection->client)
		client_gone(connection->client);
	connections_remove(&arrivals->connections, connection);
}

static void descriptor_end(struct arrivals *arrivals, struct descriptor *descriptor)
{
	while (!list_empty(&descriptor->connections))
		connection_end(arrivals, container_of(descriptor->connections.next,
							 struct connection, link));
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
 *
 * To look, a duplicate of its descriptor is kept, and that is the price: what libzmq has closed is
 * closed for the peer only when the loop has heard of it. A loop that stands still closes nobody.
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

static void on_disconnected(struct arrivals *arrivals, struct descriptor *descriptor)
{
	bool failed = arrivals->handshake_failed;
	arrivals->handshake_failed = false;
	if (!failed && was_cut_off(descriptor)) {
		uint64_t number = 0;
		if (!list_empty(&descriptor->connections)) {
			struct connection *connection = container_of(
					descriptor->connections.next, struct connection, link);
			number = connection->client ? client_number(connection->client) : 0;
		}
		arrivals->on_oversize(arrivals->user, number);
	}
	descriptor_end(arrivals, descriptor);
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
	struct arrivals *arrivals = user;
	if (event & HANDSHAKE_FAILED) {
		arrivals->handshake_failed = true;
		return;
	}
	struct descriptor *descriptor = connections_descriptor(&arrivals->connections, value);
	if (!descriptor)
		return;
	if (event == ZMQ_EVENT_DISCONNECTED) {
		on_disconnected(arrivals, descriptor);
		return;
	}
	/* A number that is accepted again has been closed, whatever was seen of it. */
	descriptor_end(arrivals, descriptor);
	descriptor->open = true;
	descriptor->probe = duplicate(value);
}

int arrivals_init(struct arrivals *arrivals, const struct hash_key *key,
		arrivals_oversize_fn on_oversize, void *user)
{
	*arrivals = (struct arrivals){.on_oversize = on_oversize, .user = user};
	return connections_init(&arrivals->connections, key);
}

int arrivals_watch(struct arrivals *arrivals, struct loop *loop, void *zmq, void *socket)
{
	return zmonitor_init(&arrivals->monitor, loop, zmq, socket,
			ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | HANDSHAKE_FAILED, on_event,
			arrivals);
}

/* A connection's first message, or one of a client that chose its id and may be another one now.
 * NULL: it has gone already. */
static struct connection *meet_new(struct arrivals *arrivals, uint64_t hash, struct text id, int fd)
{
	/* Whatever happened to that descriptor before was announced before. */
	zmonitor_drain(&arrivals->monitor);
	struct connection *connection = connections_find(&arrivals->connections, hash, id);
	if (connection && connection->fd == fd)
		return connection;
	if (connection)
		connection_end(arrivals, connection);
	else if (routing_id_automatic(id) && connections_ended(&arrivals->connections, hash))
		return NULL;
	struct descriptor *descriptor = connections_descriptor(&arrivals->connections, fd);
	if (!descriptor || !descriptor->open)
		return NULL;
	return connections_add(&arrivals->connections, hash, id, fd);
}

struct connection *arrivals_meet(struct arrivals *arrivals, struct text id, zmq_msg_t *body)
{
	/* libzmq sets none that is longer, and takes any from a peer that speaks for itself. */
	if (id.size > ROUTING_ID_MAX)
		return NULL;
	uint64_t hash = connections_hash(&arrivals->connections, id);
	struct connection *connection = connections_find(&arrivals->connections, hash, id);
	if (connection && routing_id_automatic(id))
		return connection;
	return meet_new(arrivals, hash, id, zmq_msg_get(body, ZMQ_SRCFD));
}

void arrivals_catch_up(struct arrivals *arrivals)
{
	zmonitor_drain(&arrivals->monitor);
}

void arrivals_close(struct arrivals *arrivals)
{
	for (struct connection *any; (any = connections_any(&arrivals->connections)) != NULL;)
		connections_remove(&arrivals->connections, any);
	zmonitor_deinit(&arrivals->monitor);
}

void arrivals_deinit(struct arrivals *arrivals)
{
	connections_deinit(&arrivals->connections);
}
