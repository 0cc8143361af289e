/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flights in the background. Such a flight is held open by the stage itself, to its ceiling, so it
 * outlives the request that set it off; it counts in no limit but that of bytes, and that of how
 * many there may be. A drain lets go of all of them: those that nobody waits for end at once.
 */
#include "pipeline/stages/cache.h"

bool cache_may_hold(const struct cache_stage *stage)
{
	return !stage->draining && stage->background_count < stage->background_max;
}

void cache_hold_open(struct flight *flight)
{
	struct miss_run *miss = flight_extra(flight);
	struct cache_stage *stage = miss->stage;
	list_append(&stage->background, &miss->background);
	stage->background_count++;
	stage->counts.refreshes++;
	flight_hold(flight);
}

bool cache_end_hold(struct flight *flight)
{
	struct miss_run *miss = flight_extra(flight);
	if (!link_in_list(&miss->background))
		return false;
	link_remove(&miss->background);
	miss->stage->background_count--;
	return true;
}

bool cache_is_held_off(const struct cache_frame *self)
{
	struct cache_stage *stage = cache_stage_of(&self->base);
	return stage->throttle > 0 && flight_is_dying(&stage->flights, self->hash, self->key);
}

void cache_refresh(struct cache_frame *self)
{
	struct cache_stage *stage = cache_stage_of(&self->base);
	if (flight_find(&stage->flights, self->hash, self->key))
		return;
	if (self->base.run->used_up || !cache_may_hold(stage) || cache_is_held_off(self) ||
			!cache_fly(self, NULL, FLY_HELD))
		stage->counts.throttled++;
}

void cache_drain(struct stage *stage)
{
	struct cache_stage *self = container_of(stage, struct cache_stage, stage);
	self->draining = true;
	while (!list_empty(&self->background)) {
		struct miss_run *miss =
				container_of(self->background.next, struct miss_run, background);
		struct flight *flight = flight_of_extra(miss);
		(void)cache_end_hold(flight);
		flight_release(flight, DRAIN);
	}
}
