/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The stage `fanout`: asks many sources at once, for one thing or for each element of an array,
 * until enough have answered. It answers then; who was not needed any more is cancelled at once and
 * ends on its own.
 *
 * fanout.c asks; fanout_each.c takes `each` apart; fanout_best.c tells which answer is the best;
 * fanout_reply.c makes one outcome of what came.
 */
#include "pipeline/async/gather.h"
#include "pipeline/stages/question.h"
#include "pipeline/stages/stage.h"

struct fanout_source {
	struct question question;
	struct text stage; /* `offer/2.fanout/north`, for faults */
	struct text name;  /* as a JSON string */
};

enum { WAIT_ANY, WAIT_ALL };

/* Which number of the answers is held against which. */
struct best {
	const struct text *path; /* NULL: there is no best one, all are given */
	size_t path_size;
	struct text field; /* the path as it was written */
	bool highest;
};

struct fanout {
	struct stage stage;
	struct fanout_source *sources;
	uint32_t source_count;
	const struct template *each; /* NULL: once */
	struct text each_name;
	int32_t each_slot;
	uint32_t each_max;
	int wait; /* WAIT_ANY, WAIT_ALL, or -1: `needed` of them */
	uint32_t needed;
	uint64_t timeout; /* of a branch; 0: none */
	bool partial;
	bool fail_fast;
	struct best best;
};

/* What is asked of all sources together: everything, or one element. */
struct group {
	struct gather gather;
	struct value element;
	struct text name; /* the element's, as a JSON string; absent without `each` */
	bool closed;
};

struct fanout_frame {
	struct stage_frame base;
	struct group *groups;
	uint32_t group_count;
	uint32_t open; /* groups that are not complete */
	bool timed;    /* a branch's limit is `timeout`, and not the margin before the deadline */
	uint64_t limit;
};

extern const struct option fanout_options[];
extern const struct stage_type fanout_type;

/* fanout_each.c: a group for each different element. False: the frame's outcome says why not. */
bool fanout_spread(struct fanout_frame *frame);

/* fanout_best.c */
extern const struct option fanout_best_options[];
struct compiler;
void fanout_best_compile(
		struct compiler *compiler, struct best *best, const struct option_value *option);
/* An answer without the number that is looked for becomes a bad one. */
void fanout_best_judge(const struct fanout_frame *frame, struct outcome *outcome);
/* The branch with the best answer, of equal ones the first; NULL: none is good. */
const struct branch *fanout_best_branch(
		const struct fanout_frame *frame, const struct group *group);

/* The outcome of all groups, each closed. */
struct outcome fanout_outcome(const struct fanout_frame *frame);
