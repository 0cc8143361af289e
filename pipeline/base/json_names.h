/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For the json files only: whether the names of an object differ. Both leave *ret_error as it was
 * if they do.
 */
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/base/json.h"

#define JSON_NAMES_FEW 8

/* Bytes, quotes included, up to which a name with an escape may be compared with some others:
 * character by character, which is slow. */
#define JSON_NAME_LONG 64

/* Whether that takes a hash: of a closed object, where it is marked as having a long name with an
 * escape. */
static inline bool json_is_crowded(const struct json_value *value)
{
	return value->kind == JSON_OBJECT &&
	       (value->count > JSON_NAMES_FEW || (value->escaped && value->count > 1));
}

/* Of the object at index, which is not crowded. */
bool json_names_few(const struct json *json, uint32_t index, struct json_error *ret_error);

/* Of all objects that are crowded. Takes memory of arena until it returns. */
bool json_names_many(const struct json *json, struct arena *arena, struct json_error *ret_error);
