/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extendible hashing (Fagin et al. 1979): a directory, indexed by the hash's highest bits, of small
 * tables of a fixed size. A table that fills up is split in two by one more bit. So the index grows
 * with what it holds, whatever the size of the values; each step costs a few kilobytes of the
 * cache's budget and some microseconds, where a table that doubles would take megabytes and stop
 * the loop for milliseconds. It does not shrink.
 *
 * In a segment an entry lies in the line that the hash's lowest bits name, or in the first line
 * after it that had room. A line is one cache line and starts with a byte of each entry's hash, so
 * that a hit touches one line here and then the right entry. Each line counts the entries that
 * passed it by because it was full (as F14 does): a search ends where that is zero, and removal
 * leaves no tombstones.
 *
 * A segment's ghosts are a ring of 32 bits of their hashes. A segment at depth d sees 2^-d of all
 * keys, so it takes the newest count / 2^d for remembered. A split copies the ring to both halves,
 * where each finds its own.
 */
#include "pipeline/resources/memory_cache_index.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>

#include "pipeline/base/arena.h"

#define LINE_SLOTS    7
#define SEGMENT_LINES 32
#define SEGMENT_SPLIT                                                                              \
	180	   /* of 224 slots: fuller, and searches would often go on to a second line */
#define GHOSTS 160 /* nine tenths of the fullest segment */

/* A directory may have so many slots a segment; more is no accident of hashing but many keys of one
 * hash. */
#define DIRECTORY_SPREAD 8

struct line {
	uint8_t tags[LINE_SLOTS]; /* 0: the slot is free */
	uint8_t passed;
	struct cache_entry *entries[LINE_SLOTS];
};

struct segment {
	_Alignas(64) struct line lines[SEGMENT_LINES];
	uint32_t ghosts[GHOSTS]; /* 0: none */
	uint16_t ghost_next;
	uint16_t count;
	unsigned depth; /* of the hash's highest bits, how many all keys here share */
};

static_assert(sizeof(struct line) == 64, "a line of the index is a cache line");
static_assert(SEGMENT_LINES * LINE_SLOTS <= UINT8_MAX, "passed can count a whole segment");
static_assert(SEGMENT_LINES * LINE_SLOTS == CACHE_SEGMENT_MAX, "a list has room for a segment");

static uint8_t tag_of(uint64_t hash)
{
	uint8_t tag = (uint8_t)(hash >> 5);
	return tag ? tag : 1;
}

/* The slots with that tag, each as the highest bit of its byte. */
static uint64_t line_match(const struct line *line, uint8_t tag)
{
	const uint64_t low7 = 0x7f7f7f7f7f7f7f7f;
	uint64_t word;
	memcpy(&word, line, sizeof(word));
	word = le64toh(word) ^ (tag * UINT64_C(0x0101010101010101));
	uint64_t zeros = ~(((word & low7) + low7) | word | low7);
	return zeros & (UINT64_MAX >> 8); /* the last byte is `passed` */
}

static unsigned first_slot(uint64_t match)
{
	return (unsigned)__builtin_ctzll(match) / 8;
}

static size_t home_line(uint64_t hash)
{
	return hash % SEGMENT_LINES;
}

static size_t directory_slot(const struct cache_index *index, uint64_t hash)
{
	return hash >> 1 >> (63 - index->depth);
}

static struct segment *segment_of(const struct cache_index *index, uint64_t hash)
{
	return index->directory[directory_slot(index, hash)];
}

static size_t directory_bytes(unsigned depth)
{
	return sizeof(struct segment *) << depth;
}

static struct segment *segment_new(struct cache_index *index, unsigned depth)
{
	struct segment *segment = aligned_alloc(_Alignof(struct segment), sizeof(*segment));
	if (segment == NULL)
		return NULL;
	memset(segment, 0, sizeof(*segment));
	segment->depth = depth;
	index->segments++;
	account_charge(index->account, sizeof(*segment));
	return segment;
}

static void segment_insert(struct segment *segment, struct cache_entry *entry)
{
	assert(segment->count < SEGMENT_LINES * LINE_SLOTS);
	size_t at = home_line(entry->hash);
	uint64_t room;
	while ((room = line_match(&segment->lines[at], 0)) == 0) {
		segment->lines[at].passed++;
		at = (at + 1) % SEGMENT_LINES;
	}
	unsigned slot = first_slot(room);
	segment->lines[at].tags[slot] = tag_of(entry->hash);
	segment->lines[at].entries[slot] = entry;
	segment->count++;
}

