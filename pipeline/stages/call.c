/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stage `call`: another pipeline as a part of this one. It sees only its body. Its activation
 * is laid out inside the caller's, its caches, flights and semaphores are the same objects as for
 * requests of its own.
 */
#include "pipeline/stages/call.h"

#include <string.h>

#include "pipeline/base/arena.h"
#include "pipeline/stages/bounded.h"
#include "pipeline/stages/compiler.h"
#include "pipeline/stages/pipeline.h"

struct call {
	struct stage stage;
	const struct pipeline *pipeline;
	size_t room; /* of its activation, in the caller's */
	bool has_with;
	struct template_map with;
	struct template_entry *fields; /* inside a miss, those that are taken; NULL elsewhere */
};

struct call_frame {
	struct stage_frame base;
	struct bounded bounded;
	struct activation *activation; /* NULL: the body was refused */
};

/* Inside a miss there is no body, only the fields that were captured. Those that lead nowhere are
 * left out. */
static bool body_of_fields(const struct call *call, struct names *names, struct value *ret,
		struct outcome *ret_outcome)
{
	const struct pipeline *pipeline = call->pipeline;
	struct template_entry *entries =
			arena_alloc(names->run->arena, pipeline->type_count * sizeof(*entries));
	struct template_map map = {entries, 0};
	if (!entries) {
		*ret_outcome = run_out_of_memory();
		return false;
	}
	for (size_t i = 0; i < pipeline->type_count; i++) {
		struct value value;
		if (names_resolve(names, call->fields[i].template->parts[0].path, &value))
			entries[map.count++] = call->fields[i];
	}
	return names_object(names, &map, ret, ret_outcome);
}

static bool body(const struct call *call, struct stage_frame *frame, struct value *ret,
		struct outcome *ret_outcome)
{
	struct names names = {frame->run, frame->activation, SLOT_UNBOUND, VALUE_NONE, false, NULL};
	if (call->has_with)
		return names_object(&names, &call->with, ret, ret_outcome);
	if (call->fields)
		return body_of_fields(call, &names, ret, ret_outcome);
	*ret = frame->activation->body;
	return true;
}

static enum progress call_start(struct frame *frame)
{
	struct call_frame *self = container_of(frame, struct call_frame, base.frame);
	const struct call *call = container_of(self->base.stage, struct call, stage);
	struct value value;
	struct outcome outcome;
	if (!body(call, &self->base, &value, &outcome))
		return frame_done(frame, outcome);
	char *room = self->base.activation->frames + call->room;
	self->activation = pipeline_enter(call->pipeline, room, self->base.run, value, &outcome);
	if (!self->activation)
		return frame_done(frame, outcome);
	bounded_init(&self->bounded, &self->base,
			call->pipeline->deadline ? call->pipeline->deadline : SCOPE_FOREVER);
	return bounded_run(&self->bounded, &self->base, call->pipeline->steps, self->activation);
}

static enum progress call_resume(struct frame *frame, struct frame *child)
{
	struct call_frame *self = container_of(frame, struct call_frame, base.frame);
	return bounded_resume(&self->bounded, &self->base, child);
}

static struct stage_below call_below(const struct stage_frame *frame, unsigned nth)
{
	const struct call *call = container_of(frame->stage, struct call, stage);
	const struct call_frame *self = container_of(frame, struct call_frame, base);
	if (nth > 0)
		return (struct stage_below){0};
	return (struct stage_below){.steps = call->pipeline->steps, .activation = self->activation};
}

static struct template_entry compile_field(
		struct compiler *compiler, struct text name, struct place place)
{
	struct template_entry field = {compile_member(compiler, name, place), NULL};
	struct text path = arena_format(compiler->arena, "${%.*s}", TEXT_ARG(name));
	if (!path.data) {
		diag_error(compiler->diag, place, "out of memory");
		return field;
	}
	struct template *written =
			template_compile(path, false, place, compiler->arena, compiler->diag);
	if (written)
		field.template = compile_template(compiler, written);
	return field;
}

/* A call in a miss reads of the body exactly what the called pipeline takes, and so the key must
 * hold that. */
static void compile_fields(struct compiler *compiler, struct call *call, struct place place)
{
	const struct pipeline *pipeline = call->pipeline;
	if (!pipeline->takes) {
		diag_error(compiler->diag, place,
				"inside \"miss\", a call of \"%.*s\" needs \"with\", for \"%.*s\" "
				"has no \"takes\" and "
				"would read the whole body",
				TEXT_ARG(pipeline->name), TEXT_ARG(pipeline->name));
		return;
	}
	call->fields = arena_zalloc(
			compiler->arena, (pipeline->type_count + 1) * sizeof(*call->fields));
	if (!call->fields)
		diag_error(compiler->diag, place, "out of memory");
	for (size_t i = 0; call->fields && i < pipeline->type_count; i++)
		call->fields[i] = compile_field(compiler, pipeline->types[i].name, place);
}

static void nest(struct compiler *compiler, const struct pipeline *pipeline, struct place place)
{
	unsigned depth = compiler->depth + pipeline->depth;
	if (depth > compiler->pipeline->depth)
		compiler->pipeline->depth = depth;
	if (depth > NESTING_MAX)
		diag_error(compiler->diag, place,
				"stages are nested deeper than %d, with those of \"%.*s\"",
				NESTING_MAX, TEXT_ARG(pipeline->name));
}

static void call_compile(
		struct compiler *compiler, struct stage *stage, const struct option_map *options)
{
	struct call *call = container_of(stage, struct call, stage);
	const struct option_value *name = option_get(options, "pipeline");
	const struct option_value *with = option_get(options, "with");
	call->pipeline = compile_pipeline(compiler, name);
	call->has_with = with->given;
	call->with = compile_templates(compiler, with->map);
	if (!call->pipeline)
		return;
	nest(compiler, call->pipeline, name->place);
	call->room = compile_room(compiler, layout_size(&call->pipeline->layout));
	if (!call->has_with && compile_in_miss(compiler))
		compile_fields(compiler, call, name->place);
}

const struct option call_options[] = {
		{.key = "pipeline",
				.kind = OPTION_WORD,
				.required = true,
				.bare = true,
				.help = "the pipeline to run"},
		{.key = "with",
				.kind = OPTION_TEMPLATES,
				.help = "its body; without it the caller's"},
		{.key = NULL},
};

const struct stage_type call_type = {
		.name = "call",
		.stage_size = sizeof(struct call),
		.frame_size = sizeof(struct call_frame),
		.ops = {.start = call_start, .resume = call_resume},
		.compile = call_compile,
		.below = call_below,
};
