/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which key is asked for next, drawn in advance, so that a load spends nothing on it; fixed by a
 * seed. Keys are numbers from 0.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct random;

struct keys {
	uint32_t *sequence;
	size_t count;
	size_t at;
};

/*
 * Each key once, shuffled, and then again in the same order. For these, false: memory is out, and
 * nothing is to be freed.
 */
bool keys_init_each(struct keys *keys, uint32_t count, struct random *random);

/* Draws by Zipf's law: the key of rank r comes as often as 1 / r^exponent. */
bool keys_init_zipf(struct keys *keys, uint32_t count, double exponent, struct random *random);

void keys_deinit(struct keys *keys);

static inline uint32_t keys_next(struct keys *keys)
{
	if (keys->at == keys->count)
		keys->at = 0;
	return keys->sequence[keys->at++];
}
