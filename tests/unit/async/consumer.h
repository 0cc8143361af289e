/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For tests of streams: numbered items that know how often they were released, a queue of them, and
 * a frame that pulls until the end and remembers what it got.
 */
#include "pipeline/async/stream_queue.h"
#include "tests/unit/async/scripted.h"

#define ITEMS	     64
#define CAPACITY_MAX 16

struct item {
	int number;
	int released;
};

extern struct item items[ITEMS]; /* item n has the number n */

/* A queue that releases into its items. */
struct items_queue {
	struct stream_queue queue;
	void *buffer[CAPACITY_MAX];
	uint64_t taken; /* pushes */
};

/* All items are new. */
void items_init(struct items_queue *queue, struct scope *scope, uint32_t capacity);

enum pushed items_push(struct items_queue *queue, int number);

/* Releases of all items; each must have at most one. */
int items_released(void);

struct consumer {
	struct frame frame;
	struct scope scope; /* where the stream is to be made */
	struct stream *stream;
	struct stream_wait wait;
	int pulls_left; /* it then rests without pulling, until consumer_go_on(); -1: never */
	bool resting;
	int got[ITEMS];
	int count;
	bool ended;
	int resumes;
};

/* In a scope of its own below root's. */
void consumer_init(struct consumer *consumer, struct root *root);

/* Starts it with the stream, which is in its scope. */
enum progress consumer_start(struct consumer *consumer, struct stream *stream);

/* It has been resting, and may pull so many more. */
void consumer_go_on(struct consumer *consumer, int pulls);

/* Whether it got exactly these, in this order; ends with -1. */
bool consumer_got(const struct consumer *consumer, ...);