void cache_index_init(struct cache_index *index, struct account *account)
{
	*index = (struct cache_index){.account = account};
}

void cache_index_deinit(struct cache_index *index)
{
	if (index->directory == NULL)
		return;
	/* A segment's slots in the directory are neighbours. */
	for (size_t at = 0; at < (size_t)1 << index->depth;) {
		struct segment *segment = index->directory[at];
		at += (size_t)1 << (index->depth - segment->depth);
		account_release(index->account, sizeof(*segment));
		free(segment);
	}
	account_release(index->account, directory_bytes(index->depth));
	free(index->directory);
	cache_index_init(index, index->account);
}

static bool entry_is(const struct cache_entry *entry, uint64_t hash, struct text key)
{
	return entry->hash == hash && text_equal((struct text){entry->key, entry->key_size}, key);
}

struct cache_entry *cache_index_find(
		const struct cache_index *index, uint64_t hash, struct text key)
{
	if (index->directory == NULL)
		return NULL;
	const struct segment *segment = segment_of(index, hash);
	uint8_t tag = tag_of(hash);
	for (size_t i = 0; i < SEGMENT_LINES; i++) {
		const struct line *line = &segment->lines[(home_line(hash) + i) % SEGMENT_LINES];
		for (uint64_t match = line_match(line, tag); match; match &= match - 1) {
			struct cache_entry *entry = line->entries[first_slot(match)];
			if (entry_is(entry, hash, key))
				return entry;
		}
		if (line->passed == 0)
			break;
	}
	return NULL;
}

static const struct line *line_of(const struct cache_index *index, uint64_t hash)
{
	return &segment_of(index, hash)->lines[home_line(hash)];
}

void cache_index_prefetch(const struct cache_index *index, uint64_t hash)
{
	if (index->directory)
		__builtin_prefetch(line_of(index, hash));
}

const struct cache_entry *cache_index_guess(const struct cache_index *index, uint64_t hash)
{
	if (index->directory == NULL)
		return NULL;
	const struct line *line = line_of(index, hash);
	uint64_t match = line_match(line, tag_of(hash));
	return match ? line->entries[first_slot(match)] : NULL;
}

static bool directory_may_double(const struct cache_index *index)
{
	return (size_t)2 << index->depth <= DIRECTORY_SPREAD * index->segments;
}

size_t cache_index_needs(const struct cache_index *index, uint64_t hash)
{
	if (index->directory == NULL)
		return directory_bytes(0) + sizeof(struct segment);
	const struct segment *segment = segment_of(index, hash);
	if (segment->count < SEGMENT_SPLIT)
		return 0;
	if (segment->depth < index->depth)
		return sizeof(*segment);
	if (!directory_may_double(index))
		return 0;
	return sizeof(*segment) + directory_bytes(index->depth + 1);
}

static bool create(struct cache_index *index)
{
	struct segment **directory = malloc(directory_bytes(0));
	if (directory == NULL)
		return false;
	directory[0] = segment_new(index, 0);
	if (directory[0] == NULL) {
		free(directory);
		return false;
	}
	account_charge(index->account, directory_bytes(0));
	index->directory = directory;
	return true;
}

static bool directory_double(struct cache_index *index)
{
	size_t count = (size_t)1 << index->depth;
	struct segment **directory = malloc(directory_bytes(index->depth + 1));
	if (directory == NULL)
		return false;
	account_charge(index->account, directory_bytes(index->depth + 1));
	for (size_t i = 0; i < count; i++) {
		directory[2 * i] = index->directory[i];
		directory[2 * i + 1] = index->directory[i];
	}
	account_release(index->account, directory_bytes(index->depth));
	free(index->directory);
	index->directory = directory;
	index->depth++;
	return true;
}

/* Deals the entries of lower anew, between it and upper, by the bit below those that they share. */
static void deal(struct segment *lower, struct segment *upper)
{
	struct line lines[SEGMENT_LINES];
	memcpy(lines, lower->lines, sizeof(lines));
	memset(lower->lines, 0, sizeof(lower->lines));
	lower->count = 0;
	for (size_t i = 0; i < SEGMENT_LINES; i++) {
		for (size_t slot = 0; slot < LINE_SLOTS; slot++) {
			if (lines[i].tags[slot] == 0)
				continue;
			struct cache_entry *entry = lines[i].entries[slot];
			bool up = entry->hash >> (63 - lower->depth) & 1;
			segment_insert(up ? upper : lower, entry);
		}
	}
}

