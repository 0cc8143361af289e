/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cache hit reads its body here and nowhere else, so a text is scanned once, byte by byte, into a
 * table that only ever grows at its end. No tree is built, nothing is copied and nothing recurses:
 * while an array or object is open, its `next` holds the index of the one around it, and so the
 * table is its own stack.
 *
 * The table is the last block of the arena until the scan ends, so it grows in place where there is
 * room and then gives back what it did not need.
 */
#include "pipeline/base/json.h"

#include <endian.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/json_internal.h"

#define COUNT_MAX ((1U << 28) - 1) /* what json_value.count holds */

const char json_out_of_memory[] = "out of memory";

/* What stands next in the text: a value, or what follows one. */
enum step { STEP_VALUE, STEP_AFTER, STEP_DONE };

/* Where the scan stands in the text is handed from function to function and not kept here: in a
 * register it is faster. */
struct scan {
	const char *start;
	const char *end;
	struct json_value *values;
	uint32_t count;
	uint32_t capacity;
	uint32_t open; /* the innermost open array or object, or JSON_NONE */
	uint32_t depth;
	enum step step;
	bool crowded; /* some object's names are yet to be compared */
	struct arena *arena;
	const struct json_limits *limits;
	struct json_error *error;
};

/* All that scan return where they have come to, or NULL after an error: by this, for one. */
__attribute__((cold, noinline)) static const char *fail(
		struct scan *s, const char *at, const char *message)
{
	*s->error = (struct json_error){(size_t)(at - s->start), message};
	return NULL;
}

/* The byte that stands next, or 0 at the end: no value or mark begins with a NUL. */
static inline char peek(const struct scan *s, const char *at)
{
	return at < s->end ? *at : '\0';
}

static inline const char *skip_space(const struct scan *s, const char *at)
{
	while (at < s->end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r'))
		at++;
	return at;
}

__attribute__((noinline)) static bool grow(struct scan *s, const char *at)
{
	uint32_t max = s->limits->values < COUNT_MAX ? s->limits->values : COUNT_MAX;
	if (s->count >= max) {
		(void)fail(s, at, "too many values");
		return false;
	}
	uint32_t capacity = s->capacity * 2 < max ? s->capacity * 2 : max;
	void *values = arena_resize(s->arena, s->values, s->capacity * sizeof(*s->values),
			capacity * sizeof(*s->values));
	if (values == NULL) {
		(void)fail(s, at, json_out_of_memory);
		return false;
	}
	s->values = values;
	s->capacity = capacity;
	return true;
}

/* A further value, which begins here. NULL after an error. */
static inline struct json_value *push(struct scan *s, const char *at, enum json_kind kind)
{
	if (s->count == s->capacity && !grow(s, at))
		return NULL;
	struct json_value *value = &s->values[s->count++];
	*value = (struct json_value){
			.at = (uint32_t)(at - s->start), .next = s->count, .kind = kind};
	return value;
}

static inline const char *end_value(struct scan *s, struct json_value *value, const char *at)
{
	value->size = (uint32_t)(at - s->start) - value->at;
	s->step = STEP_AFTER;
	return at;
}

/* The first byte that can't stand in a string as a character of its own, or end. */
static inline const char *skip_plain(const char *at, const char *end)
{
	const uint64_t ones = 0x0101010101010101U;
	while (end - at >= 8) {
		uint64_t word;
		memcpy(&word, at, 8);
		word = le64toh(word);
		/* A byte's highest bit is set if it is a control, not ASCII, a quote or a
		 * backslash; bytes behind such a byte may be marked by its borrow, which doesn't
		 * matter. */
		uint64_t marked = (word | (word - ones * 0x20) | ((word ^ ones * '"') - ones) |
						  ((word ^ ones * '\\') - ones)) &
				  (ones * 0x80);
		if (marked)
			return at + (__builtin_ctzll(marked) >> 3);
		at += 8;
	}
	while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' &&
			*at != '\\')
		at++;
	return at;
}

/* What stands in a string and is no plain character, nor its end. */
static const char *scan_odd(struct scan *s, const char *at, struct json_value *value)
{
	if (at == s->end)
		return fail(s, at, "expected the end of a string");
	if (*at == '\\') {
		size_t size = escape_size(at, s->end);
		value->escaped = 1;
		return size ? at + size : fail(s, at, "expected a known escape");
	}
	if ((unsigned char)*at < 0x20)
		return fail(s, at, "expected no control character in a string");
	size_t size = text_utf8_size((struct text){at, (size_t)(s->end - at)});
	return size ? at + size : fail(s, at, "expected UTF-8");
}

static const char *scan_string(struct scan *s, const char *at)
{
	struct json_value *value = push(s, at, JSON_STRING);
	if (value == NULL)
		return NULL;
	at = skip_plain(at + 1, s->end);
	while (peek(s, at) != '"') {
		at = scan_odd(s, at, value);
		if (at == NULL)
			return NULL;
		at = skip_plain(at, s->end);
	}
	return end_value(s, value, at + 1);
}

static const char *scan_digits(struct scan *s, const char *at)
{
	const char *first = at;
	while (at < s->end && *at >= '0' && *at <= '9')
		at++;
	return at > first ? at : fail(s, at, "expected a digit");
}

static const char *scan_number(struct scan *s, const char *at)
{
	struct json_value *value = push(s, at, JSON_NUMBER);
	if (value == NULL)
		return NULL;
	if (*at == '-')
		at++;
	at = peek(s, at) == '0' ? at + 1 : scan_digits(s, at);
	if (at && peek(s, at) == '.')
		at = scan_digits(s, at + 1);
	if (at && (peek(s, at) == 'e' || peek(s, at) == 'E')) {
		at++;
		if (peek(s, at) == '+' || peek(s, at) == '-')
			at++;
		at = scan_digits(s, at);
	}
	return at ? end_value(s, value, at) : NULL;
}

