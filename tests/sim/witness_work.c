/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes on outside, held against what is asked for: bounds, order, one run a flight, and no
 * work that nobody waits for.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/checked_cache.h"
#include "tests/sim/witness_parts.h"

#define STACK_MAX ((size_t)512 * 1024)

/* The digits after `"NAME":` or `"NAME":"k`, wherever they stand in a body; or fallback. */
static uint32_t number_of(struct text body, const char *name, uint32_t fallback)
{
	char head[16];
	int size = snprintf(head, sizeof(head), "\"%s\":", name);
	const char *at = body.data ? memmem(body.data, body.size, head, (size_t)size) : NULL;
	if (!at)
		return fallback;
	at += size;
	if (at[0] == '"')
		at += 2;
	return (uint32_t)strtoul(at, NULL, 10);
}

static uint32_t key_of_job(const struct scripted_job *job)
{
	struct text text = scripted_job_value(job, TEXT("k"))->text;
	uint32_t key = 0;
	for (size_t i = 1; i < text.size; i++)
		key = key * 10 + (uint32_t)(text.data[i] - '0');
	return key;
}

/* Requests are numbered from 1 where they name themselves; 0 is a flight's. */
static uint32_t request_of_job(const struct scripted_job *job)
{
	const struct sql_value *n = scripted_job_value(job, TEXT("n"));
	return n && n->integer > 0 ? (uint32_t)n->integer - 1 : NOBODY;
}

static uint32_t key_of_ask(const struct scripted_ask *ask)
{
	return number_of(ask->ask.body, "k", number_of(ask->ask.body, "s", 0));
}

static uint32_t request_of_ask(const struct scripted_ask *ask)
{
	return number_of(ask->ask.body, "n", 0) - 1;
}

static uint64_t generation_of_job(const struct scripted_job *job)
{
	return job->job.query->generation;
}

/* A flight's too bears the trace of a request, of the one that began it. */
static uint64_t generation_of_ask(const struct witness *witness, const struct scripted_ask *ask)
{
	return witness->requests[strtoul(ask->ask.trace.data + 1, NULL, 10)].generation;
}

static uint32_t *live_of(const struct witness *witness, uint64_t generation, uint32_t key)
{
	return &witness->generations[generation - 1].live_of_key[key];
}

uint32_t witness_element_of_ask(const struct scripted_ask *ask)
{
	struct text body = ask->ask.body;
	const char *name = body.data ? memmem(body.data, body.size, "\"s\":\"k", 6) : NULL;
	const char *dot = name ? memchr(name, '.', body.size - (size_t)(name - body.data)) : NULL;
	return dot ? (uint32_t)strtoul(dot + 1, NULL, 10) : 0;
}

static uint32_t add_run(
		struct witness *witness, uint64_t generation, uint32_t key, uint32_t request)
{
	const struct seen *sending =
			witness->sending != NOBODY ? &witness->requests[witness->sending] : NULL;
	if (sending && witness->before_clear && (!sending->room || sending->no_memory))
		witness_complain(witness, "work for k%" PRIu32 " begins at a limit", key);
	if (witness->run_count == witness->run_capacity) {
		witness->run_capacity = witness->run_capacity ? witness->run_capacity * 2 : 1024;
		witness->runs = realloc(
				witness->runs, witness->run_capacity * sizeof(*witness->runs));
		if (!witness->runs)
			abort();
		if (witness->run_count == 0)
			witness->runs[witness->run_count++] = (struct seen_run){0};
	}
	witness->runs[witness->run_count] = (struct seen_run){.key = key,
			.request = request,
			.generation = generation,
			.begun = witness_now(witness)};
	return (uint32_t)witness->run_count++;
}

static void check_stack(struct witness *witness)
{
	size_t used = (size_t)((char *)witness->stack - (char *)__builtin_frame_address(0));
	if (used > STACK_MAX)
		witness_complain(witness, "the stack is %zu bytes deep", used);
}

/* Of one query and key, in a flight, only one runs that is still wanted; and one for each request
 * that wants a fresh value. */
static void check_one_run(struct witness *witness, const struct scripted_job *job, uint32_t key)
{
	const struct scripted_database *database = scripted_job_database(job);
	uint32_t others = 0;
	for (const struct link *link = database->jobs.next; link != &database->jobs;
			link = link->next) {
		const struct scripted_job *other = container_of(link, struct scripted_job, link);
		if (other != job && other->job.query == job->job.query &&
				other->cancelled == REASON_NONE && key_of_job(other) == key)
			others++;
	}
	if (others > witness->fresh_of_key[key])
		witness_complain(witness, "two runs of one flight, for k%" PRIu32, key);
}

