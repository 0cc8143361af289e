/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * An intrusive hash table: entries are part of what they stand for, so adding never fails. The hash
 * is the caller's, and so is comparing keys: whoever looks something up goes through the entries of
 * one hash. Nothing is ever done in the table's order.
 */
#include <stddef.h>
#include <stdint.h>

struct table_entry {
	struct table_entry *next;
	uint64_t hash;
};

struct table {
	struct table_entry **slots;
	size_t slot_count; /* a power of two */
	size_t count;
};

/* 0 or -ENOMEM. */
int table_init(struct table *table);

/* The table must be empty (asserted). Safe twice, and on a zeroed one. */
void table_deinit(struct table *table);

/* Adds an entry that is in no table. O(1); now and then the table doubles. */
void table_add(struct table *table, struct table_entry *entry, uint64_t hash);

/* Removes an entry that is in it. */
void table_remove(struct table *table, struct table_entry *entry);

/* The first entry of that hash, and the one after it of the same hash; NULL: there is none. */
struct table_entry *table_first(const struct table *table, uint64_t hash);
struct table_entry *table_next(const struct table_entry *entry);

/* Any entry at all, or NULL when it is empty: to end them all. O(slots). */
struct table_entry *table_any(const struct table *table);
