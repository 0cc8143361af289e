/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests and replies. What a pipeline of one lookup does is foretold exactly; of deeper ones what
 * is known is what they may not do.
 */
#include "tests/sim/witness.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/base/live.h"
#include "pipeline/requests/record.h"
#include "pipeline/stages/run.h"
#include "pipeline/wire/wire.h"

#define ARENA_LARGEST ((size_t)8192)	  /* of a request that has just begun */
#define TICK_NS	      (UINT64_C(1) << 19) /* of the timing wheel: a deadline is met within one */
#define EARLY_NS      (6 * WORLD_MS)	  /* a source is not asked when no more than this remains */

static uint64_t now_of(const struct witness *witness)
{
	return witness->harness->world.async.now;
}

static const struct planned *planned_of(const struct witness *witness, uint32_t number)
{
	return &witness->plan->requests[number];
}

/* NULL: it names no pipeline. */
static const struct shape *shape_of(const struct witness *witness, uint32_t number)
{
	const struct configuration *configuration = &witness->plan->configuration;
	uint32_t shape = planned_of(witness, number)->shape;
	return shape < configuration->shape_count ? &configuration->shapes[shape] : NULL;
}

bool witness_init(struct witness *witness, const struct plan *plan, struct harness *harness,
		struct coverage *coverage)
{
	size_t count = plan->request_count;
	*witness = (struct witness){.plan = plan, .harness = harness, .coverage = coverage};
	witness->requests = calloc(count, sizeof(*witness->requests));
	witness->by_id = malloc(count * sizeof(*witness->by_id));
	witness->waiting = calloc(count, sizeof(*witness->waiting));
	witness->unsettled = calloc(count, sizeof(*witness->unsettled));
	witness->sent = calloc(count, sizeof(*witness->sent));
	if (!witness->sent || !witness->requests || !witness->by_id || !witness->waiting ||
			!witness->unsettled)
		return false;
	for (size_t i = 0; i < count; i++)
		witness->by_id[i] = NOBODY;
	witness->cancelling = NOBODY;
	return true;
}

void witness_deinit(struct witness *witness)
{
	free(witness->requests);
	free(witness->by_id);
	free(witness->waiting);
	free(witness->unsettled);
	free(witness->sent);
	free(witness->runs);
}

void witness_complain(struct witness *witness, const char *format, ...)
{
	va_list arguments;
	if (witness->failed)
		return;
	witness->failed = true;
	va_start(arguments, format);
	(void)vsnprintf(witness->complaint, sizeof(witness->complaint), format, arguments);
	va_end(arguments);
}

static uint64_t deadline_of(const struct witness *witness, uint32_t number, uint64_t received)
{
	const struct configuration *configuration = &witness->plan->configuration;
	const struct shape *shape = shape_of(witness, number);
	uint32_t budget = planned_of(witness, number)->budget_ms;
	uint64_t longest = configuration->max_deadline;
	if (shape && shape->deadline && shape->deadline < longest)
		longest = shape->deadline;
	if (budget != NO_BUDGET && budget * WORLD_MS < longest)
		longest = budget * WORLD_MS;
	if (budget == NO_BUDGET && shape && !shape->deadline && configuration->deadline < longest)
		longest = configuration->deadline;
	return received + longest;
}

/*
 * Whether a request in flight has the same connection, envelope and id. One that was answered in
 * this batch may be in flight or not: its reply had not been refused when the twin was looked at,
 * or it had. sure: such a one is none.
 */
static bool has_twin(const struct witness *witness, uint32_t number, bool sure)
{
	const struct planned *planned = planned_of(witness, number);
	const struct seen *seen = &witness->requests[number];
	for (uint32_t i = witness->by_id[planned->id]; i != NOBODY;
			i = witness->requests[i].next_of_id) {
		const struct seen *other = &witness->requests[i];
		bool unsure = witness->batching && other->state == TOLD &&
			      other->told_at == now_of(witness);
		bool in_flight = unsure ? !sure : other->in_flight;
		if (in_flight && i != number && other->peer == seen->peer &&
				planned_of(witness, i)->envelope == planned->envelope)
			return true;
	}
	return false;
}

