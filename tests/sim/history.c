/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loop like the daemon's, without a kernel: a turn is made when something is due (a message, a
 * job's end, a deadline), or somewhat later, as on a busy machine.
 */
#include "tests/sim/history.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/base/hash.h"
#include "tests/sim/agenda.h"
#include "tests/sim/checked_cache.h"
#include "tests/sim/trace.h"
#include "tests/sim/witness.h"

#define LAG_MAX	    (3 * WORLD_MS)
#define TWICE_AFTER (5 * WORLD_MS)
#define BATCH_ACTS  40
#define CUT_ANSWERS 200		/* that come in the turn of a cut */
#define CROWDED	    4		/* one in so many turns goes on to the next thing at once */
#define FAILURE	    "it failed" /* its text is borrowed for longer than a row */

struct history {
	const struct plan *plan;
	struct harness harness;
	struct witness witness;
	struct agenda agenda;
	struct watch watch;
	struct trace trace; /* told of the same, if traced */
	bool traced;
	struct random random;
	struct coverage *coverage;
	size_t next_act;
	uint32_t latest_key; /* for which a resource gave its latest answer */
	uint64_t next_turn;
	uint64_t step;
	struct peer *peers[PLAN_CLIENTS];
};

static struct async *async_of(struct history *history)
{
	return &history->harness.world.async;
}

static uint32_t index_of(const struct history *history, const struct peer *peer)
{
	return (uint32_t)(peer - history->harness.peers);
}

static bool one_in(struct history *history, uint64_t n)
{
	return random_below(&history->random, n) == 0;
}

/* What the engine does to the world. */

#define PASS_ON(history, event, ...)                                                               \
	do {                                                                                       \
		const struct watch *watch = &(history)->trace.watch;                               \
		if ((history)->traced && watch->event)                                             \
			watch->event(watch->user, __VA_ARGS__);                                    \
	} while (0)

static void make_appointment(
		struct history *history, uint32_t resource, uint64_t number, uint32_t run)
{
	struct ending ending = plan_ending(history->plan, resource, number);
	struct appointment appointment = {
			.at = async_of(history)->now + ending.after,
			.resource = resource,
			.number = number,
			.run = run,
	};
	if (ending.never)
		return;
	if (!agenda_add(&history->agenda, appointment))
		abort();
	appointment.at += TWICE_AFTER;
	if (ending.twice && !agenda_add(&history->agenda, appointment))
		abort();
}

static struct scripted_database *database_of(struct history *history, uint32_t resource)
{
	struct world *world = &history->harness.world;
	return resource == 0 ? &world->catalog : &world->ledger;
}

static struct scripted_source *source_of(struct history *history, uint32_t resource)
{
	struct world *world = &history->harness.world;
	struct scripted_source *const sources[] = {
			&world->north, &world->south, &world->east, &world->west};
	return sources[resource - 2];
}

static void on_job_started(void *user, struct scripted_job *job)
{
	struct history *history = user;
	PASS_ON(history, job_started, job);
	uint32_t resource = scripted_job_database(job) != database_of(history, 0);
	uint32_t run = witness_job_started(&history->witness, job);
	make_appointment(history, resource, job->number, run);
}

static void on_ask_started(void *user, struct scripted_ask *ask)
{
	struct history *history = user;
	PASS_ON(history, ask_started, ask);
	uint32_t run = witness_ask_started(&history->witness, ask);
	uint32_t resource = 2;
	while (&source_of(history, resource)->source != ask->ask.source)
		resource++;
	make_appointment(history, resource, ask->number, run);
}

static void on_job_cancelled(void *user, struct scripted_job *job)
{
	struct history *history = user;
	PASS_ON(history, job_cancelled, job);
	witness_job_cancelled(&history->witness, job);
}

static void on_ask_cancelled(void *user, struct scripted_ask *ask)
{
	struct history *history = user;
	PASS_ON(history, ask_cancelled, ask);
	witness_ask_cancelled(&history->witness, ask);
}

