/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner closes the scope when it ends, however it ends; work that is still going on there
 * counts until it has really ended.
 */
#include "pipeline/stages/bounded.h"

#include "pipeline/async/async.h"

void bounded_init(struct bounded *bounded, struct stage_frame *frame, uint64_t limit)
{
	struct scope *outer = frame->frame.scope;
	uint64_t now = frame->run->async->now;
	uint64_t deadline = limit < SCOPE_FOREVER - now ? now + limit : SCOPE_FOREVER;
	scope_init(&bounded->scope, outer, &frame->frame, deadline, TIMEOUT);
	bounded->shorter = deadline < outer->deadline;
}

static enum progress finish(
		struct bounded *bounded, struct stage_frame *frame, struct outcome outcome)
{
	scope_close(&bounded->scope);
	if (outcome.status == STATUS_DEADLINE_EXCEEDED && bounded->shorter)
		outcome = stage_timed_out(frame, frame->stage->path);
	return frame_done(&frame->frame, outcome);
}

enum progress bounded_run(struct bounded *bounded, struct stage_frame *frame,
		const struct stage *steps, struct activation *activation)
{
	if (stage_start_within(frame, steps, activation, &bounded->scope) == PENDING)
		return PENDING;
	return finish(bounded, frame, stage_outcome(&stage_frame_of(activation, steps)->frame));
}

enum progress bounded_resume(
		struct bounded *bounded, struct stage_frame *frame, struct frame *child)
{
	if (child)
		return finish(bounded, frame, stage_outcome(child));
	if (bounded->scope.reason == TIMEOUT && !scope_cancelled(frame->frame.scope))
		return finish(bounded, frame, stage_timed_out(frame, frame->stage->path));
	return finish(bounded, frame, outcome_status(STATUS_CANCELLED));
}
