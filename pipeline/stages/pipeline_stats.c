/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was refused says nothing of how long an answer takes, and comes in floods that would drown
 * what does: it has no place among the times.
 */
#include "pipeline/stages/pipeline_stats.h"

#include <inttypes.h>
#include <stdlib.h>

#include "pipeline/base/buffer.h"
#include "pipeline/base/lesser.h"
#include "pipeline/stages/pipeline.h"
#include "pipeline/stages/stage.h"

/* Ends between two looks at the median, once there are as many. */
#define MEDIAN_EVERY 256

struct pipeline_stats *pipeline_stats_new(void)
{
	struct pipeline_stats *stats = calloc(1, sizeof(*stats));
	if (stats)
		stats->refs = 1;
	return stats;
}

struct pipeline_stats *pipeline_stats_ref(struct pipeline_stats *stats)
{
	stats->refs++;
	return stats;
}

void pipeline_stats_unref(struct pipeline_stats *stats)
{
	if (stats && --stats->refs == 0)
		free(stats);
}

void pipeline_count(struct pipeline *pipeline, enum status status, uint64_t us)
{
	pipeline->stats->ended[status]++;
	if (status != STATUS_RESOURCE_EXHAUSTED && status != STATUS_INVALID_ARGUMENT)
		histogram_record(&pipeline->stats->latency_us, us);
}

void pipeline_count_refused(struct pipeline *pipeline, enum status status)
{
	pipeline->stats->ended[status]++;
}

uint64_t pipeline_median_us(struct pipeline *pipeline)
{
	struct pipeline_stats *stats = pipeline->stats;
	uint64_t count = stats->latency_us.count;
	/* At first with each that doubles them, for the first alone says little. */
	if (count > 0 && count >= stats->median_at + lesser(stats->median_at, MEDIAN_EVERY)) {
		stats->median_us = histogram_quantile(&stats->latency_us, 0.5);
		stats->median_at = count;
	}
	return stats->median_us;
}

static void write_ended(const struct pipeline_stats *stats, struct buffer *buffer)
{
	bool any = false;
	buffer_append(buffer, TEXT("\"ended\":{"));
	for (int status = 0; status < STATUS_COUNT; status++) {
		if (stats->ended[status] == 0)
			continue;
		struct text name = status_text((enum status)status);
		buffer_append_format(buffer, "%s\"%.*s\":%" PRIu64, any ? "," : "", TEXT_ARG(name),
				stats->ended[status]);
		any = true;
	}
	buffer_append_char(buffer, '}');
}

static void write_stages(const struct pipelines *pipelines, const struct pipeline *pipeline,
		struct buffer *buffer)
{
	bool any = false;
	buffer_append(buffer, TEXT(",\"stages\":{"));
	for (const struct stage *stage = pipelines->stages; stage; stage = stage->next) {
		if (!stage->type->write_stats || stage->pipeline != pipeline)
			continue;
		buffer_append_format(buffer, "%s\"%.*s\":{", any ? "," : "", TEXT_ARG(stage->path));
		stage->type->write_stats(stage, buffer);
		buffer_append_char(buffer, '}');
		any = true;
	}
	buffer_append_char(buffer, '}');
}

void pipelines_write_stats(const struct pipelines *pipelines, struct buffer *buffer)
{
	for (size_t i = 0; i < pipelines->count; i++) {
		const struct pipeline *pipeline = &pipelines->all[i];
		const struct histogram *latency = &pipeline->stats->latency_us;
		buffer_append_format(
				buffer, "%s\"%.*s\":{", i > 0 ? "," : "", TEXT_ARG(pipeline->name));
		write_ended(pipeline->stats, buffer);
		buffer_append_format(buffer,
				",\"us\":{\"p50\":%" PRIu64 ",\"p90\":%" PRIu64 ",\"p99\":%" PRIu64
				",\"max\":%" PRIu64 "}",
				histogram_quantile(latency, 0.5), histogram_quantile(latency, 0.9),
				histogram_quantile(latency, 0.99), latency->max);
		write_stages(pipelines, pipeline, buffer);
		buffer_append_char(buffer, '}');
	}
}
