/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The stage `cache`: reads a cache; on a miss it runs `miss` once, as a flight, for all who ask at
 * that moment, and stores what it gave.
 *
 * cache.c reads, waits and answers; cache_flight.c runs `miss` and stores; cache_options.c compiles
 * what the configuration says; cache_alike.c finds stages that would read each other's values.
 */
#include "pipeline/async/flight.h"
#include "pipeline/stages/compiler.h"
#include "pipeline/stages/stage.h"

struct buffer;
struct cache;

struct cache_stage {
	struct stage stage;
	struct cache *cache;
	const struct template *key;
	const struct option_value *written_miss;
	struct miss miss;
	uint64_t ttl;
	uint64_t jitter;
	uint64_t missing_ttl;
	uint64_t ceiling; /* of a flight, from its start */
	struct flight_table flights;
	bool opened; /* flights is there */
	uint64_t hits;
	uint64_t missing; /* hits of "there is none" */
	uint64_t misses;
	uint64_t joined;
};

/* A run's hold on a flight that it waits or has waited for. */
struct flight_hold {
	struct hold hold;
	struct waiter waiter;
};

struct cache_frame {
	struct stage_frame base;
	struct blob_hold value; /* of a hit */
	struct text key;
	uint64_t hash;
	struct flight_hold *waiting; /* the latest; NULL: a hit */
	bool again;		     /* it waits for a second flight */
};

/* What a flight of such a stage runs; stands right behind the flight. */
struct miss_run {
	struct run run;
	struct cache_stage *stage;
	uint64_t began;
};

extern const struct option cache_options[];
extern const struct stage_type cache_type;

/* cache_flight.c */
/* A new flight for that frame's key, with waiter as its first, started; it may have ended when this
 * returns. NULL when memory is out. */
struct flight *cache_fly(struct cache_frame *frame, struct waiter *waiter);

/* cache_options.c */
void cache_compile(
		struct compiler *compiler, struct stage *stage, const struct option_map *options);
void cache_free(struct stage *stage);
void cache_write_stats(const struct stage *stage, struct buffer *buffer);

/* cache_alike.c */
/* Warns of stages that share a cache and whose keys begin alike, for one would read what the other
 * stored. */
void cache_warn_of_alike_keys(const struct pipelines *pipelines, struct diag *diag);
