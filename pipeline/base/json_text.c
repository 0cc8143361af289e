/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One string of characters has many spellings in JSON, and what compares or keys by strings must
 * see the characters. Escapes are checked once, by escape_size() while a text is scanned; all else
 * here reads strings that were checked.
 */
#include "pipeline/base/json_internal.h"

#include "pipeline/base/buffer.h"
#include "pipeline/base/json.h"

#define UNICODE_ESCAPE_SIZE 6 /* \u0000 */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The number in \uXXXX, or -1 if that isn't what stands at `at`. */
static int32_t code_unit(const char *at, const char *end)
{
	if (end - at < UNICODE_ESCAPE_SIZE || at[0] != '\\' || at[1] != 'u')
		return -1;
	int32_t unit = 0;
	for (int i = 2; i < UNICODE_ESCAPE_SIZE; i++) {
		int digit = hex_digit(at[i]);
		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
	}
	return unit;
}

static bool is_high_surrogate(int32_t unit)
{
	return unit >= 0xd800 && unit < 0xdc00;
}

static bool is_low_surrogate(int32_t unit)
{
	return unit >= 0xdc00 && unit < 0xe000;
}

size_t escape_size(const char *at, const char *end)
{
	if (end - at < 2)
		return 0;
	if (at[1] != 'u')
		return at[1] && strchr("\"\\/bfnrt", at[1]) ? 2 : 0;
	int32_t unit = code_unit(at, end);
	if (unit <= 0 || is_low_surrogate(unit))
		return 0;
	if (!is_high_surrogate(unit))
		return UNICODE_ESCAPE_SIZE;
	bool paired = is_low_surrogate(code_unit(at + UNICODE_ESCAPE_SIZE, end));
	return paired ? 2 * UNICODE_ESCAPE_SIZE : 0;
}

static size_t write_utf8(uint32_t character, char ret[4])
{
	if (character < 0x80) {
		ret[0] = (char)character;
		return 1;
	}
	size_t size = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
	for (size_t i = size - 1; i > 0; i--) {
		ret[i] = (char)(0x80 | (character & 0x3f));
		character >>= 6;
	}
	ret[0] = (char)((0xf00 >> size) | character); /* as many ones as bytes, then a zero */
	return size;
}

/* Writes the character of the escape at *at, which was checked, and moves *at behind it. */
static size_t undo_escape(const char **at, const char *end, char ret[4])
{
	static const char letters[] = "bfnrt", characters[] = "\b\f\n\r\t";
	char kind = (*at)[1];
	if (kind != 'u') {
		const char *letter = strchr(letters, kind);
		ret[0] = letter ? characters[letter - letters] : kind;
		*at += 2;
		return 1;
	}
	uint32_t character = (uint32_t)code_unit(*at, end);
	*at += UNICODE_ESCAPE_SIZE;
	if (is_high_surrogate((int32_t)character)) {
		uint32_t low = (uint32_t)code_unit(*at, end);
		character = 0x10000 + ((character - 0xd800) << 10) + (low - 0xdc00);
		*at += UNICODE_ESCAPE_SIZE;
	}
	return write_utf8(character, ret);
}

/* The next byte of the characters, or -1 at the end. */
static int next_byte(struct spelling *s)
{
	if (s->undone_at < s->undone_size)
		return (unsigned char)s->undone[s->undone_at++];
	if (s->at == s->end)
		return -1;
	if (!s->escaped || *s->at != '\\')
		return (unsigned char)*s->at++;
	s->undone_size = (uint8_t)undo_escape(&s->at, s->end, s->undone);
	s->undone_at = 1;
	return (unsigned char)s->undone[0];
}

static bool spelling_same(struct spelling *a, struct spelling *b)
{
	int byte;
	do {
		byte = next_byte(a);
		if (byte != next_byte(b))
			return false;
	} while (byte >= 0);
	return true;
}

size_t spelling_write(struct spelling *spelling, char *to)
{
	char *begin = to;
	for (int byte; (byte = next_byte(spelling)) >= 0;)
		*to++ = (char)byte;
	return (size_t)(to - begin);
}

bool json_has_characters(const struct json *json, uint32_t index, struct text other, bool escaped)
{
	struct text own = json_inside(json, index);
	if (!json->values[index].escaped && !escaped)
		return text_equal(own, other);
	struct spelling a = spelling_of(own, json->values[index].escaped);
	struct spelling b = spelling_of(other, escaped);
	return spelling_same(&a, &b);
}

bool json_same_characters(struct text a, struct text b)
{
	struct spelling one = spelling_of((struct text){a.data + 1, a.size - 2}, true);
	struct spelling other = spelling_of((struct text){b.data + 1, b.size - 2}, true);
	return text_equal(a, b) || spelling_same(&one, &other);
}

/* A character that an escape stood for, as a string has to spell it. */
static void append_spelled(struct buffer *buffer, struct text character)
{
	static const char spelled[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
	const char *found = strchr(spelled, character.data[0]);
	if (found) {
		buffer_append_char(buffer, '\\');
		buffer_append_char(buffer, letters[found - spelled]);
	} else if ((unsigned char)character.data[0] < 0x20) {
		buffer_append_format(buffer, "\\u%04x", (unsigned)character.data[0]);
	} else {
		buffer_append(buffer, character);
	}
}

typedef void (*append_fn)(struct buffer *buffer, struct text t);

/* Appends the inside of a string: what stands as it is by `plain`, each character that was an
 * escape by `escaped`. */
static void append_inside(
		struct buffer *buffer, struct text raw, append_fn plain, append_fn escaped)
{
	const char *at = raw.data + 1;
	const char *end = raw.data + raw.size - 1;
	while (at < end) {
		const char *backslash = memchr(at, '\\', (size_t)(end - at));
		const char *stop = backslash ? backslash : end;
		plain(buffer, (struct text){at, (size_t)(stop - at)});
		at = stop;
		if (at < end) {
			char character[4];
			size_t size = undo_escape(&at, end, character);
			escaped(buffer, (struct text){character, size});
		}
	}
}

void json_append_unescaped(struct buffer *buffer, struct text raw)
{
	append_inside(buffer, raw, buffer_append, buffer_append);
}

void json_append_percent(struct buffer *buffer, struct text raw)
{
	append_inside(buffer, raw, buffer_append_percent, buffer_append_percent);
}

/*
 * Only what must be escaped is, as buffer_append_json_string() does it. So what stands without a
 * backslash has the normal spelling already.
 */
void json_append_normal(struct buffer *buffer, struct text raw)
{
	buffer_append_char(buffer, '"');
	append_inside(buffer, raw, buffer_append, append_spelled);
	buffer_append_char(buffer, '"');
}
