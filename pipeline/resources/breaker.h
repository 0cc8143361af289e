/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A circuit breaker: what fails too often is left alone for a while, and then tried with one
 * question. Pure: the time is handed in, and never goes back.
 */
#include <stdbool.h>
#include <stdint.h>

/* What is older than `within` is forgotten in steps of a tenth of it: what counts is the present
 * step and the nine before it. */
#define BREAKER_STEPS 10

/*
 * CLOSED -> (too many failures) OPEN -> (its time is over, and someone asks) HALF_OPEN: the one
 * trial is under way -> CLOSED when it ends well, OPEN when it fails. A trial that is cancelled has
 * told nothing: OPEN, and the next one who asks is the trial.
 */
enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker_settings {
	uint32_t failures; /* of a hundred, and */
	uint32_t of;	   /* of so many at least: it opens; 0: never */
	uint64_t within;   /* nanoseconds */
	uint64_t open;
};

struct breaker_step {
	uint32_t ended;
	uint32_t failed;
};

struct breaker {
	struct breaker_settings settings;
	enum breaker_state state;
	uint64_t until;	 /* when the time of OPEN is over */
	uint64_t opened; /* how often */
	uint32_t trials; /* since it opened */
	uint64_t step;	 /* the present one, counted from time 0 */
	struct breaker_step steps[BREAKER_STEPS];
};

enum breaker_pass { BREAKER_REFUSED, BREAKER_PASSED, BREAKER_TRIAL };

/* How a question that passed has ended. LATE, not in the time that it was given, and CANCELLED tell
 * nothing of whether it fails. */
enum breaker_end { BREAKER_GOOD, BREAKER_FAILED, BREAKER_LATE, BREAKER_CANCELLED };

/*
 * Whether the state it has just come into is news. Trials that tell nothing may follow each other
 * as fast as questions come, since the source is away, say: of these only the first is.
 */
bool breaker_is_news(const struct breaker *breaker);

/* "closed", "open", "half_open" */
const char *breaker_state_name(enum breaker_state state);

/* Closed. within at least BREAKER_STEPS. A cleared breaker is one that never opens. */
void breaker_init(struct breaker *breaker, const struct breaker_settings *settings);

/* Whether a question would pass now. */
bool breaker_passes(const struct breaker *breaker, uint64_t now);

/* Lets a question pass, or refuses it. What passes must be told of by breaker_ended(). */
enum breaker_pass breaker_ask(struct breaker *breaker, uint64_t now);

/* pass: what breaker_ask() said. What was asked before it opened is not counted any more. */
void breaker_ended(struct breaker *breaker, uint64_t now, enum breaker_pass pass,
		enum breaker_end end);
