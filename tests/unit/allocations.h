/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Memory that is out on demand. Works for all of a test program that is linked with `allocations`
 * (see meson.build).
 */

/* From now on, malloc() and its kin succeed that many times more and then fail. */
void allocations_fail_after(unsigned successes);

/* The same, but only one fails: what follows does not show that something went wrong before. */
void allocations_fail_once_after(unsigned successes);

/* They succeed again. */
void allocations_heal(void);
