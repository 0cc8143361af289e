/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that outlive the request that made them. A blob is one block, header and bytes together.
 *
 * Workers make blobs too, so the counts of live.h are left alone until the loop charges a blob to
 * an account: a test sees every blob that somebody answers for.
 */
#include "pipeline/base/blob.h"

#include <assert.h>
#include <stdlib.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/live.h"

struct blob *blob_new(uint32_t size)
{
	struct blob *blob = malloc(sizeof(*blob) + (size_t)size + 1);
	if (blob == NULL)
		return NULL;
	*blob = (struct blob){.refs = 1, .size = size};
	blob->data[size] = '\0';
	return blob;
}

struct blob *blob_copy(struct text t)
{
	if (t.size > UINT32_MAX)
		return NULL;
	struct blob *blob = blob_new((uint32_t)t.size);
	if (blob && t.size > 0)
		memcpy(blob->data, t.data, t.size);
	return blob;
}

struct blob *blob_ref(struct blob *blob)
{
	assert(blob->refs > 0 && blob->refs < UINT32_MAX);
	blob->refs++;
	return blob;
}

struct blob *blob_unref(struct blob *blob)
{
	if (blob == NULL)
		return NULL;
	assert(blob->refs > 0);
	if (--blob->refs == 0) {
		blob_charge(blob, NULL);
		free(blob);
	}
	return NULL;
}

void blob_charge(struct blob *blob, struct account *account)
{
	if (blob->account) {
		account_release(blob->account, blob_cost(blob));
		live_add(LIVE_BLOBS, -1);
	}
	blob->account = account;
	if (account) {
		account_charge(account, blob_cost(blob));
		live_add(LIVE_BLOBS, 1);
	}
}

size_t blob_cost(const struct blob *blob)
{
	return sizeof(*blob) + (size_t)blob->size + 1;
}
