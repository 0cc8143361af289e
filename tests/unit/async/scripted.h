/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Frames that do what a test tells them and remember what was done to them, and a root scope for
 * them to work in. Time is what the test says.
 */
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/async/async.h"
#include "pipeline/async/frame.h"
#include "pipeline/async/scope.h"

#define TICK  (UINT64_C(1) << WHEEL_TICK_BITS)
#define START (UINT64_C(1000) * TICK)

/* Started anew for each test, at START. */
extern struct async async;

/* For cmocka: begins a test; ends it and fails if anything is still alive, armed or queued. */
int scripted_set_up(void **state);
int scripted_tear_down(void **state);

struct scripted {
	struct frame frame;
	/* What it is to do; all may be set after the init and before the start. */
	enum status status; /* it ends with */
	bool at_once;	    /* start() says DONE */
	bool unstoppable;   /* cancel() is only noted, as by a worker's job */
	unsigned children;  /* it ends when it has been resumed that often; 0: never */
	void (*on_start)(struct scripted *scripted);
	enum progress (*on_resume)(
			struct scripted *scripted, struct frame *child); /* decides, if set */
	void *context;
	/* What was done to it. */
	int starts;
	int cancels;
	enum reason reason;
	int turn_of_cancel; /* from 1: its place among all that were cancelled in this test */
	int resumes;
	int resumes_alone; /* of those, with child NULL */
	struct frame *child;
};

/* Work that goes on outside: it is cancelled, and ends when told. */
void scripted_work(struct scripted *scripted, struct frame *parent, struct scope *scope);

/* Work that is only its children, as many as given. */
void scripted_parent(struct scripted *scripted, struct frame *parent, struct scope *scope,
		unsigned children);

/* Ends work with a status. */
void scripted_finish(struct scripted *scripted, enum status status);

/* A root scope with its owner, and room for what goes on in it. All is freed in on_idle. */
struct root {
	struct scope scope;
	struct scripted owner;
	struct scripted frames[8];
	struct scope scopes[4];
};

/* How many roots have been freed in this test. */
extern int roots_freed;

struct root *root_new(struct scope *parent, uint64_t deadline);

/* One turn at now; when the next must be. */
uint64_t turn(uint64_t now);

/* Turns at the present time until nothing is queued. */
void run(void);

/* Whether call() ends in a failed assertion. Tried in a process of its own. */
bool asserts(void (*call)(void));