static enum foretold foretell(const struct witness *witness, uint32_t number)
{
	if (witness->requests[number].drained)
		return FORETOLD_DRAINING;
	if (!shape_of(witness, number))
		return FORETOLD_UNKNOWN;
	if (has_twin(witness, number, true))
		return FORETOLD_TWIN;
	if (witness->requests[number].deadline <= now_of(witness))
		return FORETOLD_LATE;
	return FORETOLD_NOTHING;
}

/* Whether it hangs on the size of the request's own arena which side of the limit it is on. */
static bool nearly_full(const struct account *account)
{
	return account->used < account->max && account->used + ARENA_LARGEST >= account->max;
}

static bool may_wait(const struct witness *witness, uint32_t peer)
{
	const struct configuration *configuration = &witness->plan->configuration;
	const struct engine_counts *counts = engine_counts(witness->harness->engine);
	return witness->in_flight + counts->reaping < configuration->in_flight &&
	       witness->peers[peer].in_flight < configuration->per_client &&
	       !account_full(engine_account(witness->harness->engine));
}

void witness_before_send(struct witness *witness, uint32_t number, uint32_t peer, uint64_t received)
{
	const struct planned *planned = planned_of(witness, number);
	struct seen *seen = &witness->requests[number];
	const struct seen_query *query = witness_query_of(witness, planned->shape);
	seen->peer = peer;
	seen->received = received;
	seen->deadline = deadline_of(witness, number, received);
	seen->arrival = ++witness->arrivals;
	seen->drained = witness->draining;
	if (witness->batching)
		witness->sent[witness->sent_count++] = number;
	else
		seen->foretold = foretell(witness, number);
	seen->next_of_id = witness->by_id[planned->id];
	witness->by_id[planned->id] = number;
	witness->before_clear = !witness->batching &&
				runner_idle(&witness->harness->world.async.runner) &&
				!nearly_full(engine_account(witness->harness->engine));
	witness->before_may_wait = witness->batching || may_wait(witness, peer);
	witness->before_running = query ? query->running : 0;
	witness->before_waiting =
			shape_of(witness, number) ? witness->waiting_of_shape[planned->shape] : 0;
	witness->before_queued = witness->before_waiting - (query ? query->live : 0);
	coverage_meet(witness->coverage, MET_REQUEST);
}

static void enter_flight(struct witness *witness, struct seen *seen)
{
	seen->in_flight = true;
	witness->in_flight++;
	witness->peers[seen->peer].in_flight++;
}

static void begin_waiting(struct witness *witness, uint32_t number)
{
	struct seen *seen = &witness->requests[number];
	const struct planned *planned = planned_of(witness, number);
	seen->state = WAITING;
	seen->place = (uint32_t)witness->waiting_count;
	witness->waiting[witness->waiting_count++] = number;
	witness->waiting_of_key[planned->key]++;
	witness->waiting_of_shape[planned->shape]++;
	enter_flight(witness, seen);
	coverage_meet(witness->coverage, MET_WAITED);
	if (seen->foretold != FORETOLD_NOTHING)
		witness_complain(witness, "request %" PRIu32 " runs, though it must be refused",
				number);
	if (!witness->before_may_wait)
		witness_complain(witness, "request %" PRIu32 " waits, though a limit was reached",
				number);
}

static void stop_waiting(struct witness *witness, uint32_t number)
{
	struct seen *seen = &witness->requests[number];
	const struct planned *planned = planned_of(witness, number);
	uint32_t last = witness->waiting[--witness->waiting_count];
	witness->waiting[seen->place] = last;
	witness->requests[last].place = seen->place;
	witness->waiting_of_key[planned->key]--;
	witness->waiting_of_shape[planned->shape]--;
}

/* What becomes of those that were read before a request, or (NOBODY) of all, is known now. */
static void catch_up(struct witness *witness, uint32_t until)
{
	while (witness->sent_known < witness->sent_count) {
		uint32_t number = witness->sent[witness->sent_known];
		struct seen *seen = &witness->requests[number];
		if (seen->state == UNSEEN)
			seen->foretold = foretell(witness, number);
		if (number == until)
			return;
		if (seen->state == UNSEEN)
			begin_waiting(witness, number);
		witness->sent_known++;
	}
}

