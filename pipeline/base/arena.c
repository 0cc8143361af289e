/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One malloc for many small blocks, and one place that knows how much a request, a flight or a
 * configuration holds.
 *
 * The first chunk holds what a small request needs, also while it waits for a source. Each further
 * one has between half and all of the size of those before it together, up to a bound, so that a
 * large request takes few, and one that needs little more than there is does not take twice as
 * much. A block that is larger than the next chunk gets a chunk of just its size. What is charged
 * is what malloc was asked for, a chunk's header included.
 */
#include "pipeline/base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/base/lesser.h"
#include "pipeline/base/live.h"

/* Subtracted from each chunk's size: with what glibc adds, a chunk stays within what is given here.
 */
#define MALLOC_OVERHEAD 16
#define KEPT_MAX	65536

/* Tests have them so small that each block is asked for by itself (tests/unit/each_block.c): where
 * memory is out, it is then out for that one. */
#ifndef STEP_FIRST
#define STEP_FIRST  1792
#define STEP_SECOND 1024
#define STEP_MAX    65536
#endif

/* Its blocks follow it; its size is a multiple of 16, so they are aligned as malloc aligns the
 * chunk. */
struct arena_chunk {
	struct arena_chunk *before;
	size_t size; /* as asked of malloc */
};

static_assert(sizeof(struct arena_chunk) % 16 == 0,
		"blocks follow the header and are aligned to 16");

void account_release(struct account *account, size_t bytes)
{
	assert(account->used >= bytes);
	account->used -= bytes;
}

void arena_init(struct arena *arena, struct account *account)
{
	*arena = (struct arena){.account = account};
}

static void poison_blocks(struct arena_chunk *chunk)
{
	poison(chunk + 1, chunk->size - sizeof(*chunk));
}

static void adopt(struct arena *arena, struct arena_chunk *chunk)
{
	if (arena->chunk == NULL)
		live_add(LIVE_ARENAS, 1);
	chunk->before = arena->chunk;
	arena->chunk = chunk;
	arena->at = (char *)(chunk + 1);
	arena->end = (char *)chunk + chunk->size;
	arena->bytes += chunk->size;
	if (arena->account)
		account_charge(arena->account, chunk->size);
}

/* Where a pool (may be NULL) keeps chunks of that size; NULL: nowhere. */
static struct arena_spares *spares_of(struct arena_pool *pool, size_t size)
{
	static const size_t sizes[ARENA_POOL_SIZES] = {STEP_FIRST - MALLOC_OVERHEAD,
			STEP_SECOND - MALLOC_OVERHEAD, 2 * STEP_SECOND - MALLOC_OVERHEAD};
	for (size_t i = 0; pool && i < ARENA_POOL_SIZES; i++) {
		if (size == sizes[i])
			return &pool->spares[i];
	}
	return NULL;
}

static struct arena_chunk *chunk_take(struct arena_pool *pool, size_t size)
{
	struct arena_spares *spares = spares_of(pool, size);
	struct arena_chunk *chunk = spares ? spares->newest : NULL;
	if (chunk) {
		spares->newest = chunk->before;
		spares->count--;
		return chunk;
	}
	chunk = malloc(size);
	if (chunk == NULL)
		return NULL;
	chunk->size = size;
	poison_blocks(chunk);
	return chunk;
}

static void chunk_give(struct arena_pool *pool, struct arena_chunk *chunk)
{
	struct arena_spares *spares = spares_of(pool, chunk->size);
	if (spares == NULL || spares->count == pool->spares_max) {
		free(chunk);
		return;
	}
	poison_blocks(chunk);
	chunk->before = spares->newest;
	spares->newest = chunk;
	spares->count++;
}

static void give_all(struct arena_pool *pool, struct arena_chunk *newest)
{
	while (newest) {
		struct arena_chunk *before = newest->before;
		chunk_give(pool, newest);
		newest = before;
	}
}

/* pool: where its chunks go; NULL: they are freed. */
static void end(struct arena *arena, struct arena_pool *pool)
{
	if (arena->account)
		account_release(arena->account, arena->bytes);
	live_add(LIVE_ARENAS, -1);
	give_all(pool, arena->chunk);
}

