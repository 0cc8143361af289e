/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One run of one piece of work, as a call frame is one run of a function.
 *
 * A frame is started once by its parent. Where start() can answer at once it sets the outcome and
 * returns DONE, and the parent goes on in the same loop: no queue, no callback. Where it returns
 * PENDING, frame_finish() is called later, exactly once, and the runner resumes the parent with the
 * frame as `child`. A frame whose work is only its children has no cancel(); it ends when they
 * have.
 *
 * The memory of a frame is its parent's business, and must stay until the frame's scope has no more
 * work in it. The loop thread only.
 */
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/async/outcome.h"
#include "pipeline/async/runner.h"
#include "pipeline/base/list.h"

struct frame;
struct scope;

enum progress { DONE, PENDING };

/* Why work was cancelled. */
enum reason { REASON_NONE, ASKED, GONE, DEADLINE, TIMEOUT, LOST, DRAIN };

/* "asked", …; "" for none. */
const char *reason_name(enum reason reason);

struct frame_ops {
	/* DONE: outcome is set. PENDING: frame_finish() comes later, or a child's does. */
	enum progress (*start)(struct frame *frame);
	/* A child has finished, or (child NULL) a scope that the frame owns has: it ran out, or was
	 * cancelled and is now empty. */
	enum progress (*resume)(struct frame *frame, struct frame *child);
	/* Stop the outside work: frame_finish(), now or when it has ended. Called at most once.
	 * NULL: there is only children's. */
	void (*cancel)(struct frame *frame, enum reason reason);
};

/* What a frame is doing, and so which of the members in the union is there. NEW -> (start) ENDED or
 * WAITING; WAITING -> (frame_finish) QUEUED -> ENDED, or -> (resume) ENDED. */
enum frame_state { FRAME_NEW, FRAME_WAITING, FRAME_QUEUED, FRAME_ENDED };

struct frame {
	const struct frame_ops *ops;
	struct frame *parent; /* NULL only for the owner of a root scope */
	struct scope *scope;
	union {
		struct link link; /* WAITING: among the scope's frames that can be cancelled */
		struct task task; /* QUEUED */
		uint64_t ended;	  /* ENDED: when */
	};
	struct outcome outcome;
	enum frame_state state;
};

/* A new frame, whose outcome is OK until another is set. Borrows all; scope is where its work
 * counts, parent whom it resumes. */
void frame_init(struct frame *frame, const struct frame_ops *ops, struct frame *parent,
		struct scope *scope);

/*
 * The owner of a root scope: it has neither parent nor scope, is never started, and its resume()
 * says PENDING even when all is over. It may be freed in the root's on_idle.
 */
void frame_init_root(struct frame *frame, const struct frame_ops *ops);

/* Whether it has been started and has not ended. */
static inline bool frame_pends(const struct frame *frame)
{
	return frame->state == FRAME_WAITING || frame->state == FRAME_QUEUED;
}

/* Starts a new frame. In a scope that is already cancelled it is DONE at once, CANCELLED, without
 * being run. */
enum progress frame_start(struct frame *frame);

/* Ends a WAITING frame whose outcome is set, and queues it on the runner. */
void frame_finish(struct frame *frame);

/* For scope.c: resumes a waiting frame, then its parents as long as they end. Only from a task of
 * the runner. */
void frame_resume(struct frame *frame, struct frame *child);

/* Sets the outcome and says DONE: for `return frame_done(frame, outcome)`. */
static inline enum progress frame_done(struct frame *frame, struct outcome outcome)
{
	frame->outcome = outcome;
	return DONE;
}
