/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * JSON as jansson reads it, for a second opinion. Its names and ours clash, so what includes this
 * doesn't see its header.
 */
#include <stdbool.h>
#include <stddef.h>

#include "pipeline/base/text.h"

struct oracle; /* a value of jansson's */

/*
 * The whole of text, to be given to oracle_free(), or NULL if jansson refuses it. *ret_own_limit:
 * because it has a number that is larger than a double, or is more than 2048 deep.
 */
const struct oracle *oracle_parse(struct text text, bool *ret_own_limit);
void oracle_free(const struct oracle *whole);

/* One of n f t 0 " [ {, for the kinds as they are ordered in json.h. */
char oracle_kind(const struct oracle *value);

double oracle_number(const struct oracle *number);
struct text oracle_string(const struct oracle *string);

/* Elements of an array, or members of an object. */
size_t oracle_count(const struct oracle *value);
const struct oracle *oracle_element(const struct oracle *array, size_t n);
const struct oracle *oracle_member(const struct oracle *object, struct text name);
