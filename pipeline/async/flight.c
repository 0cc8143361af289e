/* SPDX-License-Identifier: Apache-2.0 */
/*
 * References keep a flight's memory: one for the running work, given back when its scope is empty;
 * one for each waiter; one for the task that wakes them. Whoever ends a flight first takes it out
 * of the table, so nobody joins what is dying.
 */
#include "pipeline/async/flight.h"

#include <assert.h>

#include "pipeline/async/async.h"
#include "pipeline/base/live.h"

/* Waiters woken by one task, so that ten thousand of them don't make one long turn. */
#define WAKE_SLICE 64

int flight_table_init(struct flight_table *table, struct async *async, struct scope *scope,
		struct arena_pool *arenas, uint64_t waiters_key_max, uint64_t waiters_max)
{
	*table = (struct flight_table){
			.async = async,
			.scope = scope,
			.arenas = arenas,
			.waiters_key_max = waiters_key_max,
			.waiters_max = waiters_max,
	};
	return table_init(&table->table);
}

void flight_table_deinit(struct flight_table *table)
{
	table_deinit(&table->table);
}

/* One that was cut off from above, or has run out, is dying though it has not ended yet. */
static struct flight *find(
		const struct flight_table *table, uint64_t hash, struct text key, bool dying)
{
	struct table_entry *entry = table_first(&table->table, hash);
	for (; entry; entry = table_next(entry)) {
		struct flight *flight = container_of(entry, struct flight, entry);
		if (text_equal(flight->key, key) && scope_cancelled(&flight->scope) == dying)
			return flight;
	}
	return NULL;
}

bool flight_is_dying(struct flight_table *table, uint64_t hash, struct text key)
{
	return find(table, hash, key, true) != NULL;
}

struct flight *flight_find(struct flight_table *table, uint64_t hash, struct text key)
{
	return find(table, hash, key, false);
}

static void list(struct flight *flight)
{
	table_add(&flight->table->table, &flight->entry, flight->entry.hash);
	flight->listed = true;
}

static void unlist(struct flight *flight)
{
	if (flight->listed)
		table_remove(&flight->table->table, &flight->entry);
}

static void unref(struct flight *flight)
{
	assert(flight->refs > 0);
	if (--flight->refs > 0)
		return;
	if (flight->on_free)
		flight->on_free(flight);
	struct arena arena = flight->arena;
	live_add(LIVE_FLIGHTS, -1);
	arena_pool_give(flight->table->arenas, &arena);
}

static void on_idle(struct scope *scope)
{
	unref(container_of(scope, struct flight, scope));
}

static void wake(struct task *task)
{
	struct flight *flight = container_of(task, struct flight, wake);
	for (int i = 0; i < WAKE_SLICE && !list_empty(&flight->waiters); i++) {
		struct waiter *waiter = container_of(flight->waiters.next, struct waiter, link);
		link_remove(&waiter->link);
		flight->waiter_count--;
		flight->table->waiting--;
		waiter->frame.outcome = flight->outcome;
		frame_finish(&waiter->frame);
	}
	if (list_empty(&flight->waiters))
		unref(flight);
	else
		runner_add(&flight->table->async->runner, task);
}

static void end(struct flight *flight, struct outcome outcome)
{
	unlist(flight);
	flight->ended = true;
	flight->outcome = outcome;
	if (flight->on_end)
		flight->on_end(flight);
	scope_close(&flight->scope);
	if (!list_empty(&flight->waiters)) {
		flight->refs++;
		runner_add(&flight->table->async->runner, &flight->wake);
	}
}

static struct outcome outcome_of(const struct flight *flight, struct frame *work)
{
	return flight->outcome_of ? flight->outcome_of(work) : work->outcome;
}

/* For those who wait: it reached its ceiling, or it was cancelled from above. */
static struct outcome cut_off(const struct flight *flight)
{
	bool ceiling = flight->scope.reason == DEADLINE;
	return outcome_status(ceiling ? STATUS_DEADLINE_EXCEEDED : STATUS_UNAVAILABLE);
}

static enum progress flight_resume(struct frame *frame, struct frame *child)
{
	struct flight *flight = container_of(frame, struct flight, frame);
	end(flight, child ? outcome_of(flight, child) : cut_off(flight));
	return PENDING;
}

static const struct frame_ops flight_ops = {.resume = flight_resume};

