/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The loop: sd-event, the clock, and the turn. Everything that touches a request runs on the thread
 * of one loop.
 *
 * Every event source of the daemon goes through here, so that each dispatch is a turn: loop_enter()
 * reads the clock and begins one, loop_leave() ends it and sees to it that the next comes in time.
 * Functions return 0 or -errno.
 */
#include <stdint.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "pipeline/async/async.h"

/*
 * Strict, lowest first (sd-event(3)); what stands after an always-busy source would never run. So
 * the front door is last, and nothing that must happen stands after it.
 */
enum loop_priority {
	LOOP_PRIORITY_SIGNALS = -100,
	LOOP_PRIORITY_DEADLINES = -50,
	LOOP_PRIORITY_ANSWERS = -10, /* mailboxes, sources, monitors, telemetry, stats */
	LOOP_PRIORITY_FRONT = 0,
};

struct loop {
	sd_event *event;
	struct async *async;
	sd_event_source *deadlines; /* one timer, at the next occupied slot of the wheel */
	sd_event_source *again;	    /* one defer, when the runner has more to do */
	uint64_t armed;		    /* when `deadlines` is set for */
	uint64_t lag_highest_ns;    /* the longest turn since it was last asked for */
	uint64_t entered;
	unsigned depth; /* of loop_enter(): a turn inside a turn is the same turn */
};

/* Monotonic nanoseconds. The one place where the engine's clock is read. */
uint64_t loop_now(void);

/* A time of loop_now(), as calls of the C library want it. */
static inline struct timespec loop_timespec(uint64_t ns)
{
	return (struct timespec){(time_t)(ns / 1000000000U), (long)(ns % 1000000000U)};
}

/* Borrows async, which must have been initialised by async_init(async, loop_now(), seed). */
int loop_init(struct loop *loop, struct async *async);
void loop_deinit(struct loop *loop);

/* Runs until loop_exit(); returns its code, or -errno. */
int loop_run(struct loop *loop);
void loop_exit(struct loop *loop, int code);

/* Around every handler of an event source. Between them, async->now is the time. */
void loop_enter(struct loop *loop);
void loop_leave(struct loop *loop);

/* Called in a turn of its own. */
typedef void (*loop_fn)(void *user);

/*
 * A timer that comes back every period_ns, the first time after one. *ret is freed by
 * sd_event_source_disable_unref().
 */
int loop_every(struct loop *loop, uint64_t period_ns, int64_t priority, loop_fn fn, void *user,
		sd_event_source **ret);

/* A signal, which must be blocked in all threads. fn gets the number. */
typedef void (*loop_signal_fn)(void *user, int signal);
int loop_signal(struct loop *loop, int signal, loop_signal_fn fn, void *user,
		sd_event_source **ret);
