/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything is drawn from lists that hold the smallest values beside usual ones, because bounds
 * break at their edges. Stages stand in flow style, so nesting needs no indentation.
 *
 * Each query's text ends with its concurrency, as a LIMIT, for the witness to read.
 */
#include "tests/sim/configuration.h"

#include <inttypes.h>
#include <stdio.h>

#include "tests/sim/world.h"

#define DEPTH_MAX      4
#define REQUESTS_USUAL 1000 /* in a history: n is below */
#define COUNT(list)    (sizeof(list) / sizeof((list)[0]))

struct writer {
	struct configuration *configuration;
	struct random *random;
	struct buffer *yaml;
	struct shape *shape;
	unsigned keys; /* caches so far: each has keys of its own */
	unsigned names;
	size_t shared;	   /* where the CACHE's stage stands in the text, */
	size_t shared_end; /* which others may have too */
};

static const uint64_t timeouts_ms[] = {1, 2, 5, 10, 20, 50};
/* Mostly far away, because a request that is refused meets nothing else. */
static const uint64_t bounds[] = {1, 3, 20, 100, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000,
		10000, 10000, 10000, 10000, 10000, 10000, 10000, 10000, 10000, 10000, 10000, 10000};

#define PICK(writer, list) (list)[random_below((writer)->random, COUNT(list))]

static bool one_in(struct writer *writer, uint64_t n)
{
	return random_below(writer->random, n) == 0;
}

static void write_lookup(struct writer *writer, bool in_miss, uint32_t queue)
{
	uint32_t concurrency = (uint32_t)(1 + random_below(writer->random, 6));
	const char *database = one_in(writer, 3) ? "ledger" : "catalog";
	writer->shape->concurrency = concurrency;
	writer->shape->queue = queue;
	buffer_append_format(writer->yaml,
			"{lookup: {in: %s, query: \"SELECT :k%s LIMIT %" PRIu32
			"\", concurrency: %" PRIu32 ", queue: %" PRIu32,
			database, in_miss ? "" : ", :n", concurrency, concurrency, queue);
	if (writer->shape->kind == SHAPE_TREE && one_in(writer, 4)) {
		buffer_append(writer->yaml, TEXT(", missing: \"null\""));
		writer->shape->forgives = true;
	}
	buffer_append(writer->yaml, TEXT("}"));
}

static void write_any_lookup(struct writer *writer, bool in_miss)
{
	static const uint32_t queues[] = {
			0, 1, 2, 10, 100, 1000, 1000, 1000, 1000, 1000, 1000, 1000};
	write_lookup(writer, in_miss, PICK(writer, queues));
}

static uint64_t write_sources(struct writer *writer)
{
	static const char *const names[] = {"north", "south", "east", "west"};
	uint64_t count = 0;
	uint64_t chosen = 1 + random_below(writer->random, 15);
	buffer_append(writer->yaml, TEXT("to: ["));
	for (size_t i = 0; i < COUNT(names); i++) {
		if (chosen >> i & 1)
			buffer_append_format(
					writer->yaml, "%s%s", count++ > 0 ? ", " : "", names[i]);
	}
	buffer_append_char(writer->yaml, ']');
	return count;
}

/* How many answers are enough. */
static void write_wait(struct writer *writer, struct race *race)
{
	race->needed = race->sources;
	switch (random_below(writer->random, 3)) {
	case 0:
		race->needed = 1;
		buffer_append(writer->yaml, TEXT(", wait: any"));
		return;
	case 1:
		race->needed = 1 + (uint32_t)random_below(writer->random, race->sources);
		buffer_append_format(writer->yaml, ", wait: %" PRIu32, race->needed);
		break;
	default:
		break;
	}
	if (!one_in(writer, 4))
		return;
	race->lowest = one_in(writer, 2);
	race->highest = !race->lowest;
	buffer_append_format(
			writer->yaml, ", best: {%s: run}", race->lowest ? "lowest" : "highest");
}

static void write_on_error(struct writer *writer, struct race *race)
{
	race->partial = one_in(writer, 2);
	race->fail_fast = !race->partial && one_in(writer, 2);
	writer->shape->forgives |= race->partial;
	if (race->partial)
		buffer_append(writer->yaml, TEXT(", on_error: partial"));
	if (race->fail_fast)
		buffer_append(writer->yaml, TEXT(", fail_fast: true"));
}

