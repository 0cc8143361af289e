/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The configuration language: YAML, checked against tables of options, every value with its place.
 * No option is known here by name.
 *
 * Of YAML it takes what a configuration needs: one document of maps, lists and scalars. Anchors,
 * aliases and tags are refused, and so is a file over 256 KiB or nested over 128 deep. All errors
 * are reported, not only the first; only a file that is not YAML at all ends at its first.
 */
#include "pipeline/base/diag.h"
#include "pipeline/base/options.h"
#include "pipeline/base/text.h"

struct arena;

/*
 * Reads the file at path and checks it against root, the table of its topmost keys. The tree lives
 * in arena and borrows nothing but the tables. What is wrong goes to diag, whose places borrow the
 * file's name from arena. NULL when it is no such file, or memory is out. Else what is wrong is
 * marked so in the tree, and can be looked past to find what else is: a topmost key is then as if
 * it had not been given, and of an entry or a step nothing but its name is to be read.
 */
const struct option_map *conf_load(const char *path, const struct option *root, struct arena *arena,
		struct diag *diag);

/* The same for a text that goes by name in places, and is only read during the call. */
const struct option_map *conf_look(const char *name, struct text text, const struct option *root,
		struct arena *arena, struct diag *diag);

/* The same, but NULL when there is any error. */
const struct option_map *conf_read(const char *name, struct text text, const struct option *root,
		struct arena *arena, struct diag *diag);
