/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How long something takes just now, as quantiles of the latest 500 to 1000 times. Two histograms
 * take turns, so the memory is bounded, what is old is forgotten, and recording is O(1). Quantiles
 * are worked out anew with each 16th time, so that asking for one is a read.
 */
#include <stdint.h>

#include "pipeline/base/histogram.h"

#define LATENCY_WINDOW 500
#define LATENCY_EVERY  16

enum quantile { P50, P75, P90, P95, P99, QUANTILES };

struct latency {
	struct histogram windows[2]; /* together, the latest times */
	uint32_t recorded;	     /* since the quantiles were worked out */
	uint32_t known;		     /* times that they rest upon; 0: there are none yet */
	uint8_t current;	     /* the window that is being filled */
	uint64_t quantiles[QUANTILES];
};

/* A cleared one is empty. */
void latency_record(struct latency *latency, uint64_t ns);
