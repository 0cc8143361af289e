/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may be written of a fan-out, and what is made of it.
 */
#include "pipeline/async/async.h"
#include "pipeline/base/arena.h"
#include "pipeline/resources/source.h"
#include "pipeline/stages/compiler.h"
#include "pipeline/stages/fanout.h"
#include "pipeline/wire/wire.h"

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

void fanout_compile(
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
	compile_check_timeout(compiler, option_get(options, "timeout"));
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
		random_hash_key(&compiler->context->async->keys, &fanout->each_key);
	}
	fanout_hedge_compile(compiler, fanout, option_get(options, "hedge"));
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
				.max = UINT32_MAX,
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
		{.key = "hedge",
				.kind = OPTION_MAP,
				.table = fanout_hedge_options,
				.help = "ask no more than are needed at first, and the next source "
					"when they take long or fail"},
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
