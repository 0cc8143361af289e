/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One configuration put together: read, its resources created or held on to, its pipelines compiled
 * against them. What `--check` does is this and no more.
 *
 * A build is over when nothing runs in its generation any more; its memory stays until the last
 * resource that it has made has ended, too, as a later build may hold it.
 */
#include <stdbool.h>
#include <stdint.h>

#include "daemon/config.h"
#include "daemon/resources.h"
#include "pipeline/base/arena.h"
#include "pipeline/base/list.h"
#include "pipeline/drivers/driver.h"
#include "pipeline/requests/generation.h"

struct async;
struct engine;
struct record_feeds;

struct build {
	struct link link;   /* among all that are not over */
	struct arena arena; /* of everything that the file said */
	struct diag diag;
	struct config config;
	struct driver_context context; /* of the resources that it makes */
	struct resources resources;
	struct generation generation;
	struct record_feeds *feeds; /* attached to the pipelines; NULL: none could be made */
	unsigned refs;
};

/*
 * Reads the file at path, for a build that joins builds. With errors in its diag it can be dropped
 * and no more. NULL when memory is out.
 */
struct build *build_read(const char *path, struct link *builds);

/*
 * Makes resources and pipelines, of the generation after that of `before`, whose resources it holds
 * on to where it can (NULL: it is the first). False: see diag.
 */
bool build_compile(struct build *build, struct async *async, struct engine *engine,
		const struct driver_context *context, const struct build *before);

/* Prints what was found, errors and warnings, in the order of their places. */
void build_say(struct build *build);

/* Ends it: what flies in it is cancelled, and when that has ended, and its last request, it is over
 * (the runner says so). */
void build_drop(struct build *build, enum reason reason);

/* For resources.c: its memory is needed, or not any more. */
void build_ref(struct build *build);
void build_unref(struct build *build);
