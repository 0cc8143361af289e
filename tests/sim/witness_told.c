/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is told of a request at its end beside how it ended: what its cache said, how long it waited
 * for permits, which of those that it asked were not wanted any more, and what they wasted.
 */
#include "tests/sim/witness_parts.h"

#include <inttypes.h>

#include "pipeline/async/scope.h"
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

/* Whether both would wait for one flight. */
static bool share(const struct witness *witness, uint32_t one, uint32_t other)
{
	return one != other &&
	       witness_planned(witness, one)->key == witness_planned(witness, other)->key &&
	       witness_planned(witness, one)->shape == witness_planned(witness, other)->shape &&
	       witness->requests[one].generation == witness->requests[other].generation;
}

/* Whether a flight of its key is there: somebody of its generation waits for it. */
bool witness_others_wait(const struct witness *witness, uint32_t number)
{
	for (size_t i = 0; i < witness->waiting_count; i++) {
		if (share(witness, number, witness->waiting[i]))
			return true;
	}
	return false;
}

void witness_note_sharing(struct witness *witness, uint32_t number)
{
	for (size_t i = 0; i < witness->waiting_count; i++) {
		uint32_t other = witness->waiting[i];
		if (!share(witness, number, other))
			continue;
		witness->requests[number].notes.shared = true;
		witness->requests[other].notes.shared = true;
	}
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

/* What was told may be absent. */
static bool is_verdict(struct text told, struct text known)
{
	return told.data && text_equal(told, known);
}

/* Of one that ended at once the latest look into a cache was its own. */
static void check_hit(struct witness *witness, uint32_t number, struct text verdict)
{
	enum status status = witness->requests[number].status;
	bool hit = is_verdict(verdict, TEXT("hit"));
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
	else if (due.data && !is_verdict(run->cache, due))
		witness_complain(witness, "request %" PRIu32 " says cache=%.*s and not %.*s",
				number, TEXT_ARG(run->cache), TEXT_ARG(due));
}

void witness_began(struct witness *witness, uint32_t number)
{
	struct seen_told *told = &witness->requests[number].notes;
	told->began = witness_now(witness);
	told->granted = witness_happened(witness);
}

void witness_flight_began(struct witness *witness, uint32_t key, const struct seen_query *query)
{
	for (size_t i = 0; i < witness->waiting_count; i++) {
		uint32_t number = witness->waiting[i];
		struct seen *seen = &witness->requests[number];
		if (witness_planned(witness, number)->key == key && seen->notes.began == 0 &&
				witness_planned(witness, number)->shape == query->shape &&
				seen->generation == query->generation)
			witness_began(witness, number);
	}
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

/* Of a RACE without elements those are its losers that have not answered when it is decided, or cut
 * off. One in parts may end later than it was decided. */
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
			  !seen->race.branches[0][i].heard;
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

/* Until when the flight of such a request has surely waited for its permit; 0: that is not known.
 * One that it is alone with until its job begins, or, where none has and the flight ends with it,
 * to its end. */
static uint64_t waited_until(
		const struct witness *witness, uint32_t number, const struct record *record)
{
	const struct seen *seen = &witness->requests[number];
	uint32_t key = witness_planned(witness, number)->key;
	if (seen->notes.began > 0)
		return seen->notes.shared ? 0 : seen->notes.granted;
	if (record->reason == REASON_NONE || witness_others_wait(witness, number) ||
			witness->began_of_key[key] >= seen->read)
		return 0;
	return witness_now(witness);
}

/* Who has begun a flight, and waits alone, tells what it has waited for, however it ends. */
static void check_flight(struct witness *witness, uint32_t number, struct text verdict,
		const struct record *record)
{
	const struct seen *seen = &witness->requests[number];
	uint64_t queue_ns = record->run->queue_ns;
	if (!is_cache(witness, number) || witness->batching || !is_verdict(verdict, TEXT("miss")))
		return;
	if (queue_ns + seen->turn < waited_until(witness, number, record))
		witness_complain(witness,
				"request %" PRIu32 " says that it waited for a permit for %" PRIu64
				" ns, and it was from %" PRIu64 " to %" PRIu64,
				number, queue_ns, seen->turn,
				waited_until(witness, number, record));
}

void witness_count_cancelled(struct witness *witness, const struct scripted_ask *ask)
{
	const struct scope *above = ask->ask.frame.scope->parent;
	if (ask->cancelled == TIMEOUT && !scope_cancelled(above))
		witness->timed_out++;
	else
		witness->cancelled++;
}

/* Each question that was cancelled is told of once, by one request: but for those of flights that
 * need no waiter; and one that has timed out may be found cut off before its fan-out has heard. */
void witness_told_check_end(struct witness *witness)
{
	uint64_t least = witness->plan->configuration.refreshes ? 0 : witness->cancelled;
	uint64_t most = witness->cancelled + witness->timed_out;
	if (witness->losers < least || witness->losers > most)
		witness_complain(witness,
				"%" PRIu64 " losers were told of, and not %" PRIu64 " to %" PRIu64,
				witness->losers, least, most);
}

void witness_check_told(
		struct witness *witness, uint32_t number, const struct record *record, bool waited)
{
	const struct seen *seen = &witness->requests[number];
	if (!record->run || seen->foretold != FORETOLD_NOTHING)
		return;
	witness->losers += record->run->losers;
	struct text verdict = seen->notes.verdict;
	check_verdict(witness, number, record->run, waited);
	if (waited)
		check_flight(witness, number, verdict, record);
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
