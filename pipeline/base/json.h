/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A strict view of JSON text (RFC 8259) without a tree: a flat table of values laid over the bytes,
 * in an arena.
 *
 * Refused, beside what the grammar refuses: bytes that are not UTF-8, lone surrogates, U+0000
 * escapes, duplicate names in one object, a byte order mark, and what is over a limit. Numbers stay
 * as they are written and are never converted. The view borrows the text, which must outlive it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/base/text.h"

struct arena;
struct buffer;
struct hash_key;

enum json_kind {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};

#define JSON_NONE UINT32_MAX

struct json_value {
	uint32_t at;   /* of its first byte in the text */
	uint32_t size; /* in bytes; quotes and brackets included */
	uint32_t next; /* index of the first value that is not inside this one */
	uint32_t kind : 3;
	uint32_t escaped : 1; /* a string that has a backslash; an object with such a name, a long
				 one */
	uint32_t count : 28;  /* elements of an array, members of an object */
};

/* values[0] is the whole. In an object, each name stands before its value; both are values of the
 * table. */
struct json {
	struct text text;
	const struct json_value *values;
	uint32_t count;
};

struct json_limits {
	uint32_t bytes;	 /* of the text */
	uint32_t depth;	 /* of nested arrays and objects */
	uint32_t values; /* names included */
};

struct json_error {
	size_t at;	     /* offset of the byte that is wrong */
	const char *message; /* static; what was expected */
};

/* The message where it was memory that failed, and not the text. */
extern const char json_out_of_memory[];

/*
 * Checks text and lays the table, in arena. False: *ret_error says why (json_out_of_memory
 * included), and *ret is as it was. Duplicate names are found by comparison up to 8 members and by
 * a seeded hash beyond, or where one with an escape is long.
 */
bool json_parse(struct json *ret, struct arena *arena, struct text text,
		const struct json_limits *limits, struct json_error *ret_error);

/* Sets the key of that hash for the whole process, which begins with a fixed one; to be called
 * before threads start. */
void json_seed(const struct hash_key *key);

static inline enum json_kind json_kind(const struct json *json, uint32_t index)
{
	return (enum json_kind)json->values[index].kind;
}

/* The bytes of a value as written, a string's quotes included. */
static inline struct text json_raw(const struct json *json, uint32_t index)
{
	const struct json_value *value = &json->values[index];
	return (struct text){json->text.data + value->at, value->size};
}

/* A string's characters with escapes undone: borrowed from the text where there are none, else made
 * in arena. Absent when memory is out. */
struct text json_string(const struct json *json, uint32_t index, struct arena *arena);

/* Whether the string at index has these characters, however they are spelled. */
bool json_string_is(const struct json *json, uint32_t index, struct text characters);

/* The value of an object's member, or JSON_NONE where index is no object or has none of that name.
 */
uint32_t json_member(const struct json *json, uint32_t index, struct text name);

/* The n-th element of an array, or JSON_NONE. O(n). */
uint32_t json_element(const struct json *json, uint32_t index, uint32_t n);

/* The kind that the first byte of a well-formed value tells. */
enum json_kind json_kind_of(struct text raw);

/* "null", "boolean", "number", "string", "array" or "object". */
const char *json_kind_name(enum json_kind kind);

/* Appends the characters of a JSON string (raw has its quotes) with escapes undone. */
void json_append_unescaped(struct buffer *buffer, struct text raw);

/* The same, percent-encoded. */
void json_append_percent(struct buffer *buffer, struct text raw);

/* Appends a JSON string (raw has its quotes) again, in the one spelling that each string of
 * characters has here. */
void json_append_normal(struct buffer *buffer, struct text raw);
