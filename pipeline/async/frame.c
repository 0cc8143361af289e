/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How frames end. A frame that waits counts in its scope from the moment its start() says PENDING
 * until the runner has delivered its end; only the runner resumes a parent, and it climbs in a loop
 * as long as parents end in their turn, so the stack does not grow with nesting.
 */
#include "pipeline/async/frame.h"

#include <assert.h>

#include "pipeline/async/async.h"
#include "pipeline/async/census.h"
#include "pipeline/async/scope.h"
#include "pipeline/base/live.h"

const char *reason_name(enum reason reason)
{
	static const char *const names[] = {
			"", "asked", "gone", "deadline", "timeout", "lost", "drain"};
	return names[reason];
}

static void deliver(struct task *task);

void frame_init(struct frame *frame, const struct frame_ops *ops, struct frame *parent,
		struct scope *scope)
{
	frame->ops = ops;
	frame->parent = parent;
	frame->scope = scope;
	frame->outcome = (struct outcome){0};
	frame->state = FRAME_NEW;
}

void frame_init_root(struct frame *frame, const struct frame_ops *ops)
{
	frame_init(frame, ops, NULL, NULL);
	frame->state = FRAME_WAITING;
}

static void set_ended(struct frame *frame)
{
	frame->state = FRAME_ENDED;
	frame->ended = frame->scope->async->now;
}

enum progress frame_start(struct frame *frame)
{
	assert(frame->state == FRAME_NEW);
	census_add(CENSUS_START, frame->scope->reason);
	if (scope_cancelled(frame->scope)) {
		set_ended(frame);
		return frame_done(frame, outcome_status(STATUS_CANCELLED));
	}
	if (frame->ops->start(frame) == DONE) {
		set_ended(frame);
		return DONE;
	}
	frame->state = FRAME_WAITING;
	link_init(&frame->link);
	live_add(LIVE_FRAMES, 1);
	scope_enter(frame->scope, frame);
	return PENDING;
}

void frame_finish(struct frame *frame)
{
	assert(frame->state == FRAME_WAITING);
	census_add(CENSUS_FINISH, frame->scope->reason);
	link_remove(&frame->link);
	frame->state = FRAME_QUEUED;
	frame->task = (struct task){NULL, deliver};
	runner_add(&frame->scope->async->runner, &frame->task);
}

/* The end of a frame that had waited. The scope may go on to be closed, but nothing is freed before
 * a later task. */
static void end(struct frame *frame)
{
	if (frame->state == FRAME_WAITING)
		link_remove(&frame->link);
	set_ended(frame);
	live_add(LIVE_FRAMES, -1);
	scope_leave(frame->scope);
}

static enum progress resume(struct frame *frame, struct frame *child)
{
	assert(frame->state == FRAME_WAITING);
	if (frame->scope) /* the owner of a root has none */
		census_add(CENSUS_RESUME, frame->scope->reason);
	return frame->ops->resume(frame, child);
}

void frame_resume(struct frame *frame, struct frame *child)
{
	while (resume(frame, child) == DONE) {
		assert(frame->state == FRAME_WAITING && frame->parent);
		struct scope *scope = frame->scope;
		child = frame;
		frame = child->parent;
		end(child);
		if (scope_cancelled(scope) && frame->scope != scope)
			return;
	}
}

static void deliver(struct task *task)
{
	struct frame *frame = container_of(task, struct frame, task);
	struct scope *scope = frame->scope;
	scope_expire_due(scope);
	census_add(CENSUS_DELIVER, scope->reason);
	end(frame);
	/* Whoever stands outside a cancelled scope has gone on without it. */
	if (!scope_cancelled(scope) || frame->parent->scope == scope)
		frame_resume(frame->parent, frame);
}
