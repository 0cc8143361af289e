/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything is drawn from lists that hold the smallest values beside usual ones, because bounds
 * break at their edges.
 */
#include "tests/sim/configuration_writer.h"

#include <stdio.h>

#define DEPTH_MAX 4

static void write_limits(struct writer *writer)
{
	/* Mostly far away, because a request that is refused meets nothing else. */
	static const uint64_t bounds[] = {1, 3, 20, 100, 1000, 1000, 1000, 1000, 1000, 1000, 1000,
			1000, 10000, 10000, 10000, 10000, 10000, 10000, 10000, 10000, 10000, 10000,
			10000, 10000};
	static const uint64_t bytes[] = {16384, 65536, 150000, 1 << 20, 1 << 28, 1 << 28, 1 << 28,
			1 << 28, 1 << 28, 1 << 28, 1 << 28, 1 << 28};
	static const uint64_t deadlines[] = {20, 100, 300, 1000, 1000, 1000, 1000, 1000};
	static const uint64_t stalls[] = {20, 100, 1000};
	struct configuration *configuration = writer->configuration;
	configuration->in_flight = PICK(writer, bounds);
	configuration->per_client = PICK(writer, bounds);
	if (writer_one_in(writer, 6))
		configuration->in_flight_min =
				1 + random_below(writer->random,
						    configuration->in_flight < 40
								    ? configuration->in_flight
								    : 40);
	configuration->bytes = PICK(writer, bytes);
	configuration->deadline = PICK(writer, deadlines) * WORLD_MS;
	configuration->max_deadline = PICK(writer, deadlines) * WORLD_MS;
	configuration->client_stall = PICK(writer, stalls) * WORLD_MS;
	buffer_append_format(writer->yaml,
			"limits: {in_flight: %" PRIu64 ", in_flight_min: %" PRIu64
			", per_client: %" PRIu64 ", bytes: %" PRIu64 "B, deadline: %" PRIu64
			"ms, max_deadline: %" PRIu64 "ms, client_stall: %" PRIu64 "ms}\n",
			configuration->in_flight, configuration->in_flight_min,
			configuration->per_client, configuration->bytes,
			configuration->deadline / WORLD_MS, configuration->max_deadline / WORLD_MS,
			configuration->client_stall / WORLD_MS);
}

static void write_resources(struct writer *writer)
{
	static const uint64_t sizes[] = {2048, 8192, 12288, 16384, 1 << 20, 1 << 20};
	buffer_append_format(writer->yaml,
			"caches: {hot: {memory: %" PRIu64 "B}, cold: {memory: %" PRIu64 "B}}\n"
			"databases: {catalog: {connections: 6, stubborn: %s}, "
			"ledger: {connections: 6, stubborn: %s}}\n",
			PICK(writer, sizes), PICK(writer, sizes),
			writer_one_in(writer, 2) ? "true" : "false",
			writer_one_in(writer, 2) ? "true" : "false");
}

/* The RETRY asks north, and each of its attempts must be seen, so that has no breaker. */
static void write_sources(struct writer *writer)
{
	static const char *const names[] = {"south", "east", "west"};
	static const uint64_t failures[] = {1, 10, 50, 100};
	static const uint64_t of[] = {0, 1, 3, 10, 100};
	static const uint64_t withins[] = {10, 100, 1000, 30000};
	static const uint64_t opens[] = {1, 5, 20, 100};
	static const uint64_t spares[] = {0, 0, 1, 3, 10};
	/* What came later than the rest is drawn beside it, so that seeds stay what they were. */
	struct random beside = *writer->random;
	buffer_append(writer->yaml,
			TEXT("sources: {north: {header: \"/${k}\", breaker: {of: 0}, spare: 0}"));
	for (size_t i = 0; i < COUNT(names); i++)
		buffer_append_format(writer->yaml,
				",\n  %s: {breaker: {failures: %" PRIu64 "%%, of: %" PRIu64
				", within: %" PRIu64 "ms, open: %" PRIu64 "ms}, spare: %" PRIu64
				", holds: %s}",
				names[i], PICK(writer, failures), PICK(writer, of),
				PICK(writer, withins), PICK(writer, opens), PICK(writer, spares),
				random_below(&beside, 4) == 0 ? "true" : "false");
	buffer_append(writer->yaml, TEXT("}\n"));
}

static void write_lookup_alone(struct writer *writer)
{
	static const uint32_t queues[] = {0, 1, 3, 10, 100, 1000, 1000, 1000};
	buffer_append_char(writer->yaml, '[');
	writer_lookup(writer, false, PICK(writer, queues));
	buffer_append(writer->yaml, TEXT("}]"));
}

