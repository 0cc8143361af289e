/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ends where it began. A request, and the flight that it waits for, are of the generation in
 * which the request was read; what caches hold is of none. A generation whose place another has
 * taken is over as soon as its last request and the last work in it have ended, and no sooner.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/requests/record.h"
#include "tests/sim/witness_parts.h"

/* What takes its place has all that the configuration makes, and an arena for it: that of the first
 * is the world's. */
void witness_reloaded(struct witness *witness)
{
	const struct seen_generation *before = witness_latest(witness);
	if (witness->generation == GENERATIONS_MAX)
		abort();
	if (witness->generation++ == 1)
		witness->live_at_first[LIVE_ARENAS]++;
	witness_feeds_reloaded(witness, before);
	witness_cache_reloaded(witness);
}

void witness_generation_ended(struct witness *witness, uint32_t number, const struct record *record)
{
	const struct seen *seen = &witness->requests[number];
	if (record->generation != seen->generation)
		witness_complain(witness,
				"request %" PRIu32 " of generation %" PRIu64
				" is said to be of %" PRIu64,
				number, seen->generation, record->generation);
	if (seen->generation != witness->generation)
		coverage_meet(witness->coverage, MET_OUTLIVED);
}

/* Whether it says that it waited for a flight, and had nothing to fall back on. */
static bool was_flown(const struct shape *shape, const struct wire_reply *reply)
{
	return shape->aging.stale_if_error == 0 &&
	       (text_equal(reply->cache, TEXT("miss")) || text_equal(reply->cache, TEXT("joined")));
}

void witness_generation_gave(struct witness *witness, uint32_t number, uint32_t run,
		const struct wire_reply *reply)
{
	const struct shape *shape = witness_shape(witness, number);
	const struct seen_run *from = &witness->runs[run];
	if (shape->kind != SHAPE_CACHE || from->generation == witness->requests[number].generation)
		return;
	coverage_meet(witness->coverage, MET_INHERITED);
	if (was_flown(shape, reply))
		witness_complain(witness,
				"request %" PRIu32 " waited for a flight of generation %" PRIu64,
				number, from->generation);
}

static bool is_there(const struct witness *witness, uint64_t generation)
{
	const struct loaded *loaded = witness->harness->world.loaded;
	while (loaded && loaded->generation.number != generation)
		loaded = loaded->before;
	return loaded;
}

/* Whose reply alone is held may hold its generation or not. */
void witness_check_generations(struct witness *witness)
{
	for (uint64_t number = 1; number < witness->generation; number++) {
		const struct seen_generation *seen = &witness->generations[number - 1];
		bool there = is_there(witness, number);
		if (!there && (seen->waited > 0 || seen->running > 0))
			witness_complain(witness,
					"generation %" PRIu64 " is over, with %" PRIu64
					" requests and %" PRIu32 " jobs",
					number, seen->waited, seen->running);
		if (there && seen->in_flight == 0 && seen->running == 0)
			witness_complain(witness,
					"generation %" PRIu64
					" stays, though nothing goes on in it",
					number);
	}
}
