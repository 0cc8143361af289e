/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A ZeroMQ socket on the loop.
 *
 * ZMQ_FD is edge-triggered and readable for commands, not for messages, and any call on the socket
 * may eat the edge. So a dirty flag is set by everything that may have processed commands; while it
 * is set, the event source's prepare callback asks ZMQ_EVENTS before the loop sleeps. All sends and
 * receives of such a socket go through here, which keeps the flag. (zmq_getsockopt(3), ZMQ_FD.)
 */
#include <stdbool.h>
#include <stdint.h>
#include <zmq.h>

#include "pipeline/base/text.h"
#include "pipeline/loop/loop.h"

/* A turn reads no more messages when they had so many bytes: a large one takes as long as many
 * small ones, and others wait. */
#define ZSOCKET_TURN_BYTES ((size_t)1024 * 1024)

struct zsocket;

/*
 * Something may be read: zsocket_receive() until it says -EAGAIN, or until a bounded batch has been
 * read (what is left comes in the next turn), but never stop between the frames of a message. Runs
 * inside a turn; may end the socket.
 */
typedef void (*zsocket_fn)(void *user, struct zsocket *socket);

struct zsocket {
	struct loop *loop;
	void *socket;
	sd_event_source *io;
	sd_event_source *defer;
	zsocket_fn on_readable;
	void *user;
	bool dirty;
	bool paused;
};

/*
 * Takes over an open ZeroMQ socket, to be closed by zsocket_deinit(); after an error it is still
 * the caller's. 0 or -errno.
 */
int zsocket_init(struct zsocket *zsocket, struct loop *loop, void *socket, int64_t priority,
		zsocket_fn on_readable, void *user);

/* Stops and closes the socket, with the linger it has. Safe twice, and on a zeroed one. */
void zsocket_deinit(struct zsocket *zsocket);

/* Receives one frame without waiting. 0; -EAGAIN: nothing (more); another -errno. */
int zsocket_receive(struct zsocket *zsocket, zmq_msg_t *message);

/*
 * Sends one frame without waiting; flags 0 or ZMQ_SNDMORE. 0 (libzmq has taken message), -EAGAIN,
 * -EHOSTUNREACH, …
 */
int zsocket_send(struct zsocket *zsocket, zmq_msg_t *message, int flags);

/* The same from bytes, which are copied. */
int zsocket_send_bytes(struct zsocket *zsocket, const void *data, size_t size, int flags);

/* While paused nothing is read; the event source stays on, for its prepare callback. */
void zsocket_pause(struct zsocket *zsocket, bool paused);
