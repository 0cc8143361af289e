/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a configuration file may hold as a whole, and its reading: the options of the daemon itself,
 * and those that resources are created and pipelines compiled from. It opens nothing.
 */
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/base/diag.h"
#include "pipeline/base/options.h"
#include "pipeline/requests/engine.h"

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
	struct place limits_place;
	const struct option_map *databases;
	const struct option_map *caches;
	const struct option_map *sources;
	const struct option_map *pipelines; /* NULL: so much is wrong that names mean nothing */
};

/* Reads and checks the file at path; all errors are in diag. With errors, what is wrong is marked,
 * and only good for finding what else is (conf.h). */
void config_read(struct config *config, const char *path, struct arena *arena, struct diag *diag);
