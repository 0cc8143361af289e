/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Requests for keys, made up from a seed, and how many of them are hits: in the memory cache, and
 * in a plain LRU of the same number of bytes as its control, which pays nothing for its table. On a
 * miss the value is put. All values have one size.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct random;

/* By Zipf's law; the same, and a quarter of all stands in scans of keys that nobody asks for
 * otherwise; the same as the first, and every now and then other keys are the popular ones. */
enum load_kind { LOAD_ZIPF, LOAD_SCANS, LOAD_MOVING, LOAD_KINDS };

/* "zipf", … */
const char *load_name(enum load_kind kind);

struct load {
	uint32_t *keys; /* that are asked for, in this order */
	size_t count;
	uint32_t key_max; /* each is below */
};

/* key_count: of the keys that are not of a scan. False when memory is out. */
bool load_init(struct load *load, enum load_kind kind, uint32_t key_count, size_t count,
		struct random *random);
void load_deinit(struct load *load);

/* What so many entries cost, the index aside. */
size_t load_bytes(size_t entries);

/* Hits in a cache of at most bytes_max bytes. Both end the program when memory is out; ours also
 * when the cache has held more than it may. */
uint64_t load_hits_lru(const struct load *load, size_t bytes_max);
uint64_t load_hits_ours(const struct load *load, size_t bytes_max, struct random *random);
