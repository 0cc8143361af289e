/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A value is laid out only when somebody looks inside it: most are passed on as text. A view is of
 * text that was checked before under limits that were asked for then, so here there are none.
 */
#include "pipeline/base/value.h"

#include "pipeline/base/arena.h"

bool value_view(struct value *value, struct arena *arena)
{
	static const struct json_limits none = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
	if (value->json)
		return true;
	struct json *json = arena_alloc(arena, sizeof(*json));
	struct json_error error;
	if (json == NULL || !json_parse(json, arena, value->text, &none, &error))
		return false;
	*value = value_at(json, 0);
	return true;
}

static uint32_t step(const struct json *json, uint32_t index, struct text segment)
{
	uint64_t n;
	if (json_kind(json, index) == JSON_OBJECT)
		return json_member(json, index, segment);
	if (!text_to_u64(segment, &n) || n > UINT32_MAX)
		return JSON_NONE;
	return json_element(json, index, (uint32_t)n);
}

bool value_follow(struct value *value, const struct text *segments, size_t count,
		struct arena *arena, struct value *ret)
{
	if (!value_present(value))
		return false;
	if (count == 0) {
		*ret = *value;
		return true;
	}
	if (!value_view(value, arena))
		return false;
	uint32_t index = value->index;
	for (size_t i = 0; i < count; i++) {
		index = step(value->json, index, segments[i]);
		if (index == JSON_NONE)
			return false;
	}
	*ret = value_at(value->json, index);
	return true;
}
