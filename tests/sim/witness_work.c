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

uint32_t witness_element_of_ask(const struct scripted_ask *ask)
{
	struct text body = ask->ask.body;
	const char *name = body.data ? memmem(body.data, body.size, "\"s\":\"k", 6) : NULL;
	const char *dot = name ? memchr(name, '.', body.size - (size_t)(name - body.data)) : NULL;
	return dot ? (uint32_t)strtoul(dot + 1, NULL, 10) : 0;
}

static uint32_t add_run(struct witness *witness, uint32_t key, uint32_t request)
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
	witness->runs[witness->run_count] = (struct seen_run){
			.key = key, .request = request, .begun = witness_now(witness)};
	return (uint32_t)witness->run_count++;
}

static void check_stack(struct witness *witness)
{
	size_t used = (size_t)((char *)witness->stack - (char *)__builtin_frame_address(0));
	if (used > STACK_MAX)
		witness_complain(witness, "the stack is %zu bytes deep", used);
}

/* A LOOKUP's or CACHE's path begins with its pipeline's name. A GATE's second lookup is reached in
 * another order than its requests came in. */
static uint32_t shape_of(const struct witness *witness, struct text path)
{
	const struct configuration *configuration = &witness->plan->configuration;
	for (uint32_t i = 0; i < configuration->shape_count; i++) {
		struct text name = text_of(configuration->shapes[i].name);
		if (configuration->shapes[i].kind < SHAPE_GATE && path.size > name.size &&
				memcmp(path.data, name.data, name.size) == 0 &&
				path.data[name.size] == '/')
			return i;
	}
	return NOBODY;
}

static uint32_t number_after(struct text text, const char *word)
{
	size_t size = strlen(word);
	const char *at = memmem(text.data, text.size, word, size);
	return (uint32_t)strtoul(at + size, NULL, 10);
}

static struct seen_query *query_of(struct witness *witness, const struct scripted_job *job)
{
	for (size_t i = 0; i < witness->query_count; i++) {
		if (witness->queries[i].query == job->job.query)
			return &witness->queries[i];
	}
	if (witness->query_count == QUERIES_MAX)
		abort();
	const struct query_spec *spec = scripted_job_spec(job);
	struct seen_query *query = &witness->queries[witness->query_count++];
	*query = (struct seen_query){
			.query = job->job.query,
			.concurrency = number_after(spec->sql, "LIMIT "),
			.queue = number_after(spec->sql, "OFFSET "),
			.pipeline = (uint32_t)strtoul(spec->stage.data + 1, NULL, 10),
			.shape = shape_of(witness, spec->stage),
	};
	return query;
}

