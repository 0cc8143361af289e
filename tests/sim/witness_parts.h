/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the parts of the witness share, file by file.
 *
 * A file that watches something new (a stage, a pattern) is called by those that see it happen:
 * witness_end.c when a request ends, witness_reply.c when a reply leaves, witness_work.c when jobs
 * and asks start and end, witness_end_turn() when nothing is left to do. What it remembers is a
 * struct of its own in seen.h.
 */
#include "pipeline/base/lesser.h"
#include "pipeline/wire/wire.h"
#include "tests/sim/witness.h"

#define TICK_NS (UINT64_C(1) << 19) /* of the timing wheel: what is due is met within one */

static inline uint64_t witness_now(const struct witness *witness)
{
	return witness->harness->world.async.now;
}

static inline const struct planned *witness_planned(const struct witness *witness, uint32_t number)
{
	return &witness->plan->requests[number];
}

/* What is told now has happened no sooner. */
static inline uint64_t witness_happened(const struct witness *witness)
{
	return lesser(witness_now(witness), witness->telling_since);
}

/* Until when somebody may not have heard that a run has ended. */
static inline uint64_t witness_told_at(const struct witness *witness, uint32_t run)
{
	return witness->runs[run].told ? witness->runs[run].told : witness_now(witness);
}

/* How old what it gave is at least: it ages once it has been heard of. */
static inline uint64_t witness_age(const struct witness *witness, uint32_t run, uint64_t at)
{
	uint64_t since = witness_told_at(witness, run);
	return at > since ? at - since : 0;
}

/* NULL: it names no pipeline. */
static inline const struct shape *witness_shape(const struct witness *witness, uint32_t number)
{
	const struct configuration *configuration = &witness->plan->configuration;
	uint32_t shape = witness_planned(witness, number)->shape;
	return shape < configuration->shape_count ? &configuration->shapes[shape] : NULL;
}

/* The latest generation, and that of a request which has been read. */
static inline struct seen_generation *witness_latest(const struct witness *witness)
{
	return &witness->generations[witness->generation - 1];
}

static inline struct seen_generation *witness_generation_of(
		const struct witness *witness, uint32_t number)
{
	return &witness->generations[witness->requests[number].generation - 1];
}

/* witness_entry.c */
/*
 * Whether a request in flight has the same connection, envelope and id. One that was answered in
 * this batch may be in flight or not: its reply had not been refused when the twin was looked at,
 * or it had. sure: such a one is none.
 */
bool witness_has_twin(const struct witness *witness, uint32_t number, bool sure);
/* It waits, and waits no longer. */
void witness_begin_waiting(struct witness *witness, uint32_t number);
void witness_stop_waiting(struct witness *witness, uint32_t number);
/* What becomes of those that were read before a request, or (NOBODY) of all, is known now. */
void witness_catch_up(struct witness *witness, uint32_t until);

/* witness_refusal.c */
/* It is about to be read. */
void witness_before_turn(struct witness *witness, uint32_t number);
/* Whether it may wait, at its turn, but for limits.bytes. */
bool witness_has_room(const struct witness *witness, uint32_t number);
/* It has ended RESOURCE_EXHAUSTED, before or after it waited. */
void witness_check_refusal(struct witness *witness, uint32_t number, bool waited);
/* It has ended. */
void witness_check_size(struct witness *witness, uint32_t number, const struct record *record);
/* Its reply is taken. */
void witness_check_retry(struct witness *witness, uint32_t number, const struct wire_reply *reply);
void witness_note_time(struct witness *witness, uint32_t number, enum status status, uint64_t us);

/* witness_told.c */
/* Whether another waits for the same of the same pipeline. */
bool witness_others_wait(const struct witness *witness, uint32_t number);
/* It waits, nothing else having happened since it was read. */
void witness_foretell_verdict(struct witness *witness, uint32_t number);
/* It waits. */
void witness_note_sharing(struct witness *witness, uint32_t number);
/* A job has been begun for it; for a flight. */
void witness_began(struct witness *witness, uint32_t number);
void witness_flight_began(struct witness *witness, uint32_t key, const struct seen_query *query);
/* It has ended, before or after it waited. */
void witness_check_told(
		struct witness *witness, uint32_t number, const struct record *record, bool waited);
/* A question was cancelled. */
void witness_count_cancelled(struct witness *witness, const struct scripted_ask *ask);
void witness_told_check_end(struct witness *witness);
/* Its reply is taken. */
void witness_check_cache(struct witness *witness, uint32_t number, const struct wire_reply *reply);

