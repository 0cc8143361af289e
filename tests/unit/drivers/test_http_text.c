/* SPDX-License-Identifier: Apache-2.0 */
/* What may stand in a URL and in a header, and what an HTTP status means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/diag.h"
#include "pipeline/drivers/http_status.h"
#include "pipeline/drivers/http_text.h"

static void assert_wrong(const char *url, const char *expected)
{
	const struct place place = {"sluice.yaml", 3, 9};
	struct arena arena;
	struct diag diag;
	arena_init(&arena, NULL);
	diag_init(&diag, &arena);
	const struct template *template =
			template_compile(text_of(url), false, place, &arena, &diag);
	assert_non_null(template);
	const char *wrong = http_url_wrong(template);
	if (!wrong != !expected || (wrong && !strstr(wrong, expected)))
		fail_msg("%s: %s", url, wrong ? wrong : "right");
	arena_deinit(&arena);
}

static void test_urls_that_are_right(void **state)
{
	static const char *const urls[] = {"http://a", "https://a/", "http://127.0.0.1:6002?q=${x}",
			"http://a.b-c_d.example:65535/${x}", "http://[::1]/",
			"http://[fe80::1]:1/x", "http://a/b.c/..d/...?q=../x", "http://a/%41%2F",
			"http://a/?${x}${y}", "http://a/;,:@!$&'()*+=~-._"};
	for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++)
		assert_wrong(urls[i], NULL);
}

static void test_whom_it_goes_to_stands_in_plain_text(void **state)
{
	static const char *const urls[] = {"", "a", "http:/a", "HTTP://a", "ws://a/", "http://",
			"http:///", "http://?q", "http://:80/", "http://a:/", "http://a:0/",
			"http://a:65536/", "http://a:080800/", "http://a:8a/", "http://a b/",
			"http://a%41/", "http://a~/", "http://[]/", "http://[::1", "http://[::g]/",
			"http://::1/", "${x}", "http://${x}/", "http://a${x}", "http://a.${x}/",
			"http://a:${x}/", "http://a:80${x}", "http${x}://a/"};
	for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++)
		assert_wrong(urls[i], "expected http://HOST:PORT");
	assert_wrong("http://me@a/", "no user and password");
	assert_wrong("http://me:pw@a/${x}", "no user and password");
}

static void test_what_may_not_stand_behind_it(void **state)
{
	static const char *const others[] = {"http://a/#", "http://a/ ", "http://a/\t",
			"http://a/\"", "http://a/<", "http://a/${x}>", "http://a/\\", "http://a/^",
			"http://a/`", "http://a/|", "http://a/$${x}", "http://a/\xc3\xa9",
			"http://a/\x7f"};
	static const char *const escapes[] = {"http://a/%", "http://a/%4", "http://a/%4g",
			"http://a/%g4", "http://a/%${x}", "http://a/${x}%4${y}"};
	static const char *const dots[] = {"http://a/.", "http://a/..", "http://a/./x",
			"http://a/x/../y", "http://a/${x}/..", "http://a/../${x}", "http://a/..?q",
			"http://a/%2e/x", "http://a/.%2E", "http://a/%2E%2e?${x}",
			"http://a/${x}/..%2F", "http://a/b%5C../${x}"};
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_wrong(others[i], "only characters of a URL");
	for (size_t i = 0; i < sizeof(escapes) / sizeof(*escapes); i++)
		assert_wrong(escapes[i], "two hexadecimal digits");
	for (size_t i = 0; i < sizeof(dots) / sizeof(*dots); i++)
		assert_wrong(dots[i], "no segments . or ..");
}

static void test_origins(void **state)
{
	assert_true(text_equal(http_url_origin(TEXT("http://a:1/b/c")), TEXT("http://a:1")));
	assert_true(text_equal(http_url_origin(TEXT("https://[::1]?q")), TEXT("https://[::1]")));
	assert_true(text_equal(http_url_origin(TEXT("http://a")), TEXT("http://a")));
}

static void test_schemes(void **state)
{
	assert_true(http_url_is_secure(TEXT("https://a")));
	assert_false(http_url_is_secure(TEXT("http://a/https://b")));
}

/* As a value with dots may have made them. */
static void test_urls_that_are_filled_in(void **state)
{
	static const char *const unfit[] = {"http://a/.", "http://a/..", "http://a/./b",
			"http://a/b/../c", "http://a/b/..?q", "http://a/%2e./b", "http://a/b/.%2E",
			"http://a/..%2Fb", "http://a/b%2f..", "http://a/b%2F.%2e%2fc?q",
			"http://a/..%5Cb", "http://a/b%5c.", "http://a/%2F.."};
	static const char *const fit[] = {"http://a", "http://.", "http://..?q", "http://a/...",
			"http://a/..b/.c", "http://a/b?../..", "http://a/b?..%2F", "http://a//",
			"http://a/b%2Fc%5Cd", "http://a/..b%2F", "http://a/..%252F",
			"http://a/%2e%2e%2e", "http://a/.%2"};
	for (size_t i = 0; i < sizeof(unfit) / sizeof(*unfit); i++)
		assert_string_equal(http_url_unfit(text_of(unfit[i])),
				"a value may not be . or .. in a URL's path");
	for (size_t i = 0; i < sizeof(fit) / sizeof(*fit); i++)
		assert_null(http_url_unfit(text_of(fit[i])));
	char longest[HTTP_TEXT_MAX + 1];
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "http://a/", 9);
	assert_null(http_url_unfit((struct text){longest, HTTP_TEXT_MAX}));
	assert_string_equal(http_url_unfit((struct text){longest, HTTP_TEXT_MAX + 1}),
			"the URL is too long with these values");
}