/* All but the brace that closes the step. */
static void write_race(struct writer *writer, const char *body)
{
	struct race *race = &writer->shape->race;
	*race = (struct race){0};
	buffer_append(writer->yaml, TEXT("{fanout: {"));
	race->sources = (uint32_t)write_sources(writer);
	write_wait(writer, race);
	write_on_error(writer, race);
	buffer_append_format(writer->yaml, ", %s", body);
	writer->shape->asks = true;
}

static void write_fanout(struct writer *writer, bool in_miss)
{
	const char *body = in_miss ? "body: {k: \"${k}\"}" : "body: {k: \"${k}\", n: \"${n}\"}";
	write_race(writer, one_in(writer, 3) ? "each: {s: \"${l}\"}" : body);
	if (one_in(writer, 3)) {
		buffer_append_format(writer->yaml, ", timeout: %" PRIu64 "ms",
				PICK(writer, timeouts_ms));
		writer->shape->limits_time = true;
	}
	buffer_append(writer->yaml, TEXT("}"));
}

static void write_steps(struct writer *writer, unsigned depth, bool in_miss);

/* Up to its `miss:`. */
static void write_cache_head(struct writer *writer)
{
	static const uint64_t ttls[] = {0, 1, 20, 1000, 1000, 10000};
	static const uint64_t missing_ttls[] = {0, 0, 5, 500};
	static const uint64_t waiters[] = {1, 2, 5, 0, 0, 0, 0, 0, 0};
	uint64_t ttl = PICK(writer, ttls);
	uint64_t most = PICK(writer, waiters);
	uint64_t missing_ttl = PICK(writer, missing_ttls);
	buffer_append_format(writer->yaml,
			"{cache: {in: %s, key: \"c%u/${k}/${l}\", ttl: %" PRIu64
			"ms, missing_ttl: %" PRIu64 "ms",
			one_in(writer, 3) ? "cold" : "hot", ++writer->keys, ttl, missing_ttl);
	if (one_in(writer, 3))
		buffer_append_format(writer->yaml, ", jitter: %" PRIu64 "ms",
				random_below(writer->random, ttl + 1));
	if (most)
		buffer_append_format(writer->yaml, ", waiters: %" PRIu64, most);
	writer->shape->waiters = most ? most : writer->configuration->in_flight;
	writer->shape->caches++;
	writer->shape->missing_ttl = missing_ttl * WORLD_MS;
	writer->shape->ttl += (ttl > 500 ? ttl : 500) * WORLD_MS;
	buffer_append(writer->yaml, TEXT(", miss: "));
}

static void write_cache(struct writer *writer, unsigned depth)
{
	write_cache_head(writer);
	write_steps(writer, depth - 1, true);
	/* A second flight may follow a first that ran out at its ceiling. */
	writer->shape->limits_time = true;
	buffer_append(writer->yaml, TEXT("}"));
}

static void write_timeout(struct writer *writer, unsigned depth, bool in_miss)
{
	buffer_append_format(writer->yaml,
			"{timeout: {after: %" PRIu64 "ms, steps: ", PICK(writer, timeouts_ms));
	write_steps(writer, depth - 1, in_miss);
	writer->shape->limits_time = true;
	buffer_append(writer->yaml, TEXT("}"));
}

/* Up to its `steps:`. In a miss nothing is known of n. */
static void write_condition(struct writer *writer, bool in_miss)
{
	struct gate *gate = &writer->shape->gate;
	struct buffer *yaml = writer->yaml;
	gate->kind = (enum gate_kind)random_below(writer->random, GATE_ABSENT + 1);
	if (in_miss && gate->kind < GATE_KEY)
		gate->kind = GATE_KEY;
	gate->number = (uint32_t)random_below(
			writer->random, gate->kind == GATE_KEY ? 4 : REQUESTS_USUAL);
	buffer_append_format(yaml, "{when: {value: \"${%s}\", ",
			gate->kind < GATE_KEY	 ? "n"
			: gate->kind == GATE_KEY ? "k"
						 : "l.0");
	switch (gate->kind) {
	case GATE_EQUALS:
		buffer_append_format(yaml, "equals: %" PRIu32 ".0", gate->number);
		break;
	case GATE_ABOVE:
		buffer_append_format(yaml, "above: %" PRIu32, gate->number);
		break;
	case GATE_BELOW:
		buffer_append_format(yaml, "below: %" PRIu32, gate->number);
		break;
	case GATE_KEY:
		buffer_append_format(yaml, "equals: k%" PRIu32, gate->number);
		break;
	case GATE_PRESENT:
	case GATE_ABSENT:
		buffer_append_format(
				yaml, "present: %s", gate->kind == GATE_PRESENT ? "true" : "false");
		break;
	}
	buffer_append(yaml, TEXT(", steps: "));
}

