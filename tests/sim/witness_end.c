/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How requests end: with which status and for which reason each may.
 */
#include "tests/sim/witness_parts.h"

#include <inttypes.h>
#include <stdlib.h>

#include "pipeline/requests/record.h"
#include "pipeline/stages/run.h"

#define EARLY_NS (6 * WORLD_MS) /* a source is not asked when no more than this remains */

static enum status status_foretold(enum foretold foretold)
{
	static const enum status statuses[] = {
			[FORETOLD_NOTHING] = STATUS_OK,
			[FORETOLD_DRAINING] = STATUS_UNAVAILABLE,
			[FORETOLD_UNKNOWN] = STATUS_UNIMPLEMENTED,
			[FORETOLD_TWIN] = STATUS_INVALID_ARGUMENT,
			[FORETOLD_LATE] = STATUS_DEADLINE_EXCEEDED,
	};
	return statuses[foretold];
}

bool witness_was_given(const struct witness *witness, uint32_t number, enum status status)
{
	uint32_t run = witness->given[witness_planned(witness, number)->key][status];
	uint64_t since = witness->requests[number].received;
	/* A flight may have met it before the request joined. */
	if (witness_shape(witness, number)->caches > 0)
		since -= witness->plan->configuration.max_deadline;
	/* That there is none is remembered. */
	return run > 0 && (status == STATUS_NOT_FOUND || witness_told_at(witness, run) >= since);
}

/* Whether such an end can come of what its stages met. */
static bool may_end(const struct witness *witness, uint32_t number, enum status status)
{
	const struct shape *shape = witness_shape(witness, number);
	uint64_t slack = shape->asks ? EARLY_NS : 0;
	if (status == STATUS_OK || status == STATUS_RESOURCE_EXHAUSTED)
		return true;
	/* A source may say so early. */
	if (status == STATUS_DEADLINE_EXCEEDED)
		return witness_now(witness) + slack >= witness->requests[number].deadline ||
		       witness_was_given(witness, number, status);
	if (status == STATUS_UNAVAILABLE && (shape->limits_time || shape->asks))
		return true;
	return status != STATUS_CANCELLED && witness_was_given(witness, number, status);
}

static bool may_end_for(
		struct witness *witness, uint32_t number, enum status status, enum reason reason)
{
	const struct seen *seen = &witness->requests[number];
	bool late = witness_now(witness) >= seen->deadline;
	switch (reason) {
	case REASON_NONE:
		return late ? status == STATUS_DEADLINE_EXCEEDED : may_end(witness, number, status);
	case ASKED:
		return !late && status == STATUS_CANCELLED && witness_is_asked(witness, number);
	case GONE:
		return witness_is_going(witness, seen->peer);
	case DEADLINE:
		return late && status == STATUS_DEADLINE_EXCEEDED;
	case DRAIN:
		return !late && witness->cutting && status == STATUS_UNAVAILABLE;
	case TIMEOUT:
	case LOST:
		return false;
	}
	return false;
}

static void cover_end(struct witness *witness, uint32_t number, const struct record *record)
{
	static const enum met met_by_reason[] = {
			[ASKED] = MET_CANCEL,
			[GONE] = MET_DISCONNECT,
			[DEADLINE] = MET_DEADLINE,
			[DRAIN] = MET_DRAIN,
	};
	struct coverage *coverage = witness->coverage;
	const struct seen *seen = &witness->requests[number];
	const struct shape *shape = witness_shape(witness, number);
	coverage->statuses[record->status]++;
	nesting_note(&coverage->nesting, record);
	if (record->reason != REASON_NONE)
		coverage_meet(coverage, met_by_reason[record->reason]);
	if (seen->foretold == FORETOLD_TWIN)
		coverage_meet(coverage, MET_DUPLICATE);
	if (seen->foretold == FORETOLD_DRAINING)
		coverage_meet(coverage, MET_DRAIN);
	if (!record->run || !record->run->cache.data)
		return;
	if (text_equal(record->run->cache, TEXT("hit")))
		coverage_meet(coverage, MET_HIT);
	else if (text_equal(record->run->cache, TEXT("joined")))
		coverage_meet(coverage, MET_JOINED);
	else if (record->reason != REASON_NONE && shape->kind == SHAPE_CACHE &&
			witness_others_wait(witness, number))
		coverage_meet(coverage, MET_FIRST_WAITER_LEFT);
}

