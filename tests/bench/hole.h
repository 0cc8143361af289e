/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A hole in a text: a run of one character, in whose place a number is written, or bytes of the
 * same width. It keeps messages that differ only in a number at one size, and their making cheap.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/base/text.h"

struct hole {
	size_t at;
	size_t width; /* 0: there is none */
};

/* The first run of mark. */
static inline struct hole hole_find(struct text text, char mark)
{
	const char *start = text.size > 0 ? memchr(text.data, mark, text.size) : NULL;
	if (!start)
		return (struct hole){0, 0};
	struct hole hole = {(size_t)(start - text.data), 1};
	while (hole.at + hole.width < text.size && start[hole.width] == mark)
		hole.width++;
	return hole;
}

/* In decimal with leading zeros; what is too long for the hole loses its first digits. */
static inline void hole_write(char *text, struct hole hole, uint64_t number)
{
	for (size_t i = hole.width; i > 0; i--, number /= 10)
		text[hole.at + i - 1] = (char)('0' + number % 10);
}

/* False: there is something else than digits in the hole. */
static inline bool hole_read(const char *text, struct hole hole, uint64_t *ret)
{
	return text_to_u64((struct text){text + hole.at, hole.width}, ret);
}