static void on_taken(void *user, struct peer *peer, struct text envelope, struct text reply)
{
	struct history *history = user;
	PASS_ON(history, reply_taken, peer, envelope, reply);
	witness_replied(&history->witness, index_of(history, peer), envelope, reply);
}

static void on_refused(void *user, struct peer *peer, struct text reply)
{
	struct history *history = user;
	PASS_ON(history, reply_refused, peer, reply);
	witness_refused(&history->witness, index_of(history, peer), reply);
}

static void on_gone(void *user, struct peer *peer, struct text reply)
{
	struct history *history = user;
	PASS_ON(history, reply_gone, peer, reply);
	witness_gone(&history->witness, index_of(history, peer), reply);
}

static void on_discarded(void *user, struct peer *peer, struct text reply)
{
	struct history *history = user;
	PASS_ON(history, reply_discarded, peer, reply);
	witness_discarded(&history->witness, index_of(history, peer), reply);
}

static void on_ended(void *user, const struct record *record)
{
	struct history *history = user;
	PASS_ON(history, request_ended, record);
	witness_ended(&history->witness, record);
}

static void on_stalled(void *user, struct peer *peer)
{
	struct history *history = user;
	PASS_ON(history, peer_stalled, peer);
	witness_stalled(&history->witness, index_of(history, peer));
}

static void complain_of_cache(void *user, const char *complaint)
{
	witness_complain(user, "%s", complaint);
}

static struct cache *wrap_cache(void *user, struct cache *cache)
{
	return checked_cache_new(cache, complain_of_cache, user);
}

/* What the world does to the engine. */

/* What is put in, for the trace; peer: who does it, NULL where no peer does. */
static void tell(struct history *history, const struct peer *peer, const char *format, ...)
		__attribute__((format(printf, 3, 4)));

static void tell(struct history *history, const struct peer *peer, const char *format, ...)
{
	char name[16] = "";
	char text[768];
	va_list arguments;
	if (!history->traced)
		return;
	if (peer)
		(void)snprintf(name, sizeof(name), "c%" PRIu32, index_of(history, peer) + 1);
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	trace_input(&history->trace, "%s%s", name, text);
}

static void end_job(struct history *history, const struct appointment *appointment,
		struct ending ending, const char *text)
{
	struct scripted_job *job = scripted_job_find(
			database_of(history, appointment->resource), appointment->number);
	if (!job) {
		coverage_meet(history->coverage, MET_LATE_ANSWER);
		return;
	}
	if (ending.garbled)
		ending.status = STATUS_INTERNAL;
	tell(history, NULL, "%s.%" PRIu64 " ends: %s %s",
			database_of(history, appointment->resource)->database.name,
			appointment->number, status_text(ending.status).data, text);
	witness_job_ends(&history->witness, job, appointment->run, ending.status);
	scripted_job_end(job, ending.status, ending.status == STATUS_OK ? text : FAILURE);
}

static void end_ask(struct history *history, const struct appointment *appointment,
		struct ending ending, const char *text)
{
	struct scripted_ask *ask = scripted_ask_find(
			source_of(history, appointment->resource), appointment->number);
	if (!ask) {
		coverage_meet(history->coverage, MET_LATE_ANSWER);
		return;
	}
	tell(history, NULL, "%s.%" PRIu64 " answers: %s %s",
			source_of(history, appointment->resource)->source.name, appointment->number,
			status_text(ending.status).data, ending.garbled ? "{\"garbled" : text);
	witness_ask_ends(&history->witness, ask, appointment->run,
			ending.garbled ? STATUS_INTERNAL : ending.status, ending.odd);
	if (ending.garbled)
		text = "{\"garbled";
	if (ending.odd)
		text = "{\"odd\":[]}";
	scripted_ask_end(ask, ending.status, ending.status == STATUS_OK ? text : FAILURE);
}

