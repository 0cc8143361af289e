/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fan-out whose answer goes in parts: each answer as it comes, under the names that it has in the
 * whole; where a group gives one value (`any`, `best`) that value; and what is missing. All merged,
 * that is the whole.
 *
 * A group is begun only when all that it may give would still have room among what is not read, so
 * how much is held does not hang on how many groups there are.
 *
 * Invariants: owed + what lies in the queue <= the larger of `ahead` and what one group may give;
 * while the frame waits, a group is open or it waits for the queue.
 */
#include "pipeline/stages/fanout_parts.h"

#include "pipeline/base/buffer.h"

/* Causes that an error names; they are kept when all else of their groups is gone. */
#define CAUSES_MAX 16

static const struct fanout *fanout_of(const struct fanout_frame *self)
{
	return container_of(self->base.stage, struct fanout, stage);
}

/* Whether a group gives its members one by one, or one value. */
static bool gives_members(const struct fanout *fanout)
{
	return fanout->wait != WAIT_ANY && !fanout->best.path;
}

bool fanout_parts_wanted(const struct fanout_frame *self)
{
	const struct fanout *fanout = fanout_of(self);
	return self->base.answers && self->base.run->parts &&
	       (fanout->each || gives_members(fanout));
}

/* `{"element":`, `{"element":{"source":` or `{"source":`: name is absent where there is no source.
 */
static struct text head_of(const struct group *group, struct text source)
{
	struct buffer buffer;
	buffer_init_arena(&buffer, group->arena);
	if (group->name.data) {
		buffer_append_char(&buffer, '{');
		buffer_append(&buffer, group->name);
		buffer_append_char(&buffer, ':');
	}
	if (source.data) {
		buffer_append_char(&buffer, '{');
		buffer_append(&buffer, source);
		buffer_append_char(&buffer, ':');
	}
	return buffer.size > 0 || buffer.failed ? buffer_text(&buffer) : TEXT("");
}

static struct text tail_of(const struct group *group, bool member)
{
	struct text braces = TEXT("}}");
	braces.size = (group->name.data != NULL) + member;
	return braces;
}

static bool push_value(struct fanout_frame *self, struct group *group, struct text source,
		const struct value *value)
{
	struct part part = {
			.head = head_of(group, source),
			.value = value_present(value) ? value->text : TEXT("null"),
			.tail = tail_of(group, source.data != NULL),
	};
	return fanout_portion_push(self, group->portion, part);
}

/* The answers that have come since the last time. */
static bool push_members(struct fanout_frame *self, struct group *group)
{
	const struct fanout *fanout = fanout_of(self);
	bool *given = group->portion->given;
	for (uint32_t i = 0; i < group->gather.count; i++) {
		const struct branch *branch = &group->gather.branches[i];
		if (given[i] || !branch_good(branch))
			continue;
		given[i] = true;
		if (!push_value(self, group, fanout->sources[i].name, branch_value(branch)))
			return false;
	}
	return true;
}

/* `{"$missing":{"element":"STATUS"}}` */
static struct part missing_element(const struct group *group, enum status status)
{
	struct buffer buffer;
	buffer_init_arena(&buffer, group->arena);
	buffer_append(&buffer, group->name);
	buffer_append_char(&buffer, ':');
	buffer_append_json_string(&buffer, status_text(status));
	return (struct part){TEXT("{\"$missing\":{"), buffer_text(&buffer), TEXT("}}")};
}

/* What is to be said of a group that is complete. */
static bool push_verdict(struct fanout_frame *self, struct group *group)
{
	const struct fanout *fanout = fanout_of(self);
	struct fanout_parts *parts = self->parts;
	struct verdict verdict = fanout_judge(self, group, &parts->causes);
	struct value value;
	parts->good += verdict.good;
	parts->failed |= !verdict.good;
	parts->partial |= verdict.partial || !verdict.good;
	if (!verdict.good)
		return !fanout->partial || !fanout->each ||
		       fanout_portion_push(self, group->portion,
				       missing_element(group, verdict.status));
	if (gives_members(fanout)) {
		if (!verdict.lacking)
			return true;
		value = fanout_group_missing(self, group);
	} else if (!fanout_group_value(self, group, verdict.lacking, &value)) {
		value.text = (struct text){NULL, 0};
	}
	bool absent = fanout->wait == WAIT_ANY && !value_present(&value);
	return fanout_portion_push(self, group->portion,
			(struct part){head_of(group, (struct text){NULL, 0}),
					absent ? TEXT("null") : value.text, tail_of(group, false)});
}

/* Takes what has come for a group. False: the frame's outcome says why it is over. */
static bool serve(struct fanout_frame *self, struct group *group)
{
	const struct fanout *fanout = fanout_of(self);
	if (gives_members(fanout) && !push_members(self, group))
		return false;
	if (!gather_complete(&group->gather))
		return true;
	bool enough = group->gather.good >= group->gather.needed;
	/* Losers are cancelled first: they are not missing. */
	fanout_close_group(self, group);
	self->parts->over = !enough && fanout->fail_fast;
	if (self->parts->over)
		return true;
	if (!push_verdict(self, group))
		return false;
	fanout_portion_end(self, group);
	return true;
}

