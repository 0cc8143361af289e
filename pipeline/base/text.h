/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Slices of bytes that somebody else owns. A text is not terminated and may hold any byte; a text
 * whose data is NULL is absent, which is not the same as empty. Whoever makes a slice says what
 * keeps its bytes alive.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
	const char *data;
	size_t size;
};

#define TEXT(literal) ((struct text){(literal), sizeof(literal) - 1})
/* For "%.*s" in a format. */
#define TEXT_ARG(t) (int)(t).size, (t).data

/* The bytes of a terminated string, without its end; absent for NULL. */
static inline struct text text_of(const char *string)
{
	return (struct text){string, string ? strlen(string) : 0};
}

static inline bool text_equal(struct text a, struct text b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool text_begins_with(struct text t, struct text prefix)
{
	return t.size >= prefix.size &&
	       (prefix.size == 0 || memcmp(t.data, prefix.data, prefix.size) == 0);
}

/* Takes what stands before the next mark off *rest, and the mark. Where there is none it takes all,
 * and *rest is absent from then on, and what is taken off that. */
struct text text_take(struct text *rest, char mark);

/* Copies t to `at`, nothing where it is absent; returns the end. */
static inline char *text_put(char *at, struct text t)
{
	if (t.data)
		memcpy(at, t.data, t.size);
	return at + t.size;
}

/* Bytewise order; a prefix comes before what it begins. */
int text_compare(struct text a, struct text b);

/* Reads 1 to 19 decimal digits, all of t, without sign or space. False leaves *ret as it was. */
bool text_to_u64(struct text t, uint64_t *ret);

/* The bytes of the UTF-8 character that t begins with (RFC 3629: shortest form, no surrogates); 0
 * if it begins with none. */
size_t text_utf8_size(struct text t);
