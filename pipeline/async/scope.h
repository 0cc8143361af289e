/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The lifetime of asynchronous work: a deadline, a reason once it is cancelled, and a count of what
 * still goes on in it. Scopes form a tree; work cannot outlive its scope (structured concurrency).
 *
 * Whoever may have to cut a part of its work off owns a scope for it and stands outside. The owner
 * is a frame: it is resumed, with child NULL, when the scope reaches its own deadline, or when it
 * was cancelled from above and its work has ended. An owner that ends, or cancels the scope itself,
 * closes it, and is not resumed by it any more. What finishes in a cancelled scope resumes nobody
 * outside.
 *
 * The loop thread only.
 */
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/async/frame.h"
#include "pipeline/async/wheel.h"

struct async;

/* No deadline. */
#define SCOPE_FOREVER UINT64_MAX

typedef void (*scope_idle_fn)(struct scope *scope);

struct scope {
	struct async *async;
	struct scope *parent;  /* NULL: a root */
	struct frame *owner;   /* resumed; NULL: nobody is */
	scope_idle_fn on_idle; /* of a root */
	struct link link;      /* among the parent's scopes */
	struct link scopes;    /* below it */
	struct link frames;    /* waiting for something outside, oldest first */
	struct timer timer;
	struct task task; /* to resume the owner, or to call on_idle */
	uint64_t deadline;
	unsigned count; /* frames that wait or are queued, scopes below that have a count, roots
			   below */
	enum reason reason : 8; /* REASON_NONE until it is cancelled */
	enum reason expiry : 8; /* what its own deadline is: DEADLINE or TIMEOUT */
	bool closed;
};

/*
 * A scope below parent. deadline is absolute and never changes; one that is not sooner than
 * parent's is parent's to enforce, so that where two limits fall together the outer one is blamed.
 * expiry says what a deadline of its own means.
 */
void scope_init(struct scope *scope, struct scope *parent, struct frame *owner, uint64_t deadline,
		enum reason expiry);

/*
 * A root scope. on_idle is called by the runner when the scope is closed and its work has ended,
 * and may free the scope. parent may be NULL, or a scope whose cancel reaches this one too and that
 * is not over before on_idle has been called.
 */
void scope_init_root(struct scope *scope, struct async *async, struct scope *parent,
		struct frame *owner, uint64_t deadline, scope_idle_fn on_idle);

/*
 * Cancels all work in the scope and below it: scopes first, then waiting frames, newest first, each
 * once. Idempotent; the first reason stays. An owner that does this itself closes the scope too.
 */
void scope_cancel(struct scope *scope, enum reason reason);

/* The owner starts nothing more in it and wants to hear nothing more. Idempotent. */
void scope_close(struct scope *scope);

/* Ends a root in which nothing has ever waited, on the spot and without on_idle. */
void scope_deinit(struct scope *scope);

static inline bool scope_cancelled(const struct scope *scope)
{
	return scope->reason != REASON_NONE;
}

/* The time left at now until the deadline, 0 when it is reached; SCOPE_FOREVER if there is none. */
static inline uint64_t scope_left(const struct scope *scope, uint64_t now)
{
	if (scope->deadline == SCOPE_FOREVER)
		return SCOPE_FOREVER;
	return scope->deadline > now ? scope->deadline - now : 0;
}

/* So long before the deadline; SCOPE_FOREVER if there is none. */
static inline uint64_t scope_before_deadline(const struct scope *scope, uint64_t margin_ns)
{
	if (scope->deadline == SCOPE_FOREVER)
		return SCOPE_FOREVER;
	return scope->deadline > margin_ns ? scope->deadline - margin_ns : 0;
}

/* For frame.c: a frame begins to wait, stops, and the check that a completion is not later than a
 * deadline. */
void scope_enter(struct scope *scope, struct frame *frame);
void scope_leave(struct scope *scope);
void scope_expire_due(struct scope *scope);
