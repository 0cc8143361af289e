/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands in caches, and what is run to fill them. Of a CACHE, one cache above one lookup,
 * nearly all is known: how old each value is, and when it may be looked for anew. What a cache
 * itself answers is held against its rules by checked_cache.c.
 *
 * A flight may be cut off between its job's end and its own, and then nothing comes of that end.
 * One that is held open is not, but by a drain: so what follows from a failure, or from "there is
 * none", is checked where every flight for a value that is there may be held. Which of two runs is
 * the later one is a matter of when their flights began. That is known of those whose jobs need not
 * have waited for a permit; nothing is said of the others.
 */
#include <inttypes.h>

#include "pipeline/base/lesser.h"
#include "pipeline/requests/record.h"
#include "pipeline/resources/database.h"
#include "pipeline/stages/run.h"
#include "pipeline/wire/wire.h"
#include "tests/sim/checked_cache.h"
#include "tests/sim/witness_parts.h"

/* The request's shape, if it is a CACHE. */
static const struct shape *cache_of(const struct witness *witness, uint32_t number)
{
	const struct shape *shape = witness_shape(witness, number);
	return shape && shape->kind == SHAPE_CACHE ? shape : NULL;
}

/* The CACHE itself. */
static const struct aging *aging_of(const struct witness *witness)
{
	return &witness->plan->configuration.shapes[SHAPE_CACHE].aging;
}

/* How long a flight for such a request may last. */
static uint64_t ceiling_of(const struct witness *witness, uint32_t number)
{
	uint64_t own = cache_of(witness, number)->deadline;
	uint64_t longest = witness->plan->configuration.max_deadline;
	return own ? lesser(own, longest) : longest;
}

static bool all_are_held(const struct witness *witness)
{
	return aging_of(witness)->background == BACKGROUND_MANY && !witness->draining;
}

/* No flight of an earlier generation is held. */
static bool is_of_latest(const struct witness *witness, const struct seen_query *query)
{
	return query->generation == witness->generation;
}

/* How many values the CACHE's cache has let go of before their time. */
static uint64_t let_go(const struct witness *witness)
{
	const struct world *world = &witness->harness->world;
	const struct cache_stats *stats =
			checked_cache_stats(aging_of(witness)->cold ? world->cold : world->hot);
	return stats->evicted + stats->outdated;
}

void witness_cache_sent(struct witness *witness, uint32_t number)
{
	const struct planned *planned = witness_planned(witness, number);
	witness->fresh_of_key[planned->key] += planned->fresh;
	witness->requests[number].asked_before = witness->values[planned->key].asked_at;
	witness->values[planned->key].asked_at = witness_now(witness);
}

void witness_cache_ended(struct witness *witness, uint32_t number, const struct record *record)
{
	const struct planned *planned = witness_planned(witness, number);
	struct seen *seen = &witness->requests[number];
	witness->fresh_of_key[planned->key] -= planned->fresh;
	if (!record->run || !record->run->cache.data)
		return;
	seen->stale = text_equal(record->run->cache, TEXT("stale"));
	if (seen->stale)
		coverage_meet(witness->coverage, seen->waited ? MET_FALLEN_BACK : MET_STALE);
	/* A large one may be refused for memory. */
	if (seen->stale && record->status != STATUS_OK &&
			record->status != STATUS_RESOURCE_EXHAUSTED &&
			!witness_shape(witness, number)->asks && cache_of(witness, number) &&
			record->reason == REASON_NONE)
		witness_complain(witness, "request %" PRIu32 " got a stale error", number);
	seen->let_go = let_go(witness);
}

static bool failed(enum status status)
{
	return status == STATUS_UNAVAILABLE || status == STATUS_INTERNAL ||
	       status == STATUS_RESOURCE_EXHAUSTED;
}

/* Whether the job that starts can't have waited for its permit: then its flight begins just now. */
static bool starts_at_once(const struct witness *witness, const struct seen_query *query)
{
	return query->running + witness_just_ended(witness, query) <= query->concurrency;
}

