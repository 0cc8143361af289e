/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bucket is told by a value's highest bit and the four bits below it. Values under 32 have a
 * bucket each; from there on the buckets of a power of two are twice as wide as those of the one
 * before.
 */
#include "pipeline/base/histogram.h"

#include <stddef.h>

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

void histogram_add(struct histogram *to, const struct histogram *from)
{
	to->count += from->count;
	to->sum += from->sum;
	if (from->max > to->max)
		to->max = from->max;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t both = (uint64_t)to->buckets[i] + from->buckets[i];
		to->buckets[i] = both > UINT32_MAX ? UINT32_MAX : (uint32_t)both;
	}
}

uint64_t histogram_quantile(const struct histogram *histogram, double q)
{
	/* Not `count`: a full bucket has stopped counting. */
	uint64_t total = 0;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		total += histogram->buckets[i];
	if (total == 0)
		return 0;
	double exact = (double)total * (q > 0 ? q < 1 ? q : 1 : 0);
	uint64_t rank = (uint64_t)exact;
	if ((double)rank < exact || rank == 0)
		rank++;
	size_t bucket = 0;
	for (uint64_t seen = histogram->buckets[0]; seen < rank; bucket++)
		seen += histogram->buckets[bucket + 1];
	uint64_t bound = bound_of(bucket);
	return bound < histogram->max ? bound : histogram->max;
}
