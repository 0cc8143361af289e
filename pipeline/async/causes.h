/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Several failures on their way to one outcome, which keeps them all: as .NET's AggregateException.
 */
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/async/outcome.h"

struct causes {
	struct arena *arena;
	const struct fault *first;
	const struct fault **end;
	uint32_t room;	    /* for so many more; what comes later only counts */
	bool copies;	    /* messages too, for they will not stay; and not what caused a cause */
	enum status common; /* STATUS_OK: none yet */
	bool mixed;
	uint64_t retry_ns; /* the longest that any of them asks for */
};

/* The arena is where copies are kept. Room is for all, and `copies` is not set; both may be changed
 * before the first is added. */
void causes_init(struct causes *causes, struct arena *arena);

/* Takes note of a failure. Where memory is out its fault is lost, and its status counts. */
void causes_add(struct causes *causes, const struct outcome *outcome);

/* The status that all have, or UNAVAILABLE where they differ. */
enum status causes_status(const struct causes *causes);

/* One outcome of that status with all causes, that asks for as long as any of them. message is
 * borrowed, as by outcome_fault(). */
struct outcome causes_outcome(const struct causes *causes, enum status status, struct text stage,
		struct text message);
