/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which stages have run in which, so that a test can say that each has run in every other.
 */
#include <stdbool.h>
#include <stdint.h>

#define NESTING_OUTER 5 /* stages that have others in them */
#define NESTING_INNER 7

struct record;

struct nesting {
	uint64_t met[NESTING_OUTER][NESTING_INNER];
};

/* Takes note of the stages of a request that has ended. */
void nesting_note(struct nesting *nesting, const struct record *record);

/* All counts, to stdout, as comments of TAP. */
void nesting_print(const struct nesting *nesting);

/* The least of them. */
uint64_t nesting_least(const struct nesting *nesting);
