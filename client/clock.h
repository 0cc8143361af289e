/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Times of sluicectl: milliseconds, monotonic.
 */
#include <stdint.h>
#include <time.h>

#define CLOCK_NEVER UINT64_MAX

static inline uint64_t clock_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* What is left until then, for zmq_poll(3). */
static inline long clock_left_ms(uint64_t until_ms)
{
	if (until_ms == CLOCK_NEVER)
		return -1;
	uint64_t now = clock_ms();
	return until_ms > now ? (long)(until_ms - now) : 0;
}
