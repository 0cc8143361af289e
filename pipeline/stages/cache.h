/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The stage `cache`: reads a cache; on a miss it runs `miss` once, as a flight, for all who ask at
 * that moment, and stores what it gave. A value that is stale is given at once, and refreshed in
 * the background; one that is older still, only to who can't have a new one.
 *
 * cache.c reads and answers; cache_wait.c waits for a flight; cache_flight.c runs `miss` and
 * stores; cache_refresh.c flies without anybody who waits; cache_options.c compiles what the
 * configuration says; cache_alike.c finds stages that would read each other's values.
 */
#include "pipeline/async/flight.h"
#include "pipeline/async/scope.h"
#include "pipeline/resources/cache.h"
#include "pipeline/stages/compiler.h"
#include "pipeline/stages/stage.h"

struct buffer;

struct cache_counts {
	uint64_t hits;	  /* of fresh values */
	uint64_t missing; /* hits of "there is none" */
	uint64_t stale;	  /* values that were given though they were not fresh */
	uint64_t misses;
	uint64_t joined;
	uint64_t fresh;		   /* runs for who wanted no value that is there */
	uint64_t refreshes;	   /* flights that were held open */
	uint64_t refresh_failures; /* of them */
	uint64_t throttled;	   /* refreshes that were due and spared */
};

struct cache_stage {
	struct stage stage;
	struct cache *cache;
	const struct template *key;
	const struct option_value *written_miss;
	struct miss miss;
	struct cache_ages ages; /* of a value; its refresh_at follows from its own ttl */
	uint64_t refresh_percent;
	uint64_t jitter;
	uint64_t missing_ttl;
	uint64_t throttle;
	uint64_t ceiling; /* of a flight, from its start */
	bool heeds_fresh;
	struct flight_table flights;
	bool opened;		/* flights is there */
	struct link background; /* runs of flights that are held open */
	uint64_t background_count;
	uint64_t background_max;
	bool draining;
	struct cache_counts counts;
};

/* A run's hold on a flight that it waits or has waited for. */
struct flight_hold {
	struct hold hold;
	struct waiter waiter;
	struct scope patience; /* of who has to go in time to give an old value; else unused */
	struct scope *where;   /* it waits: there, or in the frame's own scope */
};

struct cache_frame {
	struct stage_frame base;
	struct blob_hold value; /* that is given */
	struct text key;
	uint64_t hash;
	struct flight_hold *waiting; /* the latest; NULL: a hit */
	bool again;		     /* it waits for a second flight */
	bool old;		     /* without a new value an old one will do */
	bool tells;		     /* it is the first cache stage that the run has met */
};

/* What a flight of such a stage runs; stands right behind the flight. */
struct miss_run {
	struct run run;
	struct cache_stage *stage;
	struct link background; /* in its stage's list, while it is held open */
	uint64_t began;
};

extern const struct option cache_options[];
extern const struct stage_type cache_type;

static inline struct cache_stage *cache_stage_of(const struct stage_frame *frame)
{
	return container_of(frame->stage, struct cache_stage, stage);
}

/* cache.c */
/* Looks, once more, for any value that may still be used. False: there is none. */
bool cache_give_old(struct cache_frame *frame);
/* Says how the run's first cache stage answers. */
void cache_tell(struct cache_frame *frame, struct text verdict);

/* cache_wait.c */
/* Joins the flight of the key, or starts one, and waits for it. */
enum progress cache_join(struct cache_frame *frame);
/* Runs `miss` for this run alone. */
enum progress cache_run_fresh(struct cache_frame *frame);
enum progress cache_resume(struct frame *frame, struct frame *child);
/* Ends with an outcome that is not the cache's, or, where it is a failure, with an old value. */
enum progress cache_settle(struct cache_frame *frame, struct outcome outcome);

/* cache_flight.c */
/* Found by all who ask for its key; the same, and held open; below the frame's scope, and found by
 * nobody. */
enum cache_flying { FLY_SHARED, FLY_HELD, FLY_APART };
/* A new flight for that frame's key, with hold's waiter (NULL: none) as its first, started; it may
 * have ended when this returns. False when memory is out. */
bool cache_fly(struct cache_frame *frame, struct flight_hold *hold, enum cache_flying flying);
/* Whether a flight that ended so has failed to give a new value: what was there may still be used.
 * One that ran out of time is its caller's to judge. */
bool cache_failed(const struct outcome *outcome);

/* cache_refresh.c */
/* Flies in the background, unless a flight of the key is there or there may be no more. */
void cache_refresh(struct cache_frame *frame);
/* Whether the flight of the key has just failed to come in time, and the cache has still to hear of
 * that: it says so itself of those that have ended. */
bool cache_is_held_off(const struct cache_frame *frame);
/* Whether one more flight may be held open. */
bool cache_may_hold(const struct cache_stage *stage);
/* Holds a flight open that is about to start; and when it ends: whether it was. */
void cache_hold_open(struct flight *flight);
bool cache_end_hold(struct flight *flight);
/* Background flights are not wanted any more, and none is started. */
void cache_drain(struct stage *stage);

/* cache_options.c */
void cache_compile(
		struct compiler *compiler, struct stage *stage, const struct option_map *options);
void cache_free(struct stage *stage);
void cache_write_stats(const struct stage *stage, struct buffer *buffer);

/* cache_alike.c */
/* Warns of stages that share a cache and whose keys begin alike, for one would read what the other
 * stored. */
void cache_warn_of_alike_keys(const struct pipelines *pipelines, struct diag *diag);
