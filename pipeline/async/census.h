/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Debug builds count what happens to frames, by why their scope was cancelled by then if it was, so
 * that a test can say which of it has ever been met. Release builds count nothing. Each thread
 * counts for itself.
 */
#include "pipeline/async/frame.h"

/* CANCEL: its cancel() was called. RESUME: by a child, or by a scope that it owns. DELIVER: its end
 * left the runner's queue, which it had entered by FINISH. */
enum census {
	CENSUS_START,
	CENSUS_CANCEL,
	CENSUS_FINISH,
	CENSUS_DELIVER,
	CENSUS_RESUME,
	CENSUS_EVENTS
};

#define CENSUS_REASONS (DRAIN + 1)

#ifdef SLUICE_COUNTED
extern _Thread_local unsigned long census_counts[CENSUS_EVENTS][CENSUS_REASONS];
#define census_add(event, reason) ((void)census_counts[event][reason]++)
#else
#define census_add(event, reason) ((void)0)
#endif
