/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Keyed hashing of bytes that strangers choose: SipHash-2-4 (Aumasson and Bernstein 2012), by
 * libsodium, so that nobody can aim at one slot of a table.
 */
#include <stdint.h>

#include "pipeline/base/text.h"

struct hash_key {
	unsigned char bytes[16];
};

uint64_t hash_text(const struct hash_key *key, struct text t);

/* Mixes a number that we chose ourselves (a counter, an index); not keyed. */
static inline uint64_t hash_u64(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U; /* splitmix64's finalizer */
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
	return x ^ (x >> 31);
}
