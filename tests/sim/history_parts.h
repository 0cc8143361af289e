/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the parts of a history share.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/agenda.h"
#include "tests/sim/checked_cache.h"
#include "tests/sim/coverage.h"
#include "tests/sim/harness.h"
#include "tests/sim/plan.h"
#include "tests/sim/trace.h"
#include "tests/sim/watch.h"
#include "tests/sim/witness.h"

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
	bool ran_out;	     /* a flight's job has, in this turn */
	uint64_t next_turn;
	uint64_t step;
	struct peer *peers[PLAN_CLIENTS];
};

static inline struct async *history_async(struct history *history)
{
	return &history->harness.world.async;
}

static inline uint32_t history_index(const struct history *history, const struct peer *peer)
{
	return (uint32_t)(peer - history->harness.peers);
}

static inline bool history_one_in(struct history *history, uint64_t n)
{
	return random_below(&history->random, n) == 0;
}

/* history_watch.c: sets what the engine calls. */
void history_watch(struct history *history);
struct cache *history_wrap_cache(void *user, struct cache *cache);

/* history_answers.c: resources by their number in the plan; and the next answer, though it may not
 * be due yet: false where there is none. */
struct scripted_database *history_database(struct history *history, uint32_t resource);
struct scripted_source *history_source(struct history *history, uint32_t resource);
bool history_keep_next(struct history *history);

/* history_acts.c */
bool history_act_is_due(const struct history *history, uint64_t at);
/* A reload is nobody's message: no batch holds it. */
bool history_reloads_next(const struct history *history);
void history_act_next(struct history *history);
void history_cancel(struct history *history, struct peer *peer, uint32_t number);
void history_leave(struct history *history, struct peer *peer);

/* history_purge.c: what is purged follows from the number. */
void history_purge(struct history *history, uint32_t number);

/* history_tell.c: what is put in, for the trace; peer: who does it, NULL where no peer does. */
void history_tell(struct history *history, const struct peer *peer, const char *format, ...)
		__attribute__((format(printf, 3, 4)));
/* What has been traced so far, at once: the next step may be the last. */
void history_write_trace(struct history *history);
