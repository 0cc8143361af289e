/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What waits for an answer, found by the number that it was asked under. The entries are the
 * caller's memory and stand in what waits. The loop thread only.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/base/list.h"

struct pending_entry {
	struct pending_entry *next; /* in its bucket */
	struct link link;	    /* in `all` */
	uint64_t number;
};

struct pending {
	struct pending_entry **buckets;
	size_t bucket_count; /* a power of two */
	size_t count;
	struct link all; /* in the order they were added */
	uint64_t last;	 /* the number given last */
};

/* Empty. False when memory is out. */
bool pending_init(struct pending *pending);

/* Frees an empty one. */
void pending_deinit(struct pending *pending);

/* A number that was never given before; from 1 on. */
uint64_t pending_number(struct pending *pending);

/* Adds entry under a number that pending_number() gave. Never fails. */
void pending_add(struct pending *pending, struct pending_entry *entry, uint64_t number);

/* The entry of that number, or NULL. */
struct pending_entry *pending_find(const struct pending *pending, uint64_t number);

/* The entry that was added first, or NULL. */
struct pending_entry *pending_first(const struct pending *pending);

void pending_remove(struct pending *pending, struct pending_entry *entry);
