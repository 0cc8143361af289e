/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators do not wait. A pull runs up the chain to the source in one go, so only the source ever
 * has nobody or one who waits for more, and waking him is one queued frame, however long the chain
 * is. What he is woken for stays where it is until he pulls: an element that was on its way to
 * somebody who is cancelled meanwhile could be lost, one that was never taken out can't.
 *
 * Invariant: a stream that is over holds nothing, and neither does anything upstream of it.
 */
#include "pipeline/async/stream.h"

#include <assert.h>

#include "pipeline/async/scope.h"
#include "pipeline/base/live.h"

static void init(struct stream *stream, const struct stream_ops *ops, struct stream *upstream,
		struct scope *scope)
{
	*stream = (struct stream){.ops = ops, .upstream = upstream, .scope = scope};
	live_add(LIVE_STREAMS, 1);
}

void stream_init_source(struct stream *stream, const struct stream_ops *ops, struct scope *scope)
{
	init(stream, ops, NULL, scope);
}

void stream_init_operator(
		struct stream *stream, const struct stream_ops *ops, struct stream *upstream)
{
	init(stream, ops, upstream, upstream->scope);
}

static void set_over(struct stream *stream)
{
	stream->over = true;
	live_add(LIVE_STREAMS, -1);
}

enum pulled stream_pull(struct stream *stream, void **ret)
{
	if (stream->scope && scope_cancelled(stream->scope))
		stream_close(stream, stream->scope->reason);
	if (stream->over)
		return STREAM_END;
	enum pulled pulled = stream->ops->pull(stream, ret);
	if (pulled == STREAM_END)
		set_over(stream);
	return pulled;
}

void stream_close(struct stream *stream, enum reason reason)
{
	if (stream->over)
		return;
	stream->end = outcome_status(STATUS_CANCELLED);
	set_over(stream);
	if (stream->upstream)
		stream_close(stream->upstream, reason);
	if (stream->ops->close)
		stream->ops->close(stream, reason);
	stream_wake(stream);
}

enum pulled stream_ends(struct stream *stream, struct outcome outcome)
{
	stream->end = outcome;
	return STREAM_END;
}

enum pulled stream_ends_too(struct stream *stream)
{
	return stream_ends(stream, stream->upstream->end);
}

enum pulled stream_pull_kept(struct stream *stream, stream_keep_fn keep, void *user, void **ret)
{
	for (;;) {
		enum pulled pulled = stream_pull(stream->upstream, ret);
		if (pulled == STREAM_END)
			return stream_ends_too(stream);
		if (pulled == STREAM_LATER || keep(user, *ret))
			return pulled;
	}
}

static struct stream *source_of(struct stream *stream)
{
	while (stream->upstream)
		stream = stream->upstream;
	return stream;
}

void stream_wake(struct stream *source)
{
	struct stream_wait *wait = source->wait;
	if (!wait)
		return;
	source->wait = NULL;
	frame_finish(&wait->frame);
}

static enum progress wait_start(struct frame *frame)
{
	struct stream_wait *wait = container_of(frame, struct stream_wait, frame);
	struct stream *source = source_of(wait->stream);
	assert(!source->over && !source->wait);
	source->wait = wait;
	return PENDING;
}

/* The wait is taken off first, so that closing does not wake it too. */
static void wait_cancel(struct frame *frame, enum reason reason)
{
	struct stream_wait *wait = container_of(frame, struct stream_wait, frame);
	source_of(wait->stream)->wait = NULL;
	frame->outcome = outcome_status(STATUS_CANCELLED);
	frame_finish(frame);
	stream_close(wait->stream, reason);
}

static const struct frame_ops wait_ops = {.start = wait_start, .cancel = wait_cancel};

void stream_wait_init(struct stream_wait *wait, struct stream *stream, struct frame *parent)
{
	assert(stream->scope);
	frame_init(&wait->frame, &wait_ops, parent, stream->scope);
	wait->stream = stream;
}
