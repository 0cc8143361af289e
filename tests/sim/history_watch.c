/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engine does to the world: each thing is told to the trace and to the witness, and a job
 * or an ask that starts gets its end.
 */
#include "tests/sim/history_parts.h"

#include <stdlib.h>

#define TWICE_AFTER (5 * WORLD_MS)

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
			.at = history_async(history)->now + ending.after,
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

static void on_job_started(void *user, struct scripted_job *job)
{
	struct history *history = user;
	PASS_ON(history, job_started, job);
	uint32_t resource = scripted_job_database(job) != history_database(history, 0);
	uint32_t run = witness_job_started(&history->witness, job);
	make_appointment(history, resource, job->number, run);
}

static void on_ask_started(void *user, struct scripted_ask *ask)
{
	struct history *history = user;
	PASS_ON(history, ask_started, ask);
	uint32_t run = witness_ask_started(&history->witness, ask);
	uint32_t resource = 2;
	while (&history_source(history, resource)->source != ask->ask.source)
		resource++;
	make_appointment(history, resource, ask->number, run);
}

static void on_job_cancelled(void *user, struct scripted_job *job)
{
	struct history *history = user;
	PASS_ON(history, job_cancelled, job);
	witness_job_cancelled(&history->witness, job);
	history->ran_out |= job->cancelled == DEADLINE && !scripted_job_value(job, TEXT("n"));
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
	witness_replied(&history->witness, history_index(history, peer), envelope, reply);
}

static void on_refused(void *user, struct peer *peer, struct text envelope, struct text reply)
{
	struct history *history = user;
	PASS_ON(history, reply_refused, peer, envelope, reply);
	witness_refused(&history->witness, history_index(history, peer), envelope, reply);
}

static void on_gone(void *user, struct peer *peer, struct text envelope, struct text reply)
{
	struct history *history = user;
	PASS_ON(history, reply_gone, peer, envelope, reply);
	witness_gone(&history->witness, history_index(history, peer), envelope, reply);
}

static void on_discarded(void *user, struct peer *peer, struct text reply)
{
	struct history *history = user;
	PASS_ON(history, reply_discarded, peer, reply);
	witness_discarded(&history->witness, history_index(history, peer), reply);
}

static void on_ended(void *user, const struct record *record)
{
	struct history *history = user;
	PASS_ON(history, request_ended, record);
	witness_ended(&history->witness, record);
}

static void on_feed(void *user, const struct feed_event *event)
{
	struct history *history = user;
	PASS_ON(history, feed_told, event);
	witness_feed_told(&history->witness, event);
}

static void on_read(void *user, struct peer *peer)
{
	struct history *history = user;
	PASS_ON(history, peer_read, peer);
	witness_read(&history->witness, history_index(history, peer));
}

static void on_stalled(void *user, struct peer *peer)
{
	struct history *history = user;
	PASS_ON(history, peer_stalled, peer);
	witness_stalled(&history->witness, history_index(history, peer));
}

void history_watch(struct history *history)
{
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
			.feed_told = on_feed,
			.peer_read = on_read,
			.peer_stalled = on_stalled,
			.user = history,
	};
}

static void complain_of_cache(void *user, const char *complaint)
{
	witness_complain(user, "%s", complaint);
}

static void note_look(void *user, bool found)
{
	witness_cache_found(user, found);
}

struct cache *history_wrap_cache(void *user, struct cache *cache)
{
	return checked_cache_new(cache, complain_of_cache, note_look, user);
}