struct flight *flight_new(struct flight_table *table, const struct flight_plan *plan)
{
	struct arena arena;
	if (!arena_pool_take(table->arenas, &arena))
		return NULL;
	struct flight *flight = arena_zalloc(&arena, sizeof(*flight) + plan->extra);
	struct text own_key = flight ? arena_copy(&arena, plan->key) : (struct text){NULL, 0};
	if (!own_key.data) {
		arena_pool_give(table->arenas, &arena);
		return NULL;
	}
	flight->arena = arena;
	flight->table = table;
	flight->key = own_key;
	flight->number = ++table->numbers;
	flight->ceiling = plan->ceiling;
	flight->refs = 1;
	flight->wake = (struct task){NULL, wake};
	flight->outcome_of = plan->outcome_of;
	flight->on_end = plan->on_end;
	flight->on_free = plan->on_free;
	link_init(&flight->waiters);
	frame_init_root(&flight->frame, &flight_ops);
	scope_init_root(&flight->scope, table->async, plan->apart ? plan->apart : table->scope,
			&flight->frame, plan->ceiling, on_idle);
	live_add(LIVE_FLIGHTS, 1);
	flight->entry.hash = plan->hash;
	if (!plan->apart)
		list(flight);
	return flight;
}

void *flight_extra(struct flight *flight)
{
	return flight + 1;
}

struct flight *flight_of_extra(void *extra)
{
	return (struct flight *)extra - 1;
}

void flight_start(struct flight *flight, struct frame *work)
{
	if (frame_start(work) == DONE)
		end(flight, scope_cancelled(&flight->scope) ? cut_off(flight)
							    : outcome_of(flight, work));
}

void flight_drop(struct flight *flight)
{
	end(flight, outcome_status(STATUS_RESOURCE_EXHAUSTED));
}

bool flight_full(const struct flight_table *table, const struct flight *flight)
{
	return table->waiting >= table->waiters_max ||
	       (flight && flight->waiter_count >= table->waiters_key_max);
}

/* One who wanted it wants it no more. Without any, nobody is to find it, and its work is cancelled:
 * true. */
static bool leave(struct flight *flight, enum reason reason)
{
	if (flight->waiter_count > 0 || flight->held || flight->ended)
		return false;
	scope_cancel(&flight->scope, reason);
	end(flight, outcome_status(STATUS_CANCELLED));
	return true;
}

void flight_hold(struct flight *flight)
{
	flight->held = true;
}

void flight_release(struct flight *flight, enum reason reason)
{
	if (!flight->held)
		return;
	flight->held = false;
	(void)leave(flight, reason);
}

static enum progress waiter_start(struct frame *frame)
{
	struct waiter *waiter = container_of(frame, struct waiter, frame);
	struct flight *flight = waiter->flight;
	if (flight->ended)
		return frame_done(frame, flight->outcome);
	list_append(&flight->waiters, &waiter->link);
	flight->waiter_count++;
	if (++flight->table->waiting > flight->table->waiting_highest)
		flight->table->waiting_highest = flight->table->waiting;
	return PENDING;
}

static void waiter_cancel(struct frame *frame, enum reason reason)
{
	struct waiter *waiter = container_of(frame, struct waiter, frame);
	struct flight *flight = waiter->flight;
	link_remove(&waiter->link);
	flight->waiter_count--;
	flight->table->waiting--;
	frame->outcome = outcome_status(STATUS_CANCELLED);
	frame_finish(frame);
	waiter->left = true;
	waiter->tells = flight->ended ? list_empty(&flight->waiters) : leave(flight, reason);
}

static const struct frame_ops waiter_ops = {.start = waiter_start, .cancel = waiter_cancel};

void waiter_init(struct waiter *waiter, struct flight *flight, struct frame *parent,
		struct scope *scope)
{
	frame_init(&waiter->frame, &waiter_ops, parent, scope);
	waiter->flight = flight;
	waiter->left = false;
	waiter->tells = false;
	flight->refs++;
}

bool waiter_tells(const struct waiter *waiter)
{
	const struct flight *flight = waiter->flight;
	if (waiter->left || !frame_pends(&waiter->frame))
		return waiter->tells;
	bool woken = !link_in_list(&waiter->link);
	return woken || (flight->waiter_count == 1 && (flight->ended || !flight->held));
}

void waiter_deinit(struct waiter *waiter)
{
	if (waiter->flight)
		unref(waiter->flight);
	waiter->flight = NULL;
}
