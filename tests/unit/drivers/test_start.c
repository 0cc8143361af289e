/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each driver is created and opened again and again while each call that it makes itself fails in
 * turn: the resource is then not there, an error says so, and nothing is left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/diag.h"
#include "pipeline/base/json.h"
#include "pipeline/base/live.h"
#include "pipeline/base/template.h"
#include "pipeline/drivers/driver.h"
#include "tests/unit/allocations.h"
#include "tests/unit/loop/loop_fixture.h"

#define OPTIONS_MAX 9

static const struct place place = {"sluice.yaml", 4, 8};

struct test {
	struct loop_fixture f;
	struct account account;
	struct json_limits limits;
	struct driver_context context;
	struct option_value options[OPTIONS_MAX];
	struct option_map map;
};

static int set_up(void **state)
{
	static struct test test;
	test = (struct test){.limits = {.bytes = 1024, .depth = 8, .values = 100}};
	loop_fixture_init(&test.f);
	test.context = (struct driver_context){
			.loop = &test.f.loop,
			.zmq = zmq_ctx_new(),
			.account = &test.account,
			.limits = &test.limits,
	};
	test.map = (struct option_map){place, test.options, OPTIONS_MAX};
	for (size_t i = 0; i < OPTIONS_MAX; i++)
		test.options[i] = (struct option_value){.name = TEXT("-"), .place = place};
	*state = &test;
	return 0;
}

static int tear_down(void **state)
{
	struct test *test = *state;
	(void)zmq_ctx_term(test->context.zmq);
	loop_fixture_deinit(&test->f);
	assert_int_equal(test->account.used, 0);
	return live_report();
}

/* Whether the driver can be opened while that call fails; *ret_failed: it was made at all. */
static bool starts(struct test *test, const struct driver *driver, unsigned call, bool *ret_failed)
{
	struct arena arena;
	struct diag diag;
	arena_init(&arena, NULL);
	diag_init(&diag, &arena);
	assert_non_null(arena_alloc(&arena, 1)); /* so that messages always have memory */
	allocations_fail_once_after(call);
	struct resource *resource = driver->create(&test->context, "name", &test->map, &diag);
	if (resource && driver->open)
		driver->open(resource, &diag);
	*ret_failed = allocations_failed() > 0;
	allocations_heal();
	assert_true(resource || diag.errors > 0);
	bool good = diag.errors == 0;
	if (resource && driver->open && !good) {
		diag_init(&diag, &arena);
		driver->open(resource, &diag); /* as if nothing had been */
		assert_int_equal(diag.errors, 0);
	}
	if (resource) {
		assert_true(!driver->close || driver->close(resource, UINT64_MAX));
		driver->free(resource);
	}
	arena_deinit(&arena);
	return good;
}

static void start_with_failures(struct test *test, const struct driver *driver, unsigned calls_min)
{
	unsigned calls = 0;
	bool failed;
	for (; !starts(test, driver, calls, &failed); calls++)
		assert_true(failed);
	assert_false(failed);
	assert_true(calls >= calls_min);
}

static void test_memory(void **state)
{
	struct test *test = *state;
	test->options[0] = (struct option_value){.name = TEXT("memory"), .number = 65536};
	start_with_failures(test, &memory_driver, 2);
}

static void test_sqlite(void **state)
{
	struct test *test = *state;
	char path[] = "/tmp/sluice-XXXXXX"; /* an empty file is an empty database */
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	(void)close(fd);
	test->options[0] = (struct option_value){.name = TEXT("sqlite"), .text = text_of(path)};
	test->options[1] = (struct option_value){.name = TEXT("connections"), .number = 2};
	test->options[2] = (struct option_value){.name = TEXT("required"), .number = 1};
	start_with_failures(test, &sqlite_driver, 10);
	(void)unlink(path);
}

static void test_zmq(void **state)
{
	struct test *test = *state;
	test->options[0] = (struct option_value){
			.name = TEXT("zmq"), .text = TEXT("tcp://127.0.0.1:1")};
	test->options[1] = (struct option_value){.name = TEXT("target"), .text = TEXT("quote")};
	test->options[2] = (struct option_value){.name = TEXT("body")};
	test->options[3] = (struct option_value){.name = TEXT("required"), .number = 1};
	start_with_failures(test, &zmq_driver, 20);
}

/* What libcurl needs by itself is not among the calls but for those that curl_calls.c has. Some
 * that fail are made up for, so all are tried. */
static void test_http(void **state)
{
	struct test *test = *state;
	static const char *const keys[OPTIONS_MAX] = {"http", "method", "body", "headers",
			"connections", "queue", "max_body", "required", "ca"};
	const struct driver *driver = driver_find("http");
	struct arena arena;
	struct diag diag;
	bool failed;
	unsigned calls = 0;
	if (!driver)
		skip();
	arena_init(&arena, NULL);
	diag_init(&diag, &arena);
	for (size_t i = 0; i < OPTIONS_MAX; i++)
		test->options[i] = (struct option_value){
				.name = text_of(keys[i]), .place = place, .number = 2};
	test->options[0].template =
			template_compile(TEXT("https://127.0.0.1:1/"), false, place, &arena, &diag);
	test->options[8].given = true;
	test->options[8].text = TEXT("/dev/null"); /* read when it is connected, not before */
	do {
		(void)starts(test, driver, calls++, &failed);
	} while (failed);
	assert_true(calls > 8);
	arena_deinit(&arena);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_memory), TEST(test_sqlite), TEST(test_zmq), TEST(test_http)};
	return cmocka_run_group_tests_name("drivers/start", tests, NULL, NULL);
}
