/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Debug builds count what is alive, so that a test can end by asserting that nothing is. Release
 * builds count nothing. Each thread counts for itself: what it makes it ends.
 */
#include <assert.h>

enum live {
	LIVE_FRAMES,
	LIVE_SCOPES,
	LIVE_TIMERS,
	LIVE_FLIGHTS,
	LIVE_PERMITS,
	LIVE_STREAMS,
	LIVE_BLOBS,
	LIVE_ARENAS,
	LIVE_KINDS
};

#ifdef SLUICE_COUNTED
extern _Thread_local long live_counts[LIVE_KINDS];
#define live_add(kind, n) ((void)(live_counts[kind] += (n)))
#else
#define live_add(kind, n) ((void)0)
#endif

/* Prints each count that isn't zero to stderr and returns how many there are; 0 where nothing is
 * counted.
 */
int live_report(void);
