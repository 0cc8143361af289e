/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any stages, nested in any way. They stand in flow style, so nesting needs no indentation.
 *
 * Each query's text ends with its concurrency, as a LIMIT, and its queue, as an OFFSET, for the
 * witness to read.
 */
#include "tests/sim/configuration_writer.h"

#define REQUESTS_USUAL 1000 /* in a history: n is below */

static void write_codel(struct writer *writer)
{
	static const uint64_t targets_ms[] = {1, 2, 5, 10};
	static const uint64_t intervals_ms[] = {1, 5, 20, 100};
	uint64_t target = PICK(writer, targets_ms);
	uint64_t interval = PICK(writer, intervals_ms);
	writer->shape->codel_target = target * WORLD_MS;
	writer->shape->codel_interval = interval * WORLD_MS;
	buffer_append_format(writer->yaml,
			", codel: {target: %" PRIu64 "ms, interval: %" PRIu64 "ms}", target,
			interval);
}

void writer_lookup(struct writer *writer, bool in_miss, uint32_t queue)
{
	uint32_t concurrency = (uint32_t)(1 + random_below(writer->random, 6));
	const char *database = writer_one_in(writer, 3) ? "ledger" : "catalog";
	writer->shape->concurrency = concurrency;
	writer->shape->queue = queue;
	buffer_append_format(writer->yaml,
			"{lookup: {in: %s, query: \"SELECT :k%s LIMIT %" PRIu32 " OFFSET %" PRIu32
			"\", concurrency: %" PRIu32 ", queue: %" PRIu32,
			database, in_miss ? "" : ", :n", concurrency, queue, concurrency, queue);
	if (writer->shape->kind == SHAPE_TREE && writer_one_in(writer, 4)) {
		buffer_append(writer->yaml, TEXT(", missing: \"null\""));
		writer->shape->forgives = true;
	}
	if (writer->shape->kind != SHAPE_CACHE && writer_one_in(writer, 3))
		write_codel(writer);
	buffer_append(writer->yaml, TEXT("}"));
}

static void write_any_lookup(struct writer *writer, unsigned depth, bool in_miss)
{
	static const uint32_t queues[] = {
			0, 1, 2, 10, 100, 1000, 1000, 1000, 1000, 1000, 1000, 1000};
	writer_lookup(writer, in_miss, PICK(writer, queues));
}

static uint64_t write_age(struct writer *writer, const char *name)
{
	static const uint64_t ages[] = {0, 0, 0, 1, 20, 200, 2000, 2000};
	uint64_t age = PICK(writer, ages);
	if (age > 0)
		buffer_append_format(writer->yaml, ", %s: %" PRIu64 "ms", name, age);
	return age * WORLD_MS;
}

/* What a value may still be used for when it is not fresh, and how it is refreshed. */
static void write_aging(struct writer *writer, struct aging *aging)
{
	static const uint64_t throttles[] = {0, 5, 100, 1000, 1000};
	static const uint64_t most[] = {1, 2, BACKGROUND_MANY, BACKGROUND_MANY, BACKGROUND_MANY};
	uint64_t throttle = PICK(writer, throttles);
	bool early = writer_one_in(writer, 4);
	aging->stale = write_age(writer, "stale");
	aging->stale_if_error = write_age(writer, "stale_if_error");
	aging->throttle = throttle * WORLD_MS;
	aging->background = PICK(writer, most);
	buffer_append_format(writer->yaml, ", throttle: %" PRIu64 "ms, background: %" PRIu64,
			throttle, aging->background);
	if (early)
		buffer_append_format(writer->yaml, ", refresh_at: %" PRIu64 "%%",
				1 + random_below(writer->random, 99));
	writer->configuration->refreshes |= early || aging->stale || aging->stale_if_error;
	writer->shape->ttl += aging->stale + aging->stale_if_error;
	if (writer_one_in(writer, 6)) {
		buffer_append(writer->yaml, TEXT(", fresh: false"));
		writer->shape->ignores_fresh = true;
	}
}

