/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The pipelines of one configuration, compiled: trees of stages, the objects that all their runs
 * share (flights, semaphores), and what is counted for each.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/async/scope.h"
#include "pipeline/base/options.h"
#include "pipeline/base/template.h"
#include "pipeline/stages/activation.h"
#include "pipeline/stages/pipeline_stats.h"
#include "pipeline/wire/status.h"

struct arena_pool;
struct async;
struct cache;
struct database;
struct feed_row;
struct run;
struct source;
struct stage;
struct stage_frame;

/* NEW -> COMPILING -> COMPILED; met while COMPILING it is a circle. */
enum pipeline_state { PIPELINE_NEW, PIPELINE_COMPILING, PIPELINE_COMPILED };

struct pipeline {
	struct text name;
	struct place place;
	uint32_t index;
	enum pipeline_state state;
	const struct option_map *options; /* NULL: something in them is wrong, and was said */
	uint64_t deadline;		  /* a duration; 0: none of its own */
	bool takes;
	const struct field_type *types;
	size_t type_count;
	struct template_map reply;
	const struct stage *steps;
	struct layout layout;
	unsigned depth;
	struct pipeline_stats *stats; /* those of its name */
	const struct feed_row *feeds; /* who sees its requests at their end; NULL: nobody */
	void *observer;		      /* what whoever is told of its requests keeps for it */
};

/* What compiling needs from outside. All borrowed for as long as the pipelines live. */
struct stages_context {
	struct async *async;
	struct arena *arena; /* the configuration's */
	struct diag *diag;
	struct arena_pool *flights; /* arenas for flights */
	const struct json_limits *limits;
	uint64_t max_deadline; /* of requests, and so of flights */
	uint64_t waiters_max;  /* limits.in_flight */
	/* Resources by name. NULL: there is none. each() hands every name of a kind to
	 * nearest_see(), also of one that could not be made and was an error. */
	struct cache *(*cache)(void *user, struct text name);
	struct database *(*database)(void *user, struct text name);
	struct source *(*source)(void *user, struct text name);
	void (*each)(void *user, const char *kind, struct nearest *nearest);
	void *user;
};

struct pipelines {
	struct pipeline *all; /* in the file's order */
	size_t count;
	struct stage *stages;
	struct scope scope; /* of their flights; FOREVER */
	void *user;	    /* the context's */
};

/* The table of one entry of a configuration's `pipelines`. */
extern const struct option pipeline_options[];

/*
 * Compiles all, into the context's arena. NULL when there is any error. on_idle: of the scope of
 * their flights, when they were retired and the last has ended.
 */
struct pipelines *pipelines_compile(const struct option_map *map,
		const struct stages_context *context, scope_idle_fn on_idle);

/* Cancels the flights that nobody waits for, for DRAIN, and starts no more of them. Idempotent. */
void pipelines_drain(const struct pipelines *pipelines);

/* Cancels all flights, and starts no more of them; nothing is over by that. Idempotent. */
void pipelines_cancel(struct pipelines *pipelines, enum reason reason);

/* Nobody will start another flight: on_idle comes when the last has ended. Once. */
void pipelines_retire(struct pipelines *pipelines);

/* Goes on with the counts of pipelines of the same names. */
void pipelines_inherit(struct pipelines *pipelines, const struct pipelines *before);

/* Frees what is not in the arena. No run and no flight may be left. */
void pipelines_free(struct pipelines *pipelines);

/* NULL: there is none of that name. */
struct pipeline *pipelines_find(const struct pipelines *pipelines, struct text name);

/*
 * Lays out a run of pipeline in memory (cleared, layout_size() bytes) and checks body against what
 * it takes. NULL: *ret_outcome is why not. pipeline_start() then starts its steps.
 */
struct activation *pipeline_enter(const struct pipeline *pipeline, void *memory, struct run *run,
		struct value body, struct outcome *ret_outcome);
enum progress pipeline_start(const struct pipeline *pipeline, struct run *run,
		struct activation *activation, struct frame *parent, struct scope *scope);

/*
 * Begins the nth of the reads for which pipeline_start() would have to wait if what is read is in
 * no cache of the processor, and does not wait itself: to be called with some time between, from 0
 * on, or not at all. What it finds out, such as a key, is kept in the activation for the start.
 */
#define PIPELINE_READS 3
void pipeline_begin_read(const struct pipeline *pipeline, struct run *run,
		struct activation *activation, unsigned nth);

/* The outcome of pipeline_start()'s frame, once it is DONE or given to its parent's resume(). */
struct outcome pipeline_outcome(const struct pipeline *pipeline, struct activation *activation);

/*
 * Hands out the frames of a run in the order of the file, each that was ever started; with the
 * number of the flight it belongs to, or 0. They are read as they stand.
 */
typedef void (*stage_visit_fn)(void *user, const struct stage_frame *frame, uint64_t flight);
void pipeline_visit(const struct pipeline *pipeline, const struct activation *activation,
		stage_visit_fn visit, void *user);

/* The same, but for flights that do not end because this run does. */
void pipeline_visit_own(const struct pipeline *pipeline, const struct activation *activation,
		stage_visit_fn visit, void *user);