static const char *scan_word(struct scan *s, const char *at, enum json_kind kind, struct text word)
{
	if ((size_t)(s->end - at) < word.size || memcmp(at, word.data, word.size) != 0)
		return fail(s, at, "expected a value");
	struct json_value *value = push(s, at, kind);
	return value ? end_value(s, value, at + word.size) : NULL;
}

static struct json view_of(const struct scan *s)
{
	return (struct json){{s->start, (size_t)(s->end - s->start)}, s->values, s->count};
}

/* Closes the innermost array or object, whose bracket stands here. */
static const char *scan_close(struct scan *s, const char *at)
{
	uint32_t index = s->open;
	struct json_value *value = &s->values[index];
	s->open = value->next;
	s->depth--;
	value->next = s->count;
	if (json_is_crowded(value)) {
		s->crowded = true;
	} else if (value->kind == JSON_OBJECT && value->count > 1) {
		struct json view = view_of(s);
		if (!json_names_few(&view, index, s->error))
			return NULL;
	}
	return end_value(s, value, at + 1);
}

/* A name, whose object is the innermost that is open, and the space behind it. */
static inline const char *scan_name(struct scan *s, const char *at)
{
	at = scan_string(s, at);
	if (at == NULL)
		return NULL;
	const struct json_value *name = &s->values[s->count - 1];
	if (name->escaped && name->size > JSON_NAME_LONG)
		s->values[s->open].escaped = 1;
	return skip_space(s, at);
}

/* What stands behind an opening bracket or a comma: an element, or a name whose value follows. */
static const char *scan_entry(struct scan *s, const char *at)
{
	struct json_value *value = &s->values[s->open];
	value->count++;
	if (value->kind == JSON_OBJECT) {
		if (peek(s, at) != '"')
			return fail(s, at, "expected a name");
		at = scan_name(s, at);
		if (at == NULL)
			return NULL;
		if (peek(s, at) != ':')
			return fail(s, at, "expected ':'");
		at++;
	}
	s->step = STEP_VALUE;
	return at;
}

static const char *scan_open(struct scan *s, const char *at, enum json_kind kind, char closing)
{
	if (s->depth == s->limits->depth)
		return fail(s, at, "nested too deeply");
	struct json_value *value = push(s, at, kind);
	if (value == NULL)
		return NULL;
	value->next = s->open;
	s->open = s->count - 1;
	s->depth++;
	at = skip_space(s, at + 1);
	return peek(s, at) == closing ? scan_close(s, at) : scan_entry(s, at);
}

static const char *scan_value(struct scan *s, const char *at)
{
	at = skip_space(s, at);
	char first = peek(s, at);
	switch (first) {
	case '"':
		return scan_string(s, at);
	case '{':
		return scan_open(s, at, JSON_OBJECT, '}');
	case '[':
		return scan_open(s, at, JSON_ARRAY, ']');
	case 't':
		return scan_word(s, at, JSON_TRUE, TEXT("true"));
	case 'f':
		return scan_word(s, at, JSON_FALSE, TEXT("false"));
	case 'n':
		return scan_word(s, at, JSON_NULL, TEXT("null"));
	default:
		if (first == '-' || (first >= '0' && first <= '9'))
			return scan_number(s, at);
		return fail(s, at, "expected a value");
	}
}

static const char *scan_after(struct scan *s, const char *at)
{
	at = skip_space(s, at);
	if (s->open == JSON_NONE) {
		s->step = STEP_DONE;
		return at == s->end ? at : fail(s, at, "expected the end");
	}
	bool object = s->values[s->open].kind == JSON_OBJECT;
	char mark = peek(s, at);
	if (mark == ',')
		return scan_entry(s, skip_space(s, at + 1));
	if (mark == (object ? '}' : ']'))
		return scan_close(s, at);
	return fail(s, at, object ? "expected ',' or '}'" : "expected ',' or ']'");
}

static bool scan_all(struct scan *s)
{
	const char *at = s->start;
	while (at && s->step != STEP_DONE)
		at = s->step == STEP_VALUE ? scan_value(s, at) : scan_after(s, at);
	return at != NULL;
}

/* Enough for most texts, since few have a value every 8 bytes; grow() sees to the rest. */
static uint32_t first_capacity(size_t size, uint32_t max)
{
	uint32_t capacity = 8 + (size < 2048 ? (uint32_t)size / 8 : 256);
	return capacity < max ? capacity : max;
}

bool json_parse(struct json *ret, struct arena *arena, struct text text,
		const struct json_limits *limits, struct json_error *ret_error)
{
	if (text.size == 0 || text.size > limits->bytes) {
		*ret_error = text.size == 0 ? (struct json_error){0, "expected a value"}
					    : (struct json_error){limits->bytes, "too long"};
		return false;
	}
	struct scan s = {
			.start = text.data,
			.end = text.data + text.size,
			.capacity = first_capacity(text.size, limits->values),
			.open = JSON_NONE,
			.arena = arena,
			.limits = limits,
			.error = ret_error,
	};
	s.values = arena_alloc(arena, s.capacity * sizeof(*s.values));
	if (s.values == NULL) {
		(void)fail(&s, text.data, json_out_of_memory);
		return false;
	}
	if (!scan_all(&s))
		return false;
	(void)arena_resize(arena, s.values, s.capacity * sizeof(*s.values),
			s.count * sizeof(*s.values));
	struct json view = view_of(&s);
	if (s.crowded && !json_names_many(&view, arena, ret_error))
		return false;
	*ret = view;
	return true;
}
