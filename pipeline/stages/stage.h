/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A stage: one node of a compiled pipeline, and its frame: one run of it. For those who write
 * stages.
 *
 * A new stage is a file with a `struct stage_type` and a line in the table of stages.c. Its own
 * struct begins with a struct stage, its frame with a struct stage_frame. compile() reads the
 * options, reports to diag, and may reach its nested steps, templates and resources only through
 * compiler.h. Everything of a stage lives in the configuration's arena; free() is for what doesn't.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/async/frame.h"
#include "pipeline/base/options.h"
#include "pipeline/stages/activation.h"
#include "pipeline/stages/run.h"

struct buffer;
struct compiler;
struct stage;
struct stage_frame;

/* Steps that a stage runs, and where. */
struct stage_below {
	const struct stage *steps;	     /* NULL: there are none */
	const struct activation *activation; /* NULL: they have not run */
	uint64_t flight; /* the number of the one that runs them; 0: the run itself */
	bool shared;	 /* the flight does not end because this run does */
};

/* How an ask of a source stands. WON: its answer is of use. BEATEN: it was a good one, and
 * another was better. LOST: it was not needed any more. CUT: from above. */
enum ask_end { ASK_OPEN, ASK_WON, ASK_BEATEN, ASK_FAILED, ASK_TIMEOUT, ASK_LOST, ASK_CUT };

/* An ask of a source, as it stands. */
struct ask_told {
	struct text source;  /* its name, as a JSON string */
	struct text element; /* that it was asked for, as a JSON string; absent: for no one */
	uint64_t asked;
	uint64_t ended; /* 0: not yet */
	enum ask_end end;
	bool heard; /* of an OPEN one: its answer is here, and nobody has looked at it yet */
	enum status status; /* of its answer, where it is WON, BEATEN or FAILED */
};

typedef void (*ask_visit_fn)(void *user, const struct ask_told *told);

struct stage_type {
	const char *name;
	size_t stage_size;
	size_t frame_size;
	bool may_stand; /* it may end without a value of its own: the one before it stands */
	struct frame_ops ops;
	/* The options are of the type's table. Errors go to diag; what is half compiled is never
	 * run. */
	void (*compile)(struct compiler *compiler, struct stage *stage,
			const struct option_map *options);
	void (*free)(struct stage *stage); /* may be NULL */
	/* Ends what goes on in the background, and starts no more of it. May be NULL. */
	void (*drain)(struct stage *stage);
	/* The nth of what its frame has run below it; without steps: there are no more. NULL:
	 * stages of this type have nothing below. */
	struct stage_below (*below)(const struct stage_frame *frame, unsigned nth);
	/* Hands out what its frame has asked of sources, as it stands, in the order of
	 * the file. NULL: it asks none. */
	void (*asks)(const struct stage_frame *frame, ask_visit_fn visit, void *user);
	/* Since when its frame waits for its turn, and has not told its run so; 0: it does not.
	 * NULL: there are no turns. */
	uint64_t (*queued_since)(const struct stage_frame *frame);
	/* See pipeline_begin_read(); what the stage finds out it may leave in its frame, cleared
	 * before, for start(). May be NULL. */
	void (*begin_read)(const struct stage *stage, struct run *run,
			struct activation *activation, unsigned nth);
	/* Appends `"name":number` members for `stats`. May be NULL. */
	void (*write_stats)(const struct stage *stage, struct buffer *buffer);
};

struct stage {
	const struct stage_type *type;
	struct text path;   /* `offer/2.fanout` */
	size_t offset;	    /* of its frame in its activation */
	struct stage *next; /* in the list of all of its configuration */
	const struct pipeline *pipeline;
};

struct stage_frame {
	struct frame frame;
	const struct stage *stage;
	struct run *run;
	struct activation *activation;
	uint64_t started; /* 0: never */
	bool answers;	  /* its value is the run's answer, as it is: parts of it may go ahead */
};

/* The frame of a stage that runs at most once in an activation. */
struct stage_frame *stage_frame_of(const struct activation *activation, const struct stage *stage);

/* Makes that frame, to be started. */
struct stage_frame *stage_frame_init(const struct stage *stage, struct run *run,
		struct activation *activation, struct frame *parent, struct scope *scope);

/* "won", …; "-" for an open one. */
const char *ask_end_name(enum ask_end end);

/* Makes the frame and starts it. With DONE, stage_outcome() has it. */
enum progress stage_start(const struct stage *stage, struct run *run, struct activation *activation,
		struct frame *parent, struct scope *scope);

/* The same for steps whose value becomes that of outer, whose child they are. */
enum progress stage_start_within(struct stage_frame *outer, const struct stage *steps,
		struct activation *activation, struct scope *scope);

/* For a parent whose child stage has ended: the outcome, its fault naming the stage. */
struct outcome stage_outcome(struct frame *child);

/* DONE with an outcome that blames this stage. */
enum progress stage_fail(struct stage_frame *frame, enum status status, const char *format, ...)
		__attribute__((format(printf, 3, 4)));

/* DONE with RESOURCE_EXHAUSTED, for a stage that would have to wait in a run that may not. */
enum progress stage_may_not_wait(struct stage_frame *frame);

/* Where a scope with a limit of its own ran out, or a child that was given all of it said so. */
struct outcome stage_timed_out(struct stage_frame *frame, struct text stage);
