/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Random numbers that a seed fixes, so that a simulated run can be replayed: xoshiro256** (Blackman
 * and Vigna 2018), seeded by splitmix64. Not for secrets. The daemon seeds it by getrandom(2).
 */
#include <stdint.h>

struct random {
	uint64_t state[4];
};

void random_init(struct random *random, uint64_t seed);
uint64_t random_next(struct random *random);

/* Evenly from 0 to bound - 1 (Lemire 2019); 0 for bound 0. */
uint64_t random_below(struct random *random, uint64_t bound);

/* Fills 16 bytes, for a hash key. */
struct hash_key;
void random_hash_key(struct random *random, struct hash_key *ret);
