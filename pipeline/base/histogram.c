/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bucket is told by a value's highest bit and the four bits below it. Values under 32 have a
 * bucket each; from there on the buckets of a power of two are twice as wide as those of the one
 * before.
 */
#include "pipeline/base/histogram.h"

#include "pipeline/base/lesser.h"

#define SUB_COUNT (1U << HISTOGRAM_SUB_BITS)

/* The highest bit is looked for from SUB_BITS up, so that small values need no case of their own.
 */
static size_t bucket_of(uint64_t value)
{
	unsigned shift = 63 - (unsigned)__builtin_clzll(value | SUB_COUNT) - HISTOGRAM_SUB_BITS;
	return ((size_t)shift << HISTOGRAM_SUB_BITS) + (size_t)(value >> shift);
}

/* The largest value of a bucket. That of the last wraps around to the largest number there is. */
static uint64_t bound_of(size_t bucket)
{
	if (bucket < 2 * SUB_COUNT)
		return bucket;
	size_t shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
	return ((uint64_t)(bucket % SUB_COUNT + SUB_COUNT + 1) << shift) - 1;
}

void histogram_record(struct histogram *histogram, uint64_t value)
{
	histogram->count++;
	histogram->sum += value;
	if (value > histogram->max)
		histogram->max = value;
	uint32_t *bucket = &histogram->buckets[bucket_of(value)];
	*bucket += *bucket != UINT32_MAX;
}

/* Which of so many values, in their order from 1 on, is the quantile q. */
static uint64_t rank_of(uint64_t total, double q)
{
	double exact = (double)total * (q > 0 ? q < 1 ? q : 1 : 0);
	uint64_t rank = (uint64_t)exact;
	return (double)rank < exact || rank == 0 ? rank + 1 : rank;
}

uint64_t histogram_quantile(const struct histogram *histogram, double q)
{
	/* Not `count`: a full bucket has stopped counting. */
	uint64_t total = 0;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		total += histogram->buckets[i];
	if (total == 0)
		return 0;
	uint64_t rank = rank_of(total, q);
	size_t bucket = 0;
	for (uint64_t seen = histogram->buckets[0]; seen < rank; bucket++)
		seen += histogram->buckets[bucket + 1];
	uint64_t bound = bound_of(bucket);
	return bound < histogram->max ? bound : histogram->max;
}

/* From the top, where few buckets are empty: as a rule that is a small part of them all. */
void histogram_quantiles(
		const struct histogram pair[2], const double *shares, size_t count, uint64_t *ret)
{
	uint64_t max = greater(pair[0].max, pair[1].max);
	uint64_t below = pair[0].count + pair[1].count;
	uint64_t total = below;
	size_t bucket = bucket_of(max) + 1;
	for (size_t i = count; i-- > 0;) {
		uint64_t rank = rank_of(total, shares[i]);
		while (below >= rank && bucket > 0) {
			bucket--;
			below -= pair[0].buckets[bucket] + pair[1].buckets[bucket];
		}
		ret[i] = total > 0 ? lesser(bound_of(bucket), max) : 0;
	}
}
