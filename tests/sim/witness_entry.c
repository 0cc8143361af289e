/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How requests come in: what must become of each before anything is run for it, which of them wait,
 * and, where a pipeline is one lookup or one cache above one, which of them are refused.
 */
#include "tests/sim/witness_parts.h"

#include <inttypes.h>

/* What a request that has just begun may hold, and how much of that a byte of its body may make. */
#define ARENA_LARGEST ((size_t)8192)
#define BODY_COST     8

static uint64_t deadline_of(const struct witness *witness, uint32_t number, uint64_t received)
{
	const struct configuration *configuration = &witness->plan->configuration;
	const struct shape *shape = witness_shape(witness, number);
	uint32_t budget = witness_planned(witness, number)->budget_ms;
	uint64_t longest = configuration->max_deadline;
	if (shape && shape->deadline && shape->deadline < longest)
		longest = shape->deadline;
	if (budget != NO_BUDGET && budget * WORLD_MS < longest)
		longest = budget * WORLD_MS;
	if (budget == NO_BUDGET && shape && !shape->deadline && configuration->deadline < longest)
		longest = configuration->deadline;
	return received + longest;
}

bool witness_has_twin(const struct witness *witness, uint32_t number, bool sure)
{
	const struct planned *planned = witness_planned(witness, number);
	const struct seen *seen = &witness->requests[number];
	for (uint32_t i = witness->by_id[planned->id]; i != NOBODY;
			i = witness->requests[i].next_of_id) {
		const struct seen *other = &witness->requests[i];
		bool unsure = witness->batching && other->state == TOLD &&
			      other->told_at >= witness->batch_began;
		bool in_flight = unsure ? !sure : other->in_flight;
		if (in_flight && i != number && other->peer == seen->peer &&
				witness_planned(witness, i)->envelope == planned->envelope)
			return true;
	}
	return false;
}

static enum foretold foretell(const struct witness *witness, uint32_t number)
{
	if (witness->requests[number].drained)
		return FORETOLD_DRAINING;
	if (!witness_shape(witness, number))
		return FORETOLD_UNKNOWN;
	if (witness_has_twin(witness, number, true))
		return FORETOLD_TWIN;
	if (witness->requests[number].deadline <= witness->requests[number].read)
		return FORETOLD_LATE;
	return FORETOLD_NOTHING;
}

/* Whether it hangs on the size of the request's own arena which side of the limit it is on. */
static bool nearly_full(const struct account *account, const struct planned *planned)
{
	size_t own = ARENA_LARGEST + BODY_COST * (size_t)planned->padding;
	return account->used < account->max && account->used + own >= account->max;
}

/* It is its turn. */
static void look(struct witness *witness, uint32_t number)
{
	struct seen *seen = &witness->requests[number];
	seen->foretold = foretell(witness, number);
	seen->room = witness_has_room(witness, number);
	seen->turn = witness_now(witness);
}

void witness_before_send(struct witness *witness, uint32_t number, uint32_t peer, uint64_t received)
{
	const struct planned *planned = witness_planned(witness, number);
	struct seen *seen = &witness->requests[number];
	const struct seen_query *query = witness_query_of(witness, planned->shape);
	seen->generation = witness->generation;
	seen->peer = peer;
	seen->received = received;
	seen->since = lesser(received, witness->stretch_began);
	seen->read = witness_now(witness);
	seen->deadline = deadline_of(witness, number, received);
	seen->arrival = ++witness->arrivals;
	seen->arrived = witness_now(witness);
	seen->drained = witness->draining;
	witness_before_turn(witness, number);
	if (witness->batching)
		witness->sent[witness->sent_count++] = number;
	else
		look(witness, number);
	seen->next_of_id = witness->by_id[planned->id];
	witness->by_id[planned->id] = number;
	witness->before_clear = !witness->batching &&
				runner_idle(&witness->harness->world.async.runner) &&
				!nearly_full(engine_account(witness->harness->engine), planned);
	witness->before_running = query ? query->running : 0;
	witness->before_waiting =
			witness_shape(witness, number)
					? witness_latest(witness)->waiting_of_shape[planned->shape]
					: 0;
	witness->before_queued = witness->before_waiting - (query ? query->live : 0);
	witness_hedge_begins(witness, number);
	coverage_meet(witness->coverage, MET_REQUEST);
	witness_cache_sent(witness, number);
	witness->sending = number;
}