const struct seen_query *witness_query_of(const struct witness *witness, uint32_t shape)
{
	for (size_t i = 0; i < witness->query_count; i++) {
		if (witness->queries[i].shape == shape)
			return &witness->queries[i];
	}
	return NULL;
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

static void check_order(struct witness *witness, struct seen_query *query, uint32_t request)
{
	const struct seen *seen = &witness->requests[request];
	if (query->shape == NOBODY)
		return;
	if (seen->arrival < query->latest)
		witness_complain(witness, "request %" PRIu32 " got its permit after a later one",
				request);
	query->latest = seen->arrival;
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
	struct seen_query *query = query_of(witness, job);
	check_stack(witness);
	query->live++;
	witness->live_of_key[key]++;
	if (++query->running > query->concurrency)
		witness_complain(witness, "%" PRIu32 " jobs run where %" PRIu32 " may",
				query->running, query->concurrency);
	if (request != NOBODY) {
		check_time(witness, request);
		check_order(witness, query, request);
		witness_began(witness, request);
	} else if (!scripted_job_value(job, TEXT("n"))) {
		check_one_run(witness, job, key);
	}
	if (request == NOBODY)
		witness_cache_started(witness, key, query);
	uint32_t run = add_run(witness, key, request);
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
	check_stack(witness);
	check_own_text(witness, ask);
	witness->live_of_key[key]++;
	if (request != NOBODY) {
		check_time(witness, request);
		witness_race_asked(witness, ask, request);
		witness_retry_asked(witness, request);
		witness_stream_asked(witness, request);
		witness_hedge_asked(witness, request, ask->ask.source);
	}
	witness_breaker_asked(witness, ask->ask.source);
	return add_run(witness, key, request);
}

static void stop_running(struct witness *witness, struct seen_query *query)
{
	if (query->turn != witness->turn_began)
		query->ended_in_turn = 0;
	query->turn = witness->turn_began;
	query->ended_in_turn++;
	query->running--;
}

void witness_job_cancelled(struct witness *witness, const struct scripted_job *job)
{
	struct seen_query *query = query_of(witness, job);
	witness->live_of_key[key_of_job(job)]--;
	query->live--;
	if (!scripted_job_database(job)->stubborn)
		stop_running(witness, query);
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
	witness->live_of_key[key_of_ask(ask)]--;
	if (request != NOBODY)
		witness_stream_answered(witness, request, false);
	witness_breaker_cancelled(witness, ask);
}

static void note_end(struct witness *witness, uint32_t run, enum status status)
{
	struct seen_run *seen = &witness->runs[run];
	seen->ended = witness->harness->world.async.now;
	seen->good = status == STATUS_OK;
	witness->given[seen->key][status] = seen->ended;
}

void witness_job_ends(struct witness *witness, const struct scripted_job *job, uint32_t run,
		enum status status)
{
	struct seen_query *query = query_of(witness, job);
	stop_running(witness, query);
	if (job->cancelled != REASON_NONE)
		return;
	query->live--;
	witness->live_of_key[key_of_job(job)]--;
	note_end(witness, run, status);
	if (!scripted_job_value(job, TEXT("n")))
		witness_cache_ran(witness, query, &witness->runs[run], status);
	if (status == STATUS_NOT_FOUND && !scripted_job_value(job, TEXT("n")))
		witness->missing_at[key_of_job(job)] = witness->harness->world.async.now;
}

void witness_ask_ends(struct witness *witness, const struct scripted_ask *ask, enum status status,
		const struct answer *answer)
{
	if (ask->cancelled != REASON_NONE)
		return;
	uint32_t request = request_of_ask(ask);
	witness->live_of_key[key_of_ask(ask)]--;
	note_end(witness, answer->run, status);
	if (answer->odd) /* where its run is looked for, it is a bad answer */
		witness->given[key_of_ask(ask)][STATUS_INTERNAL] = witness_now(witness);
	witness_breaker_answered(witness, ask, status);
	if (request == NOBODY)
		return;
	witness_race_answered(witness, ask, request,
			(struct seen_branch){.status = status, .answer = *answer});
	witness_retry_answered(witness, request, status);
	witness_stream_answered(witness, request, status == STATUS_OK);
	witness_hedge_answered(witness, request, status == STATUS_OK);
}

/* query NULL: it is an ask. */
static void check_wanted(struct witness *witness, const struct seen_query *query, uint32_t key,
		uint32_t request, uint64_t since)
{
	if (request == NOBODY && witness->waiting_of_key[key] == 0)
		witness_cache_unwanted(witness, query, key, since);
	if (request != NOBODY && witness->requests[request].state != WAITING)
		witness_complain(witness, "work goes on for k%" PRIu32 " that nobody waits for",
				key);
}

static void check_jobs(struct witness *witness, const struct scripted_database *database)
{
	for (const struct link *link = database->jobs.next; link != &database->jobs;
			link = link->next) {
		const struct scripted_job *job = container_of(link, struct scripted_job, link);
		if (job->cancelled == REASON_NONE)
			check_wanted(witness, query_of(witness, job), key_of_job(job),
					request_of_job(job), job->since);
	}
}

static void check_asks(struct witness *witness, const struct scripted_source *source)
{
	for (const struct link *link = source->asks.next; link != &source->asks;
			link = link->next) {
		const struct scripted_ask *ask = container_of(link, struct scripted_ask, link);
		if (ask->cancelled == REASON_NONE)
			check_wanted(witness, NULL, key_of_ask(ask), request_of_ask(ask),
					ask->since);
	}
}

void witness_check_work(struct witness *witness)
{
	const struct world *world = &witness->harness->world;
	witness->background = 0;
	check_jobs(witness, &world->catalog);
	check_jobs(witness, &world->ledger);
	check_asks(witness, &world->north);
	check_asks(witness, &world->south);
	check_asks(witness, &world->east);
	check_asks(witness, &world->west);
}

uint64_t witness_cached(const struct world *world)
{
	return checked_cache_stats(world->hot)->entries + checked_cache_stats(world->cold)->entries;
}

bool witness_works(const struct witness *witness)
{
	const struct world *world = &witness->harness->world;
	return !list_empty(&world->catalog.jobs) || !list_empty(&world->ledger.jobs) ||
	       !list_empty(&world->north.asks) || !list_empty(&world->south.asks) ||
	       !list_empty(&world->east.asks) || !list_empty(&world->west.asks);
}

bool witness_may_hope(const struct witness *witness, uint32_t key)
{
	if (witness->live_of_key[key] > 0)
		return true;
	for (size_t i = 0; i < witness->query_count; i++) {
		if (witness->queries[i].running == witness->queries[i].concurrency)
			return true;
	}
	return false;
}
