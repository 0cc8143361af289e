/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the way in a table that was laid: siblings are stepped over by `next`, so a search costs
 * as many steps as there are siblings, however much lies inside them.
 */
#include <assert.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/json.h"
#include "pipeline/base/json_internal.h"

struct text json_string(const struct json *json, uint32_t index, struct arena *arena)
{
	const struct json_value *value = &json->values[index];
	assert(value->kind == JSON_STRING);
	struct text inside = json_inside(json, index);
	if (!value->escaped)
		return inside;
	char *characters = arena_alloc(arena, inside.size);
	if (characters == NULL)
		return (struct text){NULL, 0};
	struct spelling spelling = spelling_of(inside, true);
	return (struct text){characters, spelling_write(&spelling, characters)};
}

bool json_string_is(const struct json *json, uint32_t index, struct text characters)
{
	return json_has_characters(json, index, characters, false);
}

uint32_t json_member(const struct json *json, uint32_t index, struct text name)
{
	const struct json_value *object = &json->values[index];
	if (object->kind != JSON_OBJECT)
		return JSON_NONE;
	for (uint32_t at = index + 1; at < object->next; at = json->values[at + 1].next)
		if (json_string_is(json, at, name))
			return at + 1;
	return JSON_NONE;
}

uint32_t json_element(const struct json *json, uint32_t index, uint32_t n)
{
	const struct json_value *array = &json->values[index];
	if (array->kind != JSON_ARRAY || n >= array->count)
		return JSON_NONE;
	uint32_t at = index + 1;
	while (n-- > 0)
		at = json->values[at].next;
	return at;
}

enum json_kind json_kind_of(struct text raw)
{
	switch (raw.data[0]) {
	case 'n':
		return JSON_NULL;
	case 'f':
		return JSON_FALSE;
	case 't':
		return JSON_TRUE;
	case '"':
		return JSON_STRING;
	case '[':
		return JSON_ARRAY;
	case '{':
		return JSON_OBJECT;
	default:
		return JSON_NUMBER;
	}
}

const char *json_kind_name(enum json_kind kind)
{
	static const char *const names[] = {
			[JSON_NULL] = "null",
			[JSON_FALSE] = "boolean",
			[JSON_TRUE] = "boolean",
			[JSON_NUMBER] = "number",
			[JSON_STRING] = "string",
			[JSON_ARRAY] = "array",
			[JSON_OBJECT] = "object",
	};
	return names[kind];
}
