/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generator that everything random in the engine draws from (jitter, sampling, hash keys), so
 * that one seed fixes a whole simulated run. The state is never all zeros, which xoshiro could not
 * leave: splitmix64 gives no four zeros in a row, as its outputs are a bijection of a counter.
 */
#include "pipeline/base/random.h"

#include <assert.h>
#include <string.h>

#include "pipeline/base/hash.h"

__extension__ typedef unsigned __int128 u128;

void random_init(struct random *random, uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		seed += 0x9e3779b97f4a7c15U; /* splitmix64's counter: the golden ratio */
		random->state[i] = hash_u64(seed);
	}
}

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return (x << bits) | (x >> (64 - bits));
}

uint64_t random_next(struct random *random)
{
	uint64_t *s = random->state;
	uint64_t result = rotate(s[1] * 5, 7) * 9;
	uint64_t shifted = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= shifted;
	s[3] = rotate(s[3], 45);
	return result;
}

uint64_t random_below(struct random *random, uint64_t bound)
{
	if (bound == 0)
		return 0;
	u128 product = (u128)random_next(random) * bound;
	/* The lowest 2^64 mod bound products of each slot are drawn again, so that all slots are of
	 * one size. */
	if ((uint64_t)product < bound) {
		uint64_t uneven = -bound % bound;
		while ((uint64_t)product < uneven)
			product = (u128)random_next(random) * bound;
	}
	return (uint64_t)(product >> 64);
}

void random_hash_key(struct random *random, struct hash_key *ret)
{
	uint64_t words[2] = {random_next(random), random_next(random)};
	static_assert(sizeof(words) == sizeof(ret->bytes), "two draws fill a key");
	memcpy(ret->bytes, words, sizeof(words));
}
