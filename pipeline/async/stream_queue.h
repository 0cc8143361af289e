/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A source of a stream that is pushed into: a buffer with a bound, which it never exceeds. Who
 * pushes is told at once when there is no room, and may drop the element, or wait for room (a
 * frame), which is how a slow consumer slows him.
 *
 *	push -> [ buffer, at most `capacity` ] -> pull (stream.h), in the same order
 *
 * An element is a pointer, not NULL. Pushing hands it over; it is handed back to release() when the
 * consumer asks for the next one or the stream is over, so each that was taken is released exactly
 * once. The buffer is the caller's memory.
 *
 * Who feeds a queue ends it (stream_queue_end) when all is pushed; what lies in it is still given.
 * A queue that is over early (its consumer closed it, or its scope was cancelled) takes nothing
 * more and cancels the scope of what feeds it.
 */
#include <stddef.h>
#include <stdint.h>

#include "pipeline/async/stream.h"

struct stream_queue;
typedef void (*stream_release_fn)(struct stream_queue *queue, void *element);

/* FULL and CLOSED: the element is still the caller's. */
enum pushed { QUEUE_TAKEN, QUEUE_FULL, QUEUE_CLOSED };

struct stream_queue {
	struct stream stream;
	struct scope *feeder; /* of the work that pushes; cancelled when it is closed early. NULL:
				 none is */
	stream_release_fn release; /* NULL: elements need none */
	void **buffer;
	uint32_t capacity;
	uint32_t first;
	uint32_t count; /* that lie in it: pushed and not yet pulled */
	void *current;	/* what the consumer has; not counted */
	struct stream_room *room;
	struct outcome outcome; /* once it is to end */
	bool ending;
};

/* buffer: room for capacity elements, at least 1. scope: where the consumer waits; NULL: it does
 * not. The other members may be set before the first push. */
void stream_queue_init(
		struct stream_queue *queue, struct scope *scope, void **buffer, uint32_t capacity);

/* Hands element over, and resumes a consumer that waits. */
enum pushed stream_queue_push(struct stream_queue *queue, void *element);

/* Nothing more comes; the first outcome stays. Harmless when it is over. */
void stream_queue_end(struct stream_queue *queue, struct outcome outcome);

/* Whether a push would be FULL. */
static inline bool stream_queue_full(const struct stream_queue *queue)
{
	return queue->count == queue->capacity;
}

/* How many pushes would be TAKEN. */
static inline uint32_t stream_queue_free(const struct stream_queue *queue)
{
	return queue->capacity - queue->count;
}

/* Waits for room: a frame that is DONE at once, OK, while as many places as that are free;
 * CANCELLED when the queue takes nothing more. One at a time. */
struct stream_room {
	struct frame frame;
	struct stream_queue *queue;
	uint32_t places;
};

/* places: 1 to the queue's capacity. */
void stream_room_init(struct stream_room *room, struct stream_queue *queue, uint32_t places,
		struct frame *parent, struct scope *scope);
