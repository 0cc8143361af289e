/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts go up and down through the tree: a scope that has a count is one in its parent's. A scope
 * whose count returns to zero is settled: its timer is off, and if it is closed it is over, or,
 * cancelled from above, its owner hears of it.
 *
 * Owners and on_idle are called by the runner only. What is still to be told of a scope counts in
 * its parent, and a root below another counts there until it has been idle; so a root's memory, and
 * that of the scopes below it, stays until no task stands in it and nothing hangs on it.
 */
#include "pipeline/async/scope.h"

#include <assert.h>

#include "pipeline/async/async.h"
#include "pipeline/async/census.h"
#include "pipeline/base/lesser.h"
#include "pipeline/base/live.h"

static void expire(struct timer *timer);
static void notify(struct task *task);

static void init(struct scope *scope, struct async *async, struct scope *parent,
		struct frame *owner, uint64_t deadline)
{
	scope->async = async;
	scope->parent = parent;
	scope->owner = owner;
	scope->on_idle = NULL;
	link_init(&scope->link);
	link_init(&scope->scopes);
	link_init(&scope->frames);
	timer_init(&scope->timer, expire);
	scope->task = (struct task){NULL, notify};
	scope->deadline = deadline;
	scope->count = 0;
	scope->reason = REASON_NONE;
	scope->expiry = DEADLINE;
	scope->closed = false;
	if (parent) {
		list_append(&parent->scopes, &scope->link);
		scope->reason = parent->reason;
		scope->deadline = lesser(deadline, parent->deadline);
	}
	live_add(LIVE_SCOPES, 1);
}

static bool has_own_deadline(const struct scope *scope)
{
	return scope->deadline != SCOPE_FOREVER &&
	       !(scope->parent && scope->parent->deadline <= scope->deadline);
}

/* Counts one more thing that goes on in the scope; the first of them arms its timer. */
static void hold(struct scope *scope)
{
	for (; scope && scope->count++ == 0; scope = scope->parent) {
		if (has_own_deadline(scope) && !scope_cancelled(scope) && !scope->closed)
			timer_arm(&scope->async->wheel, &scope->timer, scope->deadline);
	}
}

static void queue(struct scope *scope)
{
	if (task_queued(&scope->task))
		return;
	hold(scope->parent);
	runner_add(&scope->async->runner, &scope->task);
}

void scope_init(struct scope *scope, struct scope *parent, struct frame *owner, uint64_t deadline,
		enum reason expiry)
{
	init(scope, parent->async, parent, owner, deadline);
	scope->expiry = expiry;
}

void scope_init_root(struct scope *scope, struct async *async, struct scope *parent,
		struct frame *owner, uint64_t deadline, scope_idle_fn on_idle)
{
	assert(on_idle || !parent);
	init(scope, async, parent, owner, deadline);
	scope->on_idle = on_idle;
	hold(parent);
}

static void detach(struct scope *scope)
{
	link_remove(&scope->link);
	live_add(LIVE_SCOPES, -1);
}

static void settle(struct scope *scope)
{
	timer_disarm(&scope->async->wheel, &scope->timer);
	if (scope->closed && !scope->on_idle)
		detach(scope);
	else if (scope->closed || (scope_cancelled(scope) && scope->owner))
		queue(scope);
}

/* From the runner: the scope is over, or its owner has something to hear. */
static void notify(struct task *task)
{
	struct scope *scope = container_of(task, struct scope, task);
	struct scope *parent = scope->parent;
	if (!scope->closed) {
		/* What the owner answers now may be late for the scope that it is in. */
		if (scope->owner->scope)
			scope_expire_due(scope->owner->scope);
		frame_resume(scope->owner, NULL);
	} else if (scope->count == 0 && scope->on_idle) {
		detach(scope);
		scope->on_idle(scope);
		scope_leave(parent);
	}
	scope_leave(parent);
}

static void cancel(struct frame *frame, enum reason reason)
{
	census_add(CENSUS_CANCEL, reason);
	frame->ops->cancel(frame, reason);
}

void scope_enter(struct scope *scope, struct frame *frame)
{
	if (frame->ops->cancel) {
		if (scope_cancelled(scope))
			cancel(frame, scope->reason);
		else
			list_append(&scope->frames, &frame->link);
	}
	hold(scope);
}

void scope_leave(struct scope *scope)
{
	for (; scope; scope = scope->parent) {
		assert(scope->count > 0);
		if (--scope->count > 0)
			return;
		settle(scope);
	}
}

void scope_cancel(struct scope *scope, enum reason reason)
{
	if (scope_cancelled(scope))
		return;
	scope->reason = reason;
	timer_disarm(&scope->async->wheel, &scope->timer);
	/* Cancelling only queues, so no scope leaves the list meanwhile. */
	for (struct link *link = scope->scopes.prev; link != &scope->scopes; link = link->prev)
		scope_cancel(container_of(link, struct scope, link), reason);
	while (!list_empty(&scope->frames)) {
		struct frame *frame = container_of(scope->frames.prev, struct frame, link);
		link_remove(&frame->link);
		cancel(frame, reason);
	}
}

void scope_close(struct scope *scope)
{
	if (scope->closed)
		return;
	scope->closed = true;
	timer_disarm(&scope->async->wheel, &scope->timer);
	if (scope->count == 0)
		settle(scope);
}

void scope_deinit(struct scope *scope)
{
	assert(scope->count == 0 && !task_queued(&scope->task) && list_empty(&scope->scopes));
	detach(scope);
	scope_leave(scope->parent);
}

static void run_out(struct scope *scope)
{
	scope_cancel(scope, scope->expiry);
	if (scope->owner)
		queue(scope);
}

static void expire(struct timer *timer)
{
	run_out(container_of(timer, struct scope, timer));
}

void scope_expire_due(struct scope *scope)
{
	struct scope *due = NULL;
	uint64_t now = scope->async->now;
	for (; scope; scope = scope->parent) {
		if (has_own_deadline(scope) && scope->deadline <= now && !scope_cancelled(scope) &&
				!scope->closed)
			due = scope;
	}
	if (due)
		run_out(due);
}
