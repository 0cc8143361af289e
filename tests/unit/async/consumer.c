/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/async/consumer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

struct item items[ITEMS];

static void release(struct stream_queue *queue, void *element)
{
	struct item *item = element;
	item->released++;
}

void items_init(struct items_queue *queue, struct scope *scope, uint32_t capacity)
{
	assert(capacity <= CAPACITY_MAX);
	stream_queue_init(&queue->queue, scope, queue->buffer, capacity);
	queue->queue.release = release;
	queue->taken = 0;
	for (int i = 0; i < ITEMS; i++)
		items[i] = (struct item){.number = i};
}

enum pushed items_push(struct items_queue *queue, int number)
{
	enum pushed pushed = stream_queue_push(&queue->queue, &items[number]);
	queue->taken += pushed == QUEUE_TAKEN;
	return pushed;
}

int items_released(void)
{
	int released = 0;
	for (int i = 0; i < ITEMS; i++) {
		assert(items[i].released <= 1);
		released += items[i].released;
	}
	return released;
}

static void note(struct consumer *consumer, const struct item *item)
{
	assert(item->released == 0);
	consumer->got[consumer->count++] = item->number;
}

static enum progress pull(struct consumer *consumer)
{
	while (consumer->pulls_left != 0) {
		void *element;
		switch (stream_pull(consumer->stream, &element)) {
		case STREAM_ITEM:
			note(consumer, element);
			consumer->pulls_left -= consumer->pulls_left > 0;
			break;
		case STREAM_LATER:
			stream_wait_init(&consumer->wait, consumer->stream, &consumer->frame);
			if (frame_start(&consumer->wait.frame) == PENDING)
				return PENDING;
			break;
		case STREAM_END:
			consumer->ended = true;
			return frame_done(&consumer->frame, consumer->stream->end);
		}
	}
	consumer->resting = true;
	return PENDING;
}

static enum progress start(struct frame *frame)
{
	return pull(container_of(frame, struct consumer, frame));
}

static enum progress resume(struct frame *frame, struct frame *child)
{
	struct consumer *consumer = container_of(frame, struct consumer, frame);
	assert(child == &consumer->wait.frame);
	consumer->resumes++;
	return pull(consumer);
}

/* Only while it rests: it has no child then that would end. */
static void cancel(struct frame *frame, enum reason reason)
{
	struct consumer *consumer = container_of(frame, struct consumer, frame);
	if (!consumer->resting)
		return;
	stream_close(consumer->stream, reason);
	frame->outcome = outcome_status(STATUS_CANCELLED);
	frame_finish(frame);
}

static const struct frame_ops ops = {.start = start, .resume = resume, .cancel = cancel};

void consumer_init(struct consumer *consumer, struct root *root)
{
	*consumer = (struct consumer){.pulls_left = -1};
	scope_init(&consumer->scope, &root->scope, NULL, SCOPE_FOREVER, TIMEOUT);
	frame_init(&consumer->frame, &ops, &root->owner.frame, &consumer->scope);
}

enum progress consumer_start(struct consumer *consumer, struct stream *stream)
{
	consumer->stream = stream;
	return frame_start(&consumer->frame);
}

void consumer_go_on(struct consumer *consumer, int pulls)
{
	assert(consumer->resting);
	consumer->resting = false;
	consumer->pulls_left = pulls;
	if (pull(consumer) == DONE)
		frame_finish(&consumer->frame);
}

bool consumer_got(const struct consumer *consumer, ...)
{
	va_list args;
	va_start(args, consumer);
	int i = 0, expected = va_arg(args, int);
	for (; expected >= 0 && i < consumer->count && consumer->got[i] == expected; i++)
		expected = va_arg(args, int);
	va_end(args);
	if (expected < 0 && i == consumer->count)
		return true;
	(void)fprintf(stderr, "got %d, of which the first %d are as expected\n", consumer->count,
			i);
	return false;
}
