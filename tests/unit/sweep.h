/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Each allocation in turn is the one that fails. Works for all of a test program that is linked
 * with `each_block` (see meson.build), where an arena asks for each of its blocks.
 */
#include <stdbool.h>

/*
 * Calls attempt() again and again, until nothing fails in it any more: each allocation in turn
 * does, from where it calls sweep_fail(), together with all that follow, and then alone. It says
 * whether all went well, and must at the end. How many were asked for in one attempt.
 */
unsigned sweep_allocations(bool (*attempt)(void));

/* From now on, what this turn of the sweep has fail; allocations_heal() ends it. */
void sweep_fail(void);
