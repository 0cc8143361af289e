/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pipeline that is one fan-out: from the answers it can be told in which step it must end, how,
 * and what it gives, to the byte. Not where a source was not even asked, because no time was left.
 */
#include <inttypes.h>
#include <string.h>

#include "pipeline/resources/source.h"
#include "tests/sim/witness_parts.h"

enum decision { OPEN, WON, FAILED };

/* NULL: it is no race. */
const struct race *witness_race_of(const struct witness *witness, uint32_t number)
{
	const struct shape *shape = witness_shape(witness, number);
	return shape && shape->kind == SHAPE_RACE ? &shape->race : NULL;
}

uint32_t witness_race_groups(const struct witness *witness, uint32_t number)
{
	const struct race *race = witness_race_of(witness, number);
	return race->each ? witness_planned(witness, number)->key % 4 : 1;
}

/* Whether all that it asks has been asked, at one time. */
static bool is_known(const struct witness *witness, uint32_t number)
{
	const struct race *race = witness_race_of(witness, number);
	const struct seen_race *seen = &witness->requests[number].race;
	return race && !seen->staggered && !seen->late &&
	       seen->asked == race->sources * witness_race_groups(witness, number);
}

static struct seen_branch *branch_of(
		struct witness *witness, uint32_t number, const struct scripted_ask *ask)
{
	struct seen_race *race = &witness->requests[number].race;
	size_t source = world_source_number(&witness->harness->world, ask->ask.source);
	return &race->branches[witness_element_of_ask(ask)][source];
}

/* When a source that is asked now is as good as bad, though it has not answered. Where two limits
 * fall together the outer one is blamed. */
static void set_limit(
		struct seen_race *seen, const struct race *race, uint64_t deadline, uint64_t now)
{
	seen->limit = race->partial ? deadline - SOURCE_MARGIN_NS : deadline;
	seen->timed = race->timeout && now + race->timeout < seen->limit;
	if (seen->timed)
		seen->limit = now + race->timeout;
}

void witness_race_asked(struct witness *witness, const struct scripted_ask *ask, uint32_t number)
{
	const struct race *race = witness_race_of(witness, number);
	struct seen *seen = &witness->requests[number];
	uint64_t now = witness_now(witness);
	if (!race)
		return;
	/* Those of a client that does not read may be asked one after the other. */
	seen->race.staggered |= seen->race.asked > 0 && seen->race.asked_at != now;
	seen->race.asked_at = now;
	seen->race.asked++;
	set_limit(&seen->race, race, seen->deadline, now);
	branch_of(witness, number, ask)->state = BRANCH_RUNS;
}

static enum decision decide_group(
		const struct race *race, const struct seen_branch *branches, bool expired)
{
	uint32_t good = 0, left = 0;
	for (int i = 0; i < SOURCES; i++) {
		good += branches[i].state == BRANCH_GOOD;
		left += branches[i].state == BRANCH_RUNS && !expired;
	}
	if (good >= race->needed)
		return WON;
	if (left == 0)
		return race->partial && good > 0 ? WON : FAILED;
	return race->fail_fast && good + left < race->needed ? FAILED : OPEN;
}

/* now: what has not answered by then and is at its limit never will. */
static enum decision decide(const struct witness *witness, uint32_t number, uint64_t now)
{
	const struct race *race = witness_race_of(witness, number);
	const struct seen_race *seen = &witness->requests[number].race;
	uint32_t groups = witness_race_groups(witness, number);
	uint32_t open = 0, failed = 0;
	for (uint32_t i = 0; i < groups; i++) {
		enum decision decision = decide_group(race, seen->branches[i], now >= seen->limit);
		if (decision == FAILED && race->fail_fast)
			return FAILED;
		open += decision == OPEN;
		failed += decision == FAILED;
	}
	if (open > 0)
		return OPEN;
	return failed > 0 && (!race->partial || failed == groups) ? FAILED : WON;
}

void witness_race_answered(struct witness *witness, const struct scripted_ask *ask, uint32_t number,
		struct seen_branch answer)
{
	const struct race *race = witness_race_of(witness, number);
	uint64_t now = witness_now(witness);
	if (!race)
		return;
	struct seen_branch *branch = branch_of(witness, number, ask);
	branch->heard = true;
	if (now < witness->requests[number].race.limit)
		witness->requests[number].race.heard = witness->stretch_began;
	if (decide(witness, number, now) != OPEN)
		return;
	if (decide_group(race, witness->requests[number].race.branches[witness_element_of_ask(ask)],
			    false) != OPEN)
		return;
	*branch = answer;
	branch->heard = true;
	if (answer.status == STATUS_DEADLINE_EXCEEDED && witness->requests[number].race.timed)
		branch->status = STATUS_UNAVAILABLE; /* the time that it was given was not all */
	if (answer.answer.odd && (race->lowest || race->highest))
		branch->status = STATUS_INTERNAL;
	branch->state = branch->status == STATUS_OK ? BRANCH_GOOD : BRANCH_BAD;
}

