/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appending without asking at each step whether there was memory: a failed buffer swallows what
 * comes and says so at the end. Capacity at least doubles, so that appending n bytes copies at most
 * 2n.
 */
#include "pipeline/base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/base/arena.h"

#define CAPACITY_FIRST 128

void buffer_init(struct buffer *buffer)
{
	*buffer = (struct buffer){0};
}

void buffer_init_arena(struct buffer *buffer, struct arena *arena)
{
	*buffer = (struct buffer){.arena = arena};
}

void buffer_deinit(struct buffer *buffer)
{
	if (buffer->arena == NULL)
		free(buffer->data);
	*buffer = (struct buffer){.arena = buffer->arena};
}

void buffer_clear(struct buffer *buffer)
{
	buffer->size = 0;
	buffer->failed = false;
}

struct text buffer_text(const struct buffer *buffer)
{
	if (buffer->failed)
		return (struct text){NULL, 0};
	return (struct text){buffer->data ? buffer->data : "", buffer->size};
}

static bool enlarge(struct buffer *buffer, size_t more)
{
	if (more > PTRDIFF_MAX - buffer->size)
		return false;
	size_t capacity = buffer->capacity ? buffer->capacity * 2 : CAPACITY_FIRST;
	if (capacity < buffer->size + more)
		capacity = buffer->size + more;
	char *data = buffer->arena ? arena_resize(buffer->arena, buffer->data, buffer->capacity,
						     capacity)
				   : realloc(buffer->data, capacity);
	if (data == NULL)
		return false;
	buffer->data = data;
	buffer->capacity = capacity;
	return true;
}

/* Room for that many bytes more, at data + size; false (and failed) when memory is out, now or
 * before. */
static bool reserve(struct buffer *buffer, size_t more)
{
	if (buffer->failed)
		return false;
	if (buffer->capacity - buffer->size < more && !enlarge(buffer, more))
		buffer->failed = true;
	return !buffer->failed;
}

void buffer_append(struct buffer *buffer, struct text t)
{
	if (t.size == 0 || !reserve(buffer, t.size))
		return;
	memcpy(buffer->data + buffer->size, t.data, t.size);
	buffer->size += t.size;
}

void buffer_append_char(struct buffer *buffer, char c)
{
	if (reserve(buffer, 1))
		buffer->data[buffer->size++] = c;
}

void buffer_append_u64(struct buffer *buffer, uint64_t number)
{
	if (reserve(buffer, 20))
		buffer->size = (size_t)(format_u64(buffer->data + buffer->size, number) -
					buffer->data);
}

void buffer_append_format(struct buffer *buffer, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int size = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (size < 0) {
		buffer->failed = true;
		return;
	}
	/* vsnprintf() ends with a NUL, which the next append overwrites. */
	if (!reserve(buffer, (size_t)size + 1))
		return;
	va_start(arguments, format);
	(void)vsnprintf(buffer->data + buffer->size, (size_t)size + 1, format, arguments);
	va_end(arguments);
	buffer->size += (size_t)size;
}

static void append_escaped(struct buffer *buffer, unsigned char c)
{
	switch (c) {
	case '"':
		buffer_append(buffer, TEXT("\\\""));
		break;
	case '\\':
		buffer_append(buffer, TEXT("\\\\"));
		break;
	case '\b':
		buffer_append(buffer, TEXT("\\b"));
		break;
	case '\f':
		buffer_append(buffer, TEXT("\\f"));
		break;
	case '\n':
		buffer_append(buffer, TEXT("\\n"));
		break;
	case '\r':
		buffer_append(buffer, TEXT("\\r"));
		break;
	case '\t':
		buffer_append(buffer, TEXT("\\t"));
		break;
	default:
		buffer_append_format(buffer, "\\u%04x", c);
	}
}

/* How many bytes of t, from its start, stand in a JSON string as they are. */
static size_t plain_size(struct text t)
{
	size_t at = 0;
	while (at < t.size) {
		unsigned char c = (unsigned char)t.data[at];
		if (c < 0x20 || c == '"' || c == '\\')
			break;
		size_t size = text_utf8_size((struct text){t.data + at, t.size - at});
		if (size == 0)
			break;
		at += size;
	}
	return at;
}

void buffer_append_json_string(struct buffer *buffer, struct text t)
{
	buffer_append_char(buffer, '"');
	while (t.size > 0) {
		size_t plain = plain_size(t);
		buffer_append(buffer, (struct text){t.data, plain});
		if (plain == t.size)
			break;
		unsigned char odd = (unsigned char)t.data[plain];
		if (odd < 0x80)
			append_escaped(buffer, odd);
		else
			buffer_append(buffer, TEXT("\xef\xbf\xbd"));
		t = (struct text){t.data + plain + 1, t.size - plain - 1};
	}
	buffer_append_char(buffer, '"');
}

static bool is_unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

void buffer_append_percent(struct buffer *buffer, struct text t)
{
	for (size_t i = 0; i < t.size; i++) {
		unsigned char c = (unsigned char)t.data[i];
		if (is_unreserved(c))
			buffer_append_char(buffer, t.data[i]);
		else
			buffer_append_format(buffer, "%%%02X", c);
	}
}

char *format_u64(char *at, uint64_t number)
{
	char digits[20];
	char *first = digits + sizeof(digits);
	do {
		*--first = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	size_t size = (size_t)(digits + sizeof(digits) - first);
	memcpy(at, first, size);
	return at + size;
}
