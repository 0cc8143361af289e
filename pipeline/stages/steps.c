/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop over the steps is here, so that a step costs no stack and a step that is DONE at once
 * costs no queue.
 */
#include "pipeline/stages/steps.h"

#include "pipeline/async/async.h"
#include "pipeline/async/scope.h"
#include "pipeline/base/arena.h"
#include "pipeline/stages/compiler.h"

struct steps_frame {
	struct stage_frame base;
	size_t at;
	bool partial;
	bool given; /* some step gave a value */
	struct value last;
	struct blob *blob; /* of the last */
};

static enum progress reply(struct steps_frame *frame, const struct steps *steps)
{
	struct outcome outcome = outcome_ok(frame->last);
	struct names names = {frame->base.run, frame->base.activation, SLOT_UNBOUND, VALUE_NONE,
			false, NULL};
	struct value value;
	if (steps->reply) {
		if (names_object(&names, steps->reply, &value, &outcome))
			outcome = outcome_ok(value);
	} else {
		outcome.blob = frame->blob;
		outcome.stands = steps->nested && !frame->given;
	}
	outcome.partial = frame->partial && outcome.status == STATUS_OK;
	return frame_done(&frame->base.frame, outcome);
}

/* After a step that gave no value its name stands for what it stood for before it. */
static void keep_name(struct activation *activation, const struct step *step)
{
	if (step->before != SLOT_UNBOUND)
		activation->slots[step->slot] = activation->slots[step->before];
}

/* Takes a step's outcome. True: go on to the next. */
static bool take(struct steps_frame *frame, const struct step *step, struct outcome outcome)
{
	if (outcome.status != STATUS_OK) {
		frame->base.frame.outcome = outcome;
		return false;
	}
	frame->partial |= outcome.partial;
	frame->at++;
	if (outcome.stands) {
		keep_name(frame->base.activation, step);
		return true;
	}
	frame->given = true;
	frame->last = outcome.value;
	frame->blob = outcome.blob;
	if (step->slot != SLOT_UNBOUND)
		frame->base.activation->slots[step->slot] = outcome.value;
	return true;
}

static enum progress go_on(struct steps_frame *frame)
{
	const struct steps *steps = (const struct steps *)frame->base.stage;
	while (frame->at < steps->count) {
		const struct step *step = &steps->steps[frame->at];
		struct stage_frame *child = stage_frame_init(step->stage, frame->base.run,
				frame->base.activation, &frame->base.frame,
				frame->base.frame.scope);
		child->answers = frame->base.answers && !steps->reply &&
				 frame->at + 1 == steps->count;
		if (frame_start(&child->frame) == PENDING)
			return PENDING;
		if (!take(frame, step, stage_outcome(&child->frame)))
			return DONE;
	}
	return reply(frame, steps);
}

static enum progress steps_start(struct frame *frame)
{
	return go_on(container_of(frame, struct steps_frame, base.frame));
}

static enum progress steps_resume(struct frame *frame, struct frame *child)
{
	struct steps_frame *self = container_of(frame, struct steps_frame, base.frame);
	const struct steps *steps = (const struct steps *)self->base.stage;
	if (!take(self, &steps->steps[self->at], stage_outcome(child)))
		return DONE;
	return go_on(self);
}

static struct stage_below steps_below(const struct stage_frame *frame, unsigned nth)
{
	const struct steps *steps = container_of(frame->stage, struct steps, stage);
	if (nth >= steps->count)
		return (struct stage_below){0};
	return (struct stage_below){
			.steps = steps->steps[nth].stage, .activation = frame->activation};
}

/* Only what is read by the first is known before it has run. */
static void steps_begin_read(const struct stage *stage, struct run *run,
		struct activation *activation, unsigned nth)
{
	const struct stage *first = container_of(stage, struct steps, stage)->steps[0].stage;
	if (first->type->begin_read)
		first->type->begin_read(first, run, activation, nth);
}

const struct stage_type steps_type = {
		.name = "steps",
		.stage_size = sizeof(struct steps),
		.frame_size = sizeof(struct steps_frame),
		.ops = {.start = steps_start, .resume = steps_resume},
		.below = steps_below,
		.begin_read = steps_begin_read,
};

