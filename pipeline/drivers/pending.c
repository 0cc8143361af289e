/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A source may have thousands of asks on their way, and each answer must find its own at once.
 * Numbers are given one after another, so their low bits spread them over the buckets better than
 * any hash. Buckets are chains: where memory for more buckets is out the chains grow longer, and
 * adding never fails.
 *
 * Whoever goes through all entries does it by their list, in the order they were added, and never
 * by bucket.
 */
#include "pipeline/drivers/pending.h"

#include <assert.h>
#include <stdlib.h>

#define BUCKETS_FIRST 64

bool pending_init(struct pending *pending)
{
	*pending = (struct pending){.bucket_count = BUCKETS_FIRST};
	link_init(&pending->all);
	pending->buckets = calloc(BUCKETS_FIRST, sizeof(struct pending_entry *));
	return pending->buckets != NULL;
}

void pending_deinit(struct pending *pending)
{
	assert(pending->count == 0);
	free(pending->buckets);
	pending->buckets = NULL;
}

uint64_t pending_number(struct pending *pending)
{
	return ++pending->last;
}

static struct pending_entry **bucket_of(const struct pending *pending, uint64_t number)
{
	return &pending->buckets[number & (pending->bucket_count - 1)];
}

static void put(struct pending *pending, struct pending_entry *entry)
{
	struct pending_entry **bucket = bucket_of(pending, entry->number);
	entry->next = *bucket;
	*bucket = entry;
}

static void grow(struct pending *pending)
{
	size_t count = pending->bucket_count * 2;
	struct pending_entry **buckets = calloc(count, sizeof(struct pending_entry *));
	if (!buckets)
		return;
	free(pending->buckets);
	pending->buckets = buckets;
	pending->bucket_count = count;
	for (struct link *at = pending->all.next; at != &pending->all; at = at->next)
		put(pending, container_of(at, struct pending_entry, link));
}

void pending_add(struct pending *pending, struct pending_entry *entry, uint64_t number)
{
	if (pending->count == pending->bucket_count)
		grow(pending);
	entry->number = number;
	put(pending, entry);
	link_init(&entry->link);
	list_append(&pending->all, &entry->link);
	pending->count++;
}

struct pending_entry *pending_find(const struct pending *pending, uint64_t number)
{
	struct pending_entry *entry = *bucket_of(pending, number);
	while (entry && entry->number != number)
		entry = entry->next;
	return entry;
}

struct pending_entry *pending_first(const struct pending *pending)
{
	if (list_empty(&pending->all))
		return NULL;
	return container_of(pending->all.next, struct pending_entry, link);
}

void pending_remove(struct pending *pending, struct pending_entry *entry)
{
	struct pending_entry **at = bucket_of(pending, entry->number);
	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	link_remove(&entry->link);
	pending->count--;
}
