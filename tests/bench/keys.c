/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranks are given to keys by a shuffle, so that what is asked often does not lie side by side in
 * the server's database.
 */
#include "tests/bench/keys.h"

#include <math.h>
#include <stdlib.h>

#include "pipeline/base/random.h"

/* Enough that a measurement seldom sees a draw twice, and small beside what else is in memory. */
#define DRAWS (1U << 20)

bool keys_init_each(struct keys *keys, uint32_t count, struct random *random)
{
	*keys = (struct keys){.sequence = malloc(count * sizeof(*keys->sequence)), .count = count};
	if (!keys->sequence)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t other = (uint32_t)random_below(random, i + 1);
		keys->sequence[i] = keys->sequence[other];
		keys->sequence[other] = i;
	}
	return true;
}

/* How often a key of rank i or less comes, not yet divided by how often any does. */
static double *sum_up(uint32_t count, double exponent)
{
	double *sums = malloc(count * sizeof(*sums));
	double sum = 0;
	for (uint32_t i = 0; sums && i < count; i++) {
		sum += pow(i + 1.0, -exponent);
		sums[i] = sum;
	}
	return sums;
}

/* The first rank whose sum is over share, which is less than the last sum. */
static uint32_t rank_of(const double *sums, uint32_t count, double share)
{
	uint32_t low = 0, high = count - 1;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (sums[middle] > share)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

bool keys_init_zipf(struct keys *keys, uint32_t count, double exponent, struct random *random)
{
	struct keys ranked;
	if (!keys_init_each(&ranked, count, random))
		return false;
	double *sums = sum_up(count, exponent);
	*keys = (struct keys){.sequence = malloc(DRAWS * sizeof(*keys->sequence)), .count = DRAWS};
	bool enough = sums && keys->sequence;
	for (size_t i = 0; enough && i < DRAWS; i++) {
		double share = (double)(random_next(random) >> 11) * 0x1p-53;
		keys->sequence[i] = ranked.sequence[rank_of(sums, count, share * sums[count - 1])];
	}
	if (!enough)
		keys_deinit(keys);
	free(sums);
	keys_deinit(&ranked);
	return enough;
}

void keys_deinit(struct keys *keys)
{
	free(keys->sequence);
	keys->sequence = NULL;
}
