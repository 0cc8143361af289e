/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Immutable bytes with a count of references: cache values, outcomes of flights, rows from a
 * worker.
 *
 * Only the loop touches the count, so nothing here is atomic. A worker may make a blob and hand it
 * over whole, by the mailbox; from then on it is the loop's. A blob is charged to at most one
 * account at a time.
 */
#include <stdint.h>

#include "pipeline/base/text.h"

struct account;

struct blob {
	struct account *account; /* NULL: charged to nobody */
	uint32_t refs;
	uint32_t size;
	char data[]; /* followed by a NUL that size doesn't count */
};

/* A blob with one reference, charged to nobody, its bytes to be written before it is shared. NULL
 * when memory is out. */
struct blob *blob_new(uint32_t size);

/* A blob that holds a copy of t. NULL when memory is out or t is over 4 GiB. */
struct blob *blob_copy(struct text t);

/* Takes a further reference; returns blob. */
struct blob *blob_ref(struct blob *blob);

/* Gives a reference back; the last one frees the blob. Takes NULL; returns NULL. */
struct blob *blob_unref(struct blob *blob);

/* Moves the blob's bytes from the account it is charged to, if any, to account (may be NULL). */
void blob_charge(struct blob *blob, struct account *account);

/* What a blob counts for in an account: its bytes and its header. */
size_t blob_cost(const struct blob *blob);

static inline struct text blob_text(const struct blob *blob)
{
	return (struct text){blob->data, blob->size};
}
