/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Many children at once, until enough have ended well: as Task.WhenAll (all of them) and
 * Task.WhenAny with a linked token (the first k). Each branch has a scope of its own that the owner
 * stands outside of, so that the answer leaves at once and the losers are cancelled at once and end
 * off the answer's path.
 *
 * The owner is a frame; its resume() calls gather_resume() and, when that says complete, reads the
 * branches and ends. The loop thread only.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/async/frame.h"
#include "pipeline/async/scope.h"

/* IDLE -> ASKED -> ENDED by its frame, EXPIRED by its own limit, LOST when it wasn't needed any
 * more, CUT from above. */
enum branch_state {
	BRANCH_IDLE,
	BRANCH_ASKED,
	BRANCH_ENDED,
	BRANCH_EXPIRED,
	BRANCH_LOST,
	BRANCH_CUT
};

struct branch {
	struct scope scope;
	struct frame *frame; /* the work; the caller's memory; NULL: it was never asked */
	uint64_t asked;	     /* when */
	uint64_t ended;
	enum branch_state state;
	enum status status;	   /* ENDED: what it counts as. Only an OK one has a value, */
	const struct fault *fault; /* and only others a fault */
};

/* Sees a branch's OK outcome: what it is to count as, which may be itself. */
struct gather;
typedef struct outcome (*gather_judge_fn)(struct gather *gather, const struct outcome *outcome);

/* Sees each branch that was asked when it is over, however it ended. */
typedef void (*gather_ended_fn)(struct gather *gather, const struct branch *branch);

struct gather {
	struct frame *owner;
	struct scope *scope; /* that the branches' are made in: the owner's, or one below it */
	struct branch *branches;
	uint32_t count;
	uint32_t needed;       /* good answers that complete it */
	gather_judge_fn judge; /* NULL: OK is good */
	gather_ended_fn ended; /* may be NULL */
	bool fail_fast;	       /* it is complete as soon as not enough can end well any more */
	uint32_t idle;	       /* not started */
	uint32_t pending;
	uint32_t good;
};

/* branches: count of them, the caller's memory, which this clears. scope, judge, ended and
 * fail_fast may be set until the first is started. */
void gather_init(struct gather *gather, struct frame *owner, struct branch *branches,
		uint32_t count, uint32_t needed);

/*
 * The scope that branch i's frame is to be made in. deadline as for scope_init(). Must be followed
 * by gather_start() for i.
 */
struct scope *gather_scope(struct gather *gather, uint32_t i, uint64_t deadline);

/* Starts branch i with its frame, whose parent is the owner. */
void gather_start(struct gather *gather, uint32_t i, struct frame *frame);

/* Branch i is not asked: it is ENDED with this outcome, which is not OK. */
void gather_refuse(struct gather *gather, uint32_t i, struct outcome outcome);

/* Whether a branch gave what is wanted, and what. */
static inline bool branch_good(const struct branch *branch)
{
	return branch->state == BRANCH_ENDED && branch->status == STATUS_OK;
}

static inline const struct value *branch_value(const struct branch *branch)
{
	return &branch->frame->outcome.value;
}

/* Takes note of a resume of the owner: child is a branch's frame or NULL. True if it was one of
 * this gather's. */
bool gather_resume(struct gather *gather, struct frame *child);

/* Whether enough have ended well, none is left to wait for, or waiting for the rest is in vain.
 * Where all was cut off from above, what is not started never will be. */
static inline bool gather_complete(const struct gather *gather)
{
	uint32_t idle = scope_cancelled(gather->scope) ? 0 : gather->idle;
	uint32_t left = idle + gather->pending;
	return gather->good >= gather->needed || left == 0 ||
	       (gather->fail_fast && gather->good + left < gather->needed);
}

/* Ends it: what is still pending is cancelled as LOST, or merely let go where the owner was itself
 * cancelled. */
void gather_close(struct gather *gather);
