/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A JSON value as it moves through a pipeline: its text, and a view of it from the moment somebody
 * follows a path into it. Copying the struct is how values are passed on; the bytes belong to a
 * run's arena or to a blob that the run holds. No text: no value, which is not null.
 */
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/base/json.h"
#include "pipeline/base/text.h"

struct arena;

struct value {
	struct text text;	 /* checked JSON */
	const struct json *json; /* NULL until a path is followed */
	uint32_t index;		 /* where in json it stands */
};

#define VALUE_NONE ((struct value){{NULL, 0}, NULL, 0})

/* A value of checked text without a view. */
static inline struct value value_of(struct text text)
{
	return (struct value){text, NULL, 0};
}

/* The value at index of a view that outlives it. */
static inline struct value value_at(const struct json *json, uint32_t index)
{
	return (struct value){json_raw(json, index), json, index};
}

static inline bool value_present(const struct value *value)
{
	return value->text.data != NULL;
}

/* Makes the view, in arena, if there is none yet. False when memory is out or the text is not JSON
 * after all. */
bool value_view(struct value *value, struct arena *arena);

/*
 * Follows segments (member names, or decimal array indexes) from *value. False: the path leads
 * nowhere. The view is made in arena if there is none, and stays in *value for the next time.
 */
bool value_follow(struct value *value, const struct text *segments, size_t count,
		struct arena *arena, struct value *ret);
