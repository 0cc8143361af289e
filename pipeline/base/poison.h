/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the address sanitizer is told of memory that is handed out in pieces: it knows of malloc()
 * alone. In a build without it this is nothing.
 *
 * Source: <sanitizer/asan_interface.h>. What is smaller than eight bytes, and does not begin at a
 * multiple of eight, is not seen exactly; blocks of an arena do.
 */
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#ifdef __SANITIZE_ADDRESS__
/* Declared here, because for the compiler what takes a pointer to const reads what is there. */
void __asan_poison_memory_region(void *start, size_t size);
void __asan_unpoison_memory_region(void *start, size_t size);
/* Nobody may touch it, until it is handed out. */
#define poison(start, size)   __asan_poison_memory_region(start, size)
#define unpoison(start, size) __asan_unpoison_memory_region(start, size)
#else
#define poison(start, size)   ((void)(start), (void)(size))
#define unpoison(start, size) ((void)(start), (void)(size))
#endif