static void write_when(struct writer *writer, unsigned depth, bool in_miss)
{
	write_condition(writer, in_miss);
	write_steps(writer, depth - 1, in_miss);
	buffer_append(writer->yaml, TEXT("}"));
}

/* Only pipelines that stand before, so there is no circle. */
static void write_call(struct writer *writer, const struct shape *called, bool in_miss)
{
	struct shape *shape = writer->shape;
	buffer_append_format(writer->yaml,
			"{call: {pipeline: %s, with: {k: \"${k}\", l: \"${l}\"%s}}", called->name,
			in_miss ? "" : ", n: \"${n}\"");
	shape->caches += called->caches;
	shape->asks |= called->asks;
	shape->limits_time |= called->limits_time || called->deadline;
	shape->forgives |= called->forgives;
	shape->ttl += called->ttl;
}

/* A pipeline that may be called: any TREE before this one; NULL where there is none. */
static const struct shape *callable(struct writer *writer)
{
	struct configuration *configuration = writer->configuration;
	size_t before = (size_t)(writer->shape - configuration->shapes);
	const struct shape *shape = &configuration->shapes[random_below(writer->random, before)];
	return shape->kind == SHAPE_TREE ? shape : NULL;
}

/* The same cache stage as the CACHE pipeline's: the same key and the same miss, but flights of its
 * own, so that a later run may end before an earlier one. */
static void write_shared(struct writer *writer)
{
	const struct configuration *configuration = writer->configuration;
	for (size_t i = writer->shared; i < writer->shared_end; i++)
		buffer_append_char(writer->yaml, writer->yaml->data[i]);
	for (size_t i = 0; i < configuration->shape_count; i++) {
		if (configuration->shapes[i].kind == SHAPE_CACHE)
			writer->shape->ttl += configuration->shapes[i].ttl;
	}
	writer->shape->caches++;
	writer->shape->limits_time = true;
}

/* All but the brace that closes the step. */
static void write_stage(struct writer *writer, unsigned depth, bool in_miss)
{
	const struct shape *called = callable(writer);
	uint64_t kind = random_below(writer->random, depth == 0 ? 3 : 11);
	if (kind == 0)
		write_any_lookup(writer, in_miss);
	else if (kind == 1 || kind == 6)
		write_fanout(writer, in_miss);
	else if (kind == 2)
		write_shared(writer);
	else if (kind == 7 || kind > 8)
		write_timeout(writer, depth, in_miss);
	else if (kind == 8)
		write_when(writer, depth, in_miss);
	else if (kind == 3 && called)
		write_call(writer, called, in_miss);
	else
		write_cache(writer, depth);
}

static void write_steps(struct writer *writer, unsigned depth, bool in_miss)
{
	uint64_t count = one_in(writer, 2) ? 1 + random_below(writer->random, 3) : 1;
	buffer_append_char(writer->yaml, '[');
	for (uint64_t i = 0; i < count; i++) {
		if (i > 0)
			buffer_append(writer->yaml, TEXT(", "));
		write_stage(writer, depth, in_miss);
		if (one_in(writer, 2))
			buffer_append_format(writer->yaml, ", as: v%u", ++writer->names);
		buffer_append_char(writer->yaml, '}');
	}
	buffer_append_char(writer->yaml, ']');
}

