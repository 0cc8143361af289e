/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Threads for calls that block, each with a state of its own (a database connection). Jobs are
 * taken in the order they were given; a finished one comes back to the loop by the mailbox. A job
 * that was taken back while it was queued never runs.
 */
#include <stdbool.h>
#include <stddef.h>

#include "pipeline/base/list.h"
#include "pipeline/loop/mailbox.h"

struct workers;

struct work {
	struct letter letter;
	struct link link; /* in the queue */
	bool queued;	  /* guarded by the workers' lock */
};

struct workers_ops {
	/* In the worker's thread. state is what open() gave. */
	void (*run)(void *state, struct work *work);
	/* On the loop, in a turn: the work is the caller's again. */
	void (*done)(void *user, struct work *work);
};

/*
 * Starts a thread for each of `count` states. name is for the threads, at most 15 bytes. NULL and
 * *ret_error when it can't.
 */
struct workers *workers_new(struct loop *loop, const char *name, const struct workers_ops *ops,
		void *user, void *const *states, size_t count, int *ret_error);

void workers_give(struct workers *workers, struct work *work);

/* True: it was still queued, will never run, and is the caller's again (done() is not called). */
bool workers_take_back(struct workers *workers, struct work *work);

/*
 * Tells the threads to stop and waits for them until the absolute time `until` (loop_now()); no
 * work may be queued any more, what runs may come back meanwhile. True: all have ended, done() was
 * called for all that ran, and workers is freed. False: some have not come back; they are left
 * alone, and so is all that they may still touch. It may be called again.
 */
bool workers_free(struct workers *workers, uint64_t until);
