/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking. One group for each element, one branch in it for each source. A group that is complete is
 * closed at once, which cancels its losers; the frame ends with its last group.
 */
#include "pipeline/stages/fanout.h"

#include "pipeline/async/async.h"
#include "pipeline/async/scope.h"
#include "pipeline/base/arena.h"
#include "pipeline/base/buffer.h"
#include "pipeline/resources/source.h"
#include "pipeline/stages/compiler.h"
#include "pipeline/wire/wire.h"

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

bool fanout_lay_branches(struct fanout_frame *self, struct group *group, struct arena *arena)
{
	const struct fanout *fanout = fanout_of(&self->base);
	struct gather *gather = &group->gather;
	struct branch *branches = arena_alloc(arena, fanout->source_count * sizeof(*branches));
	if (!branches)
		return out_of_memory(self);
	group->arena = arena;
	gather_init(gather, &self->base.frame, branches, fanout->source_count, fanout->needed);
	gather->fail_fast = fanout->fail_fast;
	gather->judge = fanout->best.path ? fanout_best_judge : NULL;
	return true;
}

static bool ask(struct fanout_frame *self, struct group *group, uint32_t i)
{
	const struct fanout *fanout = fanout_of(&self->base);
	const struct question *question = &fanout->sources[i].question;
	struct source *source = question->source;
	struct run *run = self->base.run;
	struct names names = {run, self->base.activation,
			fanout->each ? fanout->each_slot : SLOT_UNBOUND, group->element, false,
			group->arena};
	struct ask *ask = arena_zalloc(group->arena, source->ask_size);
	if (!ask)
		return out_of_memory(self);
	struct filled filled;
	if (!question_fill(question, &names, &filled, &self->base.frame.outcome))
		return false;
	struct scope *scope = gather_scope(&group->gather, i, group->limit);
	source->ops->ask_init(ask, source, group->arena, &self->base.frame, scope);
	ask->target = question->target;
	ask->body = filled.body;
	ask->texts = filled.texts;
	ask->trace = run->trace;
	gather_start(&group->gather, i, &ask->frame);
	return true;
}

/* A branch may take its own timeout; where a partial answer will do, it ends early enough for that
 * to be sent. */
static void set_limit(struct fanout_frame *self, struct group *group)
{
	const struct fanout *fanout = fanout_of(&self->base);
	uint64_t deadline = self->base.frame.scope->deadline;
	uint64_t now = self->base.run->async->now;
	group->limit = deadline;
	if (fanout->partial && deadline != SCOPE_FOREVER)
		group->limit = deadline > SOURCE_MARGIN_NS ? deadline - SOURCE_MARGIN_NS : 0;
	group->timed = fanout->timeout && now + fanout->timeout < group->limit;
	if (group->timed)
		group->limit = now + fanout->timeout;
}

/* Asks until the group is complete: with `any`, a source that answers at once spares the others. */
bool fanout_ask_group(struct fanout_frame *self, struct group *group)
{
	set_limit(self, group);
	for (uint32_t i = 0; i < group->gather.count && !gather_complete(&group->gather); i++) {
		if (!ask(self, group, i))
			return false;
	}
	return true;
}

void fanout_close_group(struct fanout_frame *self, struct group *group)
{
	gather_close(&group->gather);
	group->closed = true;
	self->base.run->losers += group->gather.losers;
	self->base.run->wasted_ns += group->gather.wasted_ns;
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
		if (group->closed || !gather_resume(&group->gather, child))
			continue;
		settle_group(self, group);
		if (child)
			break;
	}
	return go_on(self);
}

static bool named_before(const struct fanout *fanout, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++) {
		if (fanout->sources[k].question.source == fanout->sources[i].question.source)
			return true;
	}
	return false;
}

static void compile_branch(struct compiler *compiler, struct fanout *fanout,
		const struct option_map *options, uint32_t i)
{
	const struct option_value *name = &option_get(options, "to")->list->values[i];
	struct fanout_source *to = &fanout->sources[i];
	question_compile(compiler, &to->question, name, fanout->each_name, options);
	to->stage = arena_format(compiler->arena, "%.*s/%.*s", TEXT_ARG(fanout->stage.path),
			TEXT_ARG(name->text));
	to->name = arena_format(compiler->arena, "\"%.*s\"", TEXT_ARG(name->text));
	if (!to->stage.data || !to->name.data)
		diag_error(compiler->diag, name->place, "out of memory");
	if (to->question.source && named_before(fanout, i))
		diag_error(compiler->diag, name->place, "source \"%.*s\" is named twice",
				TEXT_ARG(name->text));
}

/* What none of the sources takes was not meant to be written. */
static void check_taken(struct compiler *compiler, const struct fanout *fanout,
		const struct option_map *options)
{
	const struct option_value *target = option_get(options, "target");
	const struct option_value *body = option_get(options, "body");
	bool target_taken = !target->given, body_taken = !body->given;
	for (uint32_t i = 0; i < fanout->source_count; i++) {
		const struct source *source = fanout->sources[i].question.source;
		target_taken = target_taken || !source || !source->without_target;
		body_taken = body_taken || !source || !source->without_body;
	}
	if (!target_taken)
		diag_error(compiler->diag, target->place,
				"\"target\" means nothing to any of these sources: what they are "
				"asked for stands where they are configured");
	if (!body_taken)
		diag_error(compiler->diag, body->place,
				"none of these sources is sent a body, as they are configured");
}