void witness_cache_started(struct witness *witness, uint32_t key, const struct seen_query *query)
{
	struct seen_value *value = &witness->values[key];
	bool there = witness_now(witness) < value->there_until && value->let_go == let_go(witness);
	if (query->shape == SHAPE_CACHE && is_of_latest(witness, query) &&
			starts_at_once(witness, query))
		value->flown_at = witness_now(witness);
	if (query->shape != SHAPE_CACHE || witness->fresh_of_key[key] > 0 ||
			!all_are_held(witness) || !there)
		return;
	if (value->failed_at > 0 && value->failed_begun >= value->there_at &&
			witness_now(witness) < value->failed_at + aging_of(witness)->throttle)
		witness_complain(
				witness, "k%" PRIu32 " is refreshed too soon after a failure", key);
}

/* Whether something follows from how a CACHE's job ends: one that is under way for a request with
 * fresh=1 has nothing to do with who comes next. */
static bool tells(const struct witness *witness, const struct seen_query *query, uint32_t key,
		uint64_t begun)
{
	return query->shape == SHAPE_CACHE && witness->fresh_of_key[key] == 0 &&
	       is_of_latest(witness, query) && witness->values[key].flown_at == begun;
}

static void note_failure(struct witness *witness, const struct seen_query *query, uint32_t key,
		uint64_t begun)
{
	struct seen_value *value = &witness->values[key];
	if (!tells(witness, query, key, begun))
		return;
	value->failed_begun = begun;
	value->failed_at = witness_now(witness);
}

/* Whether what that query gives may go where a CACHE's values are: others have the same stage. */
static bool may_fill(const struct witness *witness, const struct seen_query *query)
{
	const struct seen_query *cache = witness_query_of(witness, SHAPE_CACHE);
	return !cache || text_equal(query->query->spec->sql, cache->query->spec->sql);
}

void witness_cache_ran(struct witness *witness, const struct seen_query *query, uint32_t number,
		enum status status)
{
	const struct seen_run *run = &witness->runs[number];
	struct seen_value *value = &witness->values[run->key];
	if (failed(status)) {
		note_failure(witness, query, run->key, run->begun);
		return;
	}
	if (may_fill(witness, query))
		value->there_until = 0; /* it may be another from here on */
	if (status == STATUS_NOT_FOUND && all_are_held(witness) &&
			tells(witness, query, run->key, run->begun))
		value->none = number;
}

void witness_cache_ran_out(struct witness *witness, const struct seen_query *query, uint32_t key,
		uint64_t begun)
{
	note_failure(witness, query, key, begun);
}

/* What follows from how a run has ended need not: its flight may have been let go of before it
 * heard of that. */
void witness_cache_reloaded(struct witness *witness)
{
	for (size_t key = 0; key < PLAN_KEYS; key++) {
		witness->values[key].failed_at = 0;
		witness->values[key].none = 0;
	}
}

/* The value's age, by the verdict that came with it. */
static void check_age(struct witness *witness, uint32_t number, uint32_t run, struct text verdict)
{
	const struct seen_run *from = &witness->runs[run];
	const struct aging *aging = aging_of(witness);
	const struct seen *seen = &witness->requests[number];
	uint64_t least = witness_age(witness, run, seen->told_at);
	uint64_t age = seen->told_at - from->ended;
	bool right = true;
	if (text_equal(verdict, TEXT("hit")))
		right = least < aging->ttl;
	else if (text_equal(verdict, TEXT("stale")))
		right = age >= aging->ttl - aging->jitter &&
			least < aging->ttl + aging->stale + aging->stale_if_error;
	else
		right = from->ended >= seen->since;
	if (!right)
		witness_complain(witness,
				"request %" PRIu32 " got a value of %" PRIu64 " ns as a %.*s",
				number, age, TEXT_ARG(verdict));
}

/* Past `stale`, a value is given at once only where another can't be looked for, or was in vain a
 * moment ago. Of that nobody needs to have seen more than the request which set it off: a flight
 * may spend all its time in a queue. */