static void write_cache(struct writer *writer)
{
	buffer_append_char(writer->yaml, '[');
	writer->shared = writer->yaml->size;
	writer_cache_head(writer);
	buffer_append_char(writer->yaml, '[');
	writer_lookup(writer, true, 100000);
	buffer_append(writer->yaml, TEXT("}]}"));
	writer->shared_end = writer->yaml->size;
	buffer_append(writer->yaml, TEXT("}]"));
}

static void write_race(struct writer *writer)
{
	buffer_append_char(writer->yaml, '[');
	bool each = writer_one_in(writer, 3);
	writer_race(writer,
			each ? "each: {s: \"${l}\"}, body: {k: \"${k}\", n: \"${n}\", s: \"${s}\"}"
			     : "body: {k: \"${k}\", n: \"${n}\"}");
	writer->shape->race.each = each;
	if (writer_one_in(writer, 4))
		writer_race_timeout(writer);
	buffer_append(writer->yaml, TEXT("}}]"));
}

static void write_gate(struct writer *writer)
{
	buffer_append_char(writer->yaml, '[');
	writer_lookup(writer, false, 1000);
	buffer_append(writer->yaml, TEXT("}, "));
	writer_condition(writer, false);
	buffer_append_char(writer->yaml, '[');
	writer_lookup(writer, false, 1000);
	buffer_append(writer->yaml, TEXT("}]}}]"));
}

static void write_retry(struct writer *writer)
{
	buffer_append_char(writer->yaml, '[');
	writer_retry_head(writer);
	buffer_append(writer->yaml, TEXT("[{fanout: {to: north, wait: any, body: {k: \"${k}\", n: "
					 "\"${n}\"}}}]}}]"));
	writer->shape->asks = true;
}

static void write_board(struct writer *writer)
{
	buffer_append_char(writer->yaml, '[');
	writer_board(writer);
	buffer_append(writer->yaml, TEXT("}]"));
}

static void write_tree(struct writer *writer)
{
	writer_steps(writer, (unsigned)random_below(writer->random, DEPTH_MAX + 1), false);
}

/* The steps of each kind of pipeline. */
static void (*const writers[])(struct writer *writer) = {
		[SHAPE_LOOKUP] = write_lookup_alone,
		[SHAPE_CACHE] = write_cache,
		[SHAPE_RACE] = write_race,
		[SHAPE_GATE] = write_gate,
		[SHAPE_RETRY] = write_retry,
		[SHAPE_BOARD] = write_board,
		[SHAPE_HEDGE] = writer_hedged,
		[SHAPE_TREE] = write_tree,
};

static void write_pipeline(struct writer *writer, enum shape_kind kind)
{
	static const uint64_t deadlines[] = {0, 0, 0, 0, 0, 5, 20, 50, 300};
	struct configuration *configuration = writer->configuration;
	struct shape *shape = &configuration->shapes[configuration->shape_count];
	*shape = (struct shape){.kind = kind, .deadline = PICK(writer, deadlines) * WORLD_MS};
	shape->reaches = UINT32_C(1) << configuration->shape_count;
	shape->waiters_least = configuration->in_flight;
	(void)snprintf(shape->name, sizeof(shape->name), "p%zu", configuration->shape_count++);
	writer->shape = shape;
	buffer_append_format(writer->yaml,
			"  %s:\n    takes: {k: string, l: [string], n: number = 0}\n", shape->name);
	if (shape->deadline)
		buffer_append_format(writer->yaml, "    deadline: %" PRIu64 "ms\n",
				shape->deadline / WORLD_MS);
	buffer_append(writer->yaml, TEXT("    steps: "));
	writers[kind](writer);
	buffer_append_char(writer->yaml, '\n');
}

void configuration_init(struct configuration *configuration, struct random *random)
{
	*configuration = (struct configuration){0};
	buffer_init(&configuration->yaml);
	struct writer writer = {.configuration = configuration,
			.random = random,
			.yaml = &configuration->yaml};
	write_limits(&writer);
	write_resources(&writer);
	write_sources(&writer);
	writer_feeds(&writer);
	buffer_append(&configuration->yaml, TEXT("pipelines:\n"));
	for (enum shape_kind kind = 0; kind < SHAPE_TREE; kind++)
		write_pipeline(&writer, kind);
	for (uint64_t trees = 1 + random_below(random, TREES_MAX); trees > 0; trees--)
		write_pipeline(&writer, SHAPE_TREE);
	buffer_append_char(&configuration->yaml, '\0');
}

void configuration_deinit(struct configuration *configuration)
{
	buffer_deinit(&configuration->yaml);
}