static struct stage *new_stage(
		struct compiler *compiler, const struct stage_type *type, struct text path)
{
	struct stage *stage = arena_zalloc(compiler->arena, type->stage_size);
	if (!stage)
		return NULL;
	stage->type = type;
	stage->path = path;
	stage->offset = compile_room(compiler, type->frame_size);
	stage->pipeline = compiler->pipeline;
	stage->next = compiler->pipelines->stages;
	compiler->pipelines->stages = stage;
	return stage;
}

/* A name that was read as a field of the body before this step gave it. */
static void refuse_earlier_uses(struct compiler *compiler, const struct option_value *step,
		const struct body_use *before)
{
	for (const struct body_use *use = compiler->level->uses; use && use != before;
			use = use->next) {
		if (text_equal(use->name, step->as))
			diag_error(compiler->diag, use->place,
					"\"%.*s\" is used before the step that gives it (line %u)",
					TEXT_ARG(use->name), step->as_place.line);
	}
}

static struct stage *compile_stage(
		struct compiler *compiler, const struct option_value *value, size_t number)
{
	struct text outer_path = compiler->path;
	struct text path = arena_format(compiler->arena, "%.*s/%zu.%.*s", TEXT_ARG(outer_path),
			number, TEXT_ARG(value->name));
	const struct stage_type *type = stage_type_find(value->name);
	struct stage *stage = new_stage(compiler, type, path);
	if (!stage || !path.data) {
		diag_error(compiler->diag, value->place, "out of memory");
		return NULL;
	}
	compiler->path = path;
	type->compile(compiler, stage, value->map);
	compiler->path = outer_path;
	return stage;
}

/* Of one that is wrong, which was said, only the name that it gives is known. */
static struct step compile_step(struct compiler *compiler, const struct option_value *value,
		size_t number, const struct body_use *before)
{
	struct step step = {NULL, SLOT_UNBOUND, SLOT_UNBOUND};
	if (value->wrong)
		compiler->left_out = true;
	else
		step.stage = compile_stage(compiler, value, number);
	if (value->as.data) {
		refuse_earlier_uses(compiler, value, before);
		step.before = compile_find(compiler, value->as);
		step.slot = compile_name(compiler, value->as);
	}
	return step;
}

static bool enter(struct compiler *compiler, struct place place)
{
	if (++compiler->depth > compiler->pipeline->depth)
		compiler->pipeline->depth = compiler->depth;
	if (compiler->depth <= NESTING_MAX)
		return true;
	diag_error(compiler->diag, place, "stages are nested deeper than %d", NESTING_MAX);
	return false;
}

/* One step whose value has no name is the whole list: what it gives, the list would give. */
static bool is_one_step(
		const struct option_list *list, const struct template_map *reply, bool nested)
{
	const struct option_value *first = &list->values[0];
	return list->count == 1 && !first->wrong && !first->as.data && !reply &&
	       (nested || !stage_type_find(first->name)->may_stand);
}

static struct stage *compile_list(struct compiler *compiler, const struct option_value *value,
		const struct template_map *reply, bool nested)
{
	const struct option_list *list = value->list;
	const struct body_use *before = compiler->level->uses;
	if (is_one_step(list, reply, nested))
		return compile_step(compiler, &list->values[0], 1, before).stage;
	struct stage *stage = new_stage(compiler, &steps_type, compiler->path);
	struct step *steps = arena_zalloc(compiler->arena, list->count * sizeof(*steps));
	if (!stage || !steps) {
		diag_error(compiler->diag, value->place, "out of memory");
		return NULL;
	}
	for (size_t i = 0; i < list->count; i++)
		steps[i] = compile_step(compiler, &list->values[i], i + 1, before);
	struct steps *self = container_of(stage, struct steps, stage);
	self->steps = steps;
	self->count = list->count;
	self->reply = reply;
	self->nested = nested;
	return stage;
}

struct stage *compile_steps(struct compiler *compiler, const struct option_value *value,
		const struct template_map *reply)
{
	struct name *names = compile_names(compiler);
	struct stage *stage = NULL;
	bool nested = compiler->level->begun;
	compiler->level->begun = true;
	if (enter(compiler, value->place))
		stage = compile_list(compiler, value, reply, nested);
	compiler->depth--;
	/* A pipeline's own names are seen by its reply, which is bound after its steps. */
	if (nested)
		compile_forget(compiler, names);
	return stage;
}