static void keep(struct history *history, struct appointment appointment)
{
	struct ending ending = plan_ending(history->plan, appointment.resource, appointment.number);
	char text[64];
	history->latest_key = history->witness.runs[appointment.run].key;
	(void)snprintf(text, sizeof(text), "{\"k\":\"k%" PRIu32 "\",\"run\":%" PRIu32 "}",
			history->latest_key, appointment.run);
	if (appointment.resource < 2)
		end_job(history, &appointment, ending, text);
	else
		end_ask(history, &appointment, ending, text);
}

/* The client's connection, a new one if it has none. NULL: there were too many already. */
static struct peer *peer_of(struct history *history, uint32_t client)
{
	struct peer *peer = history->peers[client];
	if (!peer || !peer->client)
		history->peers[client] = peer = harness_connect(&history->harness);
	return peer;
}

static size_t write_request(char *message, size_t size, const struct plan *plan, uint32_t number)
{
	const struct planned *planned = &plan->requests[number];
	struct buffer buffer;
	buffer_init(&buffer);
	buffer_append_format(&buffer, "p%" PRIu32 " r%" PRIu32 " ", planned->shape, planned->id);
	if (planned->budget_ms == NO_BUDGET)
		buffer_append_char(&buffer, '-');
	else
		buffer_append_u64(&buffer, planned->budget_ms);
	buffer_append_format(&buffer, " trace=t%" PRIu32 "\n{\"k\":\"k%" PRIu32 "\",\"l\":[",
			number, planned->key);
	for (uint32_t i = 0; i < planned->key % 4; i++)
		buffer_append_format(&buffer, "%s\"k%" PRIu32 ".%" PRIu32 "\"", i > 0 ? "," : "",
				planned->key, i);
	buffer_append_format(&buffer, "],\"n\":%" PRIu32 "}", number + 1);
	size_t written = buffer.size < size ? buffer.size : 0;
	memcpy(message, buffer.data, written);
	buffer_deinit(&buffer);
	return written;
}

static struct text envelope_of(const struct planned *planned)
{
	return planned->envelope ? TEXT("e") : (struct text){"", 0};
}

static void send(struct history *history, struct peer *peer, uint32_t number)
{
	struct witness *witness = &history->witness;
	const struct planned *planned = &history->plan->requests[number];
	uint64_t received = async_of(history)->now;
	char message[512];
	size_t size = write_request(message, sizeof(message), history->plan, number);
	if (history->plan->lagging)
		received -= random_below(&history->random, WORLD_MS);
	tell(history, peer, ": %s%.*s", planned->envelope ? "[e] " : "", (int)size, message);
	witness_before_send(witness, number, index_of(history, peer), received);
	peer_send_text(peer, envelope_of(planned), (struct text){message, size}, received);
	witness_after_send(witness, number);
}

static void cancel(struct history *history, struct peer *peer, uint32_t number)
{
	const struct planned *planned = &history->plan->requests[number];
	char message[64];
	int size = snprintf(message, sizeof(message), "$cancel r%" PRIu32 " -", planned->id);
	tell(history, peer, ": %s%s", planned->envelope ? "[e] " : "", message);
	history->witness.cancelling = planned->id;
	peer_send_text(peer, envelope_of(planned), (struct text){message, (size_t)size},
			async_of(history)->now);
	history->witness.cancelling = NOBODY;
}

static void leave(struct history *history, struct peer *peer)
{
	tell(history, peer, " leaves");
	witness_before_leave(&history->witness, index_of(history, peer));
	peer_leave(peer);
	witness_after_leave(&history->witness, index_of(history, peer));
}

static void send_garbage(struct peer *peer, uint32_t number)
{
	static const char *const garbage[] = {"", " ", "p0", "p0 g1", "p0 - -", "p0 g -\n[]",
			"p0 g -\n{\"k\":", "p0 g 1x", "$what g -", "p0  g -", "p0 g - stream=1",
			"p0 g - fresh=1\n{\"k\":\"a\",\"l\":[]}", "$cancel", "$cancel g",
			"p0 g -\n{}"};
	peer_send(peer, garbage[number % (sizeof(garbage) / sizeof(garbage[0]))]);
}

