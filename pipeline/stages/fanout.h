/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The stage `fanout`: asks many sources at once, for one thing or for each element of an array,
 * until enough have answered. It answers then; who was not needed any more is cancelled at once and
 * ends on its own.
 *
 * fanout_compile.c reads the options; fanout.c starts and ends; fanout_each.c takes `each` apart;
 * fanout_branch.c asks, in the order that fanout_hedge.c wants; fanout_best.c tells which answer is
 * the best; fanout_reply.c makes one outcome of what came; fanout_parts.c gives it piece by piece,
 * where it is wanted so, with fanout_portion.c; fanout_asks.c tells what became of each ask.
 */
#include "pipeline/async/causes.h"
#include "pipeline/async/gather.h"
#include "pipeline/async/hedge_budget.h"
#include "pipeline/base/hash.h"
#include "pipeline/resources/source.h"
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

/* When the next source is asked, and how often it was. */
struct hedge {
	bool on;      /* else all are asked at once */
	int quantile; /* of the latency of the source that was asked last; -1: `after` */
	uint64_t after;
	uint64_t min;
	uint64_t max;
	uint32_t samples; /* that make a quantile believable */
	struct hedge_budget budget;
	uint64_t sent;
	uint64_t won;
	uint64_t refused;
};

struct fanout {
	struct stage stage;
	struct fanout_source *sources;
	uint32_t source_count;
	const struct template *each; /* NULL: once */
	struct text each_name;
	int32_t each_slot;
	uint32_t each_max;
	struct hash_key each_key; /* of the table of its elements */
	int wait;		  /* WAIT_ANY, WAIT_ALL, or -1: `needed` of them */
	uint32_t needed;
	uint64_t timeout; /* of a branch; 0: none */
	bool partial;
	bool fail_fast;
	uint32_t ahead; /* parts that may be asked for before one is read */
	struct best best;
	struct hedge hedge;
	uint64_t asked;
	uint64_t passed_by; /* sources that might not be asked */
};

/* How a branch was asked. */
struct attempt {
	struct source_pass pass;
	bool timed;	/* its limit is `timeout`, and not the time that the request has */
	bool hedge;	/* because others had taken long */
	bool overtaken; /* a hedge was sent while it was waited for */
};

/* What is asked of all sources together: everything, or one element. */
struct group {
	struct gather gather;
	struct value element;
	struct text name;    /* the element's, as a JSON string; absent without `each` */
	struct text body;    /* that its sources are sent which have none of their own; absent: not
				made yet */
	struct arena *arena; /* of what is asked and answered: the run's, or its own */
	struct attempt *attempts; /* of its branches */
	uint64_t limit;		  /* of them all, `timeout` aside */
	uint32_t next;		  /* the source whose turn it is */
	uint32_t started;	  /* questions, */
	uint32_t wanted;	  /* and how many there should be by now */
	uint32_t waited_for;	  /* that many had been started when `wait` began */
	struct hedge_wait *wait;  /* NULL: it waits for no hedge */
	bool hedging;		  /* what is asked next is a hedge */
	bool closed;
	struct portion *portion; /* in parts: its own memory; NULL: it has none */
};

struct fanout_frame {
	struct stage_frame base;
	struct group *groups;
	uint32_t group_count;
	uint32_t open;		    /* groups that are not complete */
	struct fanout_parts *parts; /* NULL: the answer is given whole */
};

extern const struct option fanout_options[];
extern const struct stage_type fanout_type;

/* fanout_each.c: a group for each different element. False: the frame's outcome says why not. */
bool fanout_spread(struct fanout_frame *frame);

/* fanout_compile.c */
struct compiler;
void fanout_compile(
		struct compiler *compiler, struct stage *stage, const struct option_map *options);

/* fanout_best.c */
extern const struct option fanout_best_options[];
void fanout_best_compile(
		struct compiler *compiler, struct best *best, const struct option_value *option);
/* A gather_judge_fn: an answer without the number that is looked for becomes a bad one. */
struct outcome fanout_best_judge(struct gather *gather, const struct outcome *outcome);
/* The branch with the best answer, of equal ones the first; NULL: none is good. */
const struct branch *fanout_best_branch(
		const struct fanout_frame *frame, const struct group *group);

/* fanout_asks.c */
void fanout_asks(const struct stage_frame *frame, ask_visit_fn visit, void *user);
/* Whether its answer is here, looked at or not. */
bool fanout_heard(const struct branch *branch);

/* fanout.c */
void fanout_close_group(struct fanout_frame *self, struct group *group);

/* fanout_branch.c */
/* What a group needs before it is asked for, in arena. False: the frame's outcome says why not. */
bool fanout_lay_branches(struct fanout_frame *self, struct group *group, struct arena *arena);
/* Asks until enough is asked or the group is complete: with `any`, a source that answers at once
 * spares the others. False: the frame's outcome says why not all could be asked. */
bool fanout_ask_group(struct fanout_frame *self, struct group *group);
/* Takes note of a resume. True: it was for this group, and fanout_ask_more() has to follow. */
bool fanout_resume_group(struct group *group, struct frame *child);
/* The same as fanout_ask_group(), for what is wanted since. */
bool fanout_ask_more(struct fanout_frame *self, struct group *group);
/* Passes by the sources, from the next on, whose breakers are open. */
void fanout_pass_open(struct fanout_frame *self, struct group *group);
/* Whether a branch's limit was its own. */
bool fanout_timed(const struct group *group, const struct branch *branch);

/* fanout_hedge.c */
extern const struct option fanout_hedge_options[];
void fanout_hedge_compile(struct compiler *compiler, struct fanout *fanout,
		const struct option_value *option);
/* Begins to wait, where something was asked since it last did. False: memory is out. */
bool fanout_hedge_wait(struct fanout_frame *self, struct group *group);
void fanout_hedge_stop(struct group *group);
/* Whether child is the group's wait. A hedge may be wanted then. */
bool fanout_hedge_resume(struct group *group, const struct frame *child);
void fanout_write_stats(const struct stage *stage, struct buffer *buffer);

/* fanout_reply.c */
/* The outcome of all groups, each closed. */
struct outcome fanout_outcome(const struct fanout_frame *frame);

/* How one group ended. */
struct verdict {
	bool good;    /* it gives a value, */
	bool lacking; /* which has fewer answers than it should: `$missing` names the others */
	bool partial; /* it is lacking, or a source has said so of an answer in it */
	enum status status; /* where it is not good */
};

/* Of a group that is closed. Adds its failures to all, where it has too few answers. */
struct verdict fanout_judge(
		const struct fanout_frame *frame, const struct group *group, struct causes *all);
/* The value of a good group, in its arena; it may be absent. False when memory is out. */
bool fanout_group_value(const struct fanout_frame *frame, const struct group *group, bool lacking,
		struct value *ret);
/* `{"$missing":{…}}` for the branches that gave no good answer; absent where memory is out. */
struct value fanout_group_missing(const struct fanout_frame *frame, const struct group *group);
/* The frame's error, for all these causes. */
struct outcome fanout_failed(const struct fanout_frame *frame, const struct causes *causes);

/* fanout_parts.c */
/* Whether the answer is wanted in parts, and has any. */
bool fanout_parts_wanted(const struct fanout_frame *self);
/* For start() and resume(), when the groups are laid out. */
enum progress fanout_parts_start(struct fanout_frame *self);
enum progress fanout_parts_resume(struct fanout_frame *self, struct frame *child);
