/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The best of many answers: the one whose number is the lowest, or the highest. Numbers are held
 * against each other as doubles.
 */
#include <stdlib.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/options.h"
#include "pipeline/stages/compiler.h"
#include "pipeline/stages/fanout.h"

const struct option fanout_best_options[] = {
		{.key = "lowest",
				.kind = OPTION_TEXT,
				.min = 1,
				.max = 200,
				.help = "the path of the number that is to be the lowest"},
		{.key = "highest",
				.kind = OPTION_TEXT,
				.min = 1,
				.max = 200,
				.help = "the path of the number that is to be the highest"},
		{.key = NULL},
};

static size_t count_segments(struct text path)
{
	size_t count = 1;
	for (size_t i = 0; i < path.size; i++)
		count += path.data[i] == '.';
	return count;
}

/* The names between the dots. False: one is empty, or memory is out. */
static bool split(struct compiler *compiler, struct best *best, struct text path)
{
	size_t count = count_segments(path);
	struct text *segments = arena_alloc(compiler->arena, count * sizeof(*segments));
	if (!segments)
		return false;
	best->path = segments;
	best->path_size = count;
	for (size_t i = 0; i < count; i++) {
		segments[i] = text_take(&path, '.');
		if (segments[i].size == 0)
			return false;
	}
	return true;
}

void fanout_best_compile(
		struct compiler *compiler, struct best *best, const struct option_value *option)
{
	if (!option->given)
		return;
	const struct option_value *lowest = option_get(option->map, "lowest");
	const struct option_value *highest = option_get(option->map, "highest");
	if (lowest->given == highest->given) {
		diag_error(compiler->diag, option->place,
				"\"best\" needs one of \"lowest\" and \"highest\"");
		return;
	}
	best->highest = highest->given;
	best->field = best->highest ? highest->text : lowest->text;
	if (!split(compiler, best, best->field))
		diag_error(compiler->diag, best->highest ? highest->place : lowest->place,
				"expected the path of a number, such as price or offer.price");
}

/* The number of an answer. False: it has none there. */
static bool number_of(const struct best *best, const struct value *answer, struct arena *arena,
		double *ret)
{
	struct value value = *answer, number;
	if (!value_present(&value) || json_kind_of(value.text) != JSON_OBJECT ||
			!value_follow(&value, best->path, best->path_size, arena, &number) ||
			json_kind_of(number.text) != JSON_NUMBER)
		return false;
	/* A member's number is followed by a comma or a bracket, so strtod() ends there. */
	*ret = strtod(number.text.data, NULL);
	return true;
}

struct outcome fanout_best_judge(struct gather *gather, const struct outcome *outcome)
{
	const struct fanout_frame *frame =
			container_of(gather->owner, struct fanout_frame, base.frame);
	const struct fanout *fanout = container_of(frame->base.stage, struct fanout, stage);
	struct arena *arena = container_of(gather, struct group, gather)->arena;
	double number;
	if (!number_of(&fanout->best, &outcome->value, arena, &number))
		return outcome_failed(arena, STATUS_INTERNAL, (struct text){NULL, 0},
				"its answer has no number \"%.*s\"", TEXT_ARG(fanout->best.field));
	return *outcome;
}

const struct branch *fanout_best_branch(const struct fanout_frame *frame, const struct group *group)
{
	const struct fanout *fanout = container_of(frame->base.stage, struct fanout, stage);
	const struct branch *best = NULL;
	double best_number = 0;
	for (uint32_t i = 0; i < group->gather.count; i++) {
		const struct branch *branch = &group->gather.branches[i];
		double number;
		if (!branch_good(branch) || !number_of(&fanout->best, branch_value(branch),
							    group->arena, &number))
			continue;
		bool better = fanout->best.highest ? number > best_number : number < best_number;
		if (best && !better)
			continue;
		best = branch;
		best_number = number;
	}
	return best;
}
