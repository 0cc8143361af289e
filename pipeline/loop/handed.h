/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * libzmq hands a block between its threads in a way that ThreadSanitizer, which doesn't see inside
 * it, has to be told of.
 */
#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#endif
#endif

#ifdef THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#define handed_over(block) __tsan_release(block)
#define handed_back(block) __tsan_acquire(block)
#else
#define handed_over(block) ((void)(block))
#define handed_back(block) ((void)(block))
#endif
