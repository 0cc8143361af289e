/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multipart messages are atomic in libzmq, so a message is read to its last frame or not begun.
 */
#include "daemon/incoming.h"

static struct text frame_text(zmq_msg_t *frame)
{
	return (struct text){zmq_msg_data(frame), zmq_msg_size(frame)};
}

struct text incoming_id(struct incoming *incoming)
{
	return frame_text(&incoming->id);
}

int incoming_read(struct incoming *incoming, struct zsocket *socket)
{
	incoming->count = 0;
	incoming->bytes = 0;
	incoming->too_many = false;
	(void)zmq_msg_init(&incoming->id);
	int error = zsocket_receive(socket, &incoming->id);
	if (error < 0) {
		(void)zmq_msg_close(&incoming->id);
		return error;
	}
	for (zmq_msg_t *last = &incoming->id; error == 0 && zmq_msg_more(last);) {
		zmq_msg_t *frame = &incoming->frames[incoming->count];
		if (incoming->count == INCOMING_FRAMES_MAX) {
			incoming->too_many = true;
			(void)zmq_msg_close(--frame);
			incoming->count--;
		}
		(void)zmq_msg_init(frame);
		error = zsocket_receive(socket, frame);
		incoming->bytes += zmq_msg_size(frame);
		incoming->count++;
		last = frame;
	}
	return error;
}

void incoming_close(struct incoming *incoming)
{
	(void)zmq_msg_close(&incoming->id);
	for (size_t i = 0; i < incoming->count; i++)
		(void)zmq_msg_close(&incoming->frames[i]);
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

const char *incoming_split(struct incoming *incoming, char *room, struct text *ret_envelope,
		struct text *ret_body)
{
	size_t frames = envelope_frames(incoming);
	*ret_envelope = (struct text){room, 0};
	if (!pack_envelope(incoming, frames, room, ret_envelope))
		return "the envelope is over its limit of 512 bytes";
	if (incoming->too_many || incoming->count != frames + 1)
		return "expected one frame, or an envelope and one frame";
	*ret_body = frame_text(&incoming->frames[frames]);
	return NULL;
}

bool incoming_next_frame(struct text *envelope, struct text *ret)
{
	if (envelope->size == 0)
		return false;
	const unsigned char *head = (const unsigned char *)envelope->data;
	*ret = (struct text){envelope->data + 2, (size_t)head[0] << 8 | head[1]};
	*envelope = (struct text){ret->data + ret->size, envelope->size - 2 - ret->size};
	return true;
}