/* What had failed by the first error, in it and in the groups that it cuts off. */
static void judge_open(struct fanout_frame *self)
{
	struct fanout_parts *parts = self->parts;
	for (uint32_t i = 0; i < parts->begun; i++) {
		struct group *group = &self->groups[i];
		if (!group->portion)
			continue;
		if (!group->closed)
			fanout_close_group(self, group);
		parts->failed |= !fanout_judge(self, group, &parts->causes).good;
	}
}

/* It ends, however it stands. */
static enum progress end(struct fanout_frame *self)
{
	fanout_portions_end(self);
	scope_cancel(&self->parts->scope, LOST);
	scope_close(&self->parts->scope);
	return DONE;
}

static enum progress end_with_outcome(struct fanout_frame *self)
{
	const struct fanout_parts *parts = self->parts;
	if (parts->over)
		judge_open(self);
	struct outcome outcome = outcome_ok(value_of(TEXT("{}")));
	outcome.partial = parts->partial;
	if (parts->failed && (!fanout_of(self)->partial || parts->good == 0))
		outcome = fanout_failed(self, &parts->causes);
	self->base.frame.outcome = outcome;
	return end(self);
}

/* Whether all that one more group may give would have room. */
static bool has_room(const struct fanout_frame *self)
{
	const struct fanout_parts *parts = self->parts;
	uint32_t ahead = fanout_of(self)->ahead;
	uint32_t max = ahead > parts->each_max ? ahead : parts->each_max;
	return parts->owed + parts->queue->count + parts->each_max <= max;
}

static bool begin_groups(struct fanout_frame *self)
{
	struct fanout_parts *parts = self->parts;
	while (parts->begun < self->group_count && !parts->over && has_room(self)) {
		struct group *group = &self->groups[parts->begun];
		parts->begun++;
		if (!fanout_portion_open(self, group) || !fanout_ask_group(self, group) ||
				!serve(self, group))
			return false;
	}
	return true;
}

/* Begins what may be begun, and waits: for the groups that are open, and for more room. */
static enum progress go_on(struct fanout_frame *self)
{
	struct fanout_parts *parts = self->parts;
	struct stream_queue *queue = parts->queue;
	if (!begin_groups(self))
		return end(self);
	bool all = parts->begun == self->group_count && self->open == 0;
	if (parts->over || (all && queue->count == 0))
		return end_with_outcome(self);
	if (queue->count == 0)
		return PENDING;
	/* The next that is read may make enough. */
	uint32_t places = stream_queue_free(queue) + 1;
	parts->room.places = places;
	if (frame_pends(&parts->room.frame))
		return PENDING; /* or it has been woken already, and comes next */
	stream_room_init(&parts->room, queue, places, &self->base.frame, &parts->scope);
	if (frame_start(&parts->room.frame) == PENDING)
		return PENDING;
	/* Nobody wants it any more. */
	self->base.frame.outcome = parts->room.frame.outcome;
	return end(self);
}

enum progress fanout_parts_start(struct fanout_frame *self)
{
	const struct fanout *fanout = fanout_of(self);
	struct run *run = self->base.run;
	struct fanout_parts *parts = arena_zalloc(run->arena, sizeof(*parts));
	if (!parts)
		return frame_done(&self->base.frame, run_out_of_memory());
	parts->queue = run->parts;
	fanout_portions_begin(parts);
	parts->each_max = gives_members(fanout) ? fanout->source_count : 1;
	causes_init(&parts->causes, run->arena);
	parts->causes.room = CAUSES_MAX;
	parts->causes.copies = true;
	scope_init(&parts->scope, self->base.frame.scope, &self->base.frame, SCOPE_FOREVER,
			TIMEOUT);
	self->parts = parts;
	return go_on(self);
}

/* Everything was cut off from above: ends when all that was asked has. */
static enum progress wind_down(struct fanout_frame *self, struct frame *child)
{
	for (uint32_t i = 0; i < self->parts->begun; i++) {
		struct group *group = &self->groups[i];
		if (!group->portion || group->closed || !fanout_resume_group(group, child) ||
				!gather_complete(&group->gather))
			continue;
		fanout_close_group(self, group);
		fanout_portion_end(self, group);
	}
	if (self->open + self->parts->begun > self->group_count)
		return PENDING;
	self->base.frame.outcome = outcome_status(STATUS_CANCELLED);
	return end(self);
}

enum progress fanout_parts_resume(struct fanout_frame *self, struct frame *child)
{
	struct fanout_parts *parts = self->parts;
	if (scope_cancelled(self->base.frame.scope))
		return wind_down(self, child);
	if (child == &parts->room.frame && child->outcome.status != STATUS_OK) {
		self->base.frame.outcome = child->outcome;
		return end(self);
	}
	for (uint32_t i = 0; i < parts->begun && child != &parts->room.frame; i++) {
		struct group *group = &self->groups[i];
		if (group->closed || !fanout_resume_group(group, child))
			continue;
		if (!fanout_ask_more(self, group) || !serve(self, group))
			return end(self);
		if (child || parts->over)
			break;
	}
	return go_on(self);
}
