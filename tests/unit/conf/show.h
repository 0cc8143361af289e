/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A tree of option values as one line of text, so that a test can hold the whole of it against what
 * it should be:
 * `{key@LINE:COLUMN value, ...}`, with a star behind the key of a default.
 */
#include "pipeline/base/options.h"

struct buffer;

void show_map(struct buffer *buffer, const struct option_map *map);
