/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What `stats` says: of the engine, of each resource, of the daemon itself. docs/telemetry.md lists
 * the members.
 */
#include "pipeline/base/buffer.h"

struct engine;
struct feed;
struct loop;
struct resources;

/* Appends the members, without braces around them; and begins the loop's highest lag anew. */
void stats_write(struct buffer *buffer, const struct engine *engine,
		const struct resources *resources, struct loop *loop, const struct feed *feed);
