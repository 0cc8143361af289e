/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The filter of a feed: what must hold of a record's members, all of it. Compiled from `where`,
 *
 *	where: {status: OK, us: {above: 5000}, cache: {not: [hit, joined]}}
 *
 * and run on a record without writing anything.
 */
#include <stdbool.h>
#include <stddef.h>

#include "pipeline/base/options.h"

struct arena;
struct diag;
struct record;
struct record_member;

/* What may be said of one member. */
extern const struct option feed_where_options[];

struct feed_test;

struct feed_where {
	const struct feed_test *tests;
	size_t count;
};

/* map: by member; NULL: everything passes. Errors go to diag, and what is returned is then never
 * run. */
struct feed_where feed_where_compile(
		const struct option_map *map, struct arena *arena, struct diag *diag);

bool feed_where_holds(const struct feed_where *where, const struct record *record);

/* The member of a name that stands at place; else reports that there is none, with the nearest.
 * NULL. */
const struct record_member *feed_member(
		struct text name, struct place place, struct arena *arena, struct diag *diag);
