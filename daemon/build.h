/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One configuration put together: read, its resources created, its pipelines compiled against them.
 * What `--check` does is this and no more.
 */
#include <stdbool.h>

#include "daemon/config.h"
#include "pipeline/base/arena.h"

struct async;
struct driver_context;
struct engine;
struct pipelines;
struct record_feeds;

struct build {
	struct arena arena; /* of everything that the file said */
	struct diag diag;
	struct config config;
	struct resources resources;
	struct pipelines *pipelines;
	struct record_feeds *feeds; /* attached to the pipelines */
};

/* Reads the file at path. False: see diag. build_deinit() is due either way. */
bool build_read(struct build *build, const char *path);

/* Makes resources and pipelines. False: see diag. */
bool build_compile(struct build *build, struct async *async, struct engine *engine,
		const struct driver_context *context);

/* Prints what was found, errors and warnings, in the order of their places. */
void build_say(struct build *build);

/* Frees all; the resources must have been closed. */
void build_deinit(struct build *build);
