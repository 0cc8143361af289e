/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What we and jansson make of one text: both have to accept it, or neither, and to see the same
 * values in it. compare.c has the few differences that are wanted.
 */
#include "pipeline/base/text.h"

enum comparison {
	BOTH_ACCEPT,
	BOTH_REFUSE,
	NOT_COMPARED, /* it meets one of the wilful differences */
	DIFFERENT,
};

/* *ret_difference: in what they are DIFFERENT (static). */
enum comparison compare_with_oracle(struct text t, const char **ret_difference);