/* That there is none is remembered for so long, and no longer. */
static void check_missing(struct witness *witness, uint32_t number, const struct record *record)
{
	const struct shape *shape = witness_shape(witness, number);
	uint32_t run = witness->missing[witness_planned(witness, number)->key];
	if (shape->kind == SHAPE_CACHE && text_equal(record->run->cache, TEXT("hit")) &&
			(run == 0 || witness_age(witness, run, witness_now(witness)) >=
							shape->missing_ttl))
		witness_complain(witness, "request %" PRIu32 " got a NOT_FOUND that is too old",
				number);
}

void witness_ended(struct witness *witness, const struct record *record)
{
	witness->ended[record->status]++;
	witness_feeds_ended(witness, record);
	if (!record->trace.data)
		return; /* garbage */
	uint32_t number = (uint32_t)strtoul(record->trace.data + 1, NULL, 10);
	struct seen *seen = &witness->requests[number];
	if (seen->state != UNSEEN && seen->state != WAITING) {
		witness_complain(witness, "request %" PRIu32 " ends twice", number);
		return;
	}
	if (witness->batching) {
		/* What ends one that waits has started all that were read before. */
		bool waited = seen->state == WAITING || record->reason != REASON_NONE;
		witness_catch_up(witness, waited ? NOBODY : number);
		if (record->status == STATUS_INVALID_ARGUMENT &&
				witness_has_twin(witness, number, false))
			seen->foretold = FORETOLD_TWIN;
		/* Its time was over when its turn came, though not when it was read. */
		if (!waited && !record->run && record->status == STATUS_DEADLINE_EXCEEDED &&
				witness_now(witness) >= seen->deadline)
			seen->foretold = FORETOLD_LATE;
	}
	bool waited = seen->state == WAITING;
	if (waited)
		witness_stop_waiting(witness, number);
	seen->state = TOLD;
	seen->status = record->status;
	seen->reason = record->reason;
	seen->told = ++witness->told;
	seen->told_at = witness_now(witness);
	witness->unsettled[witness->unsettled_count++] = number;
	cover_end(witness, number, record);
	witness_cache_ended(witness, number, record);
	witness_generation_ended(witness, number, record);
	bool right = seen->foretold == FORETOLD_NOTHING
				     ? may_end_for(witness, number, record->status, record->reason)
				     : record->status == status_foretold(seen->foretold);
	if (!right)
		witness_complain(witness, "request %" PRIu32 " ends %s %s, which it may not",
				number, status_text(record->status).data,
				reason_name(record->reason));
	if (record->status == STATUS_RESOURCE_EXHAUSTED && seen->foretold == FORETOLD_NOTHING)
		witness_check_refusal(witness, number, waited);
	witness_check_size(witness, number, record);
	if (record->reason == REASON_NONE && seen->foretold == FORETOLD_NOTHING)
		witness_race_ended(witness, number);
	witness_check_told(witness, number, record, waited);
	witness_note_time(witness, number, record->status, record->us);
	if (record->status == STATUS_NOT_FOUND)
		check_missing(witness, number, record);
	witness_limit_ended(witness, record, waited);
	if (seen->foretold == FORETOLD_NOTHING)
		witness_retry_ended(witness, number, record->reason);
	witness_stream_told(witness, number, record);
	if (record->us != (witness_now(witness) - seen->received) / 1000)
		witness_complain(witness,
				"request %" PRIu32 " is said to have taken %" PRIu64 " us", number,
				record->us);
	witness->gone += record->reason == GONE;
	if (record->reason == GONE)
		witness_leave(witness, seen);
	else if (witness->batching && witness->peers[seen->peer].held > 0 &&
			witness_is_kept(witness, seen))
		witness_hold(witness, number); /* no batch goes before an outbox */
}

void witness_after_cut(struct witness *witness)
{
	witness->cutting = false;
	if (witness->waiting_count > 0)
		witness_complain(witness, "a request waits after all were cut off");
}
