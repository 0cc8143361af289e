/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A hierarchical timing wheel (Varghese and Lauck 1987): arming and disarming are O(1) however many
 * timers there are.
 *
 * Ticks are 2^19 ns (about half a millisecond). A timer never fires early, and at most one tick
 * after its time if the wheel is advanced in time. The wheel never asks the clock. Timers are the
 * caller's memory.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/base/list.h"

#define WHEEL_TICK_BITS 19
#define WHEEL_SLOT_BITS 6
#define WHEEL_SLOTS	(1 << WHEEL_SLOT_BITS)
/* 6 bits each: they cover the 45 bits of tick that 64 bits of nanoseconds leave. */
#define WHEEL_LEVELS 8
#define WHEEL_NEVER  UINT64_MAX

struct timer;
typedef void (*timer_fn)(struct timer *timer);

struct timer {
	struct link link;
	timer_fn fire;
	uint64_t tick : 56; /* fires when the wheel reaches it */
	uint64_t level : 8; /* where it stands, in the slot that its tick tells */
};

struct wheel {
	uint64_t tick; /* all timers at or before it have fired */
	uint64_t occupied[WHEEL_LEVELS];
	struct link slots[WHEEL_LEVELS][WHEEL_SLOTS];
	size_t armed;
};

/* now: monotonic nanoseconds. */
void wheel_init(struct wheel *wheel, uint64_t now);

/* A timer that is not armed. */
void timer_init(struct timer *timer, timer_fn fire);

/* Arms a timer that is not armed, for the absolute time at; one in the past fires with the next
 * tick. */
void timer_arm(struct wheel *wheel, struct timer *timer, uint64_t at);

/* Disarms; harmless for a timer that is not armed. */
void timer_disarm(struct wheel *wheel, struct timer *timer);

static inline bool timer_armed(const struct timer *timer)
{
	return link_in_list(&timer->link);
}

/*
 * Fires all timers that are due at now, in the order of their ticks; those of one tick in the order
 * they were armed. A timer is disarmed before its function runs, which may arm and disarm any
 * timer.
 */
void wheel_advance(struct wheel *wheel, uint64_t now);

/* When to advance next: never later than the first timer is due; WHEEL_NEVER when none is armed. */
uint64_t wheel_next(const struct wheel *wheel);
