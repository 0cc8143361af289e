/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a set of histories has met, so that a test can say that it has met enough.
 */
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/async/census.h"
#include "pipeline/wire/status.h"
#include "tests/sim/nesting.h"

enum met {
	MET_REQUEST,
	MET_WAITED,
	MET_STEP,
	MET_LEFT_OVER,
	MET_CANCEL,
	MET_DISCONNECT,
	MET_DEADLINE,
	MET_DUPLICATE,
	MET_QUEUE_FULL,
	MET_FIRST_WAITER_LEFT,
	MET_ALL_WAITERS_LEFT,
	MET_DRAIN,
	MET_STALL,
	MET_HELD,
	MET_HIT,
	MET_JOINED,
	MET_PARTIAL,
	MET_LIMIT,
	MET_LATE_ANSWER,
	MET_OUTLIER,
	MET_PART,
	MET_PART_HELD,
	MET_PARTS_CUT,
	MET_SHED,
	MET_STALE,
	MET_FALLEN_BACK,
	MET_REFRESH,
	MET_FRESH,
	MET_PURGE,
	MET_HEDGE,
	MET_BREAKER,
	MET_OUTLIVED,
	MET_INHERITED,
	MET_KINDS
};

struct coverage {
	uint64_t met[MET_KINDS];
	uint64_t statuses[STATUS_COUNT];
	uint64_t census[CENSUS_EVENTS][CENSUS_REASONS];
	struct nesting nesting;
};

static inline void coverage_meet(struct coverage *coverage, enum met met)
{
	coverage->met[met]++;
}

/* Adds what frames have met in this process. */
void coverage_add_census(struct coverage *coverage);

/* All counts, to stdout, as comments of TAP. */
void coverage_print(const struct coverage *coverage);

/* A TAP line for each kind of ending that a good set of histories meets often enough, from number
 * `first` on. Returns how many lines; false in *ret_enough where one is not. */
int coverage_check(const struct coverage *coverage, int first, bool *ret_enough);

/* How many lines those are. */
int coverage_check_count(void);