static void write_waiters(struct writer *writer)
{
	static const uint64_t waiters[] = {1, 2, 5, 0, 0, 0, 0, 0, 0};
	struct shape *shape = writer->shape;
	uint64_t most = PICK(writer, waiters);
	shape->waiters = most ? most : writer->configuration->in_flight;
	shape->aging.waiters = shape->waiters;
	if (most)
		buffer_append_format(writer->yaml, ", waiters_in_all: %" PRIu64, most);
	if (!writer_one_in(writer, 4))
		return;
	shape->aging.waiters =
			1 + random_below(writer->random, shape->waiters < 4 ? shape->waiters : 4);
	buffer_append_format(writer->yaml, ", waiters: %" PRIu64, shape->aging.waiters);
}

static void note_waiters(struct writer *writer, uint64_t waiters)
{
	struct shape *shape = writer->shape;
	shape->waiters_least = waiters < shape->waiters_least ? waiters : shape->waiters_least;
}

void writer_cache_head(struct writer *writer)
{
	static const uint64_t ttls[] = {0, 1, 20, 1000, 1000, 10000};
	static const uint64_t missing_ttls[] = {0, 0, 5, 500};
	struct aging *aging = &writer->shape->aging;
	uint64_t ttl = PICK(writer, ttls);
	uint64_t missing_ttl = PICK(writer, missing_ttls);
	uint64_t jitter = ttl * WORLD_MS / 10;
	aging->cold = writer_one_in(writer, 3);
	buffer_append_format(writer->yaml,
			"{cache: {in: %s, key: \"c%u/${k}/${l}\", ttl: %" PRIu64
			"ms, missing_ttl: %" PRIu64 "ms",
			aging->cold ? "cold" : "hot", ++writer->keys, ttl, missing_ttl);
	if (writer_one_in(writer, 3)) {
		jitter = random_below(writer->random, ttl + 1) * WORLD_MS;
		buffer_append_format(writer->yaml, ", jitter: %" PRIu64 "ms", jitter / WORLD_MS);
	}
	aging->ttl = ttl * WORLD_MS;
	aging->jitter = jitter;
	write_aging(writer, aging);
	write_waiters(writer);
	note_waiters(writer, writer->shape->aging.waiters);
	writer->shape->caches++;
	writer->shape->missing_ttl = missing_ttl * WORLD_MS;
	writer->shape->ttl += ttl * WORLD_MS;
	buffer_append(writer->yaml, TEXT(", miss: "));
}

static void write_cache(struct writer *writer, unsigned depth, bool in_miss)
{
	writer_cache_head(writer);
	writer_steps(writer, depth - 1, true);
	/* A second flight may follow a first that ran out at its ceiling. */
	writer->shape->limits_time = true;
	buffer_append(writer->yaml, TEXT("}"));
}

static void write_timeout(struct writer *writer, unsigned depth, bool in_miss)
{
	buffer_append_format(writer->yaml,
			"{timeout: {after: %" PRIu64 "ms, steps: ", writer_timeout_ms(writer));
	writer_steps(writer, depth - 1, in_miss);
	writer->shape->limits_time = true;
	buffer_append(writer->yaml, TEXT("}"));
}

void writer_condition(struct writer *writer, bool in_miss)
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
	writer_condition(writer, in_miss);
	writer_steps(writer, depth - 1, in_miss);
	buffer_append(writer->yaml, TEXT("}"));
}

void writer_retry_head(struct writer *writer)
{
	static const uint64_t waits_ms[] = {0, 1, 3, 10, 40, 200, 1000};
	static const uint32_t budgets[] = {0, 0, 1, 4, 10, 100};
	struct retrying *retrying = &writer->shape->retrying;
	uint64_t initial = PICK(writer, waits_ms);
	uint64_t max = PICK(writer, waits_ms);
	if (writer->shape->deadline && writer_one_in(writer, 2))
		initial = 1000; /* nearly all that is drawn leads past the deadline */
	*retrying = (struct retrying){
			.attempts = (uint32_t)(2 + random_below(writer->random, 3)),
			.initial = initial * WORLD_MS,
			.max = (max > initial ? max : initial) * WORLD_MS,
			.budget = PICK(writer, budgets),
	};
	buffer_append_format(writer->yaml,
			"{retry: {attempts: %" PRIu32 ", initial: %" PRIu64 "ms, max: %" PRIu64
			"ms, budget: %" PRIu32 ", steps: ",
			retrying->attempts, retrying->initial / WORLD_MS, retrying->max / WORLD_MS,
			retrying->budget);
	writer->shape->retries = true;
}

