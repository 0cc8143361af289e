/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Level n has 64 slots of 64^n ticks. A timer stands on the level of the highest group of 6 bits in
 * which its tick differs from the wheel's, so all timers of one slot share the bits above it, and a
 * slot above level 0 is emptied into lower levels when the wheel reaches it. A bit a slot says
 * where there is something, so advancing skips what is empty.
 *
 * Invariant: wheel->tick is never later than the first occupied slot.
 */
#include "pipeline/async/wheel.h"

#include <assert.h>

#include "pipeline/base/lesser.h"
#include "pipeline/base/live.h"

#define SLOT_MASK (WHEEL_SLOTS - 1)

static_assert(64 - WHEEL_TICK_BITS <= WHEEL_LEVELS * WHEEL_SLOT_BITS, "all ticks have a level");
static_assert(64 - WHEEL_TICK_BITS < 56,
		"all ticks have room in a timer, the one after the last too");

void wheel_init(struct wheel *wheel, uint64_t now)
{
	*wheel = (struct wheel){.tick = now >> WHEEL_TICK_BITS};
	for (int level = 0; level < WHEEL_LEVELS; level++) {
		for (int slot = 0; slot < WHEEL_SLOTS; slot++)
			link_init(&wheel->slots[level][slot]);
	}
}

void timer_init(struct timer *timer, timer_fn fire)
{
	link_init(&timer->link);
	timer->fire = fire;
}

/* A timer's slot on its level. */
static int slot_of(const struct timer *timer)
{
	return (int)(timer->tick >> (timer->level * WHEEL_SLOT_BITS)) & SLOT_MASK;
}

static void insert(struct wheel *wheel, struct timer *timer)
{
	uint64_t differs = (timer->tick ^ wheel->tick) | SLOT_MASK;
	timer->level = (uint64_t)(63 - __builtin_clzll(differs)) / WHEEL_SLOT_BITS;
	int slot = slot_of(timer);
	list_append(&wheel->slots[timer->level][slot], &timer->link);
	wheel->occupied[timer->level] |= UINT64_C(1) << slot;
}

void timer_arm(struct wheel *wheel, struct timer *timer, uint64_t at)
{
	assert(!timer_armed(timer));
	/* Rounded up, so that it never fires early; a tick that has been is over, so the next one
	 * is the soonest. */
	uint64_t tick = (at >> WHEEL_TICK_BITS) +
			((at & ((UINT64_C(1) << WHEEL_TICK_BITS) - 1)) != 0);
	timer->tick = greater(tick, wheel->tick + 1);
	insert(wheel, timer);
	wheel->armed++;
	live_add(LIVE_TIMERS, 1);
}

void timer_disarm(struct wheel *wheel, struct timer *timer)
{
	if (!timer_armed(timer))
		return;
	link_remove(&timer->link);
	int slot = slot_of(timer);
	if (list_empty(&wheel->slots[timer->level][slot]))
		wheel->occupied[timer->level] &= ~(UINT64_C(1) << slot);
	wheel->armed--;
	live_add(LIVE_TIMERS, -1);
}

/* The first tick of the nearest occupied slot, and that slot. On each level all slots lie ahead
 * within one round. */
static uint64_t first_slot(const struct wheel *wheel, int *ret_level, int *ret_slot)
{
	for (int level = 0; level < WHEEL_LEVELS; level++) {
		if (wheel->occupied[level] == 0)
			continue;
		/* Lower levels come before higher ones, for they hold what shares the higher bits
		 * with the present. */
		int slot = __builtin_ctzll(wheel->occupied[level]);
		int shift = level * WHEEL_SLOT_BITS;
		uint64_t above = wheel->tick >> (shift + WHEEL_SLOT_BITS);
		*ret_level = level;
		*ret_slot = slot;
		return (above << (shift + WHEEL_SLOT_BITS)) | ((uint64_t)slot << shift);
	}
	return WHEEL_NEVER;
}

static void fire_slot(struct wheel *wheel, struct link *slot)
{
	while (!list_empty(slot)) {
		struct timer *timer = container_of(slot->next, struct timer, link);
		timer_disarm(wheel, timer);
		timer->fire(timer);
	}
}

static void spread_slot(struct wheel *wheel, int level, int slot)
{
	struct link timers;
	link_init(&timers);
	list_splice(&timers, &wheel->slots[level][slot]);
	wheel->occupied[level] &= ~(UINT64_C(1) << slot);
	while (!list_empty(&timers)) {
		struct timer *timer = container_of(timers.next, struct timer, link);
		link_remove(&timer->link);
		insert(wheel, timer);
	}
}

void wheel_advance(struct wheel *wheel, uint64_t now)
{
	uint64_t target = now >> WHEEL_TICK_BITS;
	int level, slot;
	for (;;) {
		uint64_t tick = first_slot(wheel, &level, &slot);
		if (tick > target)
			break;
		wheel->tick = tick;
		if (level == 0)
			fire_slot(wheel, &wheel->slots[0][slot]);
		else
			spread_slot(wheel, level, slot);
	}
	wheel->tick = greater(wheel->tick, target);
}

uint64_t wheel_next(const struct wheel *wheel)
{
	int level, slot;
	uint64_t tick = first_slot(wheel, &level, &slot);
	/* A time in the very last tick is rounded up to one that 64 bits can't say. */
	return tick > WHEEL_NEVER >> WHEEL_TICK_BITS ? WHEEL_NEVER : tick << WHEEL_TICK_BITS;
}
