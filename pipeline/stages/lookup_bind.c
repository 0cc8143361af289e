/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values are bound and never spliced into SQL. What is JSON in a request has a kind of its own in
 * SQL, or is refused by the name that it would be bound to.
 */
#include "pipeline/stages/lookup_bind.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/buffer.h"
#include "pipeline/resources/database.h"
#include "pipeline/stages/compiler.h"

/* What `:name` is bound to: `params` says, or else it is ${name}. */
static struct template *parameter(struct compiler *compiler, struct text name,
		const struct option_map *params, struct place place)
{
	const struct option_value *given = params ? option_find(params, name) : NULL;
	if (given)
		return compile_template(compiler, given->template);
	struct text written = arena_format(compiler->arena, "${%.*s}", TEXT_ARG(name));
	struct template *template =
			template_compile(written, false, place, compiler->arena, compiler->diag);
	return template ? compile_template(compiler, template) : NULL;
}

static void check_params(struct compiler *compiler, const struct query_spec *spec,
		const struct option_map *params)
{
	for (size_t i = 0; params && i < params->count; i++) {
		struct nearest nearest;
		bool known = false;
		nearest_init(&nearest, params->values[i].name);
		for (size_t k = 0; k < spec->parameter_count; k++) {
			known |= text_equal(spec->parameters[k], params->values[i].name);
			nearest_see(&nearest, spec->parameters[k]);
		}
		if (!known)
			diag_error(compiler->diag, params->values[i].place,
					"the query has no \":%.*s\"%s",
					TEXT_ARG(params->values[i].name),
					nearest_hint(&nearest, compiler->arena));
	}
}

struct template **lookup_bind_compile(
		struct compiler *compiler, struct query_spec *spec, const struct option_map *params)
{
	int count = sql_parameters(spec->sql, compiler->arena, &spec->parameters);
	spec->parameter_count = count > 0 ? (size_t)count : 0;
	struct template **bound =
			arena_zalloc(compiler->arena, (spec->parameter_count + 1) * sizeof(*bound));
	if (count < 0 || !bound) {
		diag_error(compiler->diag, spec->place, "out of memory");
		return NULL;
	}
	for (size_t i = 0; i < spec->parameter_count; i++)
		bound[i] = parameter(compiler, spec->parameters[i], params, spec->place);
	check_params(compiler, spec, params);
	return bound;
}

static bool refuse(struct stage_frame *frame, struct text name, const char *what)
{
	(void)stage_fail(frame, STATUS_INVALID_ARGUMENT, "\":%.*s\" can't be bound to %s",
			TEXT_ARG(name), what);
	return false;
}

static bool out_of_memory(struct stage_frame *frame)
{
	frame->frame.outcome = run_out_of_memory();
	return false;
}

/* False: it is out of range. An integer never becomes a real, whose rounding could make one key of
 * two. */
static bool number_of(const char *digits, struct sql_value *ret)
{
	char *end;
	errno = 0;
	long long integer = strtoll(digits, &end, 10);
	if (*end == '\0') {
		*ret = (struct sql_value){.kind = SQL_INTEGER, .integer = integer};
		return errno == 0;
	}
	*ret = (struct sql_value){.kind = SQL_REAL, .real = strtod(digits, NULL)};
	return isfinite(ret->real);
}

static bool bind_number(
		struct stage_frame *frame, struct text name, struct text raw, struct sql_value *ret)
{
	struct text digits = arena_copy(frame->run->arena, raw);
	if (!digits.data)
		return out_of_memory(frame);
	return number_of(digits.data, ret) || refuse(frame, name, "a number out of range");
}

static bool bind_text(struct stage_frame *frame, struct text raw, struct sql_value *ret)
{
	struct buffer buffer;
	buffer_init_arena(&buffer, frame->run->arena);
	json_append_unescaped(&buffer, raw);
	*ret = (struct sql_value){.kind = SQL_TEXT, .text = buffer_text(&buffer)};
	return ret->text.data || out_of_memory(frame);
}

/* Strings, integers, reals, booleans and null have a kind in SQL; arrays and objects have none. */
static bool bind_value(
		struct stage_frame *frame, struct text name, struct text raw, struct sql_value *ret)
{
	switch (json_kind_of(raw)) {
	case JSON_NULL:
		*ret = (struct sql_value){.kind = SQL_NULL};
		return true;
	case JSON_FALSE:
	case JSON_TRUE:
		*ret = (struct sql_value){.kind = SQL_BOOLEAN, .integer = raw.data[0] == 't'};
		return true;
	case JSON_NUMBER:
		return bind_number(frame, name, raw, ret);
	case JSON_STRING:
		return bind_text(frame, raw, ret);
	case JSON_ARRAY:
		return refuse(frame, name, "an array");
	case JSON_OBJECT:
		break;
	}
	return refuse(frame, name, "an object");
}

struct sql_value *lookup_bind(
		const struct query_spec *spec, struct template **bound, struct stage_frame *frame)
{
	struct run *run = frame->run;
	struct names names = {run, frame->activation, SLOT_UNBOUND, VALUE_NONE, false, NULL};
	struct sql_value *values = arena_alloc(run->arena, spec->parameter_count * sizeof(*values));
	if (!values) {
		(void)out_of_memory(frame);
		return NULL;
	}
	for (size_t i = 0; i < spec->parameter_count; i++) {
		struct value value;
		if (!names_value(&names, bound[i], &value, &frame->frame.outcome) ||
				!bind_value(frame, spec->parameters[i], value.text, &values[i]))
			return NULL;
	}
	return values;
}
