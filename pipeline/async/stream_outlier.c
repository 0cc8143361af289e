/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each reading is judged by those before it and then learned. Of one that lies beyond the limit,
 * only the limit is learned: a single monstrous one would otherwise widen the deviation so much
 * that the next pass for usual, while a level that has really changed still becomes the usual in
 * time, because each limit lies further out than the one before.
 *
 * The first readings weigh 1/n, so that mean and variance are at every moment those of what was
 * seen, and do not depend on what they began with.
 */
#include "pipeline/async/stream_outlier.h"

#include <assert.h>
#include <math.h>

#include "pipeline/base/lesser.h"

static bool is_beyond(const struct outlier_rule *rule, double difference, double limit)
{
	switch (rule->side) {
	case OUTLIER_ABOVE:
		return difference > limit;
	case OUTLIER_BELOW:
		return difference < -limit;
	case OUTLIER_BOTH:
		break;
	}
	return fabs(difference) > limit;
}

static void learn(struct stream_outlier *outlier, double difference)
{
	uint64_t n = ++outlier->samples;
	double weight = 1.0 / (double)lesser(n, outlier->rule.memory);
	double step = weight * difference;
	outlier->mean += step;
	outlier->variance = (1.0 - weight) * (outlier->variance + difference * step);
}

double stream_outlier_deviation(const struct stream_outlier *outlier)
{
	return sqrt(outlier->variance);
}

void stream_outlier_inherit(struct stream_outlier *outlier, const struct stream_outlier *before)
{
	outlier->mean = before->mean;
	outlier->variance = before->variance;
	outlier->samples = before->samples;
}

static bool judge(void *user, const void *element)
{
	struct stream_outlier *outlier = user;
	const struct outlier_rule *rule = &outlier->rule;
	double reading;
	if (!outlier->reading(outlier->user, element, &reading))
		return false;
	double deviation = stream_outlier_deviation(outlier);
	double difference = reading - outlier->mean;
	double limit = fmax(rule->over * deviation, rule->least);
	bool flagged = outlier->samples >= rule->warmup && is_beyond(rule, difference, limit);
	if (flagged)
		outlier->held = (struct outlier_held){
				reading, outlier->mean, deviation, outlier->samples};
	learn(outlier, flagged ? copysign(limit, difference) : difference);
	return flagged;
}

static enum pulled outlier_pull(struct stream *stream, void **ret)
{
	struct stream_outlier *outlier = container_of(stream, struct stream_outlier, stream);
	return stream_pull_kept(stream, judge, outlier, ret);
}

static const struct stream_ops outlier_ops = {.pull = outlier_pull};

void stream_outlier_init(struct stream_outlier *outlier, struct stream *upstream,
		const struct outlier_rule *rule, stream_reading_fn reading, void *user)
{
	assert(rule->memory > 0 && rule->warmup > 0 && rule->least > 0);
	*outlier = (struct stream_outlier){.rule = *rule, .reading = reading, .user = user};
	stream_init_operator(&outlier->stream, &outlier_ops, upstream);
}
