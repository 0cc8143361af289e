/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For the json files only: the characters of JSON strings, however they are spelled.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/base/json.h"
#include "pipeline/base/text.h"

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
