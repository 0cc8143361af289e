/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A histogram of unsigned numbers with a bounded relative error: log-linear buckets as in
 * HdrHistogram, 16 to each power of two, so a quantile is at most 1/16 too high. Recording is O(1)
 * without a branch per bucket.
 */
#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_SUB_BITS 4
#define HISTOGRAM_BUCKETS  ((64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
	uint64_t count;
	uint64_t sum;
	uint64_t max;
	uint32_t buckets[HISTOGRAM_BUCKETS]; /* each stays at its highest number when it is full */
};

void histogram_record(struct histogram *histogram, uint64_t value);

/* The smallest bucket bound that at least q (0 to 1) of all values do not pass, or max where that
 * is less; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *histogram, double q);

/* The same of two together, of fewer values than a bucket can count, for `count` ascending shares.
 */
void histogram_quantiles(
		const struct histogram pair[2], const double *shares, size_t count, uint64_t *ret);
