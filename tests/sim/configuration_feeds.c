/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three feeds in each configuration: one that filters, one that samples, one that learns what is
 * usual of a cache. What they are like is
 * drawn from a copy of the generator, so that feeds change nothing else of a history.
 */
#include "tests/sim/configuration_writer.h"

void writer_feeds(struct writer *writer)
{
	static const uint64_t above[] = {0, 999, 5000, 50000};
	static const uint64_t samples[] = {1, 2, 3, 10};
	static const uint64_t overs[] = {1, 2, 4};
	static const uint64_t leasts[] = {1, 1000};
	static const uint64_t memories[] = {1, 2, 10, 1000};
	static const uint64_t warmups[] = {1, 2, 10};
	struct random random = *writer->random;
	struct writer own = {.random = &random};
	struct planned_feeds *feeds = &writer->configuration->feeds;
	*feeds = (struct planned_feeds){
			.above = PICK(&own, above),
			.sample = PICK(&own, samples),
			.over = PICK(&own, overs),
			.least = PICK(&own, leasts),
			.memory = PICK(&own, memories),
			.warmup = PICK(&own, warmups),
	};
	buffer_append_format(writer->yaml,
			"telemetry:\n  feeds:\n"
			"    slow: {where: {us: {above: %" PRIu64 "}}, select: us}\n"
			"    some: {from: [request.p0, request.p0.OK], sample: %" PRIu64
			", select: id}\n"
			"    odd: {from: request.p1.OK, outlier: {field: us, "
			"over: "
			"%" PRIu64 ", least: %" PRIu64 ", memory: %" PRIu64 ", warmup: %" PRIu64
			"}, select: us}\n",
			feeds->above, feeds->sample, feeds->over, feeds->least, feeds->memory,
			feeds->warmup);
}
