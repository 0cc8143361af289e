/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stage `timeout`: steps with a limit of their own. It stands outside the scope of its steps,
 * so it answers when the limit is reached and not when they have ended.
 */
#include "pipeline/stages/timeout.h"

#include "pipeline/async/async.h"
#include "pipeline/async/scope.h"
#include "pipeline/stages/bounded.h"
#include "pipeline/stages/compiler.h"
#include "pipeline/stages/steps.h"

struct timeout {
	struct stage stage;
	uint64_t after;
	const struct stage *steps;
};

struct timeout_frame {
	struct stage_frame base;
	struct bounded bounded;
};

static enum progress timeout_start(struct frame *frame)
{
	struct timeout_frame *self = container_of(frame, struct timeout_frame, base.frame);
	const struct timeout *timeout = container_of(self->base.stage, struct timeout, stage);
	bounded_init(&self->bounded, &self->base, timeout->after);
	return bounded_run(&self->bounded, &self->base, timeout->steps, self->base.activation);
}

static enum progress timeout_resume(struct frame *frame, struct frame *child)
{
	struct timeout_frame *self = container_of(frame, struct timeout_frame, base.frame);
	return bounded_resume(&self->bounded, &self->base, child);
}

static struct stage_below timeout_below(const struct stage_frame *frame, unsigned nth)
{
	const struct timeout *timeout = container_of(frame->stage, struct timeout, stage);
	if (nth > 0)
		return (struct stage_below){0};
	return (struct stage_below){.steps = timeout->steps, .activation = frame->activation};
}

static void timeout_compile(
		struct compiler *compiler, struct stage *stage, const struct option_map *options)
{
	struct timeout *timeout = container_of(stage, struct timeout, stage);
	timeout->after = option_number(options, "after");
	compile_check_timeout(compiler, option_get(options, "after"));
	timeout->steps = compile_steps(compiler, option_get(options, "steps"), NULL);
}

const struct option timeout_options[] = {
		{.key = "after",
				.kind = OPTION_DURATION,
				.required = true,
				.min = 1000000,
				.max = OPTION_DURATION_MAX,
				.help = "the longest that the steps may take"},
		STEPS_OPTION,
		{.key = NULL},
};

const struct stage_type timeout_type = {
		.name = "timeout",
		.stage_size = sizeof(struct timeout),
		.frame_size = sizeof(struct timeout_frame),
		.may_stand = true,
		.ops = {.start = timeout_start, .resume = timeout_resume},
		.compile = timeout_compile,
		.below = timeout_below,
};
