/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One outcome of many. Members stand in the order of `to` and of `each`, not of arrival. With
 * `on_error: partial`, what an object lacks is named in its `$missing`, with the status; an object
 * without any good member is no answer. What a source calls partial is so in all that holds it.
 */
#include "pipeline/stages/fanout.h"

#include "pipeline/base/arena.h"
#include "pipeline/base/buffer.h"
#include "pipeline/resources/source.h"

struct outcome fanout_failed(const struct fanout_frame *frame, const struct causes *causes)
{
	return causes_outcome(causes, causes_status(causes), frame->base.stage->path,
			TEXT("too few good answers"));
}

/* How a branch that gave no good answer ended. */
static struct outcome branch_failure(const struct group *group, const struct branch *branch,
		const struct fanout_source *source)
{
	struct arena *arena = group->arena;
	struct outcome outcome;
	bool late = branch->state == BRANCH_EXPIRED ||
		    (branch->state == BRANCH_ENDED && branch->status == STATUS_DEADLINE_EXCEEDED);
	if (late && fanout_timed(group, branch))
		return outcome_timeout(arena, source->stage, TEXT("timed out"));
	if (branch->state == BRANCH_ENDED)
		outcome = (struct outcome){.status = branch->status, .fault = branch->fault};
	else
		outcome = outcome_status(late ? STATUS_DEADLINE_EXCEEDED : STATUS_CANCELLED);
	return outcome_at_stage(arena, outcome, source->stage);
}

/* An object that is being written, with what it lacks. */
struct members {
	struct buffer *buffer;
	struct buffer missing;
	uint32_t count;
};

static void members_open(struct members *members, struct buffer *buffer, struct arena *arena)
{
	members->buffer = buffer;
	members->count = 0;
	buffer_init_arena(&members->missing, arena);
	buffer_append_char(buffer, '{');
}

/* name: a JSON string, with its quotes. */
static void members_name(struct members *members, struct text name)
{
	if (members->count++ > 0)
		buffer_append_char(members->buffer, ',');
	buffer_append(members->buffer, name);
	buffer_append_char(members->buffer, ':');
}

static void members_lack(struct members *members, struct text name, enum status status)
{
	if (members->missing.size > 0)
		buffer_append_char(&members->missing, ',');
	buffer_append(&members->missing, name);
	buffer_append_char(&members->missing, ':');
	buffer_append_json_string(&members->missing, status_text(status));
}

static void members_close(struct members *members)
{
	members->buffer->failed |= members->missing.failed;
	if (members->missing.size > 0) {
		members_name(members, TEXT("\"$missing\""));
		buffer_append_char(members->buffer, '{');
		buffer_append(members->buffer, buffer_text(&members->missing));
		buffer_append_char(members->buffer, '}');
	}
	buffer_append_char(members->buffer, '}');
}

static void append_value(struct buffer *buffer, const struct value *value)
{
	buffer_append(buffer, value_present(value) ? value->text : TEXT("null"));
}

static void collect_failures(
		const struct fanout_frame *frame, const struct group *group, struct causes *causes)
{
	const struct fanout *fanout = container_of(frame->base.stage, struct fanout, stage);
	for (uint32_t i = 0; i < group->gather.count; i++) {
		const struct branch *branch = &group->gather.branches[i];
		/* What was not asked, or not wanted any more, is no cause. */
		if (branch_good(branch) || branch->state == BRANCH_IDLE ||
				branch->state == BRANCH_LOST)
			continue;
		struct outcome outcome = branch_failure(group, branch, &fanout->sources[i]);
		causes_add(causes, &outcome);
	}
}

static struct value winner(const struct group *group)
{
	for (uint32_t i = 0; i < group->gather.count; i++) {
		if (branch_good(&group->gather.branches[i]))
			return *branch_value(&group->gather.branches[i]);
	}
	return VALUE_NONE;
}

static void lack_all(struct members *members, const struct fanout_frame *frame,
		const struct group *group)
{
	const struct fanout *fanout = container_of(frame->base.stage, struct fanout, stage);
	for (uint32_t i = 0; i < group->gather.count; i++) {
		const struct branch *branch = &group->gather.branches[i];
		const struct fanout_source *source = &fanout->sources[i];
		if (!branch_good(branch))
			members_lack(members, source->name,
					branch_failure(group, branch, source).status);
	}
}

static struct value group_object(
		const struct fanout_frame *frame, const struct group *group, bool lacking)
{
	const struct fanout *fanout = container_of(frame->base.stage, struct fanout, stage);
	struct buffer buffer;
	struct members members;
	buffer_init_arena(&buffer, group->arena);
	members_open(&members, &buffer, group->arena);
	for (uint32_t i = 0; i < group->gather.count; i++) {
		const struct branch *branch = &group->gather.branches[i];
		if (!branch_good(branch))
			continue;
		members_name(&members, fanout->sources[i].name);
		append_value(&buffer, branch_value(branch));
	}
	if (lacking)
		lack_all(&members, frame, group);
	members_close(&members);
	return value_of(buffer_text(&buffer));
}

/* An object that is written without what it may have of these names: they are the fan-out's. */
static void append_members(struct members *members, const struct value *object)
{
	const struct json *json = object->json;
	uint32_t end = json->values[object->index].next;
	for (uint32_t at = object->index + 1; at < end; at = json->values[at + 1].next) {
		if (json_string_is(json, at, TEXT("$source")) ||
				json_string_is(json, at, TEXT("$missing")))
			continue;
		members_name(members, json_raw(json, at));
		buffer_append(members->buffer, json_raw(json, at + 1));
	}
}

