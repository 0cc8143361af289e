/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many may be in flight: so many, or, where that adapts, a number within its bounds that moves
 * in small steps, each after enough requests that were answered, or failed late.
 */
#include <inttypes.h>

#include "tests/sim/witness_parts.h"

#define SAMPLES_MIN 10

/* In a batch those that never waited are counted too, though nothing is learned from them. One that
 * ends at its very deadline may have run to its end. What has failed must have taken half as long
 * again as is usual, and that is never less than the least that any took. */
void witness_limit_ended(struct witness *witness, const struct record *record, bool waited)
{
	bool over = record->reason == REASON_NONE || record->reason == DEADLINE;
	bool done = record->status == STATUS_OK || record->status == STATUS_NOT_FOUND;
	if (!over || record->status == STATUS_RESOURCE_EXHAUSTED ||
			!(waited || witness->batching) || record->parts > 0)
		return;
	if (done && record->us < witness->least_us)
		witness->least_us = record->us;
	witness->samples += done || (record->us + 2) / 3 * 2 >= witness->least_us;
}

static void check_step(struct witness *witness, uint64_t limit)
{
	if (witness->samples < SAMPLES_MIN)
		witness_complain(witness, "the limit changes after %" PRIu64 " requests",
				witness->samples);
	if (limit > witness->limit + 1 || limit + 1 < witness->limit * 9 / 10)
		witness_complain(witness, "the limit goes from %" PRIu64 " to %" PRIu64,
				witness->limit, limit);
}

void witness_check_limit(struct witness *witness)
{
	const struct configuration *configuration = &witness->plan->configuration;
	uint64_t limit = engine_counts(witness->harness->engine)->in_flight_max;
	uint64_t least = configuration->in_flight_min ? configuration->in_flight_min
						      : configuration->in_flight;
	if (limit < least || limit > configuration->in_flight)
		witness_complain(witness, "the limit is %" PRIu64, limit);
	if (limit != witness->limit) {
		if (witness->limit > 0)
			check_step(witness, limit);
		witness->limit = limit;
		/* Any since the latest look may have been the one that did it. */
		uint64_t since = witness->samples - witness->samples_seen;
		witness->samples = since > 0 ? since - 1 : 0;
	}
	witness->samples_seen = witness->samples;
}