static void check_haste(struct witness *witness, uint32_t number, uint32_t run)
{
	const struct aging *aging = aging_of(witness);
	const struct seen *seen = &witness->requests[number];
	uint64_t spared = witness->plan->configuration.max_deadline + aging->throttle + TICK_NS;
	bool old = witness_age(witness, run, seen->told_at) >= aging->ttl + aging->stale;
	bool lately = seen->asked_before > 0 && seen->told_at <= seen->asked_before + spared;
	if (old && witness->sending == number && witness->before_clear && seen->room &&
			!seen->no_memory && witness->before_waiting == 0 && !lately)
		witness_complain(witness, "request %" PRIu32 " got an old value without need",
				number);
}

/* The value will be there for as long as it is surely of use. */
static void note_value(struct witness *witness, const struct seen *seen, uint32_t run)
{
	const struct aging *aging = aging_of(witness);
	const struct seen_run *from = &witness->runs[run];
	struct seen_value *value = &witness->values[from->key];
	if (seen->told_at != witness_now(witness))
		return;
	if (value->there != run)
		value->there_at = seen->told_at;
	value->there = run;
	value->there_until = from->ended + aging->ttl - aging->jitter + aging->stale +
			     aging->stale_if_error;
	value->let_go = seen->let_go;
}

void witness_cache_gave(struct witness *witness, uint32_t number, uint32_t run,
		const struct wire_reply *reply)
{
	const struct seen *seen = &witness->requests[number];
	const struct shape *shape = witness_shape(witness, number);
	const struct seen_run *from = &witness->runs[run];
	const struct seen_value *value = &witness->values[from->key];
	if (witness_planned(witness, number)->fresh && !shape->ignores_fresh) {
		coverage_meet(witness->coverage, MET_FRESH);
		if (from->begun < seen->received)
			witness_complain(witness,
					"request %" PRIu32 " got a value that is not fresh",
					number);
	}
	if (shape->kind != SHAPE_CACHE)
		return;
	check_age(witness, number, run, reply->cache);
	if (seen->stale)
		check_haste(witness, number, run);
	if (seen->stale || text_equal(reply->cache, TEXT("hit")))
		note_value(witness, seen, run);
	const struct seen_run *none = &witness->runs[value->none];
	uint64_t none_at = witness_told_at(witness, value->none);
	if (value->none > 0 && from->begun < none->begun && from->ended < none->ended &&
			seen->received > none_at &&
			none_at < none->begun + ceiling_of(witness, number))
		witness_complain(witness,
				"request %" PRIu32 " got a value though there was none by then",
				number);
}

void witness_cache_unwanted(struct witness *witness, const struct seen_work *work)
{
	const struct configuration *configuration = &witness->plan->configuration;
	coverage_meet(witness->coverage, MET_REFRESH);
	if (!configuration->refreshes || witness->draining ||
			work->generation != witness->generation)
		witness_complain(witness, "work goes on for k%" PRIu32 " that nobody waits for",
				work->key);
	if (work->since + configuration->max_deadline + TICK_NS <= witness_now(witness))
		witness_complain(witness, "work for k%" PRIu32 " goes on past its ceiling",
				work->key);
	if (work->query && work->query->shape == SHAPE_CACHE &&
			++witness->background > aging_of(witness)->background)
		witness_complain(witness, "%" PRIu32 " refreshes go on where %" PRIu64 " may",
				witness->background, aging_of(witness)->background);
}

bool witness_cache_may_retry(const struct witness *witness)
{
	const struct configuration *configuration = &witness->plan->configuration;
	bool retries = false;
	for (size_t i = 0; i < configuration->shape_count; i++)
		retries |= configuration->shapes[i].retries;
	return retries && configuration->refreshes && !witness->draining;
}

/* How many wait for the key of a request to a CACHE, itself aside. */
uint32_t witness_cache_waiters(const struct witness *witness, uint32_t number)
{
	const struct planned *planned = witness_planned(witness, number);
	uint32_t count = 0;
	for (size_t i = 0; i < witness->waiting_count; i++) {
		const struct planned *other = witness_planned(witness, witness->waiting[i]);
		bool fresh = other->fresh && !witness_shape(witness, number)->ignores_fresh;
		count += witness->waiting[i] != number && other->key == planned->key &&
			 other->shape == planned->shape && !fresh &&
			 witness->requests[witness->waiting[i]].generation ==
					 witness->requests[number].generation;
	}
	return count;
}
