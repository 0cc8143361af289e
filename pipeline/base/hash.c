/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keyed hash is libsodium's, so that there is no cryptography of our own. Its one call needs no
 * sodium_init(): it draws no random bytes.
 */
#include "pipeline/base/hash.h"

#include <assert.h>
#include <sodium/crypto_shorthash_siphash24.h>

static_assert(sizeof(struct hash_key) == crypto_shorthash_siphash24_KEYBYTES,
		"SipHash takes a key of 128 bits");
static_assert(sizeof(uint64_t) == crypto_shorthash_siphash24_BYTES, "SipHash-2-4 gives 64 bits");

uint64_t hash_text(const struct hash_key *key, struct text t)
{
	uint64_t hash;
	(void)crypto_shorthash_siphash24(
			(unsigned char *)&hash, (const unsigned char *)t.data, t.size, key->bytes);
	return hash;
}
