/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What became of each ask, for telemetry: read from the branches as they stand, which may be
 * when some of them, or all, still go on. A group whose answer has gone in parts has none any more.
 */
#include "pipeline/stages/fanout.h"

/* A good answer is of use unless only the best one is. */
static enum ask_end answered(const struct fanout_frame *self, const struct group *group,
		const struct branch *branch)
{
	const struct fanout *fanout = container_of(self->base.stage, struct fanout, stage);
	if (branch->status != STATUS_OK)
		return ASK_FAILED;
	if (!fanout->best.path || fanout_best_branch(self, group) == branch)
		return ASK_WON;
	return ASK_BEATEN;
}

static enum ask_end end_of(const struct fanout_frame *self, const struct group *group,
		const struct branch *branch)
{
	switch (branch->state) {
	case BRANCH_IDLE:
	case BRANCH_ASKED:
		break;
	case BRANCH_ENDED:
		return answered(self, group, branch);
	case BRANCH_EXPIRED:
		return ASK_TIMEOUT;
	case BRANCH_LOST:
		return ASK_LOST;
	case BRANCH_CUT:
		return ASK_CUT;
	}
	return ASK_OPEN;
}

/* What was cancelled has ended, too, and has not answered. */
bool fanout_heard(const struct branch *branch)
{
	const struct frame *frame = branch->frame;
	return frame->state > FRAME_WAITING && frame->outcome.status != STATUS_CANCELLED;
}

static void visit_group(const struct fanout_frame *self, const struct group *group,
		ask_visit_fn visit, void *user)
{
	const struct fanout *fanout = container_of(self->base.stage, struct fanout, stage);
	for (uint32_t i = 0; i < group->gather.count; i++) {
		const struct branch *branch = &group->gather.branches[i];
		if (!branch->frame) /* it was never asked */
			continue;
		const struct ask_told told = {
				.source = fanout->sources[i].name,
				.element = group->name,
				.asked = branch->asked,
				.ended = branch->ended,
				.end = end_of(self, group, branch),
				.heard = fanout_heard(branch),
				.status = branch->status,
		};
		visit(user, &told);
	}
}

void fanout_asks(const struct stage_frame *frame, ask_visit_fn visit, void *user)
{
	const struct fanout_frame *self = container_of(frame, struct fanout_frame, base);
	for (uint32_t i = 0; i < self->group_count; i++) {
		if (!self->parts || self->groups[i].portion)
			visit_group(self, &self->groups[i], visit, user);
	}
}
