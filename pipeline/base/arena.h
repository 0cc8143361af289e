/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Memory that is given back all at once: of a request, of a flight, of a loaded configuration.
 *
 * An arena is a chain of chunks from malloc; what it holds is charged to an account, so that a
 * limit can be kept on all arenas together. Nothing in an arena is freed alone. An arena belongs to
 * one thread. The address sanitizer knows its blocks: what lies between and behind them, and in a
 * chunk that nobody has, may not be touched.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/base/poison.h"
#include "pipeline/base/text.h"

/* Bytes that are held on somebody's behalf. `max` is only compared by account_full(): charging
 * never fails. */
struct account {
	size_t used;
	size_t peak;
	size_t max;
};

static inline void account_charge(struct account *account, size_t bytes)
{
	account->used += bytes;
	if (account->used > account->peak)
		account->peak = account->used;
}

/* Gives back what account_charge() took; more than is used is a bug and asserted. */
void account_release(struct account *account, size_t bytes);

/* Of what is counted elsewhere: *charged is what stands of it in the account, which becomes bytes.
 */
static inline void account_settle(struct account *account, size_t *charged, size_t bytes)
{
	if (bytes == *charged)
		return;
	account_release(account, *charged);
	account_charge(account, bytes);
	*charged = bytes;
}

static inline bool account_full(const struct account *account)
{
	return account->used >= account->max;
}

struct arena_chunk;
struct arena_pool;

struct arena {
	char *at;
	char *end;
	struct arena_chunk *chunk; /* the newest; each knows the one before */
	struct account *account;   /* may be NULL: charged to nobody */
	struct arena_pool *pool;   /* that it was taken from, and goes back to; or NULL */
	size_t bytes;		   /* charged so far */
};

/* An empty arena that allocates nothing yet. Borrows account, which must outlive it. */
void arena_init(struct arena *arena, struct account *account);

/* Frees all chunks and gives the account its bytes back. Safe twice. */
void arena_deinit(struct arena *arena);

/* Slow path of arena_alloc(); not to be called. */
void *arena_grow(struct arena *arena, size_t size);

/* size bytes aligned to 16, not cleared; size 0 gives a unique address. NULL when memory is out. */
static inline void *arena_alloc(struct arena *arena, size_t size)
{
	size_t rounded = (size + 15) & ~(size_t)15;
	if (rounded == 0 || (size_t)(arena->end - arena->at) < rounded)
		return arena_grow(arena, size);
	void *block = arena->at;
	arena->at += rounded;
	unpoison(block, size);
	return block;
}

/* The same, cleared. */
void *arena_zalloc(struct arena *arena, size_t size);

/*
 * Makes the block larger or smaller: in place where it was the last one, else by a copy (the old
 * block is lost until the end). block may be NULL with old 0. NULL when memory is out, and then the
 * old block is as it was.
 */
void *arena_resize(struct arena *arena, void *block, size_t old_size, size_t new_size);

/* A copy of t's bytes, terminated by a NUL that its size doesn't count. Absent when memory is out.
 */
struct text arena_copy(struct arena *arena, struct text t);

/* A formatted text, terminated likewise. Absent when memory is out. */
struct text arena_format(struct arena *arena, const char *format, ...)
		__attribute__((format(printf, 2, 3)));

/* Chunks of one size. */
struct arena_spares {
	struct arena_chunk *newest;
	size_t count;
};

/* Of a first chunk, and of those that follow it in a request that asks a few sources. */
#define ARENA_POOL_SIZES 3

/*
 * Chunks that arenas have left, for the next, so that a request costs no malloc. Those of an arena
 * that grew over 64 KiB are freed instead of kept. What lies in the pool is not charged to anybody.
 */
struct arena_pool {
	struct arena_spares spares[ARENA_POOL_SIZES];
	size_t spares_max;	 /* of each size */
	struct account *account; /* handed to each arena that is taken */
};

void arena_pool_init(struct arena_pool *pool, struct account *account, size_t spares_max);
void arena_pool_deinit(struct arena_pool *pool);

/* Makes arena ready for use. False when memory is out. */
bool arena_pool_take(struct arena_pool *pool, struct arena *arena);

/* Ends arena, which is not to be used any more, and keeps its chunks for the next. */
void arena_pool_give(struct arena_pool *pool, struct arena *arena);