/* The best answer, with its source, and, where it is not sure to be the best, who is missing. */
static struct value best_object(
		const struct fanout_frame *frame, const struct group *group, bool lacking)
{
	const struct fanout *fanout = container_of(frame->base.stage, struct fanout, stage);
	const struct branch *best = fanout_best_branch(frame, group);
	struct arena *arena = group->arena;
	struct value object = *branch_value(best);
	struct buffer buffer;
	struct members members;
	if (!value_view(&object, arena))
		return VALUE_NONE;
	buffer_init_arena(&buffer, arena);
	members_open(&members, &buffer, arena);
	append_members(&members, &object);
	members_name(&members, TEXT("\"$source\""));
	buffer_append(&buffer, fanout->sources[best - group->gather.branches].name);
	if (lacking)
		lack_all(&members, frame, group);
	members_close(&members);
	return value_of(buffer_text(&buffer));
}

/* Whether an answer that a good group gives is called partial by its source. */
static bool gives_partial(const struct fanout_frame *frame, const struct group *group)
{
	const struct fanout *fanout = container_of(frame->base.stage, struct fanout, stage);
	for (uint32_t i = 0; i < group->gather.count; i++) {
		const struct branch *branch = &group->gather.branches[i];
		if (!branch_good(branch) || !branch->frame->outcome.partial)
			continue;
		if (!fanout->best.path || branch == fanout_best_branch(frame, group))
			return true;
	}
	return false;
}

struct verdict fanout_judge(
		const struct fanout_frame *frame, const struct group *group, struct causes *all)
{
	const struct fanout *fanout = container_of(frame->base.stage, struct fanout, stage);
	struct verdict verdict = {.good = true, .status = STATUS_OK};
	verdict.lacking = group->gather.good < group->gather.needed;
	if (verdict.lacking) {
		struct causes own;
		causes_init(&own, group->arena);
		collect_failures(frame, group, &own);
		collect_failures(frame, group, all);
		verdict.good = fanout->partial && group->gather.good > 0;
		verdict.status = causes_status(&own);
	}
	verdict.partial = verdict.good && (verdict.lacking || gives_partial(frame, group));
	return verdict;
}

bool fanout_group_value(const struct fanout_frame *frame, const struct group *group, bool lacking,
		struct value *ret)
{
	const struct fanout *fanout = container_of(frame->base.stage, struct fanout, stage);
	if (fanout->wait == WAIT_ANY) {
		*ret = winner(group);
		return true;
	}
	*ret = fanout->best.path ? best_object(frame, group, lacking)
				 : group_object(frame, group, lacking);
	return value_present(ret);
}

struct value fanout_group_missing(const struct fanout_frame *frame, const struct group *group)
{
	struct buffer buffer;
	struct members members;
	buffer_init_arena(&buffer, group->arena);
	members_open(&members, &buffer, group->arena);
	lack_all(&members, frame, group);
	members_close(&members);
	return value_of(buffer_text(&buffer));
}

static struct outcome finish(struct value value, bool partial)
{
	struct outcome outcome = outcome_ok(value);
	outcome.partial = partial;
	return outcome;
}

static struct outcome each_outcome(const struct fanout_frame *frame)
{
	const struct fanout *fanout = container_of(frame->base.stage, struct fanout, stage);
	struct arena *arena = frame->base.run->arena;
	struct causes causes;
	struct members members;
	struct buffer buffer;
	bool partial = false, failed = false;
	causes_init(&causes, arena);
	buffer_init_arena(&buffer, arena);
	members_open(&members, &buffer, arena);
	uint32_t good = 0;
	for (uint32_t i = 0; i < frame->group_count; i++) {
		const struct group *group = &frame->groups[i];
		struct verdict verdict = fanout_judge(frame, group, &causes);
		partial |= verdict.partial || !verdict.good;
		failed |= !verdict.good;
		good += verdict.good;
		if (verdict.good) {
			struct value value;
			if (!fanout_group_value(frame, group, verdict.lacking, &value))
				return run_out_of_memory();
			members_name(&members, group->name);
			append_value(&buffer, &value);
		} else {
			members_lack(&members, group->name, verdict.status);
		}
	}
	members_close(&members);
	if (failed && (!fanout->partial || good == 0))
		return fanout_failed(frame, &causes);
	struct value value = value_of(buffer_text(&buffer));
	return value_present(&value) ? finish(value, partial) : run_out_of_memory();
}

static struct outcome once_outcome(const struct fanout_frame *frame)
{
	const struct group *group = &frame->groups[0];
	struct causes causes;
	struct value value;
	causes_init(&causes, group->arena);
	struct verdict verdict = fanout_judge(frame, group, &causes);
	if (!verdict.good)
		return fanout_failed(frame, &causes);
	if (!fanout_group_value(frame, group, verdict.lacking, &value))
		return run_out_of_memory();
	return finish(value, verdict.partial);
}

struct outcome fanout_outcome(const struct fanout_frame *frame)
{
	const struct fanout *fanout = container_of(frame->base.stage, struct fanout, stage);
	return fanout->each ? each_outcome(frame) : once_outcome(frame);
}
