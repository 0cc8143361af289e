/* SPDX-License-Identifier: Apache-2.0 */
/* Reading where memory runs out: at each allocation in turn, until there are no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/allocations.h"
#include "tests/unit/conf/tables.h"

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

static void refused_until_it_suffices(void **state)
{
	struct reading *reading = *state;
	unsigned allowed = 0;
	for (;; allowed++) {
		allocations_fail_after(allowed);
		reading_read(reading, TEXT(text));
		allocations_heal();
		if (reading->map)
			break;
		assert_true(reading->diag.errors > 0);
		arena_deinit(&reading->arena);
	}
	assert_true(allowed > 5);
	assert_int_equal(reading->diag.errors, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_setup_teardown(
					refused_until_it_suffices, reading_setup, reading_teardown),
	};
	return cmocka_run_group_tests_name("conf/memory", tests, NULL, NULL);
}