static void compile_wait(
		struct compiler *compiler, struct fanout *fanout, const struct option_value *wait)
{
	fanout->wait = wait->choice;
	if (wait->choice == WAIT_ANY)
		fanout->needed = 1;
	else if (wait->choice == WAIT_ALL)
		fanout->needed = fanout->source_count;
	else
		fanout->needed = (uint32_t)wait->number;
	if (fanout->needed > fanout->source_count)
		diag_error(compiler->diag, wait->place,
				"\"wait\" is %u, but there are only %u sources", fanout->needed,
				fanout->source_count);
}

static void compile_fail_fast(
		struct compiler *compiler, struct fanout *fanout, const struct option_value *option)
{
	fanout->fail_fast = option->number;
	if (fanout->fail_fast && fanout->partial)
		diag_error(compiler->diag, option->place,
				"\"fail_fast\" and \"on_error: partial\" contradict each other: "
				"one ends "
				"at the first error, the other answers in spite of it");
}

enum { ON_ERROR_FAIL, ON_ERROR_PARTIAL };

static const char *const wait_choices[] = {[WAIT_ANY] = "any", [WAIT_ALL] = "all", NULL};
static const char *const on_error_choices[] = {
		[ON_ERROR_FAIL] = "fail", [ON_ERROR_PARTIAL] = "partial", NULL};

static void fanout_compile(
		struct compiler *compiler, struct stage *stage, const struct option_map *options)
{
	struct fanout *fanout = container_of(stage, struct fanout, stage);
	const struct option_list *to = option_get(options, "to")->list;
	const struct option_map *each = option_get(options, "each")->map;
	const struct option_value *target = option_get(options, "target");
	struct name *names = compile_names(compiler);
	fanout->sources = arena_zalloc(compiler->arena, to->count * sizeof(*fanout->sources));
	if (!fanout->sources) {
		diag_error(compiler->diag, options->place, "out of memory");
		return;
	}
	fanout->source_count = (uint32_t)to->count;
	fanout->timeout = option_number(options, "timeout");
	fanout->partial = option_get(options, "on_error")->choice == ON_ERROR_PARTIAL;
	fanout->each_max = (uint32_t)option_number(options, "max");
	fanout->ahead = (uint32_t)option_number(options, "ahead");
	fanout->each_slot = SLOT_UNBOUND;
	compile_wait(compiler, fanout, option_get(options, "wait"));
	compile_fail_fast(compiler, fanout, option_get(options, "fail_fast"));
	fanout_best_compile(compiler, &fanout->best, option_get(options, "best"));
	if (fanout->best.path && fanout->wait == WAIT_ANY)
		diag_error(compiler->diag, option_get(options, "best")->place,
				"\"best\" needs \"wait: all\" or a number: any answer is not yet "
				"the "
				"best");
	if (target->given && !wire_is_name(target->text))
		diag_error(compiler->diag, target->place,
				"\"target\" must be 1 to 64 of A-Z a-z 0-9 _ -");
	if (each && each->count > 0) {
		fanout->each = compile_template(compiler, each->values[0].template);
		fanout->each_name = each->values[0].name;
		fanout->each_slot = compile_name(compiler, fanout->each_name);
	}
	for (uint32_t i = 0; i < fanout->source_count; i++)
		compile_branch(compiler, fanout, options, i);
	check_taken(compiler, fanout, options);
	compile_forget(compiler, names);
}

const struct option fanout_options[] = {
		{.key = "to",
				.kind = OPTION_RESOURCE,
				.resource = "source",
				.list = true,
				.required = true,
				.min = 1,
				.max = PARTS_MAX,
				.help = "the sources to ask"},
		{.key = "each",
				.kind = OPTION_TEMPLATES,
				.min = 1,
				.max = 1,
				.help = "a name and an array: ask for each element, bound to the "
					"name"},
		{.key = "max",
				.kind = OPTION_NUMBER,
				.fallback = "100",
				.min = 1,
				.max = 1000,
				.help = "elements that `each` may have"},
		{.key = "wait",
				.kind = OPTION_CHOICE,
				.choices = wait_choices,
				.numeric = true,
				.min = 1,
				.fallback = "all",
				.help = "`any`, `all`, or a number: the first so many good "
					"answers"},
		{.key = "timeout",
				.kind = OPTION_DURATION,
				.min = 1000000,
				.max = OPTION_DURATION_MAX,
				.help = "the longest that a source may take"},
		{.key = "on_error",
				.kind = OPTION_CHOICE,
				.choices = on_error_choices,
				.fallback = "fail",
				.help = "`partial`: answer with what came"},
		{.key = "target",
				.kind = OPTION_TEXT,
				.help = "what is asked of the sources; theirs if not given"},
		{.key = "body",
				.kind = OPTION_TEMPLATES,
				.help = "what they are sent; what `each` binds, or the whole body, "
					"if not given"},
		{.key = "ahead",
				.kind = OPTION_NUMBER,
				.fallback = "16",
				.min = 1,
				.max = PARTS_MAX,
				.help = "with `stream=1`, the answers that may be asked for before "
					"the client has read one; those of one element at least"},
		{.key = "hedge", .kind = OPTION_TEXT, .later = true},
		{.key = "best",
				.kind = OPTION_MAP,
				.table = fanout_best_options,
				.help = "give only the best of the good answers, with its source "
					"in "
					"`$source`"},
		{.key = "fail_fast",
				.kind = OPTION_BOOLEAN,
				.fallback = "false",
				.help = "end as soon as not enough good answers can come any more"},
		{.key = NULL},
};

const struct stage_type fanout_type = {
		.name = "fanout",
		.stage_size = sizeof(struct fanout),
		.frame_size = sizeof(struct fanout_frame),
		.ops = {.start = fanout_start, .resume = fanout_resume},
		.compile = fanout_compile,
		.asks = fanout_asks,
};