/* Who finds a permit free as it is read runs at once, while those who have been given theirs in
 * this stretch may not have been told. */
static void check_order(struct witness *witness, struct seen_query *query, uint32_t request)
{
	const struct seen *seen = &witness->requests[request];
	bool at_once = seen->state == UNSEEN;
	if (query->shape == NOBODY)
		return;
	if (seen->arrival < query->latest)
		witness_complain(witness, "request %" PRIu32 " got its permit after a later one",
				request);
	if (!witness->left_over || !at_once)
		query->latest = seen->arrival;
}

static void check_generation(
		struct witness *witness, const struct scripted_job *job, uint32_t request)
{
	if (generation_of_job(job) != witness->requests[request].generation)
		witness_complain(witness, "request %" PRIu32 " runs in generation %" PRIu64,
				request, generation_of_job(job));
}

/* What is late is not begun, though it may have waited in a queue until then. */
static void check_time(struct witness *witness, uint32_t request)
{
	if (witness_now(witness) >= witness->requests[request].deadline)
		witness_complain(witness, "work is begun for request %" PRIu32 ", which is late",
				request);
}

uint32_t witness_job_started(struct witness *witness, const struct scripted_job *job)
{
	uint32_t key = key_of_job(job);
	uint32_t request = request_of_job(job);
	uint64_t generation = generation_of_job(job);
	struct seen_query *query = witness_query_of_job(witness, job);
	check_stack(witness);
	++*live_of(witness, generation, key);
	witness_query_started(witness, job);
	if (request != NOBODY) {
		check_generation(witness, job, request);
		check_time(witness, request);
		check_order(witness, query, request);
		witness_began(witness, request);
	} else if (!scripted_job_value(job, TEXT("n"))) {
		check_one_run(witness, job, key);
		witness->began_of_key[key] = witness_now(witness);
	}
	if (request == NOBODY) {
		witness_cache_started(witness, key, query);
		witness_flight_began(witness, key, query);
	}
	uint32_t run = add_run(witness, generation, key, request);
	if (request != NOBODY)
		witness_gate_started(witness, job, run, request);
	if (request != NOBODY)
		witness_shed_started(witness, request);
	return run;
}

/* A source's own template, `/${k}`, sees the same k as the body that the fan-out gives. */
static void check_own_text(struct witness *witness, const struct scripted_ask *ask)
{
	char expected[16];
	uint32_t key = number_of(ask->ask.body, "k", UINT32_MAX);
	if (ask->ask.source->template_count == 0 || key == UINT32_MAX)
		return;
	(void)snprintf(expected, sizeof(expected), "/k%" PRIu32, key);
	if (!text_equal(ask->ask.texts[0], text_of(expected)))
		witness_complain(witness, "a source is asked %.*s where the body is k%" PRIu32,
				TEXT_ARG(ask->ask.texts[0]), key);
}

uint32_t witness_ask_started(struct witness *witness, const struct scripted_ask *ask)
{
	uint32_t key = key_of_ask(ask);
	uint32_t request = request_of_ask(ask);
	uint64_t generation = generation_of_ask(witness, ask);
	check_stack(witness);
	check_own_text(witness, ask);
	++*live_of(witness, generation, key);
	if (request != NOBODY) {
		check_time(witness, request);
		witness_race_asked(witness, ask, request);
		witness_retry_asked(witness, request);
		witness_stream_asked(witness, request);
		witness_hedge_asked(witness, request, ask->ask.source);
	}
	witness_breaker_asked(witness, ask->ask.source);
	return add_run(witness, generation, key, request);
}

void witness_job_cancelled(struct witness *witness, const struct scripted_job *job)
{
	struct seen_query *query = witness_query_of_job(witness, job);
	--*live_of(witness, generation_of_job(job), key_of_job(job));
	query->live--;
	if (!scripted_job_database(job)->stubborn)
		witness_query_stopped(witness, job);
	if (scripted_job_value(job, TEXT("n")))
		return;
	if (job->cancelled == ASKED)
		coverage_meet(witness->coverage, MET_ALL_WAITERS_LEFT);
	if (job->cancelled == DEADLINE)
		witness_cache_ran_out(witness, query, key_of_job(job), job->since);
}

void witness_ask_cancelled(struct witness *witness, const struct scripted_ask *ask)
{
	uint32_t request = request_of_ask(ask);
	--*live_of(witness, generation_of_ask(witness, ask), key_of_ask(ask));
	witness_count_cancelled(witness, ask);
	if (request != NOBODY)
		witness_stream_answered(witness, request, false);
	witness_breaker_cancelled(witness, ask);
}