/* Splits the segment of hash where that can be done; else all stays as it was. */
static void split(struct cache_index *index, uint64_t hash)
{
	struct segment *lower = segment_of(index, hash);
	if (lower->depth == index->depth &&
			!(directory_may_double(index) && directory_double(index)))
		return;
	struct segment *upper = segment_new(index, lower->depth + 1);
	if (upper == NULL)
		return;
	memcpy(upper->ghosts, lower->ghosts, sizeof(upper->ghosts));
	upper->ghost_next = lower->ghost_next;
	deal(lower, upper);

	size_t slots = (size_t)1 << (index->depth - lower->depth);
	size_t first = directory_slot(index, hash) & ~(slots - 1);
	for (size_t i = slots / 2; i < slots; i++)
		index->directory[first + i] = upper;
	lower->depth++;
}

bool cache_index_insert(struct cache_index *index, struct cache_entry *entry)
{
	if (index->directory == NULL) {
		if (!create(index))
			return false;
	} else if (segment_of(index, entry->hash)->count >= SEGMENT_SPLIT) {
		split(index, entry->hash);
	}
	struct segment *segment = segment_of(index, entry->hash);
	if (segment->count == SEGMENT_LINES * LINE_SLOTS)
		return false;
	segment_insert(segment, entry);
	return true;
}

/* The slot of entry in line, or -1. */
static int line_find(const struct line *line, const struct cache_entry *entry)
{
	for (uint64_t match = line_match(line, tag_of(entry->hash)); match; match &= match - 1) {
		if (line->entries[first_slot(match)] == entry)
			return (int)first_slot(match);
	}
	return -1;
}

void cache_index_remove(struct cache_index *index, struct cache_entry *entry)
{
	struct segment *segment = segment_of(index, entry->hash);
	size_t at = home_line(entry->hash);
	int slot;
	while ((slot = line_find(&segment->lines[at], entry)) < 0) {
		assert(segment->lines[at].passed > 0);
		segment->lines[at].passed--;
		at = (at + 1) % SEGMENT_LINES;
	}
	segment->lines[at].tags[slot] = 0;
	segment->count--;
}

/* A segment's hashes share their highest `depth` bits; those after them begin with the next number.
 */
static uint64_t hash_after(uint64_t hash, unsigned depth)
{
	return depth == 0 ? 0 : ((hash >> (64 - depth)) + 1) << (64 - depth);
}

size_t cache_index_list(const struct cache_index *index, uint64_t hash,
		struct cache_entry *ret_entries[static CACHE_SEGMENT_MAX], uint64_t *ret_next)
{
	size_t count = 0;
	*ret_next = 0;
	if (index->directory == NULL)
		return 0;
	const struct segment *segment = segment_of(index, hash);
	for (size_t i = 0; i < SEGMENT_LINES; i++) {
		for (size_t slot = 0; slot < LINE_SLOTS; slot++) {
			if (segment->lines[i].tags[slot] != 0)
				ret_entries[count++] = segment->lines[i].entries[slot];
		}
	}
	*ret_next = hash_after(hash, segment->depth);
	return count;
}

/* Other bits than those that chose the segment. */
static uint32_t ghost_of(uint64_t hash)
{
	return (uint32_t)hash | 1;
}

void cache_index_ghost_add(struct cache_index *index, uint64_t hash)
{
	struct segment *segment = segment_of(index, hash);
	segment->ghosts[segment->ghost_next] = ghost_of(hash);
	segment->ghost_next = (uint16_t)((segment->ghost_next + 1) % GHOSTS);
}

bool cache_index_ghost_take(struct cache_index *index, uint64_t hash, size_t count)
{
	if (index->directory == NULL)
		return false;
	struct segment *segment = segment_of(index, hash);
	size_t newest = (count >> segment->depth) + 1;
	for (size_t age = 0; age < GHOSTS && age < newest; age++) {
		size_t at = (segment->ghost_next + GHOSTS - 1 - age) % GHOSTS;
		if (segment->ghosts[at] == ghost_of(hash)) {
			segment->ghosts[at] = 0;
			return true;
		}
	}
	return false;
}
