/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left alive: nothing but what somebody has, and nothing at all once all is quiet.
 */
#include "tests/sim/witness_parts.h"

#include <inttypes.h>

#include "pipeline/base/live.h"

#ifdef SLUICE_COUNTED
/* What may be alive while nothing goes on: what the configuration has made, and cached values. */
static void check_live(struct witness *witness)
{
	const struct world *world = &witness->harness->world;
	for (int kind = 0; kind < LIVE_KINDS; kind++) {
		long least = witness->live_at_first[kind];
		long most = kind == LIVE_BLOBS ? least + (long)witness_cached(world) : least;
		if (live_counts[kind] < least || live_counts[kind] > most)
			witness_complain(witness, "%ld of kind %d are alive while nothing goes on",
					live_counts[kind] - least, kind);
	}
}

/* Only who runs a job has a permit. */
void witness_check_permits(struct witness *witness)
{
	const struct world *world = &witness->harness->world;
	uint32_t running = world->catalog.running + world->ledger.running;
	if (live_counts[LIVE_PERMITS] != running)
		witness_complain(witness, "%ld permits are out for %" PRIu32 " jobs",
				live_counts[LIVE_PERMITS], running);
}
#else
static void check_live(struct witness *witness)
{
}

void witness_check_permits(struct witness *witness)
{
}
#endif

void witness_check_rest(struct witness *witness)
{
	const struct harness *harness = witness->harness;
	if (witness->in_flight > 0 || engine_counts(harness->engine)->reaping > 0 ||
			witness_works(witness))
		return;
	bool timed = harness->world.async.wheel.armed > 0;
	if (timed && witness_cache_may_retry(witness))
		return;
	if (timed)
		witness_complain(witness, "a timer is armed while nothing goes on");
	if (engine_account(harness->engine)->used > 0)
		witness_complain(witness, "%zu bytes are held while nothing goes on",
				engine_account(harness->engine)->used);
	check_live(witness);
}
