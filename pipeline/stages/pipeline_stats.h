/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What is counted for each pipeline, by its name: a pipeline of the next generation goes on with
 * the same counts, while requests of the one before still end in them. On the loop thread only.
 */
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/base/histogram.h"
#include "pipeline/wire/status.h"

struct buffer;
struct pipelines;
struct pipeline;

struct pipeline_stats {
	unsigned refs;
	uint64_t ended[STATUS_COUNT];
	struct histogram latency_us; /* of what was not refused */
	uint64_t median_us;	     /* as it was when `median_at` requests had ended */
	uint64_t median_at;
};

/* All zero, with one reference. NULL when memory is out. */
struct pipeline_stats *pipeline_stats_new(void);
struct pipeline_stats *pipeline_stats_ref(struct pipeline_stats *stats);
/* NULL is allowed. */
void pipeline_stats_unref(struct pipeline_stats *stats);

/* Counts the end of a request that took so long. */
void pipeline_count(struct pipeline *pipeline, enum status status, uint64_t us);

/* Counts one that was refused before it could run. */
void pipeline_count_refused(struct pipeline *pipeline, enum status status);

/* The median time of its requests, in microseconds; now and then looked at anew, so that asking is
 * cheap. 0 before the first has ended. */
uint64_t pipeline_median_us(struct pipeline *pipeline);

/* Appends `"PIPELINE":{…},…` for `stats`. */
void pipelines_write_stats(const struct pipelines *pipelines, struct buffer *buffer);