/* How one that has not given a good answer failed. STATUS_OK: it was not wanted any more. */
enum status witness_race_failure(const struct seen_race *race, const struct seen_branch *branch)
{
	if (branch->state == BRANCH_BAD)
		return branch->status;
	if (branch->state != BRANCH_RUNS || !race->expired)
		return STATUS_OK;
	return race->timed ? STATUS_UNAVAILABLE : STATUS_DEADLINE_EXCEEDED;
}

enum status witness_race_group_status(const struct race *race, const struct seen_race *seen,
		uint32_t group, enum status common)
{
	uint32_t good = 0;
	for (int i = 0; i < SOURCES; i++)
		good += seen->branches[group][i].state == BRANCH_GOOD;
	if (good >= race->needed)
		return common;
	for (int i = 0; i < SOURCES; i++) {
		enum status status = witness_race_failure(seen, &seen->branches[group][i]);
		if (status != STATUS_OK)
			common = common == STATUS_OK || common == status ? status
									 : STATUS_UNAVAILABLE;
	}
	return common;
}

/* The common status of all causes; UNAVAILABLE where they differ. */
static enum status status_of(const struct witness *witness, uint32_t number)
{
	const struct race *race = witness_race_of(witness, number);
	enum status common = STATUS_OK;
	for (uint32_t i = 0; i < witness_race_groups(witness, number); i++)
		common = witness_race_group_status(
				race, &witness->requests[number].race, i, common);
	return common;
}

static uint32_t count_good(const struct seen *seen)
{
	uint32_t good = 0;
	for (int group = 0; group < GROUPS_MAX; group++) {
		for (int i = 0; i < SOURCES; i++)
			good += seen->race.branches[group][i].state == BRANCH_GOOD;
	}
	return good;
}

/* What was answered in time may be told too late. */
static void note_late(struct witness *witness, uint32_t number)
{
	struct seen_race *race = &witness->requests[number].race;
	race->late |= race->heard == witness->stretch_began && witness_now(witness) >= race->limit;
}

void witness_race_ended(struct witness *witness, uint32_t number)
{
	const struct race *race = witness_race_of(witness, number);
	struct seen *seen = &witness->requests[number];
	uint64_t now = witness_now(witness);
	note_late(witness, number);
	if (!is_known(witness, number) || now >= seen->deadline)
		return;
	/* It was refused before it could ask: see witness_refusal.c. */
	if (seen->status == STATUS_RESOURCE_EXHAUSTED && seen->race.asked == 0)
		return;
	/* One that waits for its client to read may end later than it was decided. */
	if (witness_planned(witness, number)->stream && now >= seen->race.limit)
		return;
	seen->race.known = true;
	seen->parts.exact = !race->any && !race->lowest && !race->highest;
	seen->parts.came = count_good(seen);
	seen->race.expired = now >= seen->race.limit;
	enum decision decision = decide(witness, number, now);
	seen->race.won = decision == WON;
	/* What it has won may be too large for the memory that is left: its reply must tell. */
	if (decision == WON && seen->status == STATUS_RESOURCE_EXHAUSTED)
		return;
	if (decision != (seen->status == STATUS_OK ? WON : FAILED))
		witness_complain(witness, "request %" PRIu32 " ends %s, but its answers say %s",
				number, status_text(seen->status).data,
				decision == OPEN  ? "nothing yet"
				: decision == WON ? "it is won"
						  : "it has failed");
	else if (decision == FAILED && seen->status != status_of(witness, number))
		witness_complain(witness, "request %" PRIu32 " ends %s where its causes are %s",
				number, status_text(seen->status).data,
				status_text(status_of(witness, number)).data);
}

void witness_race_waits(struct witness *witness, uint32_t number)
{
	note_late(witness, number);
	if (is_known(witness, number) &&
			decide(witness, number, witness_now(witness) - TICK_NS) != OPEN &&
			!witness_stream_waits(witness, number))
		witness_complain(witness, "request %" PRIu32 " goes on, though it is decided",
				number);
}
