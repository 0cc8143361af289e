/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipelines are compiled callee first, so that a call knows the shape of what it calls; meeting one
 * that is still being compiled is a circle.
 */
#include "pipeline/stages/pipeline.h"

#include "pipeline/base/arena.h"
#include "pipeline/stages/cache.h"
#include "pipeline/stages/call.h"
#include "pipeline/stages/compiler.h"
#include "pipeline/stages/steps.h"

const struct option pipeline_options[] = {
		{.key = "takes",
				.kind = OPTION_TYPES,
				.help = "what the body holds: names and their types"},
		{.key = "deadline",
				.kind = OPTION_DURATION,
				.min = 1000000,
				.max = OPTION_DURATION_MAX,
				.help = "the longest that a request may take"},
		{.key = "steps",
				.kind = OPTION_STEPS,
				.required = true,
				.min = 1,
				.variants = stage_variants,
				.help = "stages, run in this order"},
		{.key = "reply",
				.kind = OPTION_TEMPLATES,
				.help = "the reply's members; without it the last step's value"},
		{.key = NULL},
};

/* Taken fields have the first slots, in their order, so that activation_take() needs no table. */
static void name_fields(struct compiler *compiler, const struct pipeline *pipeline)
{
	for (size_t i = 0; i < pipeline->type_count; i++)
		(void)compile_name(compiler, pipeline->types[i].name);
}

static void check_deadline(const struct compiler *compiler, const struct option_value *deadline)
{
	if (deadline->number > compiler->context->max_deadline)
		diag_warning(compiler->diag, deadline->place,
				"\"deadline\" is longer than \"max_deadline\" in \"limits\", "
				"which comes first: shorten it, or raise that");
}

static void compile(struct compiler *outer, struct pipeline *pipeline)
{
	struct level level = {.pipeline = pipeline};
	struct compiler compiler = *outer;
	compiler.pipeline = pipeline;
	compiler.level = &level;
	compiler.path = pipeline->name;
	compiler.depth = 0;
	pipeline->state = PIPELINE_COMPILING;
	check_deadline(&compiler, option_get(pipeline->options, "deadline"));
	name_fields(&compiler, pipeline);
	const struct option_value *reply = option_get(pipeline->options, "reply");
	pipeline->steps = compile_steps(&compiler, option_get(pipeline->options, "steps"),
			reply->given ? &pipeline->reply : NULL);
	pipeline->reply = compile_templates(&compiler, reply->map);
	pipeline->layout = level.layout;
	compile_check_layout(&compiler, &pipeline->layout, pipeline->place);
	pipeline->state = PIPELINE_COMPILED;
}

const struct pipeline *compile_pipeline(struct compiler *compiler, const struct option_value *name)
{
	struct pipeline *pipeline = pipelines_find(compiler->pipelines, name->text);
	if (!pipeline) {
		struct nearest nearest;
		nearest_init(&nearest, name->text);
		for (size_t i = 0; i < compiler->pipelines->count; i++)
			nearest_see(&nearest, compiler->pipelines->all[i].name);
		diag_error(compiler->diag, name->place, "there is no pipeline \"%.*s\"%s",
				TEXT_ARG(name->text), nearest_hint(&nearest, compiler->arena));
		return NULL;
	}
	if (!pipeline->options)
		return NULL;
	if (pipeline->state == PIPELINE_COMPILING) {
		diag_error(compiler->diag, name->place,
				"pipelines call each other in a circle: \"%.*s\" calls \"%.*s\"",
				TEXT_ARG(compiler->pipeline->name), TEXT_ARG(pipeline->name));
		return NULL;
	}
	if (pipeline->state == PIPELINE_NEW)
		compile(compiler, pipeline);
	return pipeline;
}

static void check_name(const struct option_value *value, struct diag *diag)
{
	if (text_equal(value->name, TEXT("-")))
		diag_error(diag, value->place,
				"a pipeline cannot be named \"-\": that stands for none in records "
				"of "
				"requests");
}

static void read_options(struct pipeline *pipeline, const struct option_value *value)
{
	pipeline->name = value->name;
	pipeline->place = value->place;
	if (value->wrong)
		return;
	const struct option_value *takes = option_get(value->map, "takes");
	pipeline->options = value->map;
	pipeline->deadline = option_number(value->map, "deadline");
	pipeline->takes = takes->given;
	pipeline->types = takes->types;
	pipeline->type_count = takes->type_count;
}

/* Nothing has run, so there is no flight to wait for. */
static struct pipelines *drop(struct pipelines *pipelines)
{
	scope_deinit(&pipelines->scope);
	pipelines_free(pipelines);
	return NULL;
}

