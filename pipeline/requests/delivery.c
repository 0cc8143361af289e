/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request whose answer is wanted in parts pulls one after the other from the stage that makes
 * them, as long as the transport takes them. While one waits in the outbox no other is pulled, so
 * whoever makes them is held up, and the request has no more than that one outside of its stages.
 */
#include "pipeline/requests/internal.h"

bool delivery_open(struct request *request)
{
	request->delivery = arena_alloc(&request->arena, sizeof(*request->delivery));
	return request->delivery != NULL;
}

void delivery_begin(struct request *request)
{
	struct delivery *delivery = request->delivery;
	stream_queue_init(&delivery->queue, &request->scope, delivery->buffer, PARTS_MAX);
	delivery->held.reply = NULL;
	delivery->sent = 0;
	delivery->bytes = 0;
	delivery->lost = false;
	request->run.parts = &delivery->queue;
}

/* False: nothing is to be pulled now. */
static bool send_next(struct request *request)
{
	struct delivery *delivery = request->delivery;
	struct stream *stream = &delivery->queue.stream;
	void *part;
	switch (stream_pull(stream, &part)) {
	case STREAM_ITEM:
		if (reply_part(request, part))
			return true;
		/* Whoever makes them finds it closed. */
		delivery->lost = true;
		stream_close(stream, LOST);
		return false;
	case STREAM_LATER:
		stream_wait_init(&delivery->wait, stream, &request->frame);
		return frame_start(&delivery->wait.frame) == DONE;
	case STREAM_END:
		break;
	}
	return false;
}

void delivery_go_on(struct request *request)
{
	while (!request->delivery->held.reply && send_next(request))
		;
}

void delivery_end(struct request *request)
{
	stream_close(&request->delivery->queue.stream, LOST);
}
