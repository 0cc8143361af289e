/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What stages see of the request that they run for; of a flight, which runs for many, they see the
 * same. Stages know no request and no client.
 */
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/async/frame.h"
#include "pipeline/base/text.h"

struct activation;
struct arena;
struct async;
struct blob;
struct log;
struct stream_queue;

/* Something that a run keeps until it is over. Embedded in what is kept. */
struct hold {
	struct hold *next;
	void (*release)(struct hold *hold);
};

struct blob_hold {
	struct hold hold;
	struct blob *blob;
};

/* A part of an answer: the three make the text of an object. */
struct part {
	struct text head;
	struct text value;
	struct text tail;
};

/* Parts that may lie between a stage and whoever takes them. */
#define PARTS_MAX 100

struct run {
	struct async *async;
	struct arena *arena;
	const struct log *log;
	struct text id;	     /* for the log: the request's, or that of who started the flight */
	struct text trace;   /* passed on to sources; absent: none */
	const char *used_up; /* why what would wait, or start anything outside, is refused, such as
				"too many requests in flight"; static; NULL: it is not */
	struct stream_queue *parts; /* of PARTS_MAX struct part: where the answer may go as it
				       comes; NULL: it is wanted whole */
	struct activation *root;    /* of the pipeline, or of a cache's miss */
	struct hold *holds;
	bool fresh; /* what caches hold is not wanted */

	/* The record, filled in by stages. */
	uint32_t losers;    /* questions to sources that were cancelled, */
	struct text cache;  /* the verdict of the first cache stage; absent: there was none */
	uint64_t wasted_ns; /* and for how long the losers had been under way */
	uint64_t queue_ns;  /* waited for permits */
};

/* Keeps hold until run_deinit(). */
void run_hold(struct run *run, struct hold *hold);

/* Takes over a reference to blob. */
void run_hold_blob(struct run *run, struct blob_hold *hold, struct blob *blob);

/* Releases all holds, newest first. Safe twice. */
void run_deinit(struct run *run);

/* Takes what another run, that of a flight, has waited and wasted, so that it is told once. */
void run_take_costs(struct run *run, struct run *from);

/* RESOURCE_EXHAUSTED, for where no memory is left. */
struct outcome run_out_of_memory(void);