static bool keep_next(struct history *history);

static void act(struct history *history, const struct act *act)
{
	struct peer *peer = peer_of(history, act->client);
	if (!peer)
		return;
	switch (act->kind) {
	case ACT_SEND:
		send(history, peer, act->number);
		break;
	case ACT_CANCEL:
		cancel(history, peer, act->number);
		break;
	case ACT_LEAVE:
		leave(history, peer);
		break;
	case ACT_VANISH:
		tell(history, peer, " vanishes");
		peer->gone = true;
		break;
	case ACT_STOP:
		tell(history, peer, " stops reading");
		peer->room = 0;
		break;
	case ACT_READ:
		tell(history, peer, " reads %" PRIu32, act->number);
		peer->room += peer->room == ROOM_FOR_ALL ? 0 : act->number;
		if (one_in(history, 2))
			harness_flush(&history->harness);
		break;
	case ACT_RESUME:
		tell(history, peer, " reads");
		peer->room = ROOM_FOR_ALL;
		if (one_in(history, 2))
			harness_flush(&history->harness);
		break;
	case ACT_FLUSH:
		harness_flush(&history->harness);
		break;
	case ACT_GARBAGE:
		send_garbage(peer, act->number);
		break;
	case ACT_PING:
		peer_send(peer, "$ping q1 -");
		break;
	case ACT_DRAIN:
		tell(history, NULL, "drain");
		history->witness.draining = true;
		engine_drain(history->harness.engine);
		break;
	case ACT_CUT:
		for (int i = 0; i < CUT_ANSWERS && keep_next(history); i++)
			;
		tell(history, NULL, "cut");
		history->witness.cutting = true;
		engine_cut(history->harness.engine);
		witness_after_cut(&history->witness);
		break;
	}
}

static bool act_is_due(const struct history *history, uint64_t at)
{
	return history->next_act < history->plan->act_count &&
	       WORLD_START + history->plan->acts[history->next_act].at <= at;
}

static void act_next(struct history *history)
{
	const struct act *next = &history->plan->acts[history->next_act++];
	if (!next->left_out)
		act(history, next);
}

/* What is due: a door reads one message or a whole batch of them. */
static void act_all(struct history *history)
{
	struct engine *engine = history->harness.engine;
	uint64_t now = async_of(history)->now;
	if (random_below(&history->random, 1000) >= history->plan->batching) {
		act_next(history);
		return;
	}
	witness_begin_batch(&history->witness);
	engine_begin_batch(engine);
	for (int i = 0; i < BATCH_ACTS && act_is_due(history, now); i++)
		act_next(history);
	engine_flush(engine);
	witness_end_batch(&history->witness);
}

/* When something is due, or ASYNC_NEVER. */
static uint64_t next_time(const struct history *history)
{
	uint64_t next = history->next_turn;
	const struct appointment *appointment = agenda_next(&history->agenda);
	if (appointment && appointment->at < next)
		next = appointment->at;
	if (history->next_act < history->plan->act_count) {
		uint64_t at = WORLD_START + history->plan->acts[history->next_act].at;
		next = at < next ? at : next;
	}
	return next;
}

/* What has been traced so far, at once: the next step may be the last. */
static void write_trace(struct history *history)
{
	struct text text = buffer_text(&history->trace.text);
	(void)fwrite(text.data, 1, text.size, stdout);
	(void)fflush(stdout);
	buffer_clear(&history->trace.text);
}

/* The next answer, though it may not be due yet. */
static bool keep_next(struct history *history)
{
	if (!agenda_next(&history->agenda))
		return false;
	keep(history, agenda_take(&history->agenda));
	return true;
}

/* Who waits for what has just come is not interested any more. */
static void turn_away(struct history *history)
{
	uint32_t number = witness_waiter(&history->witness, history->latest_key);
	if (number == NOBODY)
		return;
	struct peer *peer = &history->harness.peers[history->witness.requests[number].peer];
	if (one_in(history, 2))
		cancel(history, peer, number);
	else
		leave(history, peer);
}

