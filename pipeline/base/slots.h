/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A table that is filled once and thrown away: open addressing in memory of the caller's, for so
 * many members at most. A slot holds the number of a member, which is not 0, or 0: empty. The hash
 * is the caller's, and so is comparing: whoever looks a member up goes from the slot of its hash to
 * the one that holds it, or to the first that is empty, which is where to put it. Nothing is ever
 * taken out.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slots {
	uint32_t *first;
	size_t mask;
};

/* A power of two, at least twice as many as members: so there is always an empty one to stop at. */
static inline size_t slots_count(uint32_t members)
{
	size_t count = 2;
	while (count < 2 * (size_t)members)
		count *= 2;
	return count;
}

/* In bytes. */
static inline size_t slots_size(uint32_t members)
{
	return slots_count(members) * sizeof(uint32_t);
}

/* An empty one, in memory of slots_size(members) or more. */
static inline struct slots slots_empty(void *memory, uint32_t members)
{
	return (struct slots){memset(memory, 0, slots_size(members)), slots_count(members) - 1};
}

static inline uint32_t *slots_at(const struct slots *slots, uint64_t hash)
{
	return &slots->first[hash & slots->mask];
}

static inline uint32_t *slots_after(const struct slots *slots, const uint32_t *slot)
{
	return &slots->first[(size_t)(slot - slots->first + 1) & slots->mask];
}
