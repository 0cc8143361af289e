/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all stages do alike. A fault gets its stage from the innermost one that it passes; further
 * out it stays as it is, so that the first cause is what the client reads.
 */
#include "pipeline/stages/stage.h"

#include <stdarg.h>
#include <stdio.h>

#include "pipeline/async/async.h"
#include "pipeline/async/scope.h"
#include "pipeline/base/arena.h"

struct stage_frame *stage_frame_of(const struct activation *activation, const struct stage *stage)
{
	return (struct stage_frame *)(void *)(activation->frames + stage->offset);
}

struct stage_frame *stage_frame_init(const struct stage *stage, struct run *run,
		struct activation *activation, struct frame *parent, struct scope *scope)
{
	struct stage_frame *frame = stage_frame_of(activation, stage);
	frame_init(&frame->frame, &stage->type->ops, parent, scope);
	frame->stage = stage;
	frame->run = run;
	frame->activation = activation;
	frame->started = run->async->now;
	frame->answers = false;
	return frame;
}

const char *ask_end_name(enum ask_end end)
{
	static const char *const names[] = {
			"-", "won", "beaten", "failed", "timeout", "lost", "cut"};
	return names[end];
}

enum progress stage_start(const struct stage *stage, struct run *run, struct activation *activation,
		struct frame *parent, struct scope *scope)
{
	return frame_start(&stage_frame_init(stage, run, activation, parent, scope)->frame);
}

enum progress stage_start_within(struct stage_frame *outer, const struct stage *steps,
		struct activation *activation, struct scope *scope)
{
	struct stage_frame *frame =
			stage_frame_init(steps, outer->run, activation, &outer->frame, scope);
	frame->answers = outer->answers;
	return frame_start(&frame->frame);
}

struct outcome stage_outcome(struct frame *child)
{
	struct stage_frame *frame = container_of(child, struct stage_frame, frame);
	return outcome_at_stage(frame->run->arena, child->outcome, frame->stage->path);
}

enum progress stage_fail(struct stage_frame *frame, enum status status, const char *format, ...)
{
	char message[160];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	return frame_done(&frame->frame, outcome_failed(frame->run->arena, status,
							 frame->stage->path, "%s", message));
}

enum progress stage_may_not_wait(struct stage_frame *frame)
{
	return stage_fail(frame, STATUS_RESOURCE_EXHAUSTED, "%s", frame->run->used_up);
}

struct outcome stage_timed_out(struct stage_frame *frame, struct text stage)
{
	return outcome_timeout(frame->run->arena, stage, TEXT("timed out"));
}
