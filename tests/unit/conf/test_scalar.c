/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/scalar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

typedef const char *(*read_fn)(struct text t, uint64_t *ret);

struct good {
	const char *written;
	uint64_t number;
};

static void check_good(read_fn read, const struct good *good)
{
	for (; good->written; good++) {
		uint64_t number = 77;
		assert_null(read(text_of(good->written), &number));
		assert_int_equal(number, good->number);
	}
}

static void check_bad(read_fn read, const char *const *bad, const char *expected)
{
	for (; *bad; bad++) {
		uint64_t number = 77;
		assert_string_equal(read(text_of(*bad), &number), expected);
		assert_int_equal(number, 77);
	}
}

static void durations(void **state)
{
	static const struct good good[] = {
			{"0s", 0},
			{"1ns", 1},
			{"20us", 20000},
			{"250ms", 250000000},
			{"30s", 30000000000},
			{"2m", 120000000000},
			{"1h", 3600000000000},
			{"5124095h", 5124095 * UINT64_C(3600000000000)},
			{NULL, 0},
	};
	static const char *const bad[] = {"", "250", "ms", "1.5s", "-1s", "+1s", "1 s", " 1s",
			"1s ", "1S", "1sec", "1MiB", "0x1s", "1d", NULL};
	static const char *const large[] = {"5124096h", "99999999999999999999ns", NULL};
	check_good(scalar_duration, good);
	check_bad(scalar_duration, bad, "a duration such as 250ms (ns, us, ms, s, m or h)");
	check_bad(scalar_duration, large, "a duration of at most 5124095h");
}

static void sizes(void **state)
{
	static const struct good good[] = {
			{"0B", 0},
			{"512B", 512},
			{"64KiB", 65536},
			{"1MiB", 1048576},
			{"2GiB", UINT64_C(2147483648)},
			{"17179869183GiB", UINT64_C(17179869183) << 30},
			{NULL, 0},
	};
	static const char *const bad[] = {"", "64", "MiB", "64MB", "64M", "64mib", "1.5MiB", "-1B",
			"64 MiB", "1s", NULL};
	static const char *const large[] = {"17179869184GiB", "99999999999999999999B", NULL};
	check_good(scalar_size, good);
	check_bad(scalar_size, bad, "a size such as 64MiB (B, KiB, MiB or GiB)");
	check_bad(scalar_size, large, "a size of at most 17179869183GiB");
}

static void numbers(void **state)
{
	static const struct good good[] = {{"0", 0}, {"10000", 10000},
			{"9999999999999999999", UINT64_C(9999999999999999999)}, {NULL, 0}};
	static const char *const bad[] = {"", "-1", "+1", "1.0", "1e3", "0x10", "ten", "1 ",
			"10000000000000000000", NULL};
	check_good(scalar_number, good);
	check_bad(scalar_number, bad, "a whole number such as 100");
}

static void percentages(void **state)
{
	static const struct good good[] = {{"0%", 0}, {"80%", 80}, {"100%", 100}, {NULL, 0}};
	static const char *const bad[] = {"", "80", "%", "0.8", "1.5%", "-1%", "101%", "80 %",
			"80%%", "99999999999999999999%", NULL};
	check_good(scalar_percent, good);
	check_bad(scalar_percent, bad, "a percentage such as 80%, up to 100%");
}

static void booleans(void **state)
{
	uint64_t number = 77;
	assert_null(scalar_boolean(TEXT("true"), true, &number));
	assert_int_equal(number, 1);
	assert_null(scalar_boolean(TEXT("false"), true, &number));
	assert_int_equal(number, 0);
	number = 77;
	assert_string_equal(scalar_boolean(TEXT("true"), false, &number),
			"true or false without quotes");
	static const char *const bad[] = {"", "yes", "no", "on", "True", "TRUE", "1", "tru", NULL};
	for (size_t i = 0; bad[i]; i++)
		assert_string_equal(
				scalar_boolean(text_of(bad[i]), true, &number), "true or false");
	assert_int_equal(number, 77);
}

static void shown_with_largest_whole_unit(void **state)
{
	char shown[24];
	static const struct good cases[] = {{"0ns", 0}, {"1ns", 1}, {"1500us", 1500000},
			{"250ms", 250000000}, {"90s", 90000000000}, {"2m", 120000000000},
			{"1h", 3600000000000}, {"18446744073709551615ns", UINT64_MAX}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		scalar_show_duration(cases[i].number, shown);
		assert_string_equal(shown, cases[i].written);
	}
	scalar_show_size(1536, shown);
	assert_string_equal(shown, "1536B");
	scalar_show_size(16 << 20, shown);
	assert_string_equal(shown, "16MiB");
	scalar_show_percent(80, shown);
	assert_string_equal(shown, "80%");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(durations),
			cmocka_unit_test(sizes),
			cmocka_unit_test(numbers),
			cmocka_unit_test(percentages),
			cmocka_unit_test(booleans),
			cmocka_unit_test(shown_with_largest_whole_unit),
	};
	return cmocka_run_group_tests_name("conf/scalar", tests, NULL, NULL);
}