void witness_begin_waiting(struct witness *witness, uint32_t number)
{
	struct seen *seen = &witness->requests[number];
	struct seen_generation *generation = witness_generation_of(witness, number);
	const struct planned *planned = witness_planned(witness, number);
	witness_note_sharing(witness, number);
	seen->state = WAITING;
	seen->waited = true;
	seen->place = (uint32_t)witness->waiting_count;
	witness->waiting[witness->waiting_count++] = number;
	generation->waiting_of_key[planned->key]++;
	generation->waiting_of_shape[planned->shape]++;
	bool moved = seen->unsure ||
		     (witness->batching && witness->plan->configuration.in_flight_min > 0);
	bool allowed = (seen->room || moved) && !seen->no_memory; /* the limit may have moved */
	witness_enter_flight(witness, seen);
	coverage_meet(witness->coverage, MET_WAITED);
	if (seen->foretold != FORETOLD_NOTHING)
		witness_complain(witness, "request %" PRIu32 " runs, though it must be refused",
				number);
	if (!allowed)
		witness_complain(witness, "request %" PRIu32 " waits, though a limit was reached",
				number);
}

void witness_stop_waiting(struct witness *witness, uint32_t number)
{
	struct seen *seen = &witness->requests[number];
	struct seen_generation *generation = witness_generation_of(witness, number);
	const struct planned *planned = witness_planned(witness, number);
	uint32_t last = witness->waiting[--witness->waiting_count];
	witness->waiting[seen->place] = last;
	witness->requests[last].place = seen->place;
	generation->waiting_of_key[planned->key]--;
	generation->waiting_of_shape[planned->shape]--;
}

void witness_catch_up(struct witness *witness, uint32_t until)
{
	while (witness->sent_known < witness->sent_count) {
		uint32_t number = witness->sent[witness->sent_known];
		struct seen *seen = &witness->requests[number];
		if (seen->state == UNSEEN)
			look(witness, number);
		if (number == until)
			return;
		if (seen->state == UNSEEN)
			witness_begin_waiting(witness, number);
		witness->sent_known++;
	}
}

void witness_begin_batch(struct witness *witness)
{
	witness->batching = true;
	witness->batch_began = witness_now(witness);
}

void witness_end_batch(struct witness *witness)
{
	witness_catch_up(witness, NOBODY);
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
	const struct seen *seen = &witness->requests[number];
	bool may_wait = seen->room && !seen->no_memory;
	if (refused != (full || !may_wait))
		witness_complain(witness,
				"request %" PRIu32 " was %s with %" PRIu32 " of %" PRIu32
				" running and %" PRIu32 " of %" PRIu32 " in the queue",
				number, refused ? "refused" : "let in", witness->before_running,
				shape->concurrency, witness->before_queued, shape->queue);
	if (refused)
		coverage_meet(witness->coverage, may_wait ? MET_QUEUE_FULL : MET_LIMIT);
}

static void check_cache(
		struct witness *witness, uint32_t number, const struct shape *shape, bool refused)
{
	const struct seen *seen = &witness->requests[number];
	bool fresh = witness_planned(witness, number)->fresh && !shape->ignores_fresh;
	bool full = witness->before_waiting >= shape->waiters ||
		    (!fresh && witness_cache_waiters(witness, number) >= shape->aging.waiters);
	if (seen->state == WAITING && full)
		witness_complain(witness, "request %" PRIu32 " is one waiter too many", number);
	if (refused && !full && seen->room && !seen->no_memory)
		witness_complain(witness,
				"request %" PRIu32 " was refused as waiter %" PRIu32 " of %" PRIu64,
				number, witness->before_waiting + 1, shape->waiters);
}

void witness_after_send(struct witness *witness, uint32_t number)
{
	struct seen *seen = &witness->requests[number];
	const struct shape *shape = witness_shape(witness, number);
	witness->sending = NOBODY;
	if (witness->batching)
		return;
	if (seen->state == UNSEEN)
		witness_begin_waiting(witness, number);
	witness_settle(witness);
	if (seen->foretold != FORETOLD_NOTHING || !witness->before_clear)
		return;
	if (seen->state == WAITING)
		witness_foretell_verdict(witness, number);
	bool refused = seen->state != WAITING && seen->status == STATUS_RESOURCE_EXHAUSTED;
	if (shape->kind == SHAPE_LOOKUP)
		check_lookup(witness, number, shape, refused);
	else if (shape->kind == SHAPE_CACHE)
		check_cache(witness, number, shape, refused);
}
