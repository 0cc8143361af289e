/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Replies on their way out. A small one is written straight into libzmq's own buffer; a large one
 * into a block of ours, which libzmq gives back from its own thread when it has been sent, and
 * which counts in limits.bytes until the loop has seen that.
 */
#include "pipeline/loop/mailbox.h"
#include "pipeline/loop/zsocket.h"
#include "pipeline/requests/engine.h"

struct account;

struct outgoing_block;

struct outgoing_reply {
	struct reply reply;
	zmq_msg_t message;
	struct outgoing_block *block; /* of a large one; NULL: it is small */
	struct outgoing_reply *next;  /* while spare */
};

struct outgoing {
	struct mailbox returned; /* large blocks that libzmq is done with */
	struct engine *engine;	 /* is told of those that were sent; NULL: there is none yet */
	struct account *account;
	struct outgoing_reply *spare;
	size_t spares;
};

/* 0 or -errno. */
int outgoing_init(struct outgoing *outgoing, struct loop *loop);

/* All blocks must have come back: after zmq_ctx_term(). */
void outgoing_deinit(struct outgoing *outgoing);

/* Room for size bytes. NULL when memory is out. */
struct outgoing_reply *outgoing_reserve(struct outgoing *outgoing, size_t size);

/* It is about to be handed to libzmq for that client, by its number; 0: it was not after all. */
void outgoing_sending(struct outgoing_reply *reply, uint64_t client);

/* Ends a reply whose message libzmq has taken, or that will not be sent. */
void outgoing_release(struct outgoing *outgoing, struct outgoing_reply *reply);
