/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fan-outs: who is asked, how many answers are enough, and what an error does.
 */
#include "tests/sim/configuration_writer.h"

static uint64_t write_sources(struct writer *writer)
{
	uint64_t count = 0;
	uint64_t chosen = 1 + random_below(writer->random, 15);
	buffer_append(writer->yaml, TEXT("to: ["));
	for (size_t i = 0; i < SOURCES; i++) {
		if (chosen >> i & 1)
			buffer_append_format(writer->yaml, "%s%s", count++ > 0 ? ", " : "",
					source_names[i]);
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
		race->any = true;
		buffer_append(writer->yaml, TEXT(", wait: any"));
		return;
	case 1:
		race->needed = 1 + (uint32_t)random_below(writer->random, race->sources);
		buffer_append_format(writer->yaml, ", wait: %" PRIu32, race->needed);
		break;
	default:
		break;
	}
	if (!writer_one_in(writer, 4))
		return;
	race->lowest = writer_one_in(writer, 2);
	race->highest = !race->lowest;
	buffer_append_format(
			writer->yaml, ", best: {%s: run}", race->lowest ? "lowest" : "highest");
}

static void write_on_error(struct writer *writer, struct race *race)
{
	race->partial = writer_one_in(writer, 2);
	race->fail_fast = !race->partial && writer_one_in(writer, 2);
	writer->shape->forgives |= race->partial;
	if (race->partial)
		buffer_append(writer->yaml, TEXT(", on_error: partial"));
	if (race->fail_fast)
		buffer_append(writer->yaml, TEXT(", fail_fast: true"));
}

void writer_race(struct writer *writer, const char *body)
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

/* What stands behind `hedge:`. */
static void write_hedge(struct writer *writer, struct hedging *hedging)
{
	static const char *const quantiles[] = {"p50", "p75", "p90", "p95", "p99"};
	static const uint64_t mins[] = {1, 1, 5};
	static const uint64_t maxes[] = {5, 20, 100};
	static const uint32_t budgets[] = {0, 1, 5, 50, 100};
	hedging->fixed = writer_one_in(writer, 2);
	hedging->quantile = (uint32_t)random_below(writer->random, COUNT(quantiles));
	hedging->after = writer_timeout_ms(writer) * WORLD_MS;
	hedging->min = PICK(writer, mins) * WORLD_MS;
	hedging->max = PICK(writer, maxes) * WORLD_MS;
	hedging->samples = 16 + (uint32_t)random_below(writer->random, 32);
	hedging->budget = PICK(writer, budgets);
	if (hedging->fixed)
		buffer_append_format(
				writer->yaml, "{after: %" PRIu64 "ms", hedging->after / WORLD_MS);
	else
		buffer_append_format(writer->yaml,
				"{after: %s, min: %" PRIu64 "ms, max: %" PRIu64 "ms",
				quantiles[hedging->quantile], hedging->min / WORLD_MS,
				hedging->max / WORLD_MS);
	buffer_append_format(writer->yaml, ", samples: %" PRIu32 ", budget: %" PRIu32 "%%}",
			hedging->samples, hedging->budget);
}

void writer_hedged(struct writer *writer)
{
	struct hedging *hedging = &writer->shape->hedging;
	*hedging = (struct hedging){.to = {0, 1, 2, 3}};
	hedging->sources = 2 + (uint32_t)random_below(writer->random, 3);
	hedging->needed = 1 + (uint32_t)random_below(writer->random, hedging->sources - 1);
	buffer_append(writer->yaml, TEXT("[{fanout: {to: ["));
	for (uint32_t i = 0; i < hedging->sources; i++) {
		uint32_t other = i + (uint32_t)random_below(writer->random, 4 - i);
		uint32_t chosen = hedging->to[other];
		hedging->to[other] = hedging->to[i];
		hedging->to[i] = chosen;
		buffer_append_format(writer->yaml, "%s%s", i > 0 ? ", " : "", source_names[chosen]);
	}
	buffer_append_format(writer->yaml, "], wait: %" PRIu32 ", hedge: ", hedging->needed);
	write_hedge(writer, hedging);
	buffer_append(writer->yaml, TEXT(", body: {k: \"${k}\", n: \"${n}\"}}}]"));
	writer->shape->asks = true;
}

void writer_race_timeout(struct writer *writer)
{
	uint64_t timeout = writer_timeout_ms(writer);
	buffer_append_format(writer->yaml, ", timeout: %" PRIu64 "ms", timeout);
	writer->shape->race.timeout = timeout * WORLD_MS;
	writer->shape->limits_time = true;
}

void writer_fanout(struct writer *writer, bool in_miss)
{
	const char *body = in_miss ? "body: {k: \"${k}\"}" : "body: {k: \"${k}\", n: \"${n}\"}";
	writer_race(writer, writer_one_in(writer, 3) ? "each: {s: \"${l}\"}" : body);
	if (writer_one_in(writer, 3))
		writer_race_timeout(writer);
	struct race *race = &writer->shape->race;
	struct hedging unseen = {0};
	if (race->needed < race->sources && writer_one_in(writer, 2)) {
		buffer_append(writer->yaml, TEXT(", hedge: "));
		write_hedge(writer, &unseen);
		writer->configuration->unseen_hedges = true;
	}
	buffer_append(writer->yaml, TEXT("}"));
}

void writer_board(struct writer *writer)
{
	struct race *race = &writer->shape->race;
	*race = (struct race){0};
	race->ahead = (uint32_t)(1 + random_below(writer->random, 6));
	buffer_append(writer->yaml, TEXT("{fanout: {"));
	race->sources = (uint32_t)write_sources(writer);
	write_on_error(writer, race);
	buffer_append_format(writer->yaml,
			", each: {s: \"${l}\"}, body: {s: \"${s}\", k: \"${k}\", n: \"${n}\"}, "
			"ahead: %" PRIu32 "}",
			race->ahead);
	writer->shape->asks = true;
}
