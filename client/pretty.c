/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that is known to be JSON needs no tree to be indented: outside of strings, brackets and
 * commas say all.
 */
#include "client/pretty.h"

#include <stdbool.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/json.h"

#define INDENT 2

/*
 * An answer is trusted to be small enough for this machine; what is nested deeper is not for
 * reading.
 */
static const struct json_limits limits = {.bytes = UINT32_MAX, .depth = 256, .values = UINT32_MAX};

static void write_line(FILE *stream, int depth)
{
	(void)fprintf(stream, "\n%*s", depth * INDENT, "");
}

static const char *skip_space(const char *at, const char *end)
{
	while (at < end && strchr(" \t\r\n", *at))
		at++;
	return at;
}

/* Writes the string that begins at `at` and returns its end. */
static const char *write_string(FILE *stream, const char *at)
{
	const char *start = at++;
	while (*at != '"')
		at += *at == '\\' ? 2 : 1;
	at++;
	(void)fwrite(start, 1, (size_t)(at - start), stream);
	return at;
}

static void write_indented(FILE *stream, struct text json)
{
	const char *end = json.data + json.size;
	int depth = 0;
	for (const char *at = skip_space(json.data, end); at < end; at = skip_space(at, end)) {
		char c = *at;
		if (c == '"') {
			at = write_string(stream, at);
			continue;
		}
		at++;
		if (c == '}' || c == ']')
			write_line(stream, --depth);
		(void)fputc(c, stream);
		if (c == ':')
			(void)fputc(' ', stream);
		if (c == '{' || c == '[') {
			at = skip_space(at, end);
			if (*at == '}' || *at == ']')
				(void)fputc(*at++, stream);
			else
				write_line(stream, ++depth);
		}
		if (c == ',')
			write_line(stream, depth);
	}
}

static bool is_json(struct text text)
{
	struct arena arena;
	struct json json;
	struct json_error error;
	arena_init(&arena, NULL);
	bool ok = json_parse(&json, &arena, text, &limits, &error);
	arena_deinit(&arena);
	return ok;
}

void pretty_write(FILE *stream, struct text text)
{
	if (is_json(text))
		write_indented(stream, text);
	else
		(void)fwrite(text.data, 1, text.size, stream);
	(void)fputc('\n', stream);
}
