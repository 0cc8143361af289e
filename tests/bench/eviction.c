/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the memory cache keeps of what is asked for again, beside an LRU. A line of JSON for each
 * load and each size of cache, with both hit ratios. It measures no time, so it gives the same on
 * any machine, however busy.
 */
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/base/random.h"
#include "tests/bench/eviction_loads.h"

#define KEYS	 50000
#define REQUESTS 1000000

static void compare(enum load_kind kind, size_t entries)
{
	struct random random;
	struct load load;
	random_init(&random, 1);
	if (!load_init(&load, kind, KEYS, REQUESTS, &random))
		abort();
	size_t bytes = load_bytes(entries);
	double lru = (double)load_hits_lru(&load, bytes) / REQUESTS;
	double ours = (double)load_hits_ours(&load, bytes, &random) / REQUESTS;
	(void)printf("{\"load\":\"%s\",\"keys\":%d,\"entries\":%zu,\"bytes\":%zu,\"lru\":%.4f,"
		     "\"ours\":%.4f}\n",
			load_name(kind), KEYS, entries, bytes, lru, ours);
	load_deinit(&load);
}

int main(void)
{
	static const size_t entries[] = {KEYS / 100, KEYS / 10};
	for (enum load_kind kind = 0; kind < LOAD_KINDS; kind++) {
		for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
			compare(kind, entries[i]);
	}
	return 0;
}
