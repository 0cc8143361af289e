/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stage `when`: steps that run only under a condition. Where it does not hold, nothing happens:
 * the value before the stage stands. A condition never fails. What leads nowhere is not present and
 * equals nothing, and what is no number is neither above nor below one.
 */
#include "pipeline/stages/when.h"

#include <inttypes.h>

#include "pipeline/base/buffer.h"
#include "pipeline/base/json_compare.h"
#include "pipeline/stages/compiler.h"
#include "pipeline/stages/steps.h"

enum condition { PRESENT, EQUALS, ABOVE, BELOW, CONDITIONS };

static const char *const condition_names[] = {"present", "equals", "above", "below"};

struct when {
	struct stage stage;
	enum condition condition;
	bool present; /* PRESENT: or that it is not */
	const struct template *value;
	const struct template *other; /* what the value is held against */
	const struct stage *steps;
	uint64_t taken;
	uint64_t passed; /* not taken */
};

struct when_frame {
	struct stage_frame base;
	bool taken;
};

static struct when *when_of(const struct stage_frame *frame)
{
	return container_of(frame->stage, struct when, stage);
}

static bool holds(enum condition condition, struct text value, struct text other)
{
	if (condition == EQUALS)
		return json_equal(value, other);
	if (json_kind_of(value) != JSON_NUMBER || json_kind_of(other) != JSON_NUMBER)
		return false;
	int order = json_compare_numbers(value, other);
	return condition == ABOVE ? order > 0 : order < 0;
}

/* False: memory is out, and *ret_outcome says so. */
static bool judge(struct when_frame *self, struct outcome *ret_outcome)
{
	const struct when *when = when_of(&self->base);
	struct names names = {self->base.run, self->base.activation, SLOT_UNBOUND, VALUE_NONE,
			false, NULL};
	struct value value, other;
	if (!names_value_if_any(&names, when->value, &value, ret_outcome))
		return false;
	if (when->condition == PRESENT) {
		self->taken = value_present(&value) == when->present;
		return true;
	}
	if (!names_value_if_any(&names, when->other, &other, ret_outcome))
		return false;
	self->taken = value_present(&value) && value_present(&other) &&
		      holds(when->condition, value.text, other.text);
	return true;
}

static enum progress when_start(struct frame *frame)
{
	struct when_frame *self = container_of(frame, struct when_frame, base.frame);
	struct when *when = when_of(&self->base);
	struct activation *activation = self->base.activation;
	if (!judge(self, &frame->outcome))
		return DONE;
	if (!self->taken) {
		when->passed++;
		return frame_done(frame, outcome_stands());
	}
	when->taken++;
	if (stage_start_within(&self->base, when->steps, activation, frame->scope) == PENDING)
		return PENDING;
	return frame_done(frame, stage_outcome(&stage_frame_of(activation, when->steps)->frame));
}

static enum progress when_resume(struct frame *frame, struct frame *child)
{
	return frame_done(frame, stage_outcome(child));
}

static struct stage_below when_below(const struct stage_frame *frame, unsigned nth)
{
	const struct when_frame *self = container_of(frame, struct when_frame, base);
	if (!self->taken || nth > 0)
		return (struct stage_below){0};
	return (struct stage_below){
			.steps = when_of(frame)->steps, .activation = frame->activation};
}

/* The one condition of four. NULL after an error. */
static const struct option_value *find_condition(
		struct compiler *compiler, struct when *when, const struct option_map *options)
{
	const struct option_value *found = NULL;
	for (int i = 0; i < CONDITIONS; i++) {
		const struct option_value *option = option_get(options, condition_names[i]);
		if (!option->given)
			continue;
		if (found) {
			diag_error(compiler->diag, option->place,
					"there is a condition already: \"%s\"",
					condition_names[when->condition]);
			return NULL;
		}
		found = option;
		when->condition = (enum condition)i;
	}
	if (!found)
		diag_error(compiler->diag, options->place,
				"\"when\" needs one of \"present\", \"equals\", \"above\" and "
				"\"below\"");
	return found;
}

static void compile_condition(
		struct compiler *compiler, struct when *when, const struct option_value *condition)
{
	const struct template *written = condition->template;
	if (when->condition == PRESENT) {
		when->present = condition->number;
		return;
	}
	if (when->condition != EQUALS && !template_is_path(written) &&
			(!written->constant.data ||
					json_kind_of(written->constant) != JSON_NUMBER)) {
		diag_error(compiler->diag, condition->place, "expected a number, or ${path}");
		return;
	}
	when->other = compile_template(compiler, written);
}

static void when_compile(
		struct compiler *compiler, struct stage *stage, const struct option_map *options)
{
	struct when *when = container_of(stage, struct when, stage);
	const struct option_value *condition = find_condition(compiler, when, options);
	when->value = compile_template(compiler, option_get(options, "value")->template);
	if (condition)
		compile_condition(compiler, when, condition);
	when->steps = compile_steps(compiler, option_get(options, "steps"), NULL);
}

static void when_write_stats(const struct stage *stage, struct buffer *buffer)
{
	const struct when *when = container_of(stage, struct when, stage);
	buffer_append_format(buffer, "\"taken\":%" PRIu64 ",\"passed\":%" PRIu64, when->taken,
			when->passed);
}

const struct option when_options[] = {
		{.key = "value",
				.kind = OPTION_TEMPLATE,
				.required = true,
				.help = "what is looked at, such as ${product.price}"},
		{.key = "present",
				.kind = OPTION_BOOLEAN,
				.help = "`true`: there is such a value (null is one); `false`: "
					"there is none"},
		{.key = "equals",
				.kind = OPTION_TEMPLATE,
				.help = "it is this string, number, boolean or null"},
		{.key = "above",
				.kind = OPTION_TEMPLATE,
				.help = "it is a number greater than this"},
		{.key = "below", .kind = OPTION_TEMPLATE, .help = "it is a number less than this"},
		STEPS_OPTION,
		{.key = NULL},
};

const struct stage_type when_type = {
		.name = "when",
		.stage_size = sizeof(struct when),
		.frame_size = sizeof(struct when_frame),
		.may_stand = true,
		.ops = {.start = when_start, .resume = when_resume},
		.compile = when_compile,
		.below = when_below,
		.write_stats = when_write_stats,
};