void witness_begin_batch(struct witness *witness)
{
	witness->batching = true;
}

void witness_end_batch(struct witness *witness)
{
	catch_up(witness, NOBODY);
	witness->batching = false;
	witness->sent_count = 0;
	witness->sent_known = 0;
}

/* One lookup and nothing else: it runs, waits in the queue, or is refused. */
static void check_lookup(
		struct witness *witness, uint32_t number, const struct shape *shape, bool refused)
{
	bool runs = witness->before_running < shape->concurrency;
	bool full = !runs && witness->before_queued >= shape->queue;
	if (refused != (full || !witness->before_may_wait))
		witness_complain(witness,
				"request %" PRIu32 " was %s with %" PRIu32 " of %" PRIu32
				" running and %" PRIu32 " of %" PRIu32 " in the queue",
				number, refused ? "refused" : "let in", witness->before_running,
				shape->concurrency, witness->before_queued, shape->queue);
	if (refused)
		coverage_meet(witness->coverage,
				witness->before_may_wait ? MET_QUEUE_FULL : MET_LIMIT);
}

static void check_cache(
		struct witness *witness, uint32_t number, const struct shape *shape, bool refused)
{
	const struct seen *seen = &witness->requests[number];
	bool full = witness->before_waiting >= shape->waiters;
	if (seen->state == WAITING && full)
		witness_complain(witness, "request %" PRIu32 " is one waiter too many", number);
	if (refused && !full && witness->before_may_wait)
		witness_complain(witness,
				"request %" PRIu32 " was refused as waiter %" PRIu32 " of %" PRIu64,
				number, witness->before_waiting + 1, shape->waiters);
}

static bool is_refusal(const struct seen *seen)
{
	return seen->foretold != FORETOLD_NOTHING || seen->status == STATUS_RESOURCE_EXHAUSTED ||
	       seen->status == STATUS_INVALID_ARGUMENT;
}

/* Whether a reply that can't leave goes to the outbox, rather than being dropped. */
static bool is_kept(const struct witness *witness, const struct seen *seen)
{
	return seen->in_flight ||
	       (!is_refusal(seen) && witness->peers[seen->peer].in_flight <
						     witness->plan->configuration.per_client);
}

/* Its reply waits in the outbox. */
static void hold(struct witness *witness, uint32_t number)
{
	struct seen *seen = &witness->requests[number];
	struct seen_peer *peer = &witness->peers[seen->peer];
	seen->held = true;
	if (!seen->in_flight && is_refusal(seen))
		witness_complain(witness, "the refusal of %" PRIu32 " is kept", number);
	if (!seen->in_flight)
		enter_flight(witness, seen);
	if (peer->held++ == 0)
		peer->unread_since = now_of(witness);
	coverage_meet(witness->coverage, MET_HELD);
}

void witness_settle(struct witness *witness)
{
	for (size_t i = 0; i < witness->unsettled_count; i++) {
		const struct seen *seen = &witness->requests[witness->unsettled[i]];
		if (seen->state == TOLD && !seen->held)
			hold(witness, witness->unsettled[i]);
	}
	witness->unsettled_count = 0;
}

void witness_after_send(struct witness *witness, uint32_t number)
{
	struct seen *seen = &witness->requests[number];
	const struct shape *shape = shape_of(witness, number);
	if (witness->batching)
		return;
	if (seen->state == UNSEEN)
		begin_waiting(witness, number);
	witness_settle(witness);
	if (seen->foretold != FORETOLD_NOTHING || !witness->before_clear)
		return;
	bool refused = seen->state != WAITING && seen->status == STATUS_RESOURCE_EXHAUSTED;
	if (shape->kind == SHAPE_LOOKUP)
		check_lookup(witness, number, shape, refused);
	else if (shape->kind == SHAPE_CACHE)
		check_cache(witness, number, shape, refused);
}

/* Its reply has been taken, or never will be. */
static void leave(struct witness *witness, struct seen *seen)
{
	struct seen_peer *peer = &witness->peers[seen->peer];
	seen->state = LEFT;
	if (seen->in_flight) {
		witness->in_flight--;
		peer->in_flight--;
		seen->in_flight = false;
	}
	if (seen->held) {
		seen->held = false;
		peer->held--;
		peer->unread_since = now_of(witness);
	}
}

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

