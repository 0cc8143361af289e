/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A ZeroMQ socket with one connection, and a monitor of it: libzmq connects again and again by
 * itself, and else says nothing of it. zmq_socket_monitor(3).
 */
#include <stdbool.h>

struct connection {
	void *socket;
	void *monitor; /* can be polled; readable: there is an event */
};

/* A socket of that type, and a monitor of these ZMQ_EVENT_*, which does not connect yet. False, and
 * errno: it can't be had, and nothing is open. */
bool connection_open(struct connection *connection, void *context, int type, int events);

/* Begins to connect. False, and it has been said what is wrong with the endpoint that the option
 * of that name gives. */
bool connection_connect(
		const struct connection *connection, const char *option, const char *endpoint);

/* Takes the next event; 0: there is none. */
unsigned connection_event(const struct connection *connection);

/* Safe twice, and on a zeroed one. */
void connection_close(struct connection *connection);
