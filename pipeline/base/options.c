/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How stages, drivers and the daemon read their part of a configuration once it has been checked
 * against their table. A key that is asked for and not in the table is a slip of ours, so it is
 * asserted and not reported.
 */
#include "pipeline/base/options.h"

#include <assert.h>

#include "pipeline/base/template.h"

const struct option_value *option_find(const struct option_map *map, struct text name)
{
	for (size_t i = 0; i < map->count; i++)
		if (text_equal(map->values[i].name, name))
			return &map->values[i];
	return NULL;
}

const struct option_value *option_get(const struct option_map *map, const char *key)
{
	const struct option_value *value = option_find(map, text_of(key));
	assert(value);
	return value;
}

uint64_t option_number(const struct option_map *map, const char *key)
{
	return option_get(map, key)->number;
}

struct text option_text(const struct option_map *map, const char *key)
{
	return option_get(map, key)->text;
}

static bool kind_accepts(enum type_kind type, enum json_kind kind)
{
	switch (type) {
	case TYPE_ANY:
		return true;
	case TYPE_STRING:
		return kind == JSON_STRING;
	case TYPE_NUMBER:
		return kind == JSON_NUMBER;
	case TYPE_BOOLEAN:
		return kind == JSON_FALSE || kind == JSON_TRUE;
	case TYPE_OBJECT:
		return kind == JSON_OBJECT;
	case TYPE_ARRAY:
		return kind == JSON_ARRAY;
	}
	return false;
}

bool field_type_accepts(const struct field_type *type, const struct json *json, uint32_t index)
{
	if (!kind_accepts(type->kind, json_kind(json, index)))
		return false;
	if (type->kind != TYPE_ARRAY)
		return true;
	uint32_t end = json->values[index].next;
	for (uint32_t at = index + 1; at < end; at = json->values[at].next)
		if (!kind_accepts(type->element, json_kind(json, at)))
			return false;
	return true;
}

const char *field_type_name(const struct field_type *type)
{
	static const char *const alone[] = {
			[TYPE_ANY] = "any",
			[TYPE_STRING] = "string",
			[TYPE_NUMBER] = "number",
			[TYPE_BOOLEAN] = "boolean",
			[TYPE_OBJECT] = "object",
	};
	static const char *const arrays[] = {
			[TYPE_ANY] = "[any]",
			[TYPE_STRING] = "[string]",
			[TYPE_NUMBER] = "[number]",
			[TYPE_BOOLEAN] = "[boolean]",
			[TYPE_OBJECT] = "[object]",
	};
	if (type->kind != TYPE_ARRAY)
		return alone[type->kind];
	assert(type->element != TYPE_ARRAY);
	return arrays[type->element];
}

static bool templates_equal(const struct template *a, const struct template *b)
{
	if (!a || !b)
		return a == b;
	if (a->part_count != b->part_count || !text_equal(a->constant, b->constant))
		return false;
	for (size_t i = 0; i < a->part_count; i++) {
		const struct path *one = a->parts[i].path;
		const struct path *other = b->parts[i].path;
		if (!one != !other)
			return false;
		if (one ? !text_equal(one->whole, other->whole) || !text_equal(one->fallback,
										   other->fallback)
			: !text_equal(a->parts[i].literal, b->parts[i].literal))
			return false;
	}
	return true;
}

static bool values_equal(const struct option_value *a, size_t a_count, const struct option_value *b,
		size_t b_count)
{
	if (a_count != b_count)
		return false;
	for (size_t i = 0; i < a_count; i++)
		if (!option_value_equal(&a[i], &b[i]))
			return false;
	return true;
}

/* Absent is not the same as empty. */
static bool fallbacks_equal(struct text a, struct text b)
{
	if (!a.data || !b.data)
		return !a.data && !b.data;
	return text_equal(a, b);
}

static bool types_equal(const struct option_value *a, const struct option_value *b)
{
	if (a->type_count != b->type_count)
		return false;
	for (size_t i = 0; i < a->type_count; i++) {
		const struct field_type *one = &a->types[i], *other = &b->types[i];
		if (!text_equal(one->name, other->name) || one->kind != other->kind ||
				one->element != other->element ||
				!fallbacks_equal(one->fallback, other->fallback))
			return false;
	}
	return true;
}

/* A default says the same whether it is written out or not. */
static bool given_alike(const struct option_value *a, const struct option_value *b)
{
	return a->given == b->given || (a->option && a->option->fallback);
}

bool option_value_equal(const struct option_value *a, const struct option_value *b)
{
	if (!text_equal(a->name, b->name) || !given_alike(a, b) || a->choice != b->choice ||
			a->number != b->number || !text_equal(a->text, b->text) ||
			!text_equal(a->as, b->as) || !templates_equal(a->template, b->template) ||
			!types_equal(a, b))
		return false;
	if (!a->map != !b->map || !a->list != !b->list)
		return false;
	if (a->map && !values_equal(a->map->values, a->map->count, b->map->values, b->map->count))
		return false;
	return !a->list ||
	       values_equal(a->list->values, a->list->count, b->list->values, b->list->count);
}