static void write_pipeline(struct writer *writer, enum shape_kind kind)
{
	static const uint64_t deadlines[] = {0, 0, 0, 0, 0, 5, 20, 50, 300};
	static const uint32_t queues[] = {0, 1, 3, 10, 100, 1000, 1000, 1000};
	struct configuration *configuration = writer->configuration;
	struct shape *shape = &configuration->shapes[configuration->shape_count];
	*shape = (struct shape){.kind = kind, .deadline = PICK(writer, deadlines) * WORLD_MS};
	(void)snprintf(shape->name, sizeof(shape->name), "p%zu", configuration->shape_count++);
	writer->shape = shape;
	buffer_append_format(writer->yaml,
			"  %s:\n    takes: {k: string, l: [string], n: number = 0}\n", shape->name);
	if (shape->deadline)
		buffer_append_format(writer->yaml, "    deadline: %" PRIu64 "ms\n",
				shape->deadline / WORLD_MS);
	buffer_append(writer->yaml, TEXT("    steps: "));
	if (kind == SHAPE_TREE) {
		write_steps(writer, (unsigned)random_below(writer->random, DEPTH_MAX + 1), false);
	} else if (kind == SHAPE_CACHE) {
		buffer_append_char(writer->yaml, '[');
		writer->shared = writer->yaml->size;
		write_cache_head(writer);
		buffer_append_char(writer->yaml, '[');
		write_lookup(writer, true, 100000);
		buffer_append(writer->yaml, TEXT("}]}"));
		writer->shared_end = writer->yaml->size;
		buffer_append(writer->yaml, TEXT("}]"));
	} else if (kind == SHAPE_RACE) {
		buffer_append_char(writer->yaml, '[');
		write_race(writer, "body: {k: \"${k}\", n: \"${n}\"}");
		buffer_append(writer->yaml, TEXT("}}]"));
	} else if (kind == SHAPE_GATE) {
		buffer_append_char(writer->yaml, '[');
		write_lookup(writer, false, 1000);
		buffer_append(writer->yaml, TEXT("}, "));
		write_condition(writer, false);
		buffer_append_char(writer->yaml, '[');
		write_lookup(writer, false, 1000);
		buffer_append(writer->yaml, TEXT("}]}}]"));
	} else {
		buffer_append_char(writer->yaml, '[');
		write_lookup(writer, false, PICK(writer, queues));
		buffer_append(writer->yaml, TEXT("}]"));
	}
	buffer_append_char(writer->yaml, '\n');
}

static void write_limits(struct writer *writer)
{
	static const uint64_t bytes[] = {
			16384, 65536, 1 << 20, 1 << 28, 1 << 28, 1 << 28, 1 << 28, 1 << 28};
	static const uint64_t deadlines[] = {20, 100, 300, 1000, 1000, 1000, 1000, 1000};
	static const uint64_t stalls[] = {20, 100, 1000};
	struct configuration *configuration = writer->configuration;
	configuration->in_flight = PICK(writer, bounds);
	configuration->per_client = PICK(writer, bounds);
	configuration->bytes = PICK(writer, bytes);
	configuration->deadline = PICK(writer, deadlines) * WORLD_MS;
	configuration->max_deadline = PICK(writer, deadlines) * WORLD_MS;
	configuration->client_stall = PICK(writer, stalls) * WORLD_MS;
	buffer_append_format(writer->yaml,
			"limits: {in_flight: %" PRIu64 ", per_client: %" PRIu64 ", bytes: %" PRIu64
			"B, deadline: %" PRIu64 "ms, max_deadline: %" PRIu64
			"ms, client_stall: %" PRIu64 "ms}\n",
			configuration->in_flight, configuration->per_client, configuration->bytes,
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
			one_in(writer, 2) ? "true" : "false", one_in(writer, 2) ? "true" : "false");
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
	buffer_append(&configuration->yaml, TEXT("pipelines:\n"));
	write_pipeline(&writer, SHAPE_LOOKUP);
	write_pipeline(&writer, SHAPE_CACHE);
	write_pipeline(&writer, SHAPE_RACE);
	write_pipeline(&writer, SHAPE_GATE);
	for (uint64_t trees = 1 + random_below(random, SHAPES_MAX - SHAPES_SIMPLE); trees > 0;
			trees--)
		write_pipeline(&writer, SHAPE_TREE);
	buffer_append_char(&configuration->yaml, '\0');
}

void configuration_deinit(struct configuration *configuration)
{
	buffer_deinit(&configuration->yaml);
}
