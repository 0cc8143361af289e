/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Whether two JSON values say the same, and which of two numbers is the greater. Works on text that
 * was checked, without memory.
 */
#include <stdbool.h>

#include "pipeline/base/text.h"

/*
 * Scalars by what they mean: 1 is 1.0, "a" is "\u0061", 1 is not "1". An array or an object equals
 * nothing.
 */
bool json_equal(struct text a, struct text b);

/* Below, at or above 0 as the number a is less than, equal to or greater than b: exactly, however
 * many digits they have. */
int json_compare_numbers(struct text a, struct text b);
