/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of libcurl that fail where it has no memory: each is counted by allocations.c, as those in
 * calls.c. Its own allocations are no part of it. Of options only those are among them that it
 * copies.
 */
#include <curl/curl.h>
#include <stdarg.h>
#include <stdbool.h>

#include "tests/unit/allocations.h"

/* NOLINTBEGIN(readability-identifier-naming): these are the names that the linker knows. */
CURLcode __real_curl_global_init(long flags);
CURLcode __wrap_curl_global_init(long flags);
CURL *__real_curl_easy_init(void);
CURL *__wrap_curl_easy_init(void);
CURLcode __real_curl_easy_setopt(CURL *easy, CURLoption option, ...);
CURLcode __wrap_curl_easy_setopt(CURL *easy, CURLoption option, ...);
CURLM *__real_curl_multi_init(void);
CURLM *__wrap_curl_multi_init(void);
CURLMcode __real_curl_multi_add_handle(CURLM *multi, CURL *easy);
CURLMcode __wrap_curl_multi_add_handle(CURLM *multi, CURL *easy);

CURLcode __wrap_curl_global_init(long flags)
{
	return allocations_fail() ? CURLE_OUT_OF_MEMORY : __real_curl_global_init(flags);
}

CURL *__wrap_curl_easy_init(void)
{
	return allocations_fail() ? NULL : __real_curl_easy_init();
}

static bool is_copied(CURLoption option)
{
	return option == CURLOPT_URL || option == CURLOPT_PROTOCOLS_STR ||
	       option == CURLOPT_PROXY || option == CURLOPT_USERAGENT || option == CURLOPT_CAINFO ||
	       option == CURLOPT_CAPATH;
}

CURLcode __wrap_curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
	CURLcode code;
	va_list arguments;
	if (is_copied(option) && allocations_fail())
		return CURLE_OUT_OF_MEMORY;
	va_start(arguments, option);
	if (option < CURLOPTTYPE_OBJECTPOINT)
		code = __real_curl_easy_setopt(easy, option, va_arg(arguments, long));
	else if (option >= CURLOPTTYPE_OFF_T && option < CURLOPTTYPE_BLOB)
		code = __real_curl_easy_setopt(easy, option, va_arg(arguments, curl_off_t));
	else
		code = __real_curl_easy_setopt(easy, option, va_arg(arguments, void *));
	va_end(arguments);
	return code;
}

CURLM *__wrap_curl_multi_init(void)
{
	return allocations_fail() ? NULL : __real_curl_multi_init();
}

CURLMcode __wrap_curl_multi_add_handle(CURLM *multi, CURL *easy)
{
	return allocations_fail() ? CURLM_OUT_OF_MEMORY : __real_curl_multi_add_handle(multi, easy);
}
/* NOLINTEND(readability-identifier-naming) */