void arena_deinit(struct arena *arena)
{
	if (arena->chunk)
		end(arena, NULL);
	arena_init(arena, arena->account);
}

/* What a block takes: every block has an address of its own, the empty one too. 0: no memory is
 * that large. */
static size_t block_size(size_t size)
{
	return size ? (size + 15) & ~(size_t)15 : 16;
}

/* The size of the next chunk, if nothing needs a larger one. */
static size_t next_size(const struct arena *arena)
{
	size_t step = arena->chunk ? STEP_SECOND : STEP_FIRST;
	while (step < arena->bytes / 2 && step < STEP_MAX)
		step *= 2;
	return step - MALLOC_OVERHEAD;
}

void *arena_grow(struct arena *arena, size_t size)
{
	size_t rounded = block_size(size);
	if ((size_t)(arena->end - arena->at) < rounded || rounded == 0) {
		if (size > PTRDIFF_MAX - sizeof(struct arena_chunk) - 15)
			return NULL;
		size_t need = sizeof(struct arena_chunk) + rounded;
		size_t usual = next_size(arena);
		struct arena_chunk *chunk = chunk_take(arena->pool, greater(need, usual));
		if (chunk == NULL)
			return NULL;
		adopt(arena, chunk);
	}
	void *block = arena->at;
	arena->at += rounded;
	unpoison(block, size);
	return block;
}

void *arena_zalloc(struct arena *arena, size_t size)
{
	void *block = arena_alloc(arena, size);
	return block ? memset(block, 0, size) : NULL;
}

void *arena_resize(struct arena *arena, void *block, size_t old_size, size_t new_size)
{
	if (block == NULL)
		return arena_alloc(arena, new_size);
	size_t old_rounded = block_size(old_size);
	size_t new_rounded = block_size(new_size);
	bool last = (char *)block + old_rounded == arena->at;
	size_t room = last ? (size_t)(arena->end - (char *)block) : old_rounded;
	if (new_rounded != 0 && new_rounded <= room) {
		if (last)
			arena->at = (char *)block + new_rounded;
		poison(block, old_rounded);
		unpoison(block, new_size);
		return block;
	}
	void *moved = arena_alloc(arena, new_size);
	if (moved == NULL)
		return NULL;
	memcpy(moved, block, old_size);
	poison(block, old_rounded);
	return moved;
}

struct text arena_copy(struct arena *arena, struct text t)
{
	char *copy = arena_alloc(arena, t.size + 1);
	if (copy == NULL)
		return (struct text){NULL, 0};
	if (t.size > 0)
		memcpy(copy, t.data, t.size);
	copy[t.size] = '\0';
	return (struct text){copy, t.size};
}

struct text arena_format(struct arena *arena, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int size = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	char *data = size < 0 ? NULL : arena_alloc(arena, (size_t)size + 1);
	if (data == NULL)
		return (struct text){NULL, 0};
	va_start(arguments, format);
	(void)vsnprintf(data, (size_t)size + 1, format, arguments);
	va_end(arguments);
	return (struct text){data, (size_t)size};
}

void arena_pool_init(struct arena_pool *pool, struct account *account, size_t spares_max)
{
	*pool = (struct arena_pool){.account = account, .spares_max = spares_max};
}

void arena_pool_deinit(struct arena_pool *pool)
{
	for (size_t i = 0; i < ARENA_POOL_SIZES; i++)
		give_all(NULL, pool->spares[i].newest);
	arena_pool_init(pool, pool->account, pool->spares_max);
}

bool arena_pool_take(struct arena_pool *pool, struct arena *arena)
{
	*arena = (struct arena){.account = pool->account, .pool = pool};
	struct arena_chunk *chunk = chunk_take(pool, next_size(arena));
	if (chunk)
		adopt(arena, chunk);
	return chunk != NULL;
}

void arena_pool_give(struct arena_pool *pool, struct arena *arena)
{
	assert(arena->chunk);
	end(arena, arena->bytes <= KEPT_MAX ? pool : NULL);
}
