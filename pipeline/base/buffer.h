/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Text that grows at its end, on the heap or in an arena. The first append that finds no memory
 * marks the buffer as failed, and all later ones do nothing: check once, at the end.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/base/text.h"

struct arena;

struct buffer {
	char *data;
	size_t size;
	size_t capacity;
	struct arena *arena; /* NULL: the heap */
	bool failed;
};

/* An empty buffer on the heap; buffer_deinit() frees it. */
void buffer_init(struct buffer *buffer);

/* An empty buffer whose bytes live in arena; needs no deinit. */
void buffer_init_arena(struct buffer *buffer, struct arena *arena);

/* Frees the bytes of a heap buffer; safe twice. */
void buffer_deinit(struct buffer *buffer);

/* Empties the buffer and keeps its memory. */
void buffer_clear(struct buffer *buffer);

/* What has been appended, as long as nothing more is. Absent if the buffer has failed. */
struct text buffer_text(const struct buffer *buffer);

void buffer_append(struct buffer *buffer, struct text t);
void buffer_append_char(struct buffer *buffer, char c);
void buffer_append_u64(struct buffer *buffer, uint64_t number);
void buffer_append_format(struct buffer *buffer, const char *format, ...)
		__attribute__((format(printf, 2, 3)));

/* t as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void buffer_append_json_string(struct buffer *buffer, struct text t);

/* t as it stands in a URL: all but letters, digits, `-`, `.`, `_` and `~` percent-encoded (RFC
 * 3986, 2.3), so that it neither begins nor ends a part of it. */
void buffer_append_percent(struct buffer *buffer, struct text t);

/* Writes number in decimal at `at`, which has room for 20 bytes, and returns the end. */
char *format_u64(char *at, uint64_t number);