static void write_retry(struct writer *writer, unsigned depth, bool in_miss)
{
	writer_retry_head(writer);
	writer_steps(writer, depth - 1, in_miss);
	buffer_append(writer->yaml, TEXT("}"));
}

/* A pipeline that may be called: any TREE before this one; NULL where there is none. */
static const struct shape *callable(struct writer *writer)
{
	const struct shape *trees = &writer->configuration->shapes[SHAPES_SIMPLE];
	if (writer->shape <= trees)
		return NULL;
	return &trees[random_below(writer->random, (uint64_t)(writer->shape - trees))];
}

/* Only pipelines that stand before, so there is no circle; a cache where there is none. */
static void write_call(struct writer *writer, unsigned depth, bool in_miss)
{
	const struct shape *called = callable(writer);
	struct shape *shape = writer->shape;
	if (!called) {
		write_cache(writer, depth, in_miss);
		return;
	}
	buffer_append_format(writer->yaml,
			"{call: {pipeline: %s, with: {k: \"${k}\", l: \"${l}\"%s}}", called->name,
			in_miss ? "" : ", n: \"${n}\"");
	shape->caches += called->caches;
	shape->reaches |= called->reaches;
	note_waiters(writer, called->waiters_least);
	shape->asks |= called->asks;
	shape->limits_time |= called->limits_time || called->deadline;
	shape->forgives |= called->forgives;
	shape->retries |= called->retries;
	shape->ignores_fresh |= called->ignores_fresh;
	shape->ttl += called->ttl;
}

/* The same cache stage as the CACHE pipeline's: the same key and the same miss, but flights of its
 * own, so that a later run may end before an earlier one. */
static void write_shared(struct writer *writer, unsigned depth, bool in_miss)
{
	const struct configuration *configuration = writer->configuration;
	for (size_t i = writer->shared; i < writer->shared_end; i++)
		buffer_append_char(writer->yaml, writer->yaml->data[i]);
	for (size_t i = 0; i < configuration->shape_count; i++) {
		if (configuration->shapes[i].kind != SHAPE_CACHE)
			continue;
		writer->shape->ttl += configuration->shapes[i].ttl;
		writer->shape->ignores_fresh |= configuration->shapes[i].ignores_fresh;
		note_waiters(writer, configuration->shapes[i].aging.waiters);
	}
	writer->shape->caches++;
	writer->shape->limits_time = true;
}

static void write_fanout(struct writer *writer, unsigned depth, bool in_miss)
{
	writer_fanout(writer, in_miss);
}

static const struct {
	void (*write)(struct writer *writer, unsigned depth, bool in_miss);
	unsigned share; /* how often it is taken, beside the others */
	bool nests;	/* it has steps */
} stages[] = {
		{write_any_lookup, 1, false},
		{write_fanout, 2, false},
		{write_shared, 1, false},
		{write_cache, 2, true},
		{write_call, 1, true},
		{write_timeout, 4, true},
		{write_retry, 2, true},
		{write_when, 1, true},
};

static void write_stage(struct writer *writer, unsigned depth, bool in_miss)
{
	unsigned shares = 0;
	for (size_t i = 0; i < COUNT(stages); i++)
		shares += depth > 0 || !stages[i].nests ? stages[i].share : 0;
	unsigned chosen = (unsigned)random_below(writer->random, shares);
	for (size_t i = 0; i < COUNT(stages); i++) {
		unsigned share = depth > 0 || !stages[i].nests ? stages[i].share : 0;
		if (chosen < share) {
			stages[i].write(writer, depth, in_miss);
			return;
		}
		chosen -= share;
	}
}

void writer_steps(struct writer *writer, unsigned depth, bool in_miss)
{
	uint64_t count = writer_one_in(writer, 2) ? 1 + random_below(writer->random, 3) : 1;
	buffer_append_char(writer->yaml, '[');
	for (uint64_t i = 0; i < count; i++) {
		if (i > 0)
			buffer_append(writer->yaml, TEXT(", "));
		write_stage(writer, depth, in_miss);
		if (writer_one_in(writer, 2))
			buffer_append_format(writer->yaml, ", as: v%u", ++writer->names);
		buffer_append_char(writer->yaml, '}');
	}
	buffer_append_char(writer->yaml, ']');
}