static void note_end(struct witness *witness, uint32_t run, enum status status)
{
	struct seen_run *seen = &witness->runs[run];
	seen->ended = witness_now(witness);
	seen->before = witness->untold;
	seen->good = status == STATUS_OK;
	witness->untold = run;
	witness->given[seen->key][status] = run;
}

void witness_job_ends(struct witness *witness, const struct scripted_job *job, uint32_t run,
		enum status status)
{
	struct seen_query *query = witness_query_of_job(witness, job);
	witness_query_stopped(witness, job);
	if (job->cancelled != REASON_NONE)
		return;
	query->live--;
	--*live_of(witness, generation_of_job(job), key_of_job(job));
	note_end(witness, run, status);
	if (!scripted_job_value(job, TEXT("n")))
		witness_cache_ran(witness, query, run, status);
	if (status == STATUS_NOT_FOUND && !scripted_job_value(job, TEXT("n")))
		witness->missing[key_of_job(job)] = run;
}

void witness_ask_ends(struct witness *witness, const struct scripted_ask *ask, enum status status,
		const struct answer *answer)
{
	if (ask->cancelled != REASON_NONE)
		return;
	uint32_t request = request_of_ask(ask);
	--*live_of(witness, generation_of_ask(witness, ask), key_of_ask(ask));
	note_end(witness, answer->run, status);
	witness->runs[answer->run].partial = answer->partial;
	if (answer->odd) /* where its run is looked for, it is a bad answer */
		witness->given[key_of_ask(ask)][STATUS_INTERNAL] = answer->run;
	witness_breaker_answered(witness, ask, status);
	if (request == NOBODY)
		return;
	witness_race_answered(witness, ask, request,
			(struct seen_branch){.status = status, .answer = *answer});
	witness_retry_answered(witness, request, status, answer->retry_ns);
	witness_stream_answered(witness, request, status == STATUS_OK);
	witness_hedge_answered(witness, request, status == STATUS_OK);
}

static void check_wanted(struct witness *witness, const struct seen_work *work)
{
	const struct seen_generation *generation = &witness->generations[work->generation - 1];
	if (work->request == NOBODY && generation->waiting_of_key[work->key] == 0)
		witness_cache_unwanted(witness, work);
	if (work->request != NOBODY && witness->requests[work->request].state != WAITING)
		witness_complain(witness, "work goes on for k%" PRIu32 " that nobody waits for",
				work->key);
}

static void check_jobs(struct witness *witness, const struct scripted_database *database)
{
	for (const struct link *link = database->jobs.next; link != &database->jobs;
			link = link->next) {
		const struct scripted_job *job = container_of(link, struct scripted_job, link);
		const struct seen_work work = {
				.query = witness_query_of_job(witness, job),
				.generation = generation_of_job(job),
				.key = key_of_job(job),
				.request = request_of_job(job),
				.since = job->since,
		};
		if (job->cancelled == REASON_NONE)
			check_wanted(witness, &work);
	}
}

static void check_asks(struct witness *witness, const struct scripted_source *source)
{
	for (const struct link *link = source->asks.next; link != &source->asks;
			link = link->next) {
		const struct scripted_ask *ask = container_of(link, struct scripted_ask, link);
		const struct seen_work work = {
				.generation = generation_of_ask(witness, ask),
				.key = key_of_ask(ask),
				.request = request_of_ask(ask),
				.since = ask->since,
		};
		if (ask->cancelled == REASON_NONE)
			check_wanted(witness, &work);
	}
}

void witness_check_work(struct witness *witness)
{
	const struct world *world = &witness->harness->world;
	witness->background = 0;
	check_jobs(witness, &world->catalog);
	check_jobs(witness, &world->ledger);
	for (size_t i = 0; i < SOURCES; i++)
		check_asks(witness, &world->sources[i]);
}

uint64_t witness_cached(const struct world *world)
{
	return checked_cache_stats(world->hot)->entries + checked_cache_stats(world->cold)->entries;
}

bool witness_works(const struct witness *witness)
{
	const struct world *world = &witness->harness->world;
	bool works = !list_empty(&world->catalog.jobs) || !list_empty(&world->ledger.jobs);
	for (size_t i = 0; i < SOURCES; i++)
		works |= !list_empty(&world->sources[i].asks);
	return works;
}

bool witness_may_hope(const struct witness *witness, uint32_t number)
{
	const struct seen_generation *generation = witness_generation_of(witness, number);
	return generation->live_of_key[witness_planned(witness, number)->key] > 0 ||
	       witness_queries_wait(generation);
}
