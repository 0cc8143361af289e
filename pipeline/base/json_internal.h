/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For the json files only: the characters of strings, however they are spelled (json_text.c), and
 * whether the names of an object differ (json_names.c).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/base/json.h"
#include "pipeline/base/text.h"

/* ---- json_text.c */

/* Characters read byte by byte, from the inside of a string that was checked or from plain text. */
struct spelling {
	const char *at;
	const char *end;
	bool escaped; /* a backslash begins an escape */
	uint8_t undone_at;
	uint8_t undone_size;
	char undone[4]; /* the character of the escape read last */
};

static inline struct spelling spelling_of(struct text inside, bool escaped)
{
	return (struct spelling){
			.at = inside.data, .end = inside.data + inside.size, .escaped = escaped};
}

/* Writes the characters, at most as many bytes as their spelling has, and returns how many bytes
 * those are. */
size_t spelling_write(struct spelling *spelling, char *to);

/* The bytes of the escape, or pair of surrogate escapes, whose backslash is at `at`; 0 if it is
 * none or not allowed. */
size_t escape_size(const char *at, const char *end);

/* What stands between the quotes of the string at index. */
static inline struct text json_inside(const struct json *json, uint32_t index)
{
	const struct json_value *value = &json->values[index];
	return (struct text){json->text.data + value->at + 1, value->size - 2};
}

/*
 * Whether the string at index has the characters of other, which is plain text or, with `escaped`,
 * the inside of a string that was checked.
 */
bool json_has_characters(const struct json *json, uint32_t index, struct text other, bool escaped);

/* Whether two strings, each with its quotes, have the same characters. */
bool json_same_characters(struct text a, struct text b);

/* ---- json_names.c: both leave *ret_error as it was if they differ */

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
