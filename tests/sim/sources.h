/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The sources of a world, in their order.
 */
#define SOURCES 4

extern const char *const source_names[SOURCES + 1]; /* then NULL */
