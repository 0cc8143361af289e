/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The linker's --wrap sends the calls of everything that is linked statically here first.
 */
#include "tests/unit/allocations.h"

#include <stdbool.h>
#include <stddef.h>

/* NOLINTBEGIN(readability-identifier-naming): these are the names that the linker knows. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static bool failing;
static bool once;
static unsigned left;

void allocations_fail_after(unsigned successes)
{
	failing = true;
	once = false;
	left = successes;
}

void allocations_fail_once_after(unsigned successes)
{
	allocations_fail_after(successes);
	once = true;
}

void allocations_heal(void)
{
	failing = false;
}

static bool fails(void)
{
	if (!failing)
		return false;
	if (left > 0) {
		left--;
		return false;
	}
	failing = !once;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
	return fails() ? NULL : __real_realloc(block, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : __real_aligned_alloc(alignment, size);
}
/* NOLINTEND(readability-identifier-naming) */
