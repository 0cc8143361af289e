/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Single flight: one run of some work that all who ask for the same key at that moment wait for.
 *
 * A flight owns its work: an arena, a scope below its table's, the frames in it. Nobody who waits
 * is more than a waiter, the first included. Each waiter leaves by its own cancel or deadline; the
 * last to leave cancels the flight and takes it out of the table in the same step, unless it is
 * held: then it flies on, to its ceiling at most, for whoever comes. A flight that
 * has ended is out of the table too, and wakes its waiters in slices. A flight's memory stays until
 * its work has ended and the last waiter has let go of it.
 * The loop thread only.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/async/frame.h"
#include "pipeline/async/scope.h"
#include "pipeline/base/arena.h"
#include "pipeline/base/hash.h"
#include "pipeline/base/list.h"
#include "pipeline/base/table.h"

struct flight;

/* Called once when the flight ends, before any waiter is woken: its outcome is there. Where it was
 * cut off its scope says why, and the outcome is what waiters are told. */
typedef void (*flight_end_fn)(struct flight *flight);

/* What the work gave, by its frame that has ended. */
typedef struct outcome (*flight_outcome_fn)(struct frame *work);

/* Called when the flight's memory is about to go, to let go of what the work holds. */
typedef void (*flight_free_fn)(struct flight *flight);

struct flight_table {
	struct async *async;
	struct scope *scope; /* parent of all flights' scopes */
	struct arena_pool *arenas;
	struct table table; /* of flights that can be joined */
	uint64_t waiting;   /* waiters of all of them */
	uint64_t waiting_highest;
	uint64_t waiters_key_max;
	uint64_t waiters_max;
	uint64_t numbers; /* given out so far */
};

struct flight {
	struct frame frame; /* owner of the scope */
	struct scope scope;
	struct arena arena;
	struct flight_table *table;
	struct table_entry entry;
	struct text key;
	uint64_t number;  /* from 1, in its table */
	uint64_t ceiling; /* absolute */
	struct link waiters;
	uint64_t waiter_count;
	uint32_t refs; /* the running work, and each waiter */
	struct task wake;
	flight_outcome_fn outcome_of;
	flight_end_fn on_end;
	flight_free_fn on_free;
	struct outcome outcome; /* once it has ended */
	bool listed;		/* in the table */
	bool held;		/* it needs no waiter */
	bool ended;
};

struct waiter {
	struct frame frame;
	struct flight *flight; /* held until waiter_deinit() */
	struct link link;
	bool left;  /* it was cut off, */
	bool tells; /* and nobody else is left to tell what the flight has cost */
};

/* Borrows all. Returns 0 or -ENOMEM. */
int flight_table_init(struct flight_table *table, struct async *async, struct scope *scope,
		struct arena_pool *arenas, uint64_t waiters_key_max, uint64_t waiters_max);

/* No flight may be left (asserted). */
void flight_table_deinit(struct flight_table *table);

/* The flight of a key that can be joined, or NULL. */
struct flight *flight_find(struct flight_table *table, uint64_t hash, struct text key);

/* Whether a flight of the key has run out, or was cut off from above, in this turn: it has still to
 * end, and nobody joins it. */
bool flight_is_dying(struct flight_table *table, uint64_t hash, struct text key);

/* What a new flight is to be. */
struct flight_plan {
	uint64_t hash;
	struct text key;  /* copied */
	uint64_t ceiling; /* absolute */
	/* NULL: it is put into the table. Else it is below this scope, which must stay until the
	 * flight's memory goes, and nobody finds it. */
	struct scope *apart;
	size_t extra;		      /* bytes, cleared, right behind it: flight_extra() */
	flight_outcome_fn outcome_of; /* NULL: the frame's own */
	flight_end_fn on_end;
	flight_free_fn on_free;
};

/* A new flight, in an arena of its own. Must be followed by flight_start() or flight_drop(). NULL
 * when memory is out. */
struct flight *flight_new(struct flight_table *table, const struct flight_plan *plan);

/* What was asked for behind the flight, and back. */
void *flight_extra(struct flight *flight);
struct flight *flight_of_extra(void *extra);

/* Starts the work: work is a frame in the flight's arena, made with parent &flight->frame and scope
 * &flight->scope. */
void flight_start(struct flight *flight, struct frame *work);

/* Ends a flight that was not started (memory ran out on the way). */
void flight_drop(struct flight *flight);

/* Lets the flight go on without waiters. */
void flight_hold(struct flight *flight);

/* From here on it needs one: without any it is cancelled, for that reason. Harmless for one that is
 * not held, or has ended. */
void flight_release(struct flight *flight, enum reason reason);

/* Whether one more may not wait: for flight, or (NULL) for one that would be new. */
bool flight_full(const struct flight_table *table, const struct flight *flight);

/*
 * Joins: a waiter to be started by frame_start(&waiter->frame). DONE with the flight's outcome if
 * it has ended, PENDING if it runs. Holds the flight until waiter_deinit(). Whoever joins has asked
 * flight_full() before.
 */
void waiter_init(struct waiter *waiter, struct flight *flight, struct frame *parent,
		struct scope *scope);

/*
 * Whether what the flight has cost is this one's to tell, if it is cut off, or now that it was: it
 * was the last who waited, or has just not heard yet that the flight has ended. Who hears of that
 * is known to whoever resumes it.
 */
bool waiter_tells(const struct waiter *waiter);

/* Lets go of the flight. The waiter's frame must have ended. Safe twice. */
void waiter_deinit(struct waiter *waiter);
