/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The witness as a whole: what it knows, and what must hold after every step.
 */
#include "tests/sim/witness_parts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool witness_init(struct witness *witness, const struct plan *plan, struct harness *harness,
		struct coverage *coverage)
{
	size_t count = plan->request_count;
	*witness = (struct witness){.plan = plan, .harness = harness, .coverage = coverage};
	witness->requests = calloc(count, sizeof(*witness->requests));
	witness->by_id = malloc(count * sizeof(*witness->by_id));
	witness->waiting = calloc(count, sizeof(*witness->waiting));
	witness->unsettled = calloc(count, sizeof(*witness->unsettled));
	witness->sent = calloc(count, sizeof(*witness->sent));
	witness->generations = calloc(GENERATIONS_MAX, sizeof(*witness->generations));
	if (!witness->sent || !witness->requests || !witness->by_id || !witness->waiting ||
			!witness->unsettled || !witness->generations)
		return false;
	for (size_t i = 0; i < count; i++)
		witness->by_id[i] = NOBODY;
	witness->cancelling = NOBODY;
	witness->sending = NOBODY;
	return true;
}

void witness_deinit(struct witness *witness)
{
	free(witness->requests);
	free(witness->by_id);
	free(witness->waiting);
	free(witness->unsettled);
	free(witness->sent);
	free(witness->generations);
	free(witness->runs);
}

void witness_complain(struct witness *witness, const char *format, ...)
{
	va_list arguments;
	if (witness->failed)
		return;
	witness->failed = true;
	va_start(arguments, format);
	(void)vsnprintf(witness->complaint, sizeof(witness->complaint), format, arguments);
	va_end(arguments);
}

void witness_begin(struct witness *witness)
{
#ifdef SLUICE_COUNTED
	memcpy(witness->live_at_first, live_counts, sizeof(live_counts));
#endif
	witness->generation = 1;
	witness->least_us = UINT64_MAX;
	witness_breaker_begin(witness);
}

/* Whether nothing is left to do at this moment. */
static bool is_quiet(const struct witness *witness)
{
	return runner_idle(&witness->harness->world.async.runner);
}

void witness_begin_turn(struct witness *witness, uint64_t now)
{
	witness->left_over = !is_quiet(witness);
	if (witness->left_over)
		return;
	witness->stretch_began = now;
	witness->telling_since = ASYNC_NEVER;
}

void witness_begin_telling(struct witness *witness)
{
	if (!witness->left_over)
		witness->telling_since = witness_now(witness);
}

uint32_t witness_waiter(const struct witness *witness, uint32_t key)
{
	for (size_t i = 0; i < witness->waiting_count; i++) {
		if (witness_planned(witness, witness->waiting[i])->key == key)
			return witness->waiting[i];
	}
	return NOBODY;
}

static void check_waiting(struct witness *witness)
{
	uint64_t now = witness_now(witness);
	for (size_t i = 0; i < witness->waiting_count; i++) {
		uint32_t number = witness->waiting[i];
		const struct seen *seen = &witness->requests[number];
		if (seen->deadline + TICK_NS <= now)
			witness_complain(witness, "request %" PRIu32 " is past its deadline",
					number);
		witness_race_waits(witness, number);
		witness_retry_waits(witness, number);
		witness_hedge_waits(witness, number);
		if (!witness_shape(witness, number)->retries &&
				!witness_stream_waits(witness, number) &&
				!witness_may_hope(witness, number))
			witness_complain(witness, "request %" PRIu32 " waits for nothing", number);
	}
}

/* What must hold whenever nothing is left to do. */
static void check(struct witness *witness)
{
	const struct engine_counts *counts = engine_counts(witness->harness->engine);
	witness->told_in_stretch = 0;
	witness->longest_stretch = greater(
			witness->longest_stretch, witness_now(witness) - witness->stretch_began);
	for (; witness->untold; witness->untold = witness->runs[witness->untold].before)
		witness->runs[witness->untold].told = witness_now(witness);
	if (counts->in_flight != witness->in_flight)
		witness_complain(witness, "%" PRIu64 " are said to be in flight, %" PRIu64 " are",
				counts->in_flight, witness->in_flight);
	if (memcmp(counts->by_status, witness->ended, sizeof(witness->ended)) != 0)
		witness_complain(witness, "what has ended how is counted wrong");
	if (counts->answered != witness->fates[FATE_TAKEN] ||
			counts->gone != witness->fates[FATE_GONE] + witness->gone +
							witness->dropped)
		witness_complain(witness, "what was answered, or gone, is counted wrong");
	if (counts->read !=
			counts->answered + counts->gone + counts->undelivered + counts->in_flight)
		witness_complain(witness, "what was read is not what was answered, gone, "
					  "undelivered or in flight");
	check_waiting(witness);
	witness_check_limit(witness);
	witness_check_outboxes(witness);
	witness_check_work(witness);
	witness_check_permits(witness);
	witness_check_generations(witness);
	witness_breaker_check(witness);
	witness_check_rest(witness);
	coverage_meet(witness->coverage, MET_STEP);
}

void witness_end_turn(struct witness *witness, uint64_t next)
{
	witness_settle(witness);
	if (is_quiet(witness)) {
		check(witness);
		return;
	}
	if (!witness->has_left_over)
		coverage_meet(witness->coverage, MET_LEFT_OVER);
	witness->has_left_over = true;
	if (next != witness_now(witness))
		witness_complain(witness, "work is left, and no turn is wanted for it");
}

void witness_check_end(struct witness *witness)
{
	for (uint32_t i = 0; i < witness->plan->request_count; i++) {
		const struct seen *seen = &witness->requests[i];
		if (seen->arrival > 0 && seen->state != LEFT)
			witness_complain(witness, "request %" PRIu32 " never ends", i);
	}
	witness_retry_check_end(witness);
	witness_told_check_end(witness);
	witness_feeds_check_end(witness);
}
