/* SPDX-License-Identifier: Apache-2.0 */
/* What holds for drivers of a kind. */
#include "pipeline/drivers/driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static bool has(const struct option *table, const char *key)
{
	for (; table->key; table++) {
		if (strcmp(table->key, key) == 0)
			return true;
	}
	return false;
}

/* The daemon configures the health of each source by these, of whatever kind it is. */
static void test_sources_have_the_options_of_all_sources(void **state)
{
	static const char *const names[] = {"zmq", "http"};
	unsigned seen = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct driver *driver = driver_find(names[i]);
		if (!driver)
			continue;
		seen++;
		assert_int_equal(driver->kind, DRIVER_SOURCE);
		assert_true(has(driver->options, "breaker"));
		assert_true(has(driver->options, "spare"));
	}
	assert_true(seen > 0);
	assert_null(driver_find("carrier-pigeon"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_sources_have_the_options_of_all_sources)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