struct pipelines *pipelines_compile(const struct option_map *map,
		const struct stages_context *context, scope_idle_fn on_idle)
{
	size_t errors = context->diag->errors;
	struct pipelines *pipelines = arena_zalloc(context->arena, sizeof(*pipelines));
	struct pipeline *all = arena_zalloc(context->arena, map->count * sizeof(*all));
	if (!pipelines || !all) {
		diag_error(context->diag, map->place, "out of memory");
		return NULL;
	}
	pipelines->all = all;
	pipelines->count = map->count;
	pipelines->user = context->user;
	scope_init_root(&pipelines->scope, context->async, NULL, NULL, SCOPE_FOREVER, on_idle);
	for (size_t i = 0; i < map->count; i++) {
		all[i].index = (uint32_t)i;
		check_name(&map->values[i], context->diag);
		read_options(&all[i], &map->values[i]);
		all[i].stats = pipeline_stats_new();
		if (!all[i].stats)
			diag_error(context->diag, all[i].place, "out of memory");
	}
	struct compiler compiler = {.arena = context->arena,
			.diag = context->diag,
			.context = context,
			.pipelines = pipelines};
	for (size_t i = 0; i < map->count; i++) {
		if (all[i].state == PIPELINE_NEW && all[i].options)
			compile(&compiler, &all[i]);
	}
	cache_warn_of_alike_keys(pipelines, context->diag);
	return context->diag->errors > errors ? drop(pipelines) : pipelines;
}

void pipelines_drain(const struct pipelines *pipelines)
{
	for (struct stage *stage = pipelines->stages; stage; stage = stage->next) {
		if (stage->type->drain)
			stage->type->drain(stage);
	}
}

void pipelines_cancel(struct pipelines *pipelines, enum reason reason)
{
	scope_cancel(&pipelines->scope, reason);
}

void pipelines_retire(struct pipelines *pipelines)
{
	scope_close(&pipelines->scope);
}

static void share_stats(struct pipeline *pipeline, struct pipeline_stats *stats)
{
	pipeline_stats_unref(pipeline->stats);
	pipeline->stats = pipeline_stats_ref(stats);
}

void pipelines_inherit(struct pipelines *pipelines, const struct pipelines *before)
{
	for (size_t i = 0; i < pipelines->count; i++) {
		struct pipeline *old = pipelines_find(before, pipelines->all[i].name);
		if (old)
			share_stats(&pipelines->all[i], old->stats);
	}
}

void pipelines_free(struct pipelines *pipelines)
{
	for (struct stage *stage = pipelines->stages; stage; stage = stage->next) {
		if (stage->type->free)
			stage->type->free(stage);
	}
	for (size_t i = 0; i < pipelines->count; i++)
		pipeline_stats_unref(pipelines->all[i].stats);
}

struct pipeline *pipelines_find(const struct pipelines *pipelines, struct text name)
{
	for (size_t i = 0; i < pipelines->count; i++) {
		if (text_equal(pipelines->all[i].name, name))
			return &pipelines->all[i];
	}
	return NULL;
}

struct activation *pipeline_enter(const struct pipeline *pipeline, void *memory, struct run *run,
		struct value body, struct outcome *ret_outcome)
{
	struct activation *activation = activation_init(memory, &pipeline->layout);
	activation->body = body;
	if (!activation_take(activation, pipeline->types, pipeline->type_count, body, run,
			    ret_outcome))
		return NULL;
	return activation;
}

void pipeline_begin_read(const struct pipeline *pipeline, struct run *run,
		struct activation *activation, unsigned nth)
{
	const struct stage *steps = pipeline->steps;
	if (steps->type->begin_read)
		steps->type->begin_read(steps, run, activation, nth);
}

enum progress pipeline_start(const struct pipeline *pipeline, struct run *run,
		struct activation *activation, struct frame *parent, struct scope *scope)
{
	struct stage_frame *steps =
			stage_frame_init(pipeline->steps, run, activation, parent, scope);
	steps->answers = true;
	return frame_start(&steps->frame);
}

struct outcome pipeline_outcome(const struct pipeline *pipeline, struct activation *activation)
{
	return stage_outcome(&stage_frame_of(activation, pipeline->steps)->frame);
}

struct visiting {
	stage_visit_fn visit;
	void *user;
	bool own; /* only what ends with the run */
};

static void visit_stage(const struct visiting *visiting, const struct stage *stage,
		const struct activation *activation, uint64_t flight)
{
	const struct stage_frame *frame = stage_frame_of(activation, stage);
	if (frame->started == 0)
		return;
	if (stage->type != &steps_type)
		visiting->visit(visiting->user, frame, flight);
	for (unsigned nth = 0; stage->type->below; nth++) {
		struct stage_below below = stage->type->below(frame, nth);
		if (!below.steps || !below.activation)
			break;
		if (!below.shared || !visiting->own)
			visit_stage(visiting, below.steps, below.activation,
					below.flight ? below.flight : flight);
	}
}

void pipeline_visit(const struct pipeline *pipeline, const struct activation *activation,
		stage_visit_fn visit, void *user)
{
	const struct visiting visiting = {visit, user, false};
	visit_stage(&visiting, pipeline->steps, activation, 0);
}

void pipeline_visit_own(const struct pipeline *pipeline, const struct activation *activation,
		stage_visit_fn visit, void *user)
{
	const struct visiting visiting = {visit, user, true};
	visit_stage(&visiting, pipeline->steps, activation, 0);
}
