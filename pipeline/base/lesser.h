/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The lesser and the greater of two numbers.
 */
#include <stdint.h>

static inline uint64_t lesser(uint64_t a, uint64_t b)
{
	return b < a ? b : a;
}

static inline uint64_t greater(uint64_t a, uint64_t b)
{
	return b > a ? b : a;
}