/* witness_end.c */
/* Whether a resource has given that status since the request came. */
bool witness_was_given(const struct witness *witness, uint32_t number, enum status status);

/* witness_commands.c */
/* Whether a $cancel names it just now. */
bool witness_is_asked(const struct witness *witness, uint32_t number);
/* A $ping has got its answer, or never will. */
void witness_ponged(struct witness *witness, uint32_t peer, const struct wire_reply *reply);

/* witness_outbox.c */
void witness_enter_flight(struct witness *witness, struct seen *seen);
/* Its reply has been taken, or never will be. */
void witness_leave(struct witness *witness, struct seen *seen);
/* Its reply waits in the outbox. */
void witness_hold(struct witness *witness, uint32_t number);
/* Behind it, in a batch, are those replies of its client that have not left. */
void witness_hold_behind(struct witness *witness, uint32_t number);
bool witness_is_refusal(const struct seen *seen);
/* Whether a reply that can't leave goes to the outbox, rather than being dropped. */
bool witness_is_kept(const struct witness *witness, const struct seen *seen);
/* Whether a client is being let go of: it has disconnected, or has not read for too long. */
bool witness_is_going(struct witness *witness, uint32_t number);
/* How many of a peer's may be in flight, with those that may have been started by now, or whose
 * replies may have gone behind its outbox. */
uint64_t witness_count_in_flight(const struct witness *witness, uint32_t peer);
void witness_check_outboxes(struct witness *witness);

/* witness_generations.c: what ends where it began. */
/* It has ended. */
void witness_generation_ended(
		struct witness *witness, uint32_t number, const struct record *record);
/* A reply holds a value of that run. */
void witness_generation_gave(struct witness *witness, uint32_t number, uint32_t run,
		const struct wire_reply *reply);
void witness_check_generations(struct witness *witness);

/* witness_queries.c: the queries of each generation. */
/* The query that a job runs. */
struct seen_query *witness_query_of_job(struct witness *witness, const struct scripted_job *job);
/* The query that a LOOKUP or CACHE pipeline of the latest generation runs; NULL until it has run.
 */
const struct seen_query *witness_query_of(const struct witness *witness, uint32_t shape);
/* A job starts and stops running. */
void witness_query_started(struct witness *witness, const struct scripted_job *job);
void witness_query_stopped(struct witness *witness, const struct scripted_job *job);
/* How many of its jobs have ended in this stretch: their permits may not be back yet. */
uint32_t witness_just_ended(const struct witness *witness, const struct seen_query *query);
/* Whether all permits of some query are out, in that generation. */
bool witness_queries_wait(const struct seen_generation *generation);

/* witness_work.c */
/* Which element of l it asks for; 0 where it asks for none. */
uint32_t witness_element_of_ask(const struct scripted_ask *ask);
/* How many values the caches hold at most. */
uint64_t witness_cached(const struct world *world);
/* Whether any job or ask goes on. */
bool witness_works(const struct witness *witness);
/* Whether something goes on that a request can be waiting for. */
bool witness_may_hope(const struct witness *witness, uint32_t number);
void witness_check_work(struct witness *witness);

/* witness_race.c: fan-outs of which all is known. */
/* NULL: it is no RACE. */
const struct race *witness_race_of(const struct witness *witness, uint32_t number);
/* How many elements it asks for. */
uint32_t witness_race_groups(const struct witness *witness, uint32_t number);
/* How a source that gave no good answer failed. STATUS_OK: it has not. */
enum status witness_race_failure(const struct seen_race *race, const struct seen_branch *branch);
/* common, with the failures of a group that has not enough good answers. */
enum status witness_race_group_status(const struct race *race, const struct seen_race *seen,
		uint32_t group, enum status common);
void witness_race_asked(struct witness *witness, const struct scripted_ask *ask, uint32_t number);
void witness_race_answered(struct witness *witness, const struct scripted_ask *ask, uint32_t number,
		struct seen_branch answer);
/* It has ended of itself. */
void witness_race_ended(struct witness *witness, uint32_t number);
/* It still waits. */
void witness_race_waits(struct witness *witness, uint32_t number);
/* witness_race_body.c: its reply is taken. */
void witness_race_replied(struct witness *witness, uint32_t number, const struct wire_reply *reply);

/* witness_limit.c: how many may be in flight. */
void witness_limit_ended(struct witness *witness, const struct record *record, bool waited);
void witness_check_limit(struct witness *witness);

