/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chained. It doubles when there is an entry for each slot; where memory for that is out, the
 * chains are merely longer.
 */
#include "pipeline/base/table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define SLOTS_MIN 64

int table_init(struct table *table)
{
	*table = (struct table){.slots = calloc(SLOTS_MIN, sizeof(struct table_entry *))};
	if (!table->slots)
		return -ENOMEM;
	table->slot_count = SLOTS_MIN;
	return 0;
}

void table_deinit(struct table *table)
{
	assert(table->count == 0);
	free(table->slots);
	*table = (struct table){0};
}

static struct table_entry **slot_of(const struct table *table, uint64_t hash)
{
	return &table->slots[hash & (table->slot_count - 1)];
}

static void put(struct table *table, struct table_entry *entry)
{
	struct table_entry **slot = slot_of(table, entry->hash);
	entry->next = *slot;
	*slot = entry;
}

static void grow(struct table *table)
{
	struct table old = *table;
	struct table_entry **slots = calloc(old.slot_count * 2, sizeof(struct table_entry *));
	if (!slots)
		return;
	table->slots = slots;
	table->slot_count = old.slot_count * 2;
	for (size_t i = 0; i < old.slot_count; i++) {
		for (struct table_entry *entry = old.slots[i], *next; entry; entry = next) {
			next = entry->next;
			put(table, entry);
		}
	}
	free(old.slots);
}

void table_add(struct table *table, struct table_entry *entry, uint64_t hash)
{
	if (table->count >= table->slot_count)
		grow(table);
	entry->hash = hash;
	put(table, entry);
	table->count++;
}

void table_remove(struct table *table, struct table_entry *entry)
{
	struct table_entry **at = slot_of(table, entry->hash);
	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	table->count--;
}

static struct table_entry *with_hash(struct table_entry *entry, uint64_t hash)
{
	while (entry && entry->hash != hash)
		entry = entry->next;
	return entry;
}

struct table_entry *table_first(const struct table *table, uint64_t hash)
{
	return with_hash(*slot_of(table, hash), hash);
}

struct table_entry *table_next(const struct table_entry *entry)
{
	return with_hash(entry->next, entry->hash);
}

struct table_entry *table_any(const struct table *table)
{
	for (size_t i = 0; i < table->slot_count; i++) {
		if (table->slots[i])
			return table->slots[i];
	}
	return NULL;
}
