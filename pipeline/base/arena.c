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
#define STEP_FIRST	1792
#define STEP_SECOND	1024
#define STEP_MAX	65536
#define KEPT_MAX	65536

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

static struct arena_chunk *chunk_new(size_t size)
{
	struct arena_chunk *chunk = malloc(size);
	if (chunk == NULL)
		return NULL;
	chunk->size = size;
	poison_blocks(chunk);
	return chunk;
}

/* Where the pool keeps further chunks of that size: ARENA_POOL_FURTHER: nowhere. */
static size_t kept_at(const struct arena_pool *pool, size_t size)
{
	size_t at = 0;
	while (at < ARENA_POOL_FURTHER &&
			(!pool || size != ((size_t)STEP_SECOND << at) - MALLOC_OVERHEAD))
		at++;
	return at;
}

static struct arena_chunk *further_chunk(struct arena_pool *pool, size_t size)
{
	size_t at = kept_at(pool, size);
	if (at == ARENA_POOL_FURTHER || !pool->further[at].spare)
		return chunk_new(size);
	struct arena_chunk *chunk = pool->further[at].spare;
	pool->further[at].spare = chunk->before;
	pool->further[at].spares--;
	return chunk;
}

static void give_further(struct arena_pool *pool, struct arena_chunk *chunk)
{
	size_t at = kept_at(pool, chunk->size);
	if (at == ARENA_POOL_FURTHER || pool->further[at].spares == pool->spares_max) {
		free(chunk);
		return;
	}
	poison_blocks(chunk);
	chunk->before = pool->further[at].spare;
	pool->further[at].spare = chunk;
	pool->further[at].spares++;
}

/* Gives the first chunk of an arena that ends to the caller, who frees or keeps it. */
static struct arena_chunk *strip(struct arena *arena)
{
	struct arena_chunk *chunk = arena->chunk;
	while (chunk->before) {
		struct arena_chunk *before = chunk->before;
		give_further(arena->pool, chunk);
		chunk = before;
	}
	if (arena->account)
		account_release(arena->account, arena->bytes);
	live_add(LIVE_ARENAS, -1);
	return chunk;
}

void arena_deinit(struct arena *arena)
{
	if (arena->chunk)
		free(strip(arena));
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
		struct arena_chunk *chunk = further_chunk(arena->pool, greater(need, usual));
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

static void free_all(struct arena_chunk *chunk)
{
	while (chunk) {
		struct arena_chunk *before = chunk->before;
		free(chunk);
		chunk = before;
	}
}

void arena_pool_deinit(struct arena_pool *pool)
{
	free_all(pool->spare);
	for (size_t at = 0; at < ARENA_POOL_FURTHER; at++)
		free_all(pool->further[at].spare);
	arena_pool_init(pool, pool->account, pool->spares_max);
}

bool arena_pool_take(struct arena_pool *pool, struct arena *arena)
{
	*arena = (struct arena){.account = pool->account, .pool = pool};
	struct arena_chunk *chunk = pool->spare;
	if (chunk) {
		pool->spare = chunk->before;
		pool->spares--;
	} else {
		chunk = chunk_new(next_size(arena));
		if (chunk == NULL)
			return false;
	}
	adopt(arena, chunk);
	return true;
}

void arena_pool_give(struct arena_pool *pool, struct arena *arena)
{
	assert(arena->chunk);
	bool keep = arena->bytes <= KEPT_MAX && pool->spares < pool->spares_max;
	struct arena_chunk *first = strip(arena);
	if (!keep) {
		free(first);
		return;
	}
	poison_blocks(first);
	first->before = pool->spare;
	pool->spare = first;
	pool->spares++;
}