static bool was_given(const struct witness *witness, uint32_t number, enum status status)
{
	return witness->given[planned_of(witness, number)->key] >> status & 1;
}

/* Whether such an end can come of what its stages met. */
static bool may_end(const struct witness *witness, uint32_t number, enum status status)
{
	const struct shape *shape = shape_of(witness, number);
	uint64_t slack = shape->asks ? EARLY_NS : 0;
	if (status == STATUS_OK || status == STATUS_RESOURCE_EXHAUSTED)
		return true;
	if (status == STATUS_DEADLINE_EXCEEDED)
		return now_of(witness) + slack >= witness->requests[number].deadline;
	if (status == STATUS_UNAVAILABLE && (shape->limits_time || shape->asks))
		return true;
	return status != STATUS_CANCELLED && was_given(witness, number, status);
}

/* Whether a client is being let go of: it has disconnected, or has not read for too long. */
static bool is_going(struct witness *witness, uint32_t number)
{
	struct seen_peer *peer = &witness->peers[number];
	uint64_t patience = witness->plan->configuration.client_stall;
	if (peer->held > 0 && peer->unread_since + patience <= now_of(witness))
		peer->leaving = true;
	return peer->leaving || witness->dropping;
}

static bool may_end_for(
		struct witness *witness, uint32_t number, enum status status, enum reason reason)
{
	const struct seen *seen = &witness->requests[number];
	bool late = now_of(witness) >= seen->deadline;
	switch (reason) {
	case REASON_NONE:
		return late ? status == STATUS_DEADLINE_EXCEEDED : may_end(witness, number, status);
	case ASKED:
		return !late && status == STATUS_CANCELLED &&
		       witness->cancelling == planned_of(witness, number)->id;
	case GONE:
		return is_going(witness, seen->peer);
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

static bool others_wait(const struct witness *witness, uint32_t number)
{
	const struct planned *planned = planned_of(witness, number);
	for (size_t i = 0; i < witness->waiting_count; i++) {
		const struct planned *other = planned_of(witness, witness->waiting[i]);
		if (other->key == planned->key && other->shape == planned->shape)
			return true;
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
	const struct shape *shape = shape_of(witness, number);
	coverage->statuses[record->status]++;
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
			others_wait(witness, number))
		coverage_meet(coverage, MET_FIRST_WAITER_LEFT);
}

/* That there is none is remembered for so long, and no longer. */
static void check_missing(struct witness *witness, uint32_t number, const struct record *record)
{
	const struct shape *shape = shape_of(witness, number);
	uint64_t since = witness->missing_at[planned_of(witness, number)->key];
	if (shape->kind == SHAPE_CACHE && text_equal(record->run->cache, TEXT("hit")) &&
			now_of(witness) - since >= shape->missing_ttl)
		witness_complain(witness, "request %" PRIu32 " got a NOT_FOUND that is too old",
				number);
}

void witness_ended(struct witness *witness, const struct record *record)
{
	if (!record->trace.data)
		return; /* garbage */
	uint32_t number = (uint32_t)strtoul(record->trace.data + 1, NULL, 10);
	struct seen *seen = &witness->requests[number];
	if (seen->state != UNSEEN && seen->state != WAITING) {
		witness_complain(witness, "request %" PRIu32 " ends twice", number);
		return;
	}
	if (seen->state == UNSEEN && witness->batching) {
		catch_up(witness, number);
		if (record->status == STATUS_INVALID_ARGUMENT && has_twin(witness, number, false))
			seen->foretold = FORETOLD_TWIN;
		if (record->reason != REASON_NONE)
			begin_waiting(witness, number);
	}
	if (seen->state == WAITING)
		stop_waiting(witness, number);
	seen->state = TOLD;
	seen->status = record->status;
	seen->told = ++witness->told;
	seen->told_at = now_of(witness);
	witness->unsettled[witness->unsettled_count++] = number;
	cover_end(witness, number, record);
	bool right = seen->foretold == FORETOLD_NOTHING
				     ? may_end_for(witness, number, record->status, record->reason)
				     : record->status == status_foretold(seen->foretold);
	if (!right)
		witness_complain(witness, "request %" PRIu32 " ends %s %s, which it may not",
				number, status_text(record->status).data,
				reason_name(record->reason));
	if (record->status == STATUS_NOT_FOUND)
		check_missing(witness, number, record);
	if (record->reason == REASON_NONE && seen->foretold == FORETOLD_NOTHING)
		witness_race_ended(witness, number);
	if (record->us != (now_of(witness) - seen->received) / 1000)
		witness_complain(witness,
				"request %" PRIu32 " is said to have taken %" PRIu64 " us", number,
				record->us);
	if (record->reason == GONE)
		leave(witness, seen);
	else if (witness->batching && witness->peers[seen->peer].held > 0 && is_kept(witness, seen))
		hold(witness, number); /* no batch goes before an outbox */
}

/* The request that a reply is for: told, its reply has not left. Of twins the one that was told
 * first, or last. NOBODY: there is none. */
static uint32_t awaits(const struct witness *witness, uint32_t peer, const char *envelope,
		const struct wire_reply *reply, bool last)
{
	uint32_t found = NOBODY;
	uint32_t id = (uint32_t)strtoul(reply->id.data + 1, NULL, 10);
	for (uint32_t i = witness->by_id[id]; i != NOBODY; i = witness->requests[i].next_of_id) {
		const struct seen *seen = &witness->requests[i];
		bool fits = seen->state == TOLD && seen->peer == peer &&
			    seen->status == reply->status &&
			    reply->us == (seen->told_at - seen->received) / 1000 &&
			    reply->duplicate == (seen->foretold == FORETOLD_TWIN);
		if (!fits || (envelope && planned_of(witness, i)->envelope != (*envelope != '\0')))
			continue;
		if (found == NOBODY || (seen->told > witness->requests[found].told) == last)
			found = i;
	}
	return found;
}

/* The request that a reply is for, NOBODY for what answers no request of the plan. */
static uint32_t find(struct witness *witness, uint32_t peer, const char *envelope, struct text text,
		bool last, struct wire_reply *ret_reply)
{
	if (wire_parse_reply(text, ret_reply)) {
		witness_complain(witness, "what is sent is no reply");
		return NOBODY;
	}
	if (!ret_reply->id.data || ret_reply->id.data[0] != 'r')
		return NOBODY;
	uint32_t number = awaits(witness, peer, envelope, ret_reply, last);
	if (number == NOBODY)
		witness_complain(witness, "a reply %.*s that nobody awaits",
				TEXT_ARG(ret_reply->id));
	return number;
}

/* Each value in a body says which run gave it. */
static void check_value(struct witness *witness, uint32_t number, uint32_t run)
{
	const struct planned *planned = planned_of(witness, number);
	const struct seen *seen = &witness->requests[number];
	const struct seen_run *from = &witness->runs[run];
	const struct shape *shape = shape_of(witness, number);
	/* What is kept begins to age when all of it is there. */
	uint64_t oldest = shape->ttl;
	if (shape->kind == SHAPE_TREE)
		oldest += shape->caches * witness->plan->configuration.max_deadline;
	if (run >= witness->run_count || !from->good || from->ended > seen->told_at)
		witness_complain(witness, "request %" PRIu32 " got a value that nobody gave",
				number);
	else if (from->key != planned->key || (from->request != NOBODY && from->request != number))
		witness_complain(witness, "request %" PRIu32 " got the value of another", number);
	else if (from->ended < seen->received && seen->told_at - from->ended >= oldest)
		witness_complain(
				witness, "request %" PRIu32 " got a value that is too old", number);
}

static void check_body(struct witness *witness, uint32_t number, const struct wire_reply *reply)
{
	static const char head[] = "\"run\":";
	const char *at = reply->body.data;
	const char *end = at ? at + reply->body.size : NULL; /* a condition may leave no value */
	if (reply->partial)
		coverage_meet(witness->coverage, MET_PARTIAL);
	else if (at && memmem(at, reply->body.size, "$missing", 8))
		witness_complain(witness, "request %" PRIu32 " got a part for the whole", number);
	if (!at)
		witness_gate_gave(witness, number, 0);
	while (at && (at = memmem(at, (size_t)(end - at), head, sizeof(head) - 1)) != NULL) {
		at += sizeof(head) - 1;
		uint32_t run = (uint32_t)strtoul(at, NULL, 10);
		check_value(witness, number, run);
		witness_race_gave(witness, number, run);
		witness_gate_gave(witness, number, run);
	}
}

void witness_replied(struct witness *witness, uint32_t peer, struct text envelope, struct text text)
{
	struct wire_reply reply;
	uint32_t number = find(witness, peer, envelope.size > 0 ? "e" : "", text, false, &reply);
	if (number == NOBODY)
		return;
	struct seen *seen = &witness->requests[number];
	if (seen->in_flight || !is_refusal(seen)) {
		if (seen->told < witness->peers[peer].latest)
			witness_complain(witness, "reply %" PRIu32 " overtook another", number);
		witness->peers[peer].latest = seen->told;
	}
	if (reply.status == STATUS_OK)
		check_body(witness, number, &reply);
	if (reply.status == STATUS_RESOURCE_EXHAUSTED && reply.retry_ms == 0)
		witness_complain(witness, "reply %" PRIu32 " says no retry_ms", number);
	leave(witness, seen);
}

void witness_refused(struct witness *witness, uint32_t peer, struct text text)
{
	struct wire_reply reply;
	uint32_t number = find(witness, peer, NULL, text, false, &reply);
	if (number == NOBODY)
		return;
	const struct seen *seen = &witness->requests[number];
	bool is_full = witness->peers[peer].in_flight >= witness->plan->configuration.per_client;
	if (!seen->held && (seen->in_flight || !(is_full || is_refusal(seen))))
		hold(witness, number);
}

void witness_gone(struct witness *witness, uint32_t peer, struct text text)
{
	struct wire_reply reply;
	uint32_t number = find(witness, peer, NULL, text, false, &reply);
	if (number != NOBODY)
		leave(witness, &witness->requests[number]);
}

/* How many of a peer's may be in flight, with those that may have been started by now, or whose
 * replies may have gone behind its outbox. */
static uint64_t count_in_flight(const struct witness *witness, uint32_t peer)
{
	uint64_t count = witness->peers[peer].in_flight;
	for (size_t i = 0; i < witness->unsettled_count; i++) {
		const struct seen *seen = &witness->requests[witness->unsettled[i]];
		count += seen->peer == peer && seen->state == TOLD && !seen->in_flight;
	}
	for (size_t i = witness->sent_known; i < witness->sent_count; i++) {
		const struct seen *seen = &witness->requests[witness->sent[i]];
		count += seen->peer == peer && seen->state == UNSEEN;
	}
	return count;
}

void witness_discarded(struct witness *witness, uint32_t peer, struct text text)
{
	struct wire_reply reply;
	uint32_t number = find(witness, peer, NULL, text, true, &reply);
	if (number == NOBODY)
		return;
	struct seen *seen = &witness->requests[number];
	bool going = is_going(witness, seen->peer);
	if (!going && !is_refusal(seen) &&
			count_in_flight(witness, seen->peer) <=
					witness->plan->configuration.per_client)
		witness_complain(witness, "reply %" PRIu32 " was dropped without need", number);
	leave(witness, seen);
}

void witness_stalled(struct witness *witness, uint32_t peer)
{
	if (!witness->peers[peer].leaving)
		witness_complain(witness, "a client is let go of that has not stalled");
	coverage_meet(witness->coverage, MET_STALL);
	witness_after_leave(witness, peer);
}

void witness_after_cut(struct witness *witness)
{
	witness->cutting = false;
	if (witness->waiting_count > 0)
		witness_complain(witness, "a request waits after all were cut off");
}

void witness_begin(struct witness *witness)
{
#ifndef NDEBUG
	memcpy(witness->live_at_first, live_counts, sizeof(live_counts));
#endif
}

void witness_before_leave(struct witness *witness, uint32_t peer)
{
	witness->peers[peer].leaving = true;
}

void witness_after_leave(struct witness *witness, uint32_t peer)
{
	witness->peers[peer].leaving = false;
	if (witness->peers[peer].in_flight > 0)
		witness_complain(witness, "a request outlived its client");
}

uint32_t witness_waiter(const struct witness *witness, uint32_t key)
{
	for (size_t i = 0; i < witness->waiting_count; i++) {
		if (planned_of(witness, witness->waiting[i])->key == key)
			return witness->waiting[i];
	}
	return NOBODY;
}

static void check_waiting(struct witness *witness)
{
	uint64_t now = now_of(witness);
	for (size_t i = 0; i < witness->waiting_count; i++) {
		uint32_t number = witness->waiting[i];
		const struct seen *seen = &witness->requests[number];
		if (seen->deadline + TICK_NS <= now)
			witness_complain(witness, "request %" PRIu32 " is past its deadline",
					number);
		witness_race_waits(witness, number);
		if (!witness_may_hope(witness, planned_of(witness, number)->key))
			witness_complain(witness, "request %" PRIu32 " waits for nothing", number);
	}
}

static void check_outboxes(struct witness *witness)
{
	uint64_t patience = witness->plan->configuration.client_stall + TICK_NS;
	for (uint32_t i = 0; i < witness->harness->peer_count; i++) {
		const struct seen_peer *peer = &witness->peers[i];
		if (peer->held > 0 && peer->unread_since + patience <= now_of(witness))
			witness_complain(witness, "a client that does not read is kept");
	}
}

#ifndef NDEBUG
/* What may be alive while nothing goes on: what the configuration has made, and cached values. */
static void check_live(struct witness *witness)
{
	const struct world *world = &witness->harness->world;
	for (int kind = 0; kind < LIVE_KINDS; kind++) {
		long least = witness->live_at_first[kind];
		long most = kind == LIVE_BLOBS ? least + (long)witness_cached(world) : least;
		if (live_counts[kind] < least || live_counts[kind] > most)
			witness_complain(witness, "%ld of kind %d are alive while nothing goes on",
					live_counts[kind] - least, kind);
	}
}

/* Only who runs a job has a permit. */
static void check_permits(struct witness *witness)
{
	const struct world *world = &witness->harness->world;
	uint32_t running = world->catalog.running + world->ledger.running;
	if (live_counts[LIVE_PERMITS] != running)
		witness_complain(witness, "%ld permits are out for %" PRIu32 " jobs",
				live_counts[LIVE_PERMITS], running);
}
#else
static void check_live(struct witness *witness)
{
}

static void check_permits(struct witness *witness)
{
}
#endif

static void check_rest(struct witness *witness)
{
	const struct harness *harness = witness->harness;
	if (witness->in_flight > 0 || engine_counts(harness->engine)->reaping > 0 ||
			witness_works(witness))
		return;
	if (harness->world.async.wheel.armed > 0)
		witness_complain(witness, "a timer is armed while nothing goes on");
	if (engine_account(harness->engine)->used > 0)
		witness_complain(witness, "%zu bytes are held while nothing goes on",
				engine_account(harness->engine)->used);
	check_live(witness);
}

void witness_check(struct witness *witness)
{
	const struct engine_counts *counts = engine_counts(witness->harness->engine);
	witness_settle(witness);
	if (counts->in_flight != witness->in_flight)
		witness_complain(witness, "%" PRIu64 " are said to be in flight, %" PRIu64 " are",
				counts->in_flight, witness->in_flight);
	if (counts->read !=
			counts->answered + counts->gone + counts->undelivered + counts->in_flight)
		witness_complain(witness, "what was read is not what was answered, gone, "
					  "undelivered or in flight");
	check_waiting(witness);
	check_outboxes(witness);
	witness_check_work(witness);
	check_permits(witness);
	check_rest(witness);
	coverage_meet(witness->coverage, MET_STEP);
}

void witness_check_end(struct witness *witness)
{
	for (uint32_t i = 0; i < witness->plan->request_count; i++) {
		const struct seen *seen = &witness->requests[i];
		if (seen->arrival > 0 && seen->state != LEFT)
			witness_complain(witness, "request %" PRIu32 " never ends", i);
	}
}
