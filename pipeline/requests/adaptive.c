/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples are taken together in windows, because a single one says little. The usual time is a mean
 * that moves so slowly that an overload has been answered long before it counts as usual; where the
 * usual has become far more than what things take now, it comes down faster.
 */
#include "pipeline/requests/adaptive.h"

#include <math.h>

#include "pipeline/base/lesser.h"

#define WINDOW_NS   100000000U
#define SAMPLES_MIN 10	/* in a window */
#define WINDOWS	    600 /* that the usual time is a mean of */
#define TOLERANCE   1.5 /* times the usual is still usual */
#define SMOOTHING   0.2 /* of what is new in the limit */
#define QUEUE	    4	/* that may always wait: what the limit grows by */

static double between(double value, double least, double most)
{
	return fmin(fmax(value, least), most);
}

void adaptive_init(struct adaptive *adaptive, uint64_t min, uint64_t max)
{
	*adaptive = (struct adaptive){.limit = (double)min, .min = min, .max = max};
}

static void learn(struct adaptive *adaptive, double mean_ns)
{
	if (adaptive->usual_ns == 0)
		adaptive->usual_ns = mean_ns;
	else
		adaptive->usual_ns += (mean_ns - adaptive->usual_ns) * 2 / (WINDOWS + 1);
	if (adaptive->usual_ns > 2 * mean_ns)
		adaptive->usual_ns *= 0.95;
}

static void adapt(struct adaptive *adaptive)
{
	double mean_ns = fmax((double)adaptive->sum_ns / (double)adaptive->samples, 1);
	learn(adaptive, mean_ns);
	/* Of a limit that nothing comes near nobody knows whether it is right. */
	if ((double)adaptive->in_flight_highest < adaptive->limit / 2)
		return;
	double gradient = between(TOLERANCE * adaptive->usual_ns / mean_ns, 0.5, 1);
	double wanted = adaptive->limit * gradient + QUEUE;
	adaptive->limit += (wanted - adaptive->limit) * SMOOTHING;
	adaptive->limit = between(adaptive->limit, (double)adaptive->min, (double)adaptive->max);
}

uint64_t adaptive_sample(
		struct adaptive *adaptive, uint64_t now, uint64_t took_ns, uint64_t in_flight)
{
	adaptive->samples++;
	adaptive->sum_ns += took_ns;
	adaptive->in_flight_highest = greater(adaptive->in_flight_highest, in_flight);
	if (now >= adaptive->ends && adaptive->samples >= SAMPLES_MIN) {
		adapt(adaptive);
		adaptive->ends = now + WINDOW_NS;
		adaptive->samples = 0;
		adaptive->sum_ns = 0;
		adaptive->in_flight_highest = 0;
	}
	return (uint64_t)adaptive->limit;
}

uint64_t adaptive_failed(
		struct adaptive *adaptive, uint64_t now, uint64_t took_ns, uint64_t in_flight)
{
	if (adaptive->usual_ns == 0 || (double)took_ns <= TOLERANCE * adaptive->usual_ns)
		return (uint64_t)adaptive->limit;
	return adaptive_sample(adaptive, now, took_ns, in_flight);
}
