/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * An operator on a stream (stream.h) that lets only those elements through whose reading is far
 * from what is usual, in memory of fixed size: the usual is an exponentially weighted mean and
 * variance of the readings before it (West 1979, Finch 2009). Until it has seen `warmup` readings
 * it learns and flags nothing.
 */
#include <stdint.h>

#include "pipeline/async/stream.h"

/* False: the element has no reading, and is passed by. A reading is finite. */
typedef bool (*stream_reading_fn)(void *user, const void *element, double *ret);

enum outlier_side { OUTLIER_ABOVE, OUTLIER_BELOW, OUTLIER_BOTH };

struct outlier_rule {
	double over;  /* so many deviations from the mean, and */
	double least; /* at least so far from it, greater than 0; else a reading that never varied
			 would be one for any change */
	uint64_t memory; /* readings that the mean goes back: one weighs 1/memory; at least 1 */
	uint64_t warmup; /* at least 1 */
	enum outlier_side side;
};

/* What a reading was held against. */
struct outlier_held {
	double reading;
	double mean;
	double deviation;
	uint64_t samples; /* before it */
};

struct stream_outlier {
	struct stream stream;
	struct outlier_rule rule;
	stream_reading_fn reading;
	void *user;
	double mean;
	double variance;
	uint64_t samples;
	struct outlier_held held; /* of the element that was pulled last */
};

/* Of all readings so far. */
double stream_outlier_deviation(const struct stream_outlier *outlier);

/* Goes on with what another has learned by the same rule. */
void stream_outlier_inherit(struct stream_outlier *outlier, const struct stream_outlier *before);

void stream_outlier_init(struct stream_outlier *outlier, struct stream *upstream,
		const struct outlier_rule *rule, stream_reading_fn reading, void *user);