/* Things that stand close together may happen before the first of them has been dealt with. */
static void crowd(struct history *history)
{
	if (one_in(history, 2))
		(void)keep_next(history);
	else if (one_in(history, 4))
		turn_away(history);
}

/* One thing that is due, if anything is. */
static void happen(struct history *history, uint64_t now)
{
	const struct appointment *appointment = agenda_next(&history->agenda);
	bool kept = appointment && appointment->at <= now;
	bool acted = act_is_due(history, now);
	if (kept && (!acted || one_in(history, 2)))
		(void)keep_next(history);
	else if (acted)
		act_all(history);
	if (kept && one_in(history, CROWDED))
		crowd(history);
}

static void turn(struct history *history, uint64_t now)
{
	struct async *async = async_of(history);
	async_enter(async, now);
	happen(history, now);
	history->next_turn = async_leave(async);
	history->step++;
	if (history->traced)
		write_trace(history);
	witness_settle(&history->witness);
	if (history->next_turn != now)
		witness_check(&history->witness);
}

static void go_on(struct history *history)
{
	for (;;) {
		uint64_t now = async_of(history)->now;
		uint64_t next = next_time(history);
		if (next == ASYNC_NEVER || history->witness.failed)
			return;
		if (next < now)
			next = now;
		if (next > now && random_below(&history->random, 1000) < history->plan->lagging)
			next += random_below(&history->random, LAG_MAX);
		turn(history, next);
	}
}

static bool begin(struct history *history, const struct plan *plan, struct coverage *coverage,
		bool traced)
{
	struct world *world = &history->harness.world;
	*history = (struct history){.plan = plan, .coverage = coverage, .traced = traced};
	history->watch = (struct watch){
			.job_started = on_job_started,
			.job_cancelled = on_job_cancelled,
			.ask_started = on_ask_started,
			.ask_cancelled = on_ask_cancelled,
			.reply_taken = on_taken,
			.reply_refused = on_refused,
			.reply_gone = on_gone,
			.reply_discarded = on_discarded,
			.request_ended = on_ended,
			.peer_stalled = on_stalled,
			.user = history,
	};
	random_init(&history->random, hash_u64(plan->seed));
	agenda_init(&history->agenda);
	harness_init(&history->harness);
	trace_init(&history->trace, &history->harness);
	world->watch = &history->watch;
	world->wrap_cache = wrap_cache;
	world->wrap_user = &history->witness;
	if (!witness_init(&history->witness, plan, &history->harness, coverage))
		return false;
	history->next_turn = ASYNC_NEVER;
	if (harness_load(&history->harness, plan->configuration.yaml.data)) {
		witness_begin(&history->witness);
		return true;
	}
	witness_complain(&history->witness, "the configuration is refused: %s",
			world_problems(world));
	return true;
}

struct verdict history_run(const struct plan *plan, struct coverage *coverage, bool traced)
{
	struct history history;
	struct verdict verdict = {0};
	if (!begin(&history, plan, coverage, traced))
		abort();
	history.witness.stack = __builtin_frame_address(0); /* no local: those may be elsewhere */
	if (!history.witness.failed)
		go_on(&history);
	if (!history.witness.failed)
		witness_check_end(&history.witness);
	history.witness.dropping = true;
	verdict.step = history.step;
	verdict.ms = (double)(async_of(&history)->now - WORLD_START) / WORLD_MS;
	if (!history.witness.failed && !harness_deinit(&history.harness))
		witness_complain(&history.witness, "something is left when all is over");
	verdict.failed = history.witness.failed;
	memcpy(verdict.complaint, history.witness.complaint, sizeof(verdict.complaint));
	if (traced)
		write_trace(&history);
	trace_deinit(&history.trace);
	coverage_add_census(coverage);
	agenda_deinit(&history.agenda);
	witness_deinit(&history.witness);
	return verdict;
}
