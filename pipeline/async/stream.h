/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A stream: elements that are asked for one at a time, as IAsyncEnumerable with a token. Nothing
 * flows that was not asked for, so who reads slowly slows what feeds him, and no operator holds
 * more than the element at hand. A stream is a chain: a source, and operators on it, each a stream
 * (stream_operators.h, stream_outlier.h). stream_queue.h is the source that is pushed into.
 *
 * The consumer pulls from the end of the chain:
 *
 *	for (;;) {
 *		void *element;
 *		switch (stream_pull(stream, &element)) {
 *		case STREAM_ITEM:
 *			use(element); // until the next pull
 *			break;
 *		case STREAM_LATER:
 *			stream_wait_init(&self->wait, stream, frame);
 *			if (frame_start(&self->wait.frame) == PENDING)
 *				return PENDING; // resumed with it: goes on in this loop
 *			break;
 *		case STREAM_END:
 *			return frame_done(frame, stream->end);
 *		}
 *	}
 *
 * What is there comes in the same loop; for what is not a frame waits, and the runner resumes its
 * parent. Who has nothing to wait in, such as an observer that is told of things while they happen,
 * pulls until LATER and is done.
 *
 * **An element belongs to the source** and stays until the next pull, or until the stream is over;
 * who wants it longer copies it. What it is, source and consumer have agreed on.
 *
 * **A stream lives in a scope.** A wait counts there and is cancelled with it, which closes the
 * stream; a pull in a cancelled scope finds it closed. Who pulls must see the end or close it:
 * then, and not before, all that the chain holds is given back.
 *
 * The loop thread only. A stream has one consumer, and functions of operators may not pull, push or
 * close.
 */
#include <stdbool.h>

#include "pipeline/async/frame.h"

struct scope;
struct stream;
struct stream_wait;

enum pulled { STREAM_ITEM, STREAM_LATER, STREAM_END };

/* For those who write sources and operators. Neither is called once the stream is over. */
struct stream_ops {
	/* ITEM: *ret is set. END: by `return stream_ends(…)`. LATER: a source will call
	 * stream_wake(); an operator has had it from upstream. */
	enum pulled (*pull)(struct stream *stream, void **ret);
	/* Of a source: gives back what it holds. NULL: nothing. */
	void (*close)(struct stream *stream, enum reason reason);
};

struct stream {
	const struct stream_ops *ops;
	struct stream *upstream;  /* NULL: it is a source */
	struct scope *scope;	  /* NULL: it is only pulled, never waited for */
	struct stream_wait *wait; /* at a source: for its next element */
	struct outcome end;	  /* how it ended, once it is over */
	bool over;
};

/* A source in scope (may be NULL), and an operator on upstream, in the same scope. */
void stream_init_source(struct stream *stream, const struct stream_ops *ops, struct scope *scope);
void stream_init_operator(
		struct stream *stream, const struct stream_ops *ops, struct stream *upstream);

/* The next element. END again and again once it is over. */
enum pulled stream_pull(struct stream *stream, void **ret);

/*
 * Nothing more is wanted: closes what is upstream, releases what it holds, and cancels what feeds
 * it, for that reason (LOST: there was enough). `end` is CANCELLED. Idempotent; nothing happens
 * where it has ended by itself. A wait of the consumer's is woken.
 */
void stream_close(struct stream *stream, enum reason reason);

/* For an operator or source that ends. */
enum pulled stream_ends(struct stream *stream, struct outcome outcome);

/* For an operator whose upstream has ended: in the same way. */
enum pulled stream_ends_too(struct stream *stream);

/* For an operator that lets only some through: pulls from upstream until keep() says true to one.
 */
typedef bool (*stream_keep_fn)(void *user, const void *element);
enum pulled stream_pull_kept(struct stream *stream, stream_keep_fn keep, void *user, void **ret);

/* For a source: there is something to pull, so whoever waits is resumed. */
void stream_wake(struct stream *source);

/* Waits until there is something to pull. Not the element itself: operators may refuse it. */
struct stream_wait {
	struct frame frame;
	struct stream *stream;
};

/* After a pull that said LATER; to be started at once. Its outcome says nothing: pull again. */
void stream_wait_init(struct stream_wait *wait, struct stream *stream, struct frame *parent);
