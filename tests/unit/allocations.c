/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The linker's --wrap sends the calls of everything that is linked statically here first; what
 * shared libraries ask for themselves is not counted and does not fail.
 */
#include "tests/unit/allocations.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* NOLINTBEGIN(readability-identifier-naming): these are the names that the linker knows. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_reallocarray(void *block, size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *string);
char *__real_strndup(const char *string, size_t size_max);
int __real_vasprintf(char **ret, const char *format, va_list arguments);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_reallocarray(void *block, size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *string);
char *__wrap_strndup(const char *string, size_t size_max);
int __wrap_asprintf(char **ret, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_vasprintf(char **ret, const char *format, va_list arguments)
		__attribute__((format(printf, 2, 0)));

/* Workers ask for memory too, so these are atomic; the first to fail is number `first`, from 0. */
static atomic_uint asked;
static atomic_uint failed;
static atomic_bool failing;
static atomic_bool once;
static atomic_uint first;

static void begin(unsigned successes, bool only_one)
{
	atomic_store(&asked, 0);
	atomic_store(&failed, 0);
	atomic_store(&once, only_one);
	atomic_store(&first, successes);
	atomic_store(&failing, true);
}

void allocations_fail_after(unsigned successes)
{
	begin(successes, false);
}

void allocations_fail_once_after(unsigned successes)
{
	begin(successes, true);
}

unsigned allocations_asked(void)
{
	return atomic_load(&asked);
}

unsigned allocations_failed(void)
{
	return atomic_load(&failed);
}

void allocations_heal(void)
{
	atomic_store(&failing, false);
}

bool allocations_fail(void)
{
	if (!atomic_load(&failing))
		return false;
	unsigned number = atomic_fetch_add(&asked, 1);
	unsigned out = atomic_load(&first);
	if (number < out || (number > out && atomic_load(&once)))
		return false;
	atomic_fetch_add(&failed, 1);
	return true;
}

void *__wrap_malloc(size_t size)
{
	return allocations_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return allocations_fail() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
	return allocations_fail() ? NULL : __real_realloc(block, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return allocations_fail() ? NULL : __real_aligned_alloc(alignment, size);
}

void *__wrap_reallocarray(void *block, size_t count, size_t size)
{
	return allocations_fail() ? NULL : __real_reallocarray(block, count, size);
}

char *__wrap_strdup(const char *string)
{
	return allocations_fail() ? NULL : __real_strdup(string);
}

char *__wrap_strndup(const char *string, size_t size_max)
{
	return allocations_fail() ? NULL : __real_strndup(string, size_max);
}

int __wrap_vasprintf(char **ret, const char *format, va_list arguments)
{
	return allocations_fail() ? -1 : __real_vasprintf(ret, format, arguments);
}

int __wrap_asprintf(char **ret, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int size = __wrap_vasprintf(ret, format, arguments);
	va_end(arguments);
	return size;
}
/* NOLINTEND(readability-identifier-naming) */
