/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/conf/show.h"

#include <assert.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "pipeline/base/buffer.h"
#include "pipeline/base/template.h"

static void show(struct buffer *buffer, const struct option_value *value, enum option_kind kind);

static void show_template(struct buffer *buffer, const struct template *template)
{
	if (template->constant.data) {
		buffer_append(buffer, template->constant);
		return;
	}
	for (size_t i = 0; i < template->part_count; i++) {
		const struct template_part *part = &template->parts[i];
		if (part->path)
			buffer_append_format(buffer, "<%.*s|%.*s>", TEXT_ARG(part->path->whole),
					TEXT_ARG(part->path->fallback));
		else
			buffer_append(buffer, part->literal);
	}
}

static void show_types(struct buffer *buffer, const struct option_value *value)
{
	for (size_t i = 0; i < value->type_count; i++) {
		const struct field_type *type = &value->types[i];
		buffer_append_format(buffer, "%s%.*s@%u:%u %s", i ? ", " : "{",
				TEXT_ARG(type->name), type->place.line, type->place.column,
				field_type_name(type));
		if (type->fallback.data)
			buffer_append_format(buffer, "=%.*s", TEXT_ARG(type->fallback));
	}
	buffer_append(buffer, TEXT("}"));
}

static void show_steps(struct buffer *buffer, const struct option_list *steps)
{
	assert(steps);
	buffer_append_char(buffer, '[');
	for (size_t i = 0; i < steps->count; i++) {
		const struct option_value *step = &steps->values[i];
		buffer_append_format(buffer, "%s%.*s@%u:%u", i ? "; " : "", TEXT_ARG(step->name),
				step->place.line, step->place.column);
		assert_string_equal(step->variant->name, step->name.data);
		show_map(buffer, step->map);
		if (step->as.data)
			buffer_append_format(buffer, " as %.*s@%u:%u", TEXT_ARG(step->as),
					step->as_place.line, step->as_place.column);
	}
	buffer_append(buffer, TEXT("]"));
}

static void show_list(struct buffer *buffer, const struct option_list *list)
{
	buffer_append_char(buffer, '[');
	for (size_t i = 0; i < list->count; i++) {
		if (i > 0)
			buffer_append(buffer, TEXT(", "));
		show(buffer, &list->values[i], list->values[i].option->kind);
	}
	buffer_append(buffer, TEXT("]"));
}

static void show(struct buffer *buffer, const struct option_value *value, enum option_kind kind)
{
	switch (kind) {
	case OPTION_DURATION:
	case OPTION_SIZE:
	case OPTION_NUMBER:
	case OPTION_PERCENT:
	case OPTION_BOOLEAN:
		buffer_append_u64(buffer, value->number);
		break;
	case OPTION_CHOICE:
		buffer_append_format(
				buffer, "choice %d number %" PRIu64, value->choice, value->number);
		break;
	case OPTION_WORD:
	case OPTION_TEXT:
	case OPTION_QUERY:
	case OPTION_RESOURCE:
		buffer_append_format(buffer, "'%.*s'", TEXT_ARG(value->text));
		break;
	case OPTION_TEMPLATE:
		show_template(buffer, value->template);
		break;
	case OPTION_TYPES:
		show_types(buffer, value);
		break;
	case OPTION_STEPS:
		show_steps(buffer, value->list);
		break;
	case OPTION_TEMPLATES:
	case OPTION_MAP:
	case OPTION_NAMED:
		show_map(buffer, value->map);
		break;
	}
}

/* Options of which the file says nothing, and for which nothing stands, would only hide the others.
 */
static bool is_shown(const struct option_value *value)
{
	return !value->option || value->given || value->option->fallback || value->map;
}

static void show_free(struct buffer *buffer, const struct option_value *value)
{
	if (value->variant)
		buffer_append_format(buffer, "%s ", value->variant->name);
	if (value->template)
		show_template(buffer, value->template);
	else
		show_map(buffer, value->map);
}

void show_map(struct buffer *buffer, const struct option_map *map)
{
	const char *between = "{";
	for (size_t i = 0; i < map->count; i++) {
		const struct option_value *value = &map->values[i];
		if (!is_shown(value))
			continue;
		buffer_append_format(buffer, "%s%.*s%s@%u:%u ", between, TEXT_ARG(value->name),
				value->given ? "" : "*", value->place.line, value->place.column);
		between = ", ";
		if (!value->option)
			show_free(buffer, value);
		else if (value->option->list)
			show_list(buffer, value->list);
		else
			show(buffer, value, value->option->kind);
	}
	buffer_append(buffer, *between == '{' ? TEXT("{}") : TEXT("}"));
}