/* witness_shed.c: what has waited too long in a slow queue. */
void witness_shed_started(struct witness *witness, uint32_t number);
/* It was refused with that text. */
void witness_shed_refused(struct witness *witness, uint32_t number, struct text body);

/* witness_retry.c: what is tried again. */
void witness_retry_asked(struct witness *witness, uint32_t number);
void witness_retry_answered(
		struct witness *witness, uint32_t number, enum status status, uint64_t retry_ns);
void witness_retry_ended(struct witness *witness, uint32_t number, enum reason reason);
/* It still waits. */
void witness_retry_waits(struct witness *witness, uint32_t number);
void witness_retry_check_end(struct witness *witness);

/* witness_reply.c */
/* Checks what a body says of the runs that gave it. */
void witness_check_body(struct witness *witness, uint32_t number, const struct wire_reply *reply);

/* witness_stream.c: answers in parts. */
/* What became of a reply: taken, or its client was gone; or not yet; or never. False: it is no
 * part.
 */
bool witness_part_left(
		struct witness *witness, uint32_t peer, const char *envelope, struct text text);
bool witness_part_refused(
		struct witness *witness, uint32_t peer, const char *envelope, struct text text);
bool witness_part_discarded(struct witness *witness, uint32_t peer, struct text text);
/* A source is asked; it is no more, and its answer, if any, is good. */
void witness_stream_asked(struct witness *witness, uint32_t number);
void witness_stream_answered(struct witness *witness, uint32_t number, bool good);
/* The request has ended; its last reply has been taken. */
void witness_stream_told(struct witness *witness, uint32_t number, const struct record *record);
void witness_stream_ended(struct witness *witness, uint32_t number, const struct wire_reply *reply);
/* Whether it may be waiting for its client to read. */
bool witness_stream_waits(const struct witness *witness, uint32_t number);

/* witness_cache.c: what caches hold, and what fills them. */
void witness_cache_sent(struct witness *witness, uint32_t number);
void witness_cache_reloaded(struct witness *witness);
void witness_cache_ended(struct witness *witness, uint32_t number, const struct record *record);
/* A flight's job starts, and ends; it is cut off at its ceiling. */
void witness_cache_started(struct witness *witness, uint32_t key, const struct seen_query *query);
void witness_cache_ran(struct witness *witness, const struct seen_query *query, uint32_t number,
		enum status status);
void witness_cache_ran_out(struct witness *witness, const struct seen_query *query, uint32_t key,
		uint64_t begun);
/* A reply holds a value of that run. */
void witness_cache_gave(struct witness *witness, uint32_t number, uint32_t run,
		const struct wire_reply *reply);
/* A flight's work goes on though nobody waits for its key. */
void witness_cache_unwanted(struct witness *witness, const struct seen_work *work);
/* Whether a refresh may be waiting for its next try, without any work going on. */
bool witness_cache_may_retry(const struct witness *witness);
uint32_t witness_cache_waiters(const struct witness *witness, uint32_t number);

/* witness_hedge.c: sources that are asked one after another. */
void witness_hedge_begins(struct witness *witness, uint32_t number);
void witness_hedge_asked(struct witness *witness, uint32_t number, const struct source *source);
void witness_hedge_answered(struct witness *witness, uint32_t number, bool good);
/* How often, at most, those that go on will spare a source that was asked just now. */
uint64_t witness_hedge_spared(const struct witness *witness);
/* It still waits. */
void witness_hedge_waits(struct witness *witness, uint32_t number);

/* witness_breaker.c: sources that are left alone. */
void witness_breaker_begin(struct witness *witness);
void witness_breaker_asked(struct witness *witness, const struct source *source);
void witness_breaker_answered(
		struct witness *witness, const struct scripted_ask *ask, enum status status);
void witness_breaker_cancelled(struct witness *witness, const struct scripted_ask *ask);
void witness_breaker_check(struct witness *witness);

/* witness_gate.c: what runs under a condition. */
void witness_gate_started(struct witness *witness, const struct scripted_job *job, uint32_t run,
		uint32_t number);
/* It has given a value of that run; 0: it has given none. */
void witness_gate_gave(struct witness *witness, uint32_t number, uint32_t run);

/* witness_rest.c: what is left alive, after each step and when nothing goes on. */
void witness_check_permits(struct witness *witness);
void witness_check_rest(struct witness *witness);

/* witness_feeds.c */
void witness_feeds_ended(struct witness *witness, const struct record *record);
/* They go on with what those before have learned. */
void witness_feeds_reloaded(struct witness *witness, const struct seen_generation *before);
void witness_feeds_check_end(struct witness *witness);
