/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is told of a request at its end beside how it ended: what its cache said, how long it waited
 * for permits, which of those that it asked were not wanted any more, and what they wasted.
 */
#include "tests/sim/witness_parts.h"

#include <inttypes.h>

#include "pipeline/requests/record.h"
#include "pipeline/stages/run.h"

void witness_cache_found(struct witness *witness, bool found)
{
	witness->found = found;
}

/* A CACHE whose values are fresh or not there, and whose flights all have waiters. */
static bool is_cache(const struct witness *witness, uint32_t number)
{
	const struct shape *shape = witness_shape(witness, number);
	uint32_t key = witness_planned(witness, number)->key;
	return shape && shape->kind == SHAPE_CACHE && !witness->plan->configuration.refreshes &&
	       !witness_planned(witness, number)->fresh && witness->fresh_of_key[key] == 0;
}

/* Whether a flight of its key is there: somebody of its generation waits for it. */
bool witness_others_wait(const struct witness *witness, uint32_t number)
{
	const struct planned *planned = witness_planned(witness, number);
	for (size_t i = 0; i < witness->waiting_count; i++) {
		const struct planned *other = witness_planned(witness, witness->waiting[i]);
		if (witness->waiting[i] != number && other->key == planned->key &&
				other->shape == planned->shape &&
				witness->requests[witness->waiting[i]].generation ==
						witness->requests[number].generation)
			return true;
	}
	return false;
}

void witness_foretell_verdict(struct witness *witness, uint32_t number)
{
	struct seen_told *told = &witness->requests[number].notes;
	if (!is_cache(witness, number))
		return;
	told->verdict = witness_others_wait(witness, number) ? TEXT("joined") : TEXT("miss");
	if (witness->found)
		witness_complain(witness, "request %" PRIu32 " waits, though its cache has it",
				number);
}

/* Of one that ended at once the latest look into a cache was its own. */
static void check_hit(struct witness *witness, uint32_t number, struct text verdict)
{
	enum status status = witness->requests[number].status;
	bool hit = text_equal(verdict, TEXT("hit"));
	bool given = status == STATUS_OK || status == STATUS_NOT_FOUND;
	if (hit != witness->found || (given && !hit))
		witness_complain(witness, "request %" PRIu32 " ends %s with cache=%.*s", number,
				status_text(status).data, TEXT_ARG(verdict));
}

static void check_verdict(
		struct witness *witness, uint32_t number, const struct run *run, bool waited)
{
	struct seen_told *told = &witness->requests[number].notes;
	struct text due = told->verdict;
	told->verdict = run->cache;
	if (witness_shape(witness, number)->caches == 0 && run->cache.data)
		witness_complain(witness, "request %" PRIu32 " has met no cache", number);
	if (!is_cache(witness, number))
		return;
	if (!waited)
		check_hit(witness, number, run->cache);
	else if (due.data && !text_equal(due, run->cache))
		witness_complain(witness, "request %" PRIu32 " says cache=%.*s and not %.*s",
				number, TEXT_ARG(run->cache), TEXT_ARG(due));
}

void witness_began(struct witness *witness, uint32_t number)
{
	struct seen_told *told = &witness->requests[number].notes;
	told->began = witness_now(witness);
	told->granted = witness_happened(witness);
}

/* Without a cache nothing is waited for but by the request itself, and by a LOOKUP from its turn
 * until its job begins. */
static void check_queue(struct witness *witness, uint32_t number, const struct run *run)
{
	const struct seen *seen = &witness->requests[number];
	const struct shape *shape = witness_shape(witness, number);
	uint64_t us = witness_now(witness) - seen->received;
	uint64_t longest = us;
	if (shape->caches > 0)
		longest += (1 + shape->caches) * witness->plan->configuration.max_deadline;
	if (shape->kind == SHAPE_LOOKUP && seen->notes.began > 0) {
		longest = seen->notes.began - seen->read;
		if (run->queue_ns + seen->turn < seen->notes.granted)
			witness_complain(witness,
					"request %" PRIu32 " waited longer than %" PRIu64 " ns",
					number, run->queue_ns);
	}
	if (run->queue_ns > longest)
		witness_complain(witness, "request %" PRIu32 " did not wait for %" PRIu64 " ns",
				number, run->queue_ns);
}

/* Of a RACE without elements those that still run when it is decided are its losers; where it is
 * cut off, those that have not answered. One in parts may end later than it was decided. */
static void check_losers(struct witness *witness, uint32_t number, const struct record *record)
{
	const struct race *race = witness_race_of(witness, number);
	const struct seen *seen = &witness->requests[number];
	uint32_t losers = 0;
	if (!race || race->each || witness_planned(witness, number)->stream ||
			(!seen->race.known && record->reason == REASON_NONE))
		return;
	for (int i = 0; i < SOURCES; i++)
		losers += seen->race.branches[0][i].state == BRANCH_RUNS &&
			  (record->reason == REASON_NONE || !seen->race.branches[0][i].heard);
	if (seen->race.expired)
		return;
	uint64_t late = losers * (witness_now(witness) - witness_happened(witness));
	uint64_t most = losers * (witness_now(witness) - seen->race.asked_at);
	if (record->run->losers != losers || record->run->wasted_ns > most ||
			record->run->wasted_ns + late < most)
		witness_complain(witness,
				"request %" PRIu32 " says that %" PRIu32
				" were not wanted and %" PRIu64 " ns wasted, not %" PRIu32
				" and %" PRIu64,
				number, record->run->losers, record->run->wasted_ns, losers, most);
}

/* Who is cut off tells what the flight has waited for that ends with it: all the time, where it has
 * begun it, nobody else waits, and no job has come of it. */
static void check_flight(struct witness *witness, uint32_t number, struct text verdict,
		const struct run *run)
{
	const struct seen *seen = &witness->requests[number];
	uint32_t key = witness_planned(witness, number)->key;
	if (!is_cache(witness, number) || witness->batching || !verdict.data ||
			!text_equal(verdict, TEXT("miss")) ||
			witness_others_wait(witness, number) ||
			witness->began_of_key[key] >= seen->read)
		return;
	if (run->queue_ns + seen->turn < witness_now(witness))
		witness_complain(witness,
				"request %" PRIu32 " says that it waited for a permit for %" PRIu64
				" ns, and it was from %" PRIu64 " on",
				number, run->queue_ns, seen->turn);
}

void witness_check_told(
		struct witness *witness, uint32_t number, const struct record *record, bool waited)
{
	const struct seen *seen = &witness->requests[number];
	if (!record->run || seen->foretold != FORETOLD_NOTHING)
		return;
	struct text verdict = seen->notes.verdict;
	check_verdict(witness, number, record->run, waited);
	if (waited && record->reason != REASON_NONE)
		check_flight(witness, number, verdict, record->run);
	check_losers(witness, number, record);
	if (record->reason == REASON_NONE)
		check_queue(witness, number, record->run);
}

void witness_check_cache(struct witness *witness, uint32_t number, const struct wire_reply *reply)
{
	struct text due = witness->requests[number].notes.verdict;
	bool same = due.data ? reply->cache.data && text_equal(due, reply->cache)
			     : !reply->cache.data;
	if (!same)
		witness_complain(witness, "reply %" PRIu32 " says cache=%.*s", number,
				TEXT_ARG(reply->cache));
}
