/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring. An element leaves the ring when it is pulled and is released at the next pull, so the
 * consumer may use it meanwhile and there is room behind it already.
 *
 * Invariants: count <= capacity; of what was taken all is released but what lies in the ring and
 * the current one; over, it has neither.
 */
#include "pipeline/async/stream_queue.h"

#include <assert.h>

#include "pipeline/async/scope.h"

static void release(struct stream_queue *queue, void *element)
{
	if (queue->release)
		queue->release(queue, element);
}

static void release_current(struct stream_queue *queue)
{
	void *element = queue->current;
	queue->current = NULL;
	if (element)
		release(queue, element);
}

static void *take_first(struct stream_queue *queue)
{
	void *element = queue->buffer[queue->first];
	queue->first = (queue->first + 1) % queue->capacity;
	queue->count--;
	return element;
}

static void wake_room(struct stream_queue *queue, enum status status)
{
	struct stream_room *room = queue->room;
	if (!room)
		return;
	queue->room = NULL;
	room->frame.outcome = outcome_status(status);
	frame_finish(&room->frame);
}

static enum pulled queue_pull(struct stream *stream, void **ret)
{
	struct stream_queue *queue = container_of(stream, struct stream_queue, stream);
	release_current(queue);
	if (queue->count == 0)
		return queue->ending ? stream_ends(stream, queue->outcome) : STREAM_LATER;
	*ret = queue->current = take_first(queue);
	if (queue->room && stream_queue_free(queue) >= queue->room->places)
		wake_room(queue, STATUS_OK);
	return STREAM_ITEM;
}

static void queue_close(struct stream *stream, enum reason reason)
{
	struct stream_queue *queue = container_of(stream, struct stream_queue, stream);
	release_current(queue);
	while (queue->count > 0)
		release(queue, take_first(queue));
	wake_room(queue, STATUS_CANCELLED);
	if (queue->feeder)
		scope_cancel(queue->feeder, reason);
}

static const struct stream_ops queue_ops = {.pull = queue_pull, .close = queue_close};

void stream_queue_init(
		struct stream_queue *queue, struct scope *scope, void **buffer, uint32_t capacity)
{
	assert(capacity > 0);
	*queue = (struct stream_queue){.buffer = buffer, .capacity = capacity};
	stream_init_source(&queue->stream, &queue_ops, scope);
}

static bool takes_more(const struct stream_queue *queue)
{
	const struct stream *stream = &queue->stream;
	return !stream->over && !queue->ending &&
	       !(stream->scope && scope_cancelled(stream->scope));
}

enum pushed stream_queue_push(struct stream_queue *queue, void *element)
{
	assert(element);
	if (!takes_more(queue))
		return QUEUE_CLOSED;
	if (stream_queue_full(queue))
		return QUEUE_FULL;
	queue->buffer[(queue->first + queue->count) % queue->capacity] = element;
	queue->count++;
	stream_wake(&queue->stream);
	return QUEUE_TAKEN;
}

void stream_queue_end(struct stream_queue *queue, struct outcome outcome)
{
	if (queue->stream.over || queue->ending)
		return;
	queue->outcome = outcome;
	queue->ending = true;
	wake_room(queue, STATUS_CANCELLED);
	stream_wake(&queue->stream);
}

static enum progress room_start(struct frame *frame)
{
	struct stream_room *room = container_of(frame, struct stream_room, frame);
	struct stream_queue *queue = room->queue;
	if (!takes_more(queue))
		return frame_done(frame, outcome_status(STATUS_CANCELLED));
	if (stream_queue_free(queue) >= room->places)
		return frame_done(frame, outcome_ok(VALUE_NONE));
	assert(!queue->room);
	queue->room = room;
	return PENDING;
}

static void room_cancel(struct frame *frame, enum reason reason)
{
	struct stream_room *room = container_of(frame, struct stream_room, frame);
	wake_room(room->queue, STATUS_CANCELLED);
}

static const struct frame_ops room_ops = {.start = room_start, .cancel = room_cancel};

void stream_room_init(struct stream_room *room, struct stream_queue *queue, uint32_t places,
		struct frame *parent, struct scope *scope)
{
	assert(places > 0 && places <= queue->capacity);
	frame_init(&room->frame, &room_ops, parent, scope);
	room->queue = queue;
	room->places = places;
}
