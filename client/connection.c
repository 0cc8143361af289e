/* SPDX-License-Identifier: Apache-2.0 */
#include "client/connection.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#include "pipeline/base/endpoint.h"

#define MONITOR "inproc://monitor"

static bool set(void *socket, int option, int value)
{
	return zmq_setsockopt(socket, option, &value, sizeof(value)) == 0;
}

bool connection_open(struct connection *connection, void *context, int type, int events)
{
	*connection = (struct connection){.socket = zmq_socket(context, type)};
	if (connection->socket && set(connection->socket, ZMQ_LINGER, 0) &&
			zmq_socket_monitor(connection->socket, MONITOR, events) == 0)
		connection->monitor = zmq_socket(context, ZMQ_PAIR);
	if (connection->monitor && zmq_connect(connection->monitor, MONITOR) == 0)
		return true;
	int error = errno;
	connection_close(connection);
	errno = error;
	return false;
}

/* A name is looked up as IPv4: doors are bound to that, unless their address says otherwise. */
bool connection_connect(
		const struct connection *connection, const char *option, const char *endpoint)
{
	struct text host, port;
	bool ipv6 = endpoint_split(text_of(endpoint), &host, &port) && endpoint_is_ipv6(host);
	if (set(connection->socket, ZMQ_IPV6, ipv6) &&
			zmq_connect(connection->socket, endpoint) == 0)
		return true;
	(void)fprintf(stderr, "sluicectl: %s \"%s\": %s; write tcp://HOST:PORT or ipc://PATH\n",
			option, endpoint, zmq_strerror(errno));
	return false;
}

/* An event is 16 bits of number and 32 of value, and then an address. */
unsigned connection_event(const struct connection *connection)
{
	char frame[256];
	uint16_t event = 0;
	if (zmq_recv(connection->monitor, frame, sizeof(frame), ZMQ_DONTWAIT) < (int)sizeof(event))
		return 0;
	memcpy(&event, frame, sizeof(event));
	(void)zmq_recv(connection->monitor, frame, sizeof(frame), 0);
	return event;
}

/* The monitor is stopped first, so that libzmq's thread never sends an event to nobody. */
void connection_close(struct connection *connection)
{
	if (connection->socket)
		(void)zmq_socket_monitor(connection->socket, NULL, 0);
	if (connection->monitor)
		(void)zmq_close(connection->monitor);
	if (connection->socket)
		(void)zmq_close(connection->socket);
	*connection = (struct connection){0};
}
