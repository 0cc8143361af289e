/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/base/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void expect_split(const char *endpoint, const char *host, const char *port)
{
	struct text found_host, found_port;
	assert_true(endpoint_split(text_of(endpoint), &found_host, &found_port));
	assert_true(text_equal(found_host, text_of(host)));
	assert_true(text_equal(found_port, text_of(port)));
}

static void test_split(void **state)
{
	expect_split("tcp://127.0.0.1:5555", "127.0.0.1", "5555");
	expect_split("tcp://[::1]:*", "[::1]", "*");
	expect_split("tcp://host:x", "host", "x");
}

static void test_what_is_none(void **state)
{
	static const char *const none[] = {"", "tcp://", "tcp://a", "tcp://:1",
			"tcp://a:", "tcp://:", "ipc://a:1", "tcp:/a:1", "TCP://a:1"};
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		struct text host, port;
		assert_false(endpoint_split(text_of(none[i]), &host, &port));
	}
	struct text absent = {NULL, 0}, host, port;
	assert_false(endpoint_split(absent, &host, &port));
}

static void test_ports(void **state)
{
	static const char *const good[] = {"1", "80", "65535", "00080"};
	static const char *const bad[] = {"", "0", "65536", "99999", "-1", "+1", "75x", " 80",
			"0x50", "*", "18446744073709551617"};
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(endpoint_is_port(text_of(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(endpoint_is_port(text_of(bad[i])));
}

static void test_ipv4(void **state)
{
	static const char *const good[] = {"127.0.0.1", "0.0.0.0", "255.255.255.255"};
	static const char *const bad[] = {"", "localhost", "127.1", "1.2.3.4.5", "256.0.0.1",
			"[::1]", "::1", "127.0.0.1 ", "255.255.255.2555", "1.2.3.example", "*"};
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(endpoint_is_ipv4(text_of(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(endpoint_is_ipv4(text_of(bad[i])));
}

static void test_ipv6(void **state)
{
	static const char *const good[] = {"[::1]", "[::]", "[fe80::1]", "[::ffff:1.2.3.4]"};
	static const char *const bad[] = {"", "[", "[]", "::1", "[::1", "::1]", "[127.0.0.1]",
			"[localhost]", "[::g]", "[0123:4567:89ab:cdef:0123:4567:89ab:cdef:0123:4]"};
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(endpoint_is_ipv6(text_of(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(endpoint_is_ipv6(text_of(bad[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_split),
			cmocka_unit_test(test_what_is_none),
			cmocka_unit_test(test_ports),
			cmocka_unit_test(test_ipv4),
			cmocka_unit_test(test_ipv6),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
