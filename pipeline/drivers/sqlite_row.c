/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row as JSON. A table may hold anything in any column, so what can't be written so that every
 * reader of JSON reads it back is refused and not mended.
 */
#include "pipeline/drivers/sqlite.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/json.h"

/* All that append a value return NULL, or what is wrong with it: this, or words of their own. */
static const char out_of_memory[] = "out of memory";

static struct text column_text(sqlite3_stmt *stmt, int column)
{
	const char *data = (const char *)sqlite3_column_text(stmt, column);
	return (struct text){data, (size_t)sqlite3_column_bytes(stmt, column)};
}

static void append_integer(struct buffer *out, int64_t integer)
{
	if (integer < 0)
		buffer_append_char(out, '-');
	buffer_append_u64(out, integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer);
}

/*
 * In as few of 15 to 17 digits as give the same number back, and so that it can be told from an
 * integer.
 */
static const char *append_real(struct buffer *out, double real)
{
	char digits[32];
	if (!isfinite(real))
		return "an infinite number";
	for (int precision = 15; precision <= 17; precision++) {
		(void)snprintf(digits, sizeof(digits), "%.*g", precision, real);
		if (strtod(digits, NULL) == real)
			break;
	}
	buffer_append(out, text_of(digits));
	if (strpbrk(digits, ".e") == NULL)
		buffer_append(out, TEXT(".0"));
	return NULL;
}

/* U+0000 is a character of UTF-8, but one that few readers of JSON can hold, and ours refuses. */
static bool is_characters(struct text text)
{
	while (text.size > 0) {
		size_t size = text_utf8_size(text);
		if (size == 0 || *text.data == '\0')
			return false;
		text.data += size;
		text.size -= size;
	}
	return true;
}

static const char *append_string(struct buffer *out, struct text text)
{
	if (!is_characters(text))
		return "a text that is not UTF-8";
	buffer_append_json_string(out, text);
	return NULL;
}

static const char *append_json(
		struct buffer *out, struct text text, const struct json_limits *limits)
{
	struct arena arena;
	struct json json;
	struct json_error error;
	arena_init(&arena, NULL);
	bool valid = json_parse(&json, &arena, text, limits, &error);
	if (valid)
		buffer_append(out, json_raw(&json, 0));
	arena_deinit(&arena);
	if (valid)
		return NULL;
	return strcmp(error.message, out_of_memory) == 0 ? out_of_memory
							 : "a text that is not JSON";
}

static const char *append_value(struct buffer *out, sqlite3_stmt *stmt, int column, bool json,
		const struct json_limits *limits)
{
	struct text text;
	switch (sqlite3_column_type(stmt, column)) {
	case SQLITE_INTEGER:
		append_integer(out, sqlite3_column_int64(stmt, column));
		return NULL;
	case SQLITE_FLOAT:
		return append_real(out, sqlite3_column_double(stmt, column));
	case SQLITE_NULL:
		buffer_append(out, TEXT("null"));
		return NULL;
	case SQLITE_TEXT:
		text = column_text(stmt, column);
		if (text.data == NULL)
			return out_of_memory;
		return json ? append_json(out, text, limits) : append_string(out, text);
	default:
		return "a blob";
	}
}

/* What it takes at least, before it is written; of JSON the blanks round it are left out. */
static size_t least_size(sqlite3_stmt *stmt, int column, bool json)
{
	return !json && sqlite3_column_type(stmt, column) == SQLITE_TEXT
			       ? (size_t)sqlite3_column_bytes(stmt, column)
			       : 0;
}

enum sqlite_row sqlite_row_append(struct buffer *out, const struct sqlite_statement *statement,
		const struct json_limits *limits, int *ret_column, const char **ret_message)
{
	size_t max = statement->spec->bytes_max - statement->spec->all_rows; /* for the `]` */
	buffer_append_char(out, '{');
	for (int i = 0; i < statement->column_count; i++) {
		const struct sqlite_column *column = &statement->columns[i];
		if (i > 0)
			buffer_append_char(out, ',');
		buffer_append(out, (struct text){statement->heads.data + column->at, column->size});
		if (out->size + least_size(statement->stmt, i, column->json) > max)
			return ROW_TOO_LARGE;
		const char *wrong = append_value(out, statement->stmt, i, column->json, limits);
		if (wrong) {
			*ret_column = i;
			*ret_message = wrong;
			return wrong == out_of_memory ? ROW_NO_MEMORY : ROW_VALUE;
		}
	}
	buffer_append_char(out, '}');
	return out->size > max ? ROW_TOO_LARGE : ROW_DONE;
}