static void test_names_of_headers(void **state)
{
	static const char *const right[] = {"x", "Authorization", "x-market", "accept",
			"content-type", "user-agent", "X_1"};
	static const char *const own[] = {"Host", "content-length", "Transfer-Encoding",
			"CONNECTION", "te", "expect", "accept-encoding", "Sluice-Budget",
			"traceparent"};
	static const char *const no_names[] = {"a b", "a:", "a\n", "\xc3\xa9", "(a)"};
	for (size_t i = 0; i < sizeof(right) / sizeof(*right); i++)
		assert_null(http_header_wrong(text_of(right[i])));
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		assert_string_equal(http_header_wrong(text_of(own[i])),
				"this header is sluiced's own to set");
	for (size_t i = 0; i < sizeof(no_names) / sizeof(*no_names); i++)
		assert_string_equal(http_header_wrong(text_of(no_names[i])),
				"expected the name of a header: letters, digits and -");
	assert_string_equal(http_header_wrong(TEXT("a\0b")),
			"expected the name of a header: letters, digits and -");
}

static void test_values_of_headers(void **state)
{
	static const char visible[] = "a header can hold only visible ASCII and spaces";
	assert_null(http_header_unfit(TEXT("")));
	assert_null(http_header_unfit(TEXT("a: b, \"c\"\t~")));
	assert_string_equal(http_header_unfit(TEXT("a\r\nb: c")), visible);
	assert_string_equal(http_header_unfit(TEXT("a\0b")), visible);
	assert_string_equal(http_header_unfit(TEXT("\x7f")), visible);
	assert_string_equal(http_header_unfit(TEXT("\xc3\xa9")), visible);
	char longest[HTTP_TEXT_MAX + 1];
	memset(longest, 'x', sizeof(longest));
	assert_null(http_header_unfit((struct text){longest, HTTP_TEXT_MAX}));
	assert_string_equal(http_header_unfit((struct text){longest, HTTP_TEXT_MAX + 1}),
			"a header is too long with these values");
}

/* Every code, and what docs/resources.md says of it. */
static enum status documented(long code)
{
	switch (code) {
	case 400:
	case 413:
	case 414:
	case 422:
		return STATUS_INVALID_ARGUMENT;
	case 401:
		return STATUS_UNAUTHENTICATED;
	case 403:
		return STATUS_PERMISSION_DENIED;
	case 404:
	case 410:
		return STATUS_NOT_FOUND;
	case 405:
	case 501:
		return STATUS_UNIMPLEMENTED;
	case 408:
		return STATUS_UNAVAILABLE;
	case 429:
		return STATUS_RESOURCE_EXHAUSTED;
	default:
		break;
	}
	if (code >= 200 && code < 300)
		return STATUS_OK;
	return code >= 500 && code < 600 ? STATUS_UNAVAILABLE : STATUS_INTERNAL;
}

static void test_what_a_status_means(void **state)
{
	for (long code = 0; code < 1000; code++) {
		struct http_meaning meaning = http_meaning(code);
		assert_int_equal(meaning.status, documented(code));
		assert_int_equal(meaning.timeout, code == 408 || code == 504);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_urls_that_are_right),
			cmocka_unit_test(test_whom_it_goes_to_stands_in_plain_text),
			cmocka_unit_test(test_what_may_not_stand_behind_it),
			cmocka_unit_test(test_origins),
			cmocka_unit_test(test_schemes),
			cmocka_unit_test(test_urls_that_are_filled_in),
			cmocka_unit_test(test_names_of_headers),
			cmocka_unit_test(test_values_of_headers),
			cmocka_unit_test(test_what_a_status_means),
	};
	return cmocka_run_group_tests_name("drivers/http_text", tests, NULL, NULL);
}
