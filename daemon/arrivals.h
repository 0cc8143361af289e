/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Who comes to the front door and leaves it: what its socket's monitor tells of descriptors, put
 * together with the routing ids of messages. A connection that ends takes its client along.
 */
#include <stdbool.h>
#include <stdint.h>

#include <zmq.h>

#include "daemon/connections.h"
#include "pipeline/loop/zmonitor.h"

/* A connection was cut off for a message far over the limit. number: its client's, 0 if it never
 * sent another message. */
typedef void (*arrivals_oversize_fn)(void *user, uint64_t number);

struct arrivals {
	struct zmonitor monitor;
	struct connections connections;
	bool handshake_failed; /* of the connection whose end is told of next */
	arrivals_oversize_fn on_oversize;
	void *user;
};

/* 0 or -ENOMEM. */
int arrivals_init(struct arrivals *arrivals, const struct hash_key *key,
		arrivals_oversize_fn on_oversize, void *user);

/* Watches a ROUTER that is not bound yet, or clients could be missed. 0 or -errno. */
int arrivals_watch(struct arrivals *arrivals, struct loop *loop, void *zmq, void *socket);

/* The connection that a message came by, of which body is a frame; its client is NULL where none
 * was opened for it. NULL: it has gone already, or memory is out. */
struct connection *arrivals_meet(struct arrivals *arrivals, struct text id, zmq_msg_t *body);

/* Hears now what has happened up to now. */
void arrivals_catch_up(struct arrivals *arrivals);

/* Watches no more and forgets all connections, whose clients the engine has let go of. Safe twice.
 */
void arrivals_close(struct arrivals *arrivals);

/* After arrivals_close(). */
void arrivals_deinit(struct arrivals *arrivals);
