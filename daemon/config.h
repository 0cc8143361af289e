/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a configuration file may hold as a whole, and its reading: the options of the daemon itself,
 * the resources, and the options that the pipelines are compiled from. It opens nothing.
 */
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/base/diag.h"
#include "pipeline/base/options.h"
#include "pipeline/requests/engine.h"

struct driver_context;
struct resource;

/* All texts are terminated, and live in the arena that the file was read into. */
struct config {
	const char *listen;
	struct place listen_place;
	const char *publish; /* NULL: no telemetry */
	struct place publish_place;
	uint64_t publish_every;		/* durations, in nanoseconds */
	const struct option_map *feeds; /* NULL: there are none */
	uint64_t drain;
	uint64_t start_timeout;
	struct engine_limits limits;
	const struct option_map *databases;
	const struct option_map *caches;
	const struct option_map *sources;
	const struct option_map *pipelines;
};

/* Reads and checks the file at path. False when there is any error; all of them are in diag. */
bool config_read(struct config *config, const char *path, struct arena *arena, struct diag *diag);

/* The resources, made and not opened, in the file's order. */
struct resources {
	struct resource **all;
	size_t count;
};

/* Creates all resources of a configuration; errors go to diag. What was created is in *ret even
 * then. */
void resources_create(struct resources *ret, const struct config *config,
		const struct driver_context *context, struct arena *arena, struct diag *diag);

/* By kind ("database", "cache", "source") and name; NULL: there is none. */
struct resource *resources_find(
		const struct resources *resources, const char *kind, struct text name);

/* Closes all; until as for driver.close. False: a thread has not come back. */
bool resources_close(struct resources *resources, uint64_t until);

/* Frees all, which are closed or were never opened. */
void resources_free(struct resources *resources);

/* Opens what is not ready; what can never be is an error in diag. */
void resources_open(struct resources *resources, struct diag *diag);

/* Whether there is a database that isn't ready, and so is to be opened again. */
bool resources_to_open(const struct resources *resources);

/* The first required one that isn't ready, or NULL. */
const struct resource *resources_missing(const struct resources *resources);
