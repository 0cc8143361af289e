/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Memory that is out on demand. Works for all of a test program that is linked with `allocations`
 * (see meson.build). A program that is linked with `calls` too counts what else may fail in a start
 * along with it: calls of the system, of libsystemd and of libzmq, as calls.c lists them.
 */
#include <stdbool.h>

/* From now on, malloc() and its kin succeed that many times more and then fail; in all threads. */
void allocations_fail_after(unsigned successes);

/* The same, but only one fails: what follows does not show that something went wrong before. */
void allocations_fail_once_after(unsigned successes);

/* How many were asked for since then, and how many of them have failed. */
unsigned allocations_asked(void);
unsigned allocations_failed(void);

/* Counts one more. Whether it fails. */
bool allocations_fail(void);

/* They succeed again. */
void allocations_heal(void);
