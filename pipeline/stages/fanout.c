/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One group for each element, one branch in it for each source. A group that is complete is closed
 * at once, which cancels its losers; the frame ends with its last group.
 */
#include "pipeline/stages/fanout.h"

#include "pipeline/async/async.h"
#include "pipeline/async/scope.h"
#include "pipeline/base/arena.h"

static const struct fanout *fanout_of(const struct stage_frame *frame)
{
	return container_of(frame->stage, struct fanout, stage);
}

static bool out_of_memory(struct fanout_frame *self)
{
	self->base.frame.outcome = run_out_of_memory();
	return false;
}

static bool lay_groups(struct fanout_frame *self)
{
	const struct fanout *fanout = fanout_of(&self->base);
	struct arena *arena = self->base.run->arena;
	if (fanout->each) {
		if (!fanout_spread(self))
			return false;
	} else {
		self->groups = arena_zalloc(arena, sizeof(*self->groups));
		if (!self->groups)
			return out_of_memory(self);
		self->group_count = 1;
	}
	self->open = self->group_count;
	return true;
}

void fanout_close_group(struct fanout_frame *self, struct group *group)
{
	gather_close(&group->gather);
	fanout_hedge_stop(group);
	group->closed = true;
	self->open--;
}

/* Nothing more is wanted. */
static void close_all(struct fanout_frame *self)
{
	for (uint32_t i = 0; i < self->group_count; i++) {
		if (!self->groups[i].closed)
			fanout_close_group(self, &self->groups[i]);
	}
}

/* Closes a group that is complete. One that has failed fails them all, where the first error does.
 */
static void settle_group(struct fanout_frame *self, struct group *group)
{
	if (group->closed || !gather_complete(&group->gather))
		return;
	fanout_close_group(self, group);
	if (fanout_of(&self->base)->fail_fast && group->gather.good < group->gather.needed)
		close_all(self);
}

static enum progress go_on(struct fanout_frame *self)
{
	if (self->open > 0)
		return PENDING;
	return frame_done(&self->base.frame, fanout_outcome(self));
}

static enum progress fanout_start(struct frame *frame)
{
	struct fanout_frame *self = container_of(frame, struct fanout_frame, base.frame);
	if (self->base.run->used_up)
		return stage_may_not_wait(&self->base);
	if (!lay_groups(self))
		return DONE;
	if (fanout_parts_wanted(self))
		return fanout_parts_start(self);
	for (uint32_t i = 0; i < self->group_count; i++) {
		if (!fanout_lay_branches(self, &self->groups[i], self->base.run->arena))
			return DONE;
	}
	for (uint32_t i = 0; i < self->group_count && !self->groups[i].closed; i++) {
		if (!fanout_ask_group(self, &self->groups[i])) {
			close_all(self);
			return DONE;
		}
		settle_group(self, &self->groups[i]);
	}
	return go_on(self);
}

static enum progress fanout_resume(struct frame *frame, struct frame *child)
{
	struct fanout_frame *self = container_of(frame, struct fanout_frame, base.frame);
	if (self->parts)
		return fanout_parts_resume(self, child);
	for (uint32_t i = 0; i < self->group_count; i++) {
		struct group *group = &self->groups[i];
		if (group->closed || !fanout_resume_group(group, child))
			continue;
		if (!fanout_ask_more(self, group)) {
			close_all(self);
			return DONE;
		}
		settle_group(self, group);
		if (child)
			break;
	}
	return go_on(self);
}

const struct stage_type fanout_type = {
		.name = "fanout",
		.stage_size = sizeof(struct fanout),
		.frame_size = sizeof(struct fanout_frame),
		.ops = {.start = fanout_start, .resume = fanout_resume},
		.compile = fanout_compile,
		.asks = fanout_asks,
		.write_stats = fanout_write_stats,
};
