/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a body holds: `{sku: string, symbols: [string], locale: string = en}`. A default is kept as
 * JSON text, the form in which it will stand in for what a body left out.
 */
#include "conf/document.h"
#include "conf/names.h"
#include "conf/walk.h"
#include "pipeline/base/buffer.h"
#include "pipeline/base/json.h"

static const struct type {
	const char *name;
	enum type_kind kind;
} types[] = {
		{"string", TYPE_STRING},
		{"number", TYPE_NUMBER},
		{"boolean", TYPE_BOOLEAN},
		{"object", TYPE_OBJECT},
		{"any", TYPE_ANY},
};
#define TYPE_COUNT (sizeof(types) / sizeof(types[0]))

static struct text trim(struct text t)
{
	while (t.size > 0 && t.data[0] == ' ')
		t = (struct text){t.data + 1, t.size - 1};
	while (t.size > 0 && t.data[t.size - 1] == ' ')
		t.size--;
	return t;
}

static bool find_type(struct text name, enum type_kind *ret)
{
	for (size_t i = 0; i < TYPE_COUNT; i++) {
		if (text_equal(text_of(types[i].name), name)) {
			*ret = types[i].kind;
			return true;
		}
	}
	return false;
}

static void refuse_type(
		struct walk *walk, struct text key, const struct node *node, struct text written)
{
	struct names names;
	names_init(&names, written, walk->arena);
	for (size_t i = 0; i < TYPE_COUNT; i++)
		names_add(&names, types[i].name);
	walk_expected(walk, key, node,
			"a type (string, number, boolean, object, any, or one in brackets)",
			names_hint(&names));
}

static bool is_json(struct walk *walk, struct text text, enum json_kind kind)
{
	const struct json_limits limits = {.bytes = UINT32_MAX, .depth = 1, .values = 1};
	struct json json;
	struct json_error error;
	return json_parse(&json, walk->arena, text, &limits, &error) && json_kind(&json, 0) == kind;
}

static struct text json_string_of(struct walk *walk, struct text text)
{
	struct buffer buffer;
	buffer_init_arena(&buffer, walk->arena);
	buffer_append_json_string(&buffer, text);
	if (buffer.failed)
		walk_out_of_memory(walk);
	return buffer_text(&buffer);
}

/* What stands behind the `=`. */
static void walk_default(struct walk *walk, const struct node *node, struct text written,
		struct field_type *field)
{
	const char *expected = NULL;
	field->fallback = written;
	if (field->kind == TYPE_STRING)
		field->fallback = json_string_of(walk, written);
	else if (field->kind == TYPE_NUMBER)
		expected = is_json(walk, written, JSON_NUMBER) ? NULL : "a number as default";
	else if (field->kind == TYPE_BOOLEAN)
		expected = is_json(walk, written, JSON_TRUE) || is_json(walk, written, JSON_FALSE)
					   ? NULL
					   : "true or false as default";
	else
		expected = "no default (only a string, number or boolean has one)";
	if (expected)
		walk_expected(walk, field->name, node, expected, "");
}

static void walk_array(struct walk *walk, const struct node *element, struct field_type *field)
{
	field->kind = TYPE_ARRAY;
	if (element->kind != NODE_REFUSED && !find_type(element->text, &field->element))
		refuse_type(walk, field->name, element, element->text);
}

static void walk_type(struct walk *walk, const struct node *node, struct field_type *field)
{
	if (node->kind == NODE_LIST && node->count == 1) {
		walk_array(walk, node->first, field);
		return;
	}
	if (node->kind != NODE_SCALAR) {
		if (node->kind != NODE_REFUSED)
			refuse_type(walk, field->name, node, node->text);
		return;
	}
	const char *start = node->text.data;
	const char *end = start + node->text.size;
	const char *equals = memchr(start, '=', node->text.size);
	struct text name = trim((struct text){start, (size_t)((equals ? equals : end) - start)});
	if (!find_type(name, &field->kind))
		refuse_type(walk, field->name, node, name);
	else if (equals)
		walk_default(walk, node,
				trim((struct text){equals + 1, (size_t)(end - equals - 1)}), field);
}

void walk_types(struct walk *walk, const struct option *option, const struct node *node,
		struct option_value *value)
{
	if (node->kind != NODE_MAP) {
		walk_expected(walk, value->name, node, "a map from names to types", "");
		return;
	}
	walk_bounds(walk, option, value, node->count);
	struct field_type *fields = walk_alloc(walk, node->count, sizeof(*fields));
	if (!fields)
		return;
	value->types = fields;
	value->type_count = node->count;
	struct field_type *field = fields;
	for (const struct node *child = node->first; child; child = child->next, field++) {
		(void)walk_name(walk, child->key, child->key_place);
		field->name = child->key;
		field->place = child->key_place;
		walk_type(walk, child, field);
	}
}
