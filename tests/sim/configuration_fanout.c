/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fan-outs: who is asked, how many answers are enough, and what an error does.
 */
#include "tests/sim/configuration_writer.h"

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

void writer_fanout(struct writer *writer, bool in_miss)
{
	const char *body = in_miss ? "body: {k: \"${k}\"}" : "body: {k: \"${k}\", n: \"${n}\"}";
	writer_race(writer, writer_one_in(writer, 3) ? "each: {s: \"${l}\"}" : body);
	if (writer_one_in(writer, 3)) {
		buffer_append_format(writer->yaml, ", timeout: %" PRIu64 "ms",
				writer_timeout_ms(writer));
		writer->shape->limits_time = true;
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
