/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pipeline that is one fan-out: from the answers it can be told in which step it must end, and
 * how. Not where a source was not even asked, because no time was left, and not where a partial
 * answer is made of what came before the deadline's margin.
 */
#include <inttypes.h>

#include "tests/sim/witness_parts.h"

#define MARGIN (3 * WORLD_MS)

/* NULL: it is no race, or not one that can be foretold now. */
static const struct race *race_of(const struct witness *witness, uint32_t number)
{
	const struct plan *plan = witness->plan;
	const struct seen *seen = &witness->requests[number];
	uint32_t shape = plan->requests[number].shape;
	if (shape >= plan->configuration.shape_count ||
			plan->configuration.shapes[shape].kind != SHAPE_RACE)
		return NULL;
	const struct race *race = &plan->configuration.shapes[shape].race;
	bool at_margin = witness->harness->world.async.now + MARGIN >= seen->deadline;
	if (seen->asked < race->sources || (race->partial && at_margin))
		return NULL;
	return race;
}

enum decision { OPEN, WON, FAILED };

static enum decision decide(const struct race *race, const struct seen *seen)
{
	uint32_t left = race->sources - seen->good - seen->bad;
	if (seen->good >= race->needed)
		return WON;
	if (left == 0)
		return race->partial && seen->good > 0 ? WON : FAILED;
	return race->fail_fast && seen->good + left < race->needed ? FAILED : OPEN;
}

void witness_race_asked(struct witness *witness, uint32_t number)
{
	witness->requests[number].asked++;
}

void witness_race_answered(
		struct witness *witness, uint32_t number, uint32_t run, bool good, bool odd)
{
	const struct race *race = race_of(witness, number);
	struct seen *seen = &witness->requests[number];
	if (!race || decide(race, seen) != OPEN)
		return;
	if (!good || (odd && (race->lowest || race->highest))) {
		seen->bad++;
		return;
	}
	bool better = race->lowest ? run < seen->best : run > seen->best;
	if (seen->good++ == 0 || better)
		seen->best = run;
}

void witness_race_ended(struct witness *witness, uint32_t number)
{
	const struct race *race = race_of(witness, number);
	struct seen *seen = &witness->requests[number];
	if (!race || seen->status == STATUS_DEADLINE_EXCEEDED)
		return;
	enum decision decision = decide(race, seen);
	seen->parts.exact = !race->any && !race->lowest && !race->highest;
	seen->parts.came = seen->good;
	if (decision != (seen->status == STATUS_OK ? WON : FAILED))
		witness_complain(witness,
				"request %" PRIu32 " ends %s with %" PRIu32 " good and %" PRIu32
				" bad of %" PRIu32 " answers",
				number, status_text(seen->status).data, seen->good, seen->bad,
				race->sources);
}

void witness_race_waits(struct witness *witness, uint32_t number)
{
	const struct race *race = race_of(witness, number);
	if (race && decide(race, &witness->requests[number]) != OPEN &&
			!witness_stream_waits(witness, number))
		witness_complain(witness, "request %" PRIu32 " goes on, though it is decided",
				number);
}

void witness_race_gave(struct witness *witness, uint32_t number, uint32_t run)
{
	const struct race *race = race_of(witness, number);
	if (race && (race->lowest || race->highest) && run != witness->requests[number].best)
		witness_complain(witness, "request %" PRIu32 " did not get the best", number);
}
