/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A RETRY asks one source, and asks again when it fails: only what was not processed, so often at
 * most, after a wait within its bounds and no shorter than the source has asked for, as long as the
 * budget lasts and the deadline is not reached.
 */
#include <inttypes.h>

#include "pipeline/base/lesser.h"
#include "tests/sim/witness_parts.h"

/* A wait may end so much late: a tick of the wheel, and a turn of a busy machine. */
#define LATE_NS (5 * WORLD_MS)
/* With less than this until the deadline, a wait that ends just before it can't be told from one
 * that does not. */
#define NAP_NS	 (8 * WORLD_MS)
#define NAPS_MIN 5

/* NULL: the request is for another shape. */
static const struct retrying *retrying_of(const struct witness *witness, uint32_t number)
{
	const struct configuration *configuration = &witness->plan->configuration;
	uint32_t shape = witness->plan->requests[number].shape;
	bool is_retry = shape < configuration->shape_count &&
			configuration->shapes[shape].kind == SHAPE_RETRY;
	return is_retry ? &configuration->shapes[shape].retrying : NULL;
}

static bool was_processed(enum status status)
{
	return status != STATUS_UNAVAILABLE && status != STATUS_RESOURCE_EXHAUSTED;
}

/* The longest wait after so many attempts. */
static uint64_t backoff_max(const struct retrying *retrying, uint32_t attempts)
{
	uint64_t most = retrying->initial << (attempts - 1);
	return most < retrying->max ? most : retrying->max;
}

/*
 * Each retry took a token while more than half were left, and each success has given back a tenth
 * of one. So there are never more retries than half of the tokens and all that was given back.
 */
static void check_budget(struct witness *witness, const struct retrying *retrying,
		const struct seen_generation *generation)
{
	uint64_t most = (uint64_t)retrying->budget * 5 + generation->successes + 10;
	if (retrying->budget && generation->retries * 10 > most)
		witness_complain(witness,
				"%" PRIu64 " retries with a budget of %" PRIu32 " and "
				"%" PRIu64 " successes",
				generation->retries, retrying->budget, generation->successes);
}

void witness_retry_asked(struct witness *witness, uint32_t number)
{
	const struct retrying *retrying = retrying_of(witness, number);
	struct seen *seen = &witness->requests[number];
	uint64_t now = witness->harness->world.async.now;
	if (!retrying)
		return;
	if (seen->attempts > 0) {
		if (seen->failed_at == 0)
			witness_complain(witness, "request %" PRIu32 " is tried again in vain",
					number);
		if (now < seen->left_alone)
			witness_complain(witness,
					"request %" PRIu32 " is tried again before its time",
					number);
		witness_generation_of(witness, number)->retries++;
		check_budget(witness, retrying, witness_generation_of(witness, number));
	}
	if (++seen->attempts > retrying->attempts)
		witness_complain(witness, "request %" PRIu32 " is tried %" PRIu32 " times", number,
				seen->attempts);
	if (now >= seen->deadline)
		witness_complain(witness, "request %" PRIu32 " is tried past its deadline", number);
	seen->failed_at = 0;
	seen->naps = false;
}

/* Whether its wait may lead past its deadline, where few that lead before it end just there. */
static bool is_nap(const struct witness *witness, const struct retrying *retrying,
		const struct seen *seen)
{
	uint64_t least = greater(seen->failed_at, seen->left_alone);
	return !witness->plan->lagging && least + NAP_NS <= seen->deadline &&
	       seen->failed_at + backoff_max(retrying, seen->attempts) > seen->deadline;
}

void witness_retry_answered(
		struct witness *witness, uint32_t number, enum status status, uint64_t retry_ns)
{
	const struct retrying *retrying = retrying_of(witness, number);
	struct seen *seen = &witness->requests[number];
	if (!retrying)
		return;
	if (status == STATUS_OK || status == STATUS_NOT_FOUND)
		witness_generation_of(witness, number)->successes++;
	if (!was_processed(status))
		seen->failed_at = witness->harness->world.async.now;
	seen->left_alone = witness_now(witness) + retry_ns;
}

void witness_retry_ended(struct witness *witness, uint32_t number, enum reason reason)
{
	const struct retrying *retrying = retrying_of(witness, number);
	const struct seen *seen = &witness->requests[number];
	uint64_t now = witness->harness->world.async.now;
	if (!retrying || seen->attempts == 0)
		return;
	witness->slept_through += reason == DEADLINE && seen->naps;
	if (reason == REASON_NONE && seen->status == STATUS_UNAVAILABLE && retrying->budget == 0 &&
			seen->attempts < retrying->attempts &&
			now + backoff_max(retrying, seen->attempts) < seen->deadline &&
			seen->left_alone < seen->deadline)
		witness_complain(witness,
				"request %" PRIu32 " is given up after %" PRIu32 " attempts",
				number, seen->attempts);
}

void witness_retry_waits(struct witness *witness, uint32_t number)
{
	const struct retrying *retrying = retrying_of(witness, number);
	struct seen *seen = &witness->requests[number];
	if (!retrying || seen->failed_at == 0)
		return;
	uint64_t latest = seen->failed_at + backoff_max(retrying, seen->attempts);
	if (witness_now(witness) > greater(latest, seen->left_alone) + LATE_NS)
		witness_complain(witness, "request %" PRIu32 " waits too long to be tried again",
				number);
	if (!seen->naps && is_nap(witness, retrying, seen)) {
		seen->naps = true;
		witness->naps++;
	}
}

void witness_retry_check_end(struct witness *witness)
{
	if (witness->naps >= NAPS_MIN && witness->slept_through * 2 > witness->naps)
		witness_complain(witness,
				"%" PRIu64 " of %" PRIu64
				" waits to be tried again last until the deadline",
				witness->slept_through, witness->naps);
}
