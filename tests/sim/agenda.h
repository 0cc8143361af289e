/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What resources will do, by time: a binary heap. Of what falls on one moment the earlier entered
 * comes first.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct appointment {
	uint64_t at;
	uint64_t order; /* given by agenda_add() */
	uint32_t resource;
	uint64_t number; /* of the job or ask that ends */
	uint32_t run;	 /* what its answer says */
};

struct agenda {
	struct appointment *heap;
	size_t count;
	size_t capacity;
	uint64_t added;
};

void agenda_init(struct agenda *agenda);
void agenda_deinit(struct agenda *agenda);

/* False when memory is out. */
bool agenda_add(struct agenda *agenda, struct appointment appointment);

/* The next one, or NULL; valid until the agenda changes. */
const struct appointment *agenda_next(const struct agenda *agenda);
struct appointment agenda_take(struct agenda *agenda);
