/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Steps in a scope of their own, with a limit that may be shorter than what remains: what `timeout`
 * and `call` have in common. The limit's end, or a child that was given all of it and says so, is
 * UNAVAILABLE with `timeout`; the deadline outside stays what it is.
 */
#include "pipeline/async/scope.h"
#include "pipeline/stages/stage.h"

struct bounded {
	struct scope scope;
	bool shorter; /* than what remained outside */
};

/* limit: nanoseconds from now. The frame is the owner. */
void bounded_init(struct bounded *bounded, struct stage_frame *frame, uint64_t limit);

/* For start(): starts steps in activation. */
enum progress bounded_run(struct bounded *bounded, struct stage_frame *frame,
		const struct stage *steps, struct activation *activation);

/* For resume(). */
enum progress bounded_resume(
		struct bounded *bounded, struct stage_frame *frame, struct frame *child);
