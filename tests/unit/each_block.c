/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An arena that asks for each of its blocks, so that each of them can be the one that fails. Its
 * chunks are too small for a block, and so odd that no other is ever of such a size, and kept in a
 * pool.
 */
#define STEP_FIRST  40
#define STEP_SECOND 39
#define STEP_MAX    39

#include "pipeline/base/arena.c" /* NOLINT(bugprone-suspicious-include) */
