/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What pipelines stand on, without anything real: a clock that only moves when it is told to, two
 * databases, two caches and four sources. The configuration's YAML holds `pipelines`, and where
 * something else than usual is wanted `limits`, `caches`, `databases`, `sources`, `telemetry` and
 * `drain`.
 */
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/async/async.h"
#include "pipeline/base/arena.h"
#include "pipeline/base/diag.h"
#include "pipeline/base/json.h"
#include "pipeline/requests/generation.h"
#include "pipeline/stages/pipeline.h"
#include "tests/sim/scripted_database.h"
#include "tests/sim/scripted_source.h"
#include "tests/sim/sources.h"
#include "tests/sim/watch.h"

#define WORLD_MS    UINT64_C(1000000)
#define WORLD_START (UINT64_C(1000000) * WORLD_MS)

/* What was loaded beside the first configuration, or is the first. */
struct loaded {
	struct world *world;
	struct loaded *before;
	struct generation generation;
	const struct option_map *configuration;
	struct arena arena; /* of one that came later */
	struct diag diag;
	bool idle;  /* its flights are over after their close */
	void *more; /* what load_more() has made of it */
};

struct world {
	struct async async;
	struct arena arena; /* the first configuration's */
	struct diag diag;
	struct json_limits limits;
	uint64_t max_deadline; /* of flights */
	uint64_t waiters_max;
	struct arena_pool *arenas; /* of flights */
	/* Puts a cache of the tests' own before a real one; NULL: nobody does. May say NULL: memory
	 * is out, and the real one is freed. */
	struct cache *(*wrap_cache)(void *user, struct cache *cache);
	void *wrap_user;
	/* Makes more of a configuration than its pipelines, and gives that back; may be NULL.
	 * False: it is wrong. */
	bool (*load_more)(struct loaded *loaded, struct arena *arena, struct diag *diag);
	void (*unload_more)(struct loaded *loaded);
	const struct option *feeds;	  /* the table of `telemetry.feeds`; NULL: there are none */
	const struct watch *watch;	  /* told of jobs and asks; may be NULL */
	struct scripted_database catalog; /* 4 connections unless `databases` says otherwise */
	struct scripted_database ledger;  /* 1 connection, likewise */
	union {
		struct scripted_source sources[SOURCES];
		struct {
			struct scripted_source north, south, east, west;
		};
	};
	struct cache *hot;  /* 1 MiB unless `caches` says otherwise */
	struct cache *cold; /* likewise */
	const struct option_map *configuration;
	struct stages_context context;
	struct pipelines *pipelines; /* the first that were loaded; NULL when they are over */
	struct loaded first;
	struct loaded *loaded; /* the latest */
};

/* The clock, at WORLD_START; to be called before all else. */
void world_init_clock(struct world *world);

/* The rest, as the configuration says if it was read before; borrows account, to which rows and
 * evicted values are charged, and arenas. False when memory is out. */
bool world_init(struct world *world, struct account *account, struct arena_pool *arenas);

/* Reads and compiles a configuration, at once or in two steps. False: world_problems() says why.
 * What was read with errors may be compiled to find more, where `pipelines` is not wrong. */
bool world_load(struct world *world, const char *yaml);
bool world_read(struct world *world, const char *yaml);
bool world_compile(struct world *world);

/* The same beside what is loaded already, with an arena of its own, which it gives back when its
 * generation is over. NULL: it is wrong. */
struct loaded *world_load_beside(struct world *world, const char *yaml);

/* What is wrong, a line each: `LINE:COLUMN: MESSAGE`, or `LINE:COLUMN: warning: MESSAGE`. */
const char *world_problems(struct world *world);

/* The source of that name; NULL: there is none. */
struct scripted_source *world_source(struct world *world, struct text name);

/* Its place among the sources. */
size_t world_source_number(const struct world *world, const struct source *source);

/* How many asks go on, of all sources. */
uint64_t world_asks(const struct world *world);

/* Turns at the present time until nothing is queued; returns when the next one must be. */
uint64_t world_turn(struct world *world);

/* Moves the clock to ms after its start, through all turns that lie before it. */
void world_at(struct world *world, uint64_t ms);

/*
 * Ends flights, jobs and asks that still go on, and frees everything. False if anything is left
 * then: work, a timer, what live_report() counts.
 */
bool world_deinit(struct world *world);
