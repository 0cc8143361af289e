/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the files share of a fan-out whose answer goes in parts: fanout_parts.c, how it goes, and
 * fanout_portion.c, what each of its groups holds.
 */
#include "pipeline/async/scope.h"
#include "pipeline/async/stream_queue.h"
#include "pipeline/base/arena.h"
#include "pipeline/stages/fanout.h"

struct fanout_parts {
	struct stream_queue *queue;
	struct scope scope; /* of the wait for room */
	struct stream_room room;
	uint32_t begun;	   /* groups, in their order */
	uint32_t each_max; /* parts that one may give */
	uint32_t owed;	   /* that those which are open may still give */
	uint32_t good;	   /* groups */
	bool failed;	   /* some group has no value */
	bool partial;
	bool over; /* the first error ends it; its group is not judged yet */
	struct causes causes;
};

/* What a group has of its own. It lies in its own arena. */
struct portion {
	struct arena arena;
	struct scope scope; /* a root, above those of its branches */
	uint32_t owed;
	uint32_t unread; /* parts that lie in the queue, or are just read */
	bool closed;
	bool given[]; /* by source */
};

/* fanout_portion.c */
/* Parts whose elements have been read are let go of from here on. */
void fanout_portions_begin(struct fanout_parts *parts);
/* Gives a group what it needs before it is asked for. False: the frame's outcome says why not. */
bool fanout_portion_open(struct fanout_frame *self, struct group *group);
/* One more part of it. False: memory is out, or nobody wants it any more; the frame's outcome says
 * so. */
bool fanout_portion_push(struct fanout_frame *self, struct portion *portion, struct part part);
/* Nothing more is to be said of a group that is closed; of any, which are closed by that. */
void fanout_portion_end(struct fanout_frame *self, struct group *group);
void fanout_portions_end(struct fanout_frame *self);
