/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Messages on their way in: a routing id, an envelope perhaps, and one frame. The frames stay
 * libzmq's; nothing is copied but the envelope.
 */
#include <stdbool.h>
#include <stddef.h>

#include "pipeline/base/text.h"
#include "pipeline/loop/zsocket.h"
#include "pipeline/wire/wire.h"

#define INCOMING_FRAMES_MAX (WIRE_ENVELOPE_FRAMES_MAX + 1)

/* An envelope is kept as its frames, each behind two bytes of size. */
#define INCOMING_ENVELOPE_ROOM (WIRE_ENVELOPE_BYTES_MAX + 2 * WIRE_ENVELOPE_FRAMES_MAX)

/* A message as it was read. */
struct incoming {
	zmq_msg_t id;
	zmq_msg_t frames[INCOMING_FRAMES_MAX];
	size_t count;  /* that were kept */
	size_t bytes;  /* of all that came */
	bool too_many; /* more came, and were dropped */
};

/* Reads a message whole: 0, and it is to be closed; or -EAGAIN. */
int incoming_read(struct incoming *incoming, struct zsocket *socket);

void incoming_close(struct incoming *incoming);

/*
 * Takes a message apart. The envelope is packed into room, of INCOMING_ENVELOPE_ROOM bytes; the
 * body is borrowed from the message. NULL, or what is wrong: then there is no body.
 */
const char *incoming_split(struct incoming *incoming, char *room, struct text *ret_envelope,
		struct text *ret_body);

/* The next frame of a packed envelope, which is cut off it. False: that was all. */
bool incoming_next_frame(struct text *envelope, struct text *ret);

struct text incoming_id(struct incoming *incoming);
