/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Who watches a history and says what must not be. It knows the plan and sees what crosses the
 * engine's edges: messages and replies, jobs and asks, ends. It foretells from the rules what may
 * happen next, and complains of the first thing that may not.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/base/live.h"
#include "tests/sim/coverage.h"
#include "tests/sim/harness.h"
#include "tests/sim/plan.h"
#include "tests/sim/seen.h"

#define GENERATIONS_MAX (1 + PLAN_RELOADS)

/* What becomes of a last reply. One that is REFUSED is tried again, or DISCARDED. */
enum fate { FATE_TAKEN, FATE_REFUSED, FATE_GONE, FATE_DISCARDED, FATES };

struct witness {
	const struct plan *plan;
	struct harness *harness;
	struct coverage *coverage;
	struct seen *requests;
	uint32_t *by_id; /* the latest request of each id */
	struct seen_peer peers[PEERS_MAX];
	uint32_t *waiting;
	size_t waiting_count;
	struct seen_generation *generations;
	uint64_t generation; /* the latest, from 1 */
	struct seen_median medians[SHAPES_MAX];
	struct seen_run *runs;
	size_t run_count;
	size_t run_capacity;
	uint32_t untold;	/* the latest of those that have ended in this stretch; or 0 */
	uint64_t limit;		/* of requests in flight, as it was last seen; 0: not yet */
	uint64_t samples;	/* that may have changed it since, */
	uint64_t samples_seen;	/* and those of them at the latest look */
	uint64_t least_us;	/* that any took that was answered; UINT64_MAX: none was */
	uint64_t naps;		/* of the RETRY, that might have led past a deadline, */
	uint64_t slept_through; /* and those of them where it was waited until the deadline */
	struct seen_source sources[SOURCES];
	/* When a flight's job for that key last began; 0: never. */
	uint64_t began_of_key[PLAN_KEYS];
	uint64_t losers;    /* that were told of, */
	uint64_t cancelled; /* and questions that were cancelled, but for those that took */
	uint64_t timed_out; /* longer than their fan-out gives them */
	struct seen_telling telling;
	struct seen_value values[PLAN_KEYS];
	uint32_t fresh_of_key[PLAN_KEYS]; /* requests with fresh=1 that have not ended */
	uint32_t background;		  /* of the CACHE's jobs, those that nobody waits for */
	uint32_t missing[PLAN_KEYS]; /* the run of a flight that last found that there is none */
	uint32_t given[PLAN_KEYS][STATUS_COUNT]; /* the last run that gave it; 0: none has */
	/*
	 * A stretch is a turn and those that go on with what it has left to do. In it things may be
	 * told later than they happened, and none from before it is still to be told.
	 */
	uint64_t stretch_began;
	uint64_t longest_stretch; /* a duration */
	uint64_t telling_since;	  /* when its first turn began to tell; ASYNC_NEVER: not yet */
	bool left_over;		  /* this turn goes on with what the one before it has left */
	bool has_left_over;	  /* some turn has left something */
	bool found;		  /* by the latest look into a cache */
	size_t told_in_stretch;	  /* ends in it, those that are unsettled aside */
	uint64_t arrivals;
	uint64_t told;
	uint64_t in_flight;
	uint32_t *unsettled; /* told, and whether their replies are held is not known yet */
	size_t unsettled_count;
	/*
	 * In a batch the engine may start a request only when later ones have been read, though in
	 * their order: so what becomes of one is known when a later one ends, or with the batch.
	 */
	bool batching;
	uint64_t batch_began;
	uint32_t *sent;
	size_t sent_count;
	size_t sent_known;
	uint64_t ended[STATUS_COUNT]; /* how many, as they were told */
	uint64_t fates[FATES];	      /* of replies */
	uint64_t dropped;	      /* of the DISCARDED: with their client's outbox */
	uint64_t gone;		      /* requests that ended with their client */
	uint32_t cancelling;	      /* whom a $cancel names just now; NOBODY: there is none */
	uint32_t commanding;	      /* the peer that the latest command came by */
	uint32_t pongs;		      /* answers to the latest $ping */
	/* What stands before a request is read. */
	uint32_t sending;  /* the request that is read just now; NOBODY: none is */
	bool before_clear; /* what will become of it can be foretold exactly */
	uint32_t before_running;
	uint32_t before_waiting;
	uint32_t before_queued;
	long live_at_first[LIVE_KINDS];
	const void *stack; /* where a history's own frames end */
	bool draining;
	bool cutting;
	bool dropping;
	bool failed;
	char complaint[256];
};

