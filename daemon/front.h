/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The front door: a ROUTER for REQ and DEALER clients. It turns frames into (client, envelope,
 * message) and back, and knows which connection a client is; routing ids never leave it.
 */
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/base/text.h"
#include "pipeline/requests/engine.h"

struct front;
struct loop;

/* Told of what only the door sees. number: the client's, 0 if it never sent a message. */
typedef void (*front_oversize_fn)(void *user, uint64_t number);

struct front_options {
	const char *endpoint;
	uint64_t message_max; /* limits.message: twice it and 64 KiB is what libzmq reads */
	uint64_t bytes;	      /* limits.bytes: bounds what of one client may lie there unread */
	uint64_t per_client;  /* limits.per_client: the socket holds twice as many replies for each
			       */
	front_oversize_fn on_oversize;
	void *user;
};

/* The socket is there and bound, and reads nothing until front_open(). NULL and *ret_error (-errno)
 * when it can't. */
struct front *front_new(
		struct loop *loop, void *zmq, const struct front_options *options, int *ret_error);

/* Fills in how an engine sends; `observe` and `stalled` are left to the caller. */
struct engine_ops front_engine_ops(struct front *front);

/* Starts to read, for engine. */
void front_open(struct front *front, struct engine *engine);

/* For engine_ops.stalled: lets go of a connection whose client the engine has dropped. */
void front_stalled(struct front *front, void *connection);

/* Reads what is there now, once: the last thing before the end. */
void front_read_rest(struct front *front);

/* Closes the door: what libzmq has is still sent, for at most linger_ms. The engine has let go of
 * all clients. */
void front_close(struct front *front, int linger_ms);

/* Frees it, after zmq_ctx_term(). Takes NULL. */
void front_free(struct front *front);

/* The endpoint as bound (a wildcard port is known then). */
const char *front_endpoint(const struct front *front);
