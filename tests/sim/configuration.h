/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A configuration that a seed makes up: limits, caches, and pipelines of nested stages, as YAML for
 * the real compiler; and what a witness must know of it to tell right from wrong.
 *
 * All pipelines take {k: string, l: [string], n: number = 0}. k is what is asked for, and l follows
 * from it; n is the request itself, seen by lookups and sources that no flight stands above.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/base/buffer.h"
#include "pipeline/base/random.h"
#include "tests/sim/sources.h"

/* LOOKUP: one lookup and nothing else, so that what becomes of each request can be foretold.
 * CACHE: a cache above one lookup. RACE: one fan-out. GATE: a lookup, and another under a
 * condition. RETRY: one source, asked again when it fails. BOARD: all answers of a fan-out, for
 * each element. HEDGE: sources that are asked one after another. TREE: any stages. */
enum shape_kind {
	SHAPE_LOOKUP,
	SHAPE_CACHE,
	SHAPE_RACE,
	SHAPE_GATE,
	SHAPE_RETRY,
	SHAPE_BOARD,
	SHAPE_HEDGE,
	SHAPE_TREE
};

#define SHAPES_SIMPLE SHAPE_TREE /* one of each kind comes first, of which all is known */
#define TREES_MAX     5
#define SHAPES_MAX    (SHAPES_SIMPLE + TREES_MAX)

#define GROUPS_MAX 3 /* elements that l may have */

/* What a fan-out asks, and waits for. */
struct race {
	uint32_t sources;
	uint32_t needed;
	uint64_t timeout; /* 0: none of its own */
	bool each;	  /* of a RACE: it asks for every element of l */
	bool any;	  /* and it gives one value */
	bool fail_fast;
	bool partial;
	bool lowest; /* the best is given, by its run */
	bool highest;
	uint32_t ahead; /* of a BOARD: parts asked for or there, and not read */
};

/* For whom the second lookup of a GATE runs: with that n, or one that is greater or less; or whose
 * key is that; or whose l has (or has not) any elements. */
enum gate_kind { GATE_EQUALS, GATE_ABOVE, GATE_BELOW, GATE_KEY, GATE_PRESENT, GATE_ABSENT };

struct gate {
	enum gate_kind kind;
	uint32_t number;
};

/* How often a RETRY asks, and how long it waits between. */
struct retrying {
	uint32_t attempts;
	uint64_t initial;
	uint64_t max;
	uint32_t budget;
};

/* What becomes of the values of a CACHE; durations in nanoseconds. */
struct aging {
	uint64_t ttl;
	uint64_t jitter;
	uint64_t stale;
	uint64_t stale_if_error;
	uint64_t throttle;
	uint64_t background;
	uint64_t waiters; /* for one key */
	bool cold;	  /* which cache it is */
};

#define BACKGROUND_MANY 1000 /* more than a history can have */

/* Whom a HEDGE asks, in this order, and when the next. */
struct hedging {
	uint32_t to[4]; /* north, south, east, west */
	uint32_t sources;
	uint32_t needed;
	bool fixed; /* else by that quantile */
	uint32_t quantile;
	uint64_t after;
	uint64_t min;
	uint64_t max;
	uint32_t samples;
	uint32_t budget;
};

/* A pipeline, and all that it calls. */
struct shape {
	char name[8];
	enum shape_kind kind;
	uint64_t deadline;	/* a duration in nanoseconds; 0: none of its own */
	uint64_t ttl;		/* of all its caches together: nothing that it serves is older */
	uint64_t caches;	/* how many */
	uint64_t waiters_least; /* of them all */
	uint32_t reaches;	/* a bit for each shape whose lookups it may run */
	bool asks;		/* sources */
	bool limits_time;	/* shorter timeouts than the request's own deadline */
	bool forgives;		/* partial answers, `missing: null` */
	uint32_t concurrency;	/* of a LOOKUP or a CACHE */
	uint32_t queue;
	uint64_t waiters;
	uint64_t missing_ttl;	  /* of a CACHE */
	struct aging aging;	  /* of a CACHE; of a TREE the latest that was written */
	bool ignores_fresh;	  /* some of its caches do */
	struct race race;	  /* of a RACE; of a TREE the latest that was written */
	struct gate gate;	  /* likewise */
	struct retrying retrying; /* likewise */
	struct hedging hedging;	  /* likewise */
	uint64_t codel_target;	  /* of a LOOKUP; 0: what waits long is not shed */
	uint64_t codel_interval;
	bool retries; /* it may wait though nothing goes on */
};

/* Of the feeds: see configuration_feeds.c. */
struct planned_feeds {
	uint64_t above;	 /* microseconds, for `slow` */
	uint64_t sample; /* of `some` */
	uint64_t over;	 /* of `odd` */
	uint64_t least;
	uint64_t memory;
	uint64_t warmup;
};

struct configuration {
	struct buffer yaml;
	struct planned_feeds feeds;
	struct shape shapes[SHAPES_MAX];
	size_t shape_count;
	uint64_t in_flight;
	uint64_t in_flight_min; /* from where it adapts; 0: it does not */
	bool unseen_hedges;	/* others than those of the HEDGE */
	uint64_t per_client;
	uint64_t bytes;
	uint64_t deadline;
	uint64_t max_deadline;
	uint64_t client_stall;
	bool refreshes; /* some cache may, in the background */
};

void configuration_init(struct configuration *configuration, struct random *random);
void configuration_deinit(struct configuration *configuration);