bool witness_init(struct witness *witness, const struct plan *plan, struct harness *harness,
		struct coverage *coverage);
void witness_deinit(struct witness *witness);

/* Before the first thing happens: the configuration has been loaded. */
void witness_begin(struct witness *witness);

/* Says what is wrong; the first complaint stays. */
void witness_complain(struct witness *witness, const char *format, ...)
		__attribute__((format(printf, 2, 3)));

/* Another configuration, the same, has been loaded. */
void witness_reloaded(struct witness *witness);

/* Before the deadlines fire that are due; before what is queued is told; and after that. next: when
 * the engine wants another turn. */
void witness_begin_turn(struct witness *witness, uint64_t now);
void witness_begin_telling(struct witness *witness);
void witness_end_turn(struct witness *witness, uint64_t next);

/* Around one request's message: what may come of it, and whether it has. */
void witness_before_send(
		struct witness *witness, uint32_t number, uint32_t peer, uint64_t received);
void witness_after_send(struct witness *witness, uint32_t number);

/* Around a $cancel that names a request, and around a $ping. */
void witness_before_cancel(struct witness *witness, uint32_t number, uint32_t peer);
void witness_after_cancel(struct witness *witness);
void witness_before_ping(struct witness *witness, uint32_t peer);
void witness_after_ping(struct witness *witness);

void witness_begin_batch(struct witness *witness);
void witness_end_batch(struct witness *witness);

/* What could be kept back until here was not: replies that have not left are held. */
void witness_settle(struct witness *witness);

/* Around the leaving of a peer. */
void witness_before_leave(struct witness *witness, uint32_t peer);
void witness_after_leave(struct witness *witness, uint32_t peer);

/* After all that goes on was cut off. */
void witness_after_cut(struct witness *witness);

/* A cache was looked into. */
void witness_cache_found(struct witness *witness, bool found);

/* As the watch is told. */
void witness_ended(struct witness *witness, const struct record *record);
void witness_feed_told(struct witness *witness, const struct feed_event *event);
void witness_replied(
		struct witness *witness, uint32_t peer, struct text envelope, struct text reply);
void witness_refused(
		struct witness *witness, uint32_t peer, struct text envelope, struct text reply);
void witness_gone(struct witness *witness, uint32_t peer, struct text envelope, struct text reply);
void witness_discarded(struct witness *witness, uint32_t peer, struct text reply);
void witness_read(struct witness *witness, uint32_t peer);
void witness_stalled(struct witness *witness, uint32_t peer);

/* Jobs and asks. The number of a new run, for its answer. */
uint32_t witness_job_started(struct witness *witness, const struct scripted_job *job);
uint32_t witness_ask_started(struct witness *witness, const struct scripted_ask *ask);
void witness_job_cancelled(struct witness *witness, const struct scripted_job *job);
void witness_ask_cancelled(struct witness *witness, const struct scripted_ask *ask);
/* Before one is ended by its resource. */
void witness_job_ends(struct witness *witness, const struct scripted_job *job, uint32_t run,
		enum status status);
void witness_ask_ends(struct witness *witness, const struct scripted_ask *ask, enum status status,
		const struct answer *answer);

/* A request that waits for that key, or NOBODY. */
uint32_t witness_waiter(const struct witness *witness, uint32_t key);

/* When all is over. */
void witness_check_end(struct witness *witness);
