/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How many requests may be in flight, found out by how long they take: Gradient2 of Netflix's
 * concurrency limits. While they take about as long as they usually do the limit grows a little;
 * when they take longer, something below has become a queue, and it shrinks.
 *
 * It is given a sample whenever a request has ended for which the work was done, or has failed:
 * what was cancelled, or refused, says nothing of how long the work takes. It never asks the clock.
 */
#include <stdint.h>

struct adaptive {
	double limit;
	double usual_ns; /* a mean of about the last minute; 0: nothing is known */
	uint64_t min;
	uint64_t max;
	uint64_t ends; /* of the window in which samples are added up */
	uint64_t samples;
	uint64_t sum_ns;
	uint64_t in_flight_highest;
};

/* The limit begins at min, to learn from a system that has little to do how long things take. */
void adaptive_init(struct adaptive *adaptive, uint64_t min, uint64_t max);

/* A request that took so long ended at now; in_flight: how many there were with it. Returns the
 * limit, from min to max. */
uint64_t adaptive_sample(
		struct adaptive *adaptive, uint64_t now, uint64_t took_ns, uint64_t in_flight);

/* The same for one that failed after so long. Its work would have taken longer still: a slow
 * failure counts, for in an overload there may be no other ends, and a quick one says nothing. */
uint64_t adaptive_failed(
		struct adaptive *adaptive, uint64_t now, uint64_t took_ns, uint64_t in_flight);
