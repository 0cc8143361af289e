/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The resources of a configuration, of all kinds, as one list. A resource that the configuration
 * before has too, and that it says the same of, is not made again: both hold it, with its
 * connections and contents, and it ends when nobody holds it any more.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/base/text.h"

struct build;
struct diag;
struct resource;

/* A resource, and how many configurations hold it. */
struct holding {
	struct resource *resource;
	struct build *maker;	       /* on whose memory it stands, and which therefore stays */
	const struct resource *before; /* in whose place it will stand, until it does; NULL: none */
	unsigned holders;
};

struct resources {
	struct holding **all; /* in the file's order: databases, caches, sources */
	bool *used;	      /* each: whether a pipeline asked for it */
	size_t count;
};

/*
 * Creates the resources of a configuration, opening none, or holds those of `before` (NULL: there
 * is none). Errors go to the build's diag. What was created is there even then.
 */
void resources_create(struct build *build, const struct build *before);

/* For a pipeline, by kind ("database", "cache", "source") and name; NULL: there is none. */
struct resource *resources_find(
		const struct resources *resources, const char *kind, struct text name);

/* Warns of those that no pipeline of a build has asked for. */
void resources_check_used(struct build *build);

/* Opens what is not ready; what can't be as things are is an error in diag, once, at its place in
 * this build's configuration. */
void resources_open(struct build *build, struct diag *diag);

/* Whether there is a database to be opened again: it isn't ready, and nothing is wrong with it. */
bool resources_to_open(const struct resources *resources);

/* The first one that is waited for: it is required and isn't ready, or is behind. NULL: none. */
const struct resource *resources_missing(const struct resources *resources);

/* The first one that does not serve yet, and stands in place of one that does. NULL: none. */
const struct resource *resources_coming(const struct resources *resources);

/* The configuration serves from here on: what those that go on have been told anew takes effect. */
void resources_take(struct build *build);

/* Closes all; until as for driver.close. False: a thread has not come back. Safe twice. */
bool resources_close(struct resources *resources, uint64_t until);

/* Lets go of all. Those that nobody else holds are closed and freed; nobody asks them any more. */
void resources_release(struct resources *resources);
