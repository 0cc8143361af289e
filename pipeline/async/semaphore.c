/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A permit that is given back goes to the first in the queue without being free in between, so
 * nobody who comes later can take it. Invariant: nobody waits while held < permits.
 */
#include "pipeline/async/semaphore.h"

#include <assert.h>

#include "pipeline/async/async.h"
#include "pipeline/async/scope.h"
#include "pipeline/base/live.h"

void semaphore_init(struct semaphore *semaphore, struct async *async, uint32_t permits,
		uint32_t queue_max)
{
	*semaphore = (struct semaphore){.async = async, .permits = permits, .queue_max = queue_max};
	link_init(&semaphore->waiters);
}

static void take(struct permit *permit)
{
	permit->held = true;
	permit->waited_ns = permit->semaphore->async->now - permit->since;
	permit->semaphore->granted++;
	permit->semaphore->waited_ns += permit->waited_ns;
	live_add(LIVE_PERMITS, 1);
}

static enum progress permit_start(struct frame *frame)
{
	struct permit *permit = container_of(frame, struct permit, frame);
	struct semaphore *semaphore = permit->semaphore;
	permit->since = semaphore->async->now;
	if (semaphore->held < semaphore->permits) {
		if (++semaphore->held > semaphore->held_highest)
			semaphore->held_highest = semaphore->held;
		(void)codel_drops(&semaphore->codel, permit->since, 0);
		take(permit);
		return DONE;
	}
	if (semaphore->waiting >= semaphore->queue_max) {
		semaphore->refused++;
		return frame_done(frame, outcome_status(STATUS_RESOURCE_EXHAUSTED));
	}
	list_append(&semaphore->waiters, &permit->link);
	if (++semaphore->waiting > semaphore->waiting_highest)
		semaphore->waiting_highest = semaphore->waiting;
	return PENDING;
}

static void leave_queue(struct permit *permit)
{
	link_remove(&permit->link);
	permit->semaphore->waiting--;
}

static void permit_cancel(struct frame *frame, enum reason reason)
{
	struct permit *permit = container_of(frame, struct permit, frame);
	leave_queue(permit);
	permit->waited_ns = permit->semaphore->async->now - permit->since;
	frame->outcome = outcome_status(STATUS_CANCELLED);
	frame_finish(frame);
}

static const struct frame_ops permit_ops = {.start = permit_start, .cancel = permit_cancel};

void permit_init(struct permit *permit, struct semaphore *semaphore, struct frame *parent,
		struct scope *scope)
{
	*permit = (struct permit){.semaphore = semaphore};
	frame_init(&permit->frame, &permit_ops, parent, scope);
}

/* It has left the queue, and its turn has come. False: too late. */
static bool grant(struct permit *permit)
{
	struct semaphore *semaphore = permit->semaphore;
	uint64_t now = semaphore->async->now;
	permit->waited_ns = now - permit->since;
	permit->shed = codel_drops(&semaphore->codel, now, permit->waited_ns);
	if (permit->shed) {
		semaphore->shed++;
		permit->frame.outcome = outcome_status(STATUS_RESOURCE_EXHAUSTED);
	} else {
		take(permit);
	}
	frame_finish(&permit->frame);
	return !permit->shed;
}

void permit_release(struct permit *permit)
{
	struct semaphore *semaphore = permit->semaphore;
	if (!permit->held)
		return;
	permit->held = false;
	live_add(LIVE_PERMITS, -1);
	while (!list_empty(&semaphore->waiters)) {
		struct permit *next = container_of(semaphore->waiters.next, struct permit, link);
		leave_queue(next);
		if (grant(next))
			return;
	}
	semaphore->held--;
}
