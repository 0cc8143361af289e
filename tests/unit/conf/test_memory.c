/* SPDX-License-Identifier: Apache-2.0 */
/* Reading where memory is out at any moment: it is refused, or all that stands there was read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/allocations.h"
#include "tests/unit/conf/tables.h"
#include "tests/unit/sweep.h"

static const char text[] = "listen: a\n"
			   "limits: {depth: 3}\n"
			   "resources:\n"
			   "  hot: {memory: 64MiB}\n"
			   "pipelines:\n"
			   "  p:\n"
			   "    takes: {sku: string = x, n: number = 3, list: [any]}\n"
			   "    steps:\n"
			   "    - cache: {in: hot, key: \"p/${sku}\", ttl: 1s, miss: [call: q]}\n"
			   "    - fanout: {to: [a, b], wait: 2}\n"
			   "      as: all\n"
			   "    reply: {a: \"${all.a}\", b: 3}\n";

static struct reading *reading;
static char right[4096];

/* Whether it was read; what is read is read right. */
static bool read_in_turn(void)
{
	sweep_fail();
	reading_read(reading, TEXT(text));
	allocations_heal();
	bool good = reading->map != NULL;
	assert_int_equal(good, reading->diag.errors == 0);
	if (good)
		assert_string_equal(reading_tree(reading), right);
	arena_deinit(&reading->arena);
	return good;
}

static void refused_or_read(void **state)
{
	reading = *state;
	reading_read(reading, TEXT(text));
	(void)strncpy(right, reading_tree(reading), sizeof(right) - 1);
	arena_deinit(&reading->arena);
	assert_true(sweep_allocations(read_in_turn) > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_setup_teardown(
					refused_or_read, reading_setup, reading_teardown),
	};
	return cmocka_run_group_tests_name("conf/memory", tests, NULL, NULL);
}
