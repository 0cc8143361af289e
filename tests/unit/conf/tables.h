/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A small made-up language that has an option of every kind, and what all tests of `conf` need
 * around it. */
#include "conf/conf.h"
#include "pipeline/base/arena.h"
#include "pipeline/base/diag.h"
#include "pipeline/base/options.h"

extern const struct option root_table[];

struct reading {
	struct arena arena;
	struct diag diag;
	const struct option_map *map;
};

/* Reads text, which goes by "t.yaml", by root_table; as a cmocka fixture, `*state` is a struct
 * reading. */
void reading_read(struct reading *reading, struct text text);

/* The errors as `LINE:COLUMN: MESSAGE` lines in the order of their places, in the reading's arena.
 */
const char *reading_errors(struct reading *reading);

/* The tree as text, in the reading's arena: what is given, and defaults with a star. */
const char *reading_tree(struct reading *reading);

/* cmocka's setup and teardown; the teardown asserts that nothing is left alive. */
int reading_setup(void **state);
int reading_teardown(void **state);
