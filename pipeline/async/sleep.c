/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A timer of the wheel that ends a frame. It is armed exactly while the frame waits.
 */
#include "pipeline/async/sleep.h"

#include "pipeline/async/async.h"
#include "pipeline/async/scope.h"

static void wake(struct timer *timer)
{
	struct sleep *sleep = container_of(timer, struct sleep, timer);
	frame_finish(&sleep->frame);
}

static enum progress sleep_start(struct frame *frame)
{
	struct sleep *sleep = container_of(frame, struct sleep, frame);
	struct async *async = frame->scope->async;
	if (sleep->until <= async->now)
		return frame_done(frame, outcome_ok(VALUE_NONE));
	timer_arm(&async->wheel, &sleep->timer, sleep->until);
	return PENDING;
}

static void sleep_cancel(struct frame *frame, enum reason reason)
{
	struct sleep *sleep = container_of(frame, struct sleep, frame);
	timer_disarm(&frame->scope->async->wheel, &sleep->timer);
	frame->outcome = outcome_status(STATUS_CANCELLED);
	frame_finish(frame);
}

static const struct frame_ops sleep_ops = {.start = sleep_start, .cancel = sleep_cancel};

void sleep_init(struct sleep *sleep, uint64_t until, struct frame *parent, struct scope *scope)
{
	frame_init(&sleep->frame, &sleep_ops, parent, scope);
	timer_init(&sleep->timer, wake);
	sleep->until = until;
}
