/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A LOOKUP whose queue's delay is controlled sheds only who has waited for more than twice the
 * target, and only in the interval after one in which nobody has waited for less than the target.
 */
#include <inttypes.h>

#include "tests/sim/witness_parts.h"

/* NULL: the request is for another shape, or nothing is shed there. */
static const struct shape *shedding(const struct witness *witness, uint32_t number)
{
	const struct shape *shape = witness_shape(witness, number);
	return shape && shape->kind == SHAPE_LOOKUP && shape->codel_target > 0 ? shape : NULL;
}

void witness_shed_started(struct witness *witness, uint32_t number)
{
	const struct shape *shape = shedding(witness, number);
	uint64_t now = witness_now(witness);
	if (!shape || now - witness->requests[number].arrived > shape->codel_target)
		return;
	struct seen_generation *generation = witness_generation_of(witness, number);
	size_t count = generation->short_wait_count;
	if (count == 0 || generation->short_waits[(count - 1) % SHORT_WAITS_MAX] != now)
		generation->short_waits[generation->short_wait_count++ % SHORT_WAITS_MAX] = now;
}

/* Whether there was an interval without a short wait that ended at most an interval before `at`. */
static bool was_slow(const struct seen_generation *generation, uint64_t at, uint64_t interval)
{
	uint64_t end = at;
	size_t oldest = generation->short_wait_count > SHORT_WAITS_MAX
					? generation->short_wait_count - SHORT_WAITS_MAX
					: 0;
	for (size_t i = generation->short_wait_count; i > oldest; i--) {
		uint64_t before = generation->short_waits[(i - 1) % SHORT_WAITS_MAX];
		if (before >= end)
			continue;
		if (before + interval < end)
			return true;
		end = before;
		if (end + interval <= at)
			return false;
	}
	return true;
}

void witness_shed_refused(struct witness *witness, uint32_t number, struct text body)
{
	static const char reason[] = "the queue is too slow";
	const struct shape *shape = shedding(witness, number);
	const struct seen *seen = &witness->requests[number];
	if (!memmem(body.data, body.size, reason, sizeof(reason) - 1))
		return;
	coverage_meet(witness->coverage, MET_SHED);
	if (!shape)
		return;
	if (seen->told_at - seen->arrived <= 2 * shape->codel_target)
		witness_complain(witness, "request %" PRIu32 " was shed after %" PRIu64 " us",
				number, (seen->told_at - seen->arrived) / 1000);
	if (!was_slow(witness_generation_of(witness, number), seen->told_at, shape->codel_interval))
		witness_complain(witness, "request %" PRIu32 " was shed from a queue that is short",
				number);
}
