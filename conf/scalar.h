/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Scalars that stand for a number. Whole numbers only; durations and sizes always carry their unit.
 * Each reads all of t. NULL when it is one, else what was expected, such as "a duration such as
 * 250ms"; *ret is then as it was.
 */
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/base/text.h"

/* With ns, us, ms, s, m or h; in nanoseconds. */
const char *scalar_duration(struct text t, uint64_t *ret);

/* With B, KiB, MiB or GiB; in bytes. */
const char *scalar_size(struct text t, uint64_t *ret);

/* With %; at most 100%. */
const char *scalar_percent(struct text t, uint64_t *ret);

/* 1 to 19 digits. */
const char *scalar_number(struct text t, uint64_t *ret);

/* true or false, without quotes (plain); 1 or 0. */
const char *scalar_boolean(struct text t, bool plain, uint64_t *ret);

/* Writes a number again with the largest unit that leaves it whole: at most 24 bytes, the end
 * included. */
void scalar_show_duration(uint64_t number, char ret[static 24]);
void scalar_show_size(uint64_t number, char ret[static 24]);
void scalar_show_percent(uint64_t number, char ret[static 24]);
