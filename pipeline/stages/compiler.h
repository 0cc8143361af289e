/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * From option values to stages: what a stage's compile() may call. Names are bound to slots here,
 * frames get their places, and everything that needs meaning is reported with its place.
 */
#include <stdbool.h>
#include <stddef.h>

#include "pipeline/base/diag.h"
#include "pipeline/base/options.h"
#include "pipeline/stages/pipeline.h"
#include "pipeline/stages/stage.h"

/* Stages inside stages, called pipelines included; beyond it is a configuration error. start()
 * recurses once for each. */
#define NESTING_MAX 32

struct cache;
struct database;
struct source;

/* A name that templates may use, and the slot it stands for. */
struct name {
	struct name *next;
	struct text name;
	int32_t slot;
};

/* A path that a miss reads from outside it: its place there, and the slot inside. */
struct capture {
	struct capture *next;
	struct path *outer; /* bound where the cache stage stands */
	int32_t slot;
};

/* A name that was taken for a field of the body. */
struct body_use {
	struct body_use *next;
	struct text name;
	struct place place;
};

struct unkeyed;

/* An activation that is being laid out: of a pipeline, or of a cache's miss. */
struct level {
	struct level *outer; /* of a miss: where the cache stage stands */
	struct layout layout;
	struct name *names;	    /* that can be seen now, the nearest first */
	const struct template *key; /* of a miss: the cache's key, as written, */
	struct unkeyed *unkeyed;    /* and what it may read beside */
	struct capture *captures;
	struct body_use *uses;
	const struct pipeline *pipeline;
	bool begun; /* its own steps: those that come now are nested in them */
};

struct compiler {
	struct arena *arena;
	struct diag *diag;
	const struct stages_context *context;
	struct pipelines *pipelines;
	struct pipeline *pipeline;
	struct level *level;
	struct text path; /* of the steps that are being compiled */
	bool left_out;	  /* a step that is wrong: what it reads is not known */
	unsigned depth;
};

/* Nested steps: the stage that runs them in order, in this activation. Names given inside are not
 * seen after it. */
struct stage *compile_steps(struct compiler *compiler, const struct option_value *steps,
		const struct template_map *reply);

/* What a cache's miss was compiled to. */
struct miss {
	const struct stage *steps;
	struct layout layout;
	const struct capture *captures;
};

/* A path that a miss may read though the key does not hold it. */
struct unkeyed {
	struct unkeyed *next;
	const struct path *path;
	struct place place;
	bool read;
};

/* Steps in an activation of their own, which read from outside only what key holds, and unkeyed
 * (NULL: nothing). Of those it takes note which are read. */
struct miss compile_miss(struct compiler *compiler, const struct option_value *steps,
		const struct template *key, struct unkeyed *unkeyed);

/* Nested steps that may run more than once in one activation: each run has a copy of its own, by
 * activation_copy(), in which alone it gives names. */
struct block {
	const struct stage *steps;
	struct layout layout;
};

struct block compile_block(struct compiler *compiler, const struct option_value *steps);

/* Whether what is compiled now is, at whatever depth, inside a miss. */
bool compile_in_miss(const struct compiler *compiler);

/* A copy of the template with its names bound; NULL after an error. */
struct template *compile_template(struct compiler *compiler, const struct template *written);

/* The same for each of an OPTION_TEMPLATES map (NULL: none). */
struct template_map compile_templates(struct compiler *compiler, const struct option_map *map);

/* `"name":`, as it stands in an object; absent after an error. */
struct text compile_member(struct compiler *compiler, struct text name, struct place place);

/* Gives a name a new slot, seen from here until compile_forget(). */
int32_t compile_name(struct compiler *compiler, struct text name);

/* The slot of a name that is seen now and is no field of the body; SLOT_UNBOUND: there is none. */
int32_t compile_find(const struct compiler *compiler, struct text name);

/* The names seen now; and back to them. */
struct name *compile_names(const struct compiler *compiler);
void compile_forget(struct compiler *compiler, struct name *names);

/* Warns of a stage's timeout that is never reached, because its pipeline's deadline is. */
void compile_check_timeout(const struct compiler *compiler, const struct option_value *timeout);

/* Complains of an activation that is too large. */
void compile_check_layout(
		struct compiler *compiler, const struct layout *layout, struct place place);

/* Room in the activation, in bytes; returns its offset. */
size_t compile_room(struct compiler *compiler, size_t size);

/* The resource that an OPTION_RESOURCE names; NULL after an error. */
struct cache *compile_cache(struct compiler *compiler, const struct option_value *name);
struct database *compile_database(struct compiler *compiler, const struct option_value *name);
struct source *compile_source(struct compiler *compiler, const struct option_value *name);

/* The pipeline of that name, compiled; NULL after an error (unknown, or a circle). */
const struct pipeline *compile_pipeline(struct compiler *compiler, const struct option_value *name);
