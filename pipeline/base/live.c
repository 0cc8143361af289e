/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counts behind live_add(), one for each kind. A test that ends with a count above zero has
 * leaked; one below zero has given something back twice.
 */
#include "pipeline/base/live.h"

#ifdef SLUICE_COUNTED

#include <stdio.h>

_Thread_local long live_counts[LIVE_KINDS];

static const char *const names[LIVE_KINDS] = {
		[LIVE_FRAMES] = "frames",
		[LIVE_SCOPES] = "scopes",
		[LIVE_TIMERS] = "timers",
		[LIVE_FLIGHTS] = "flights",
		[LIVE_PERMITS] = "permits",
		[LIVE_STREAMS] = "streams",
		[LIVE_BLOBS] = "blobs",
		[LIVE_ARENAS] = "arenas",
};

int live_report(void)
{
	int alive = 0;
	for (int kind = 0; kind < LIVE_KINDS; kind++) {
		if (live_counts[kind] == 0)
			continue;
		(void)fprintf(stderr, "live %s: %ld\n", names[kind], live_counts[kind]);
		alive++;
	}
	return alive;
}

#else

int live_report(void)
{
	return 0;
}

#endif
