/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bare `30` means seconds to one reader and milliseconds to the next, so a duration or a size
 * without its unit is an error rather than a guess. The units stand in one table each, smallest
 * first, which reading and writing share.
 */
#include "conf/scalar.h"

#include <inttypes.h>
#include <stdio.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit duration_units[] = {
		{"ns", 1},
		{"us", 1000},
		{"ms", 1000000},
		{"s", 1000000000},
		{"m", 60000000000},
		{"h", 3600000000000},
		{NULL, 0},
};

static const struct unit size_units[] = {
		{"B", 1},
		{"KiB", UINT64_C(1) << 10},
		{"MiB", UINT64_C(1) << 20},
		{"GiB", UINT64_C(1) << 30},
		{NULL, 0},
};

static const struct unit percent_units[] = {{"%", 1}, {NULL, 0}};

static const struct unit *find_unit(const struct unit *units, struct text name)
{
	for (; units->name; units++) {
		if (text_equal(text_of(units->name), name))
			return units;
	}
	return NULL;
}

/* A number and one of units. False: it is something else. */
static bool split(struct text t, const struct unit *units, struct text *ret_digits,
		const struct unit **ret_unit)
{
	size_t digits = 0;
	while (digits < t.size && t.data[digits] >= '0' && t.data[digits] <= '9')
		digits++;
	*ret_digits = (struct text){t.data, digits};
	*ret_unit = find_unit(units, (struct text){t.data + digits, t.size - digits});
	return digits > 0 && *ret_unit;
}

static bool multiply(struct text digits, const struct unit *unit, uint64_t *ret)
{
	uint64_t number;
	if (!text_to_u64(digits, &number) || __builtin_mul_overflow(number, unit->factor, &number))
		return false;
	*ret = number;
	return true;
}

const char *scalar_duration(struct text t, uint64_t *ret)
{
	struct text digits;
	const struct unit *unit;
	if (!split(t, duration_units, &digits, &unit))
		return "a duration such as 250ms (ns, us, ms, s, m or h)";
	return multiply(digits, unit, ret) ? NULL : "a duration of at most 5124095h";
}

const char *scalar_size(struct text t, uint64_t *ret)
{
	struct text digits;
	const struct unit *unit;
	if (!split(t, size_units, &digits, &unit))
		return "a size such as 64MiB (B, KiB, MiB or GiB)";
	return multiply(digits, unit, ret) ? NULL : "a size of at most 17179869183GiB";
}

const char *scalar_percent(struct text t, uint64_t *ret)
{
	static const char expected[] = "a percentage such as 80%, up to 100%";
	struct text digits;
	const struct unit *unit;
	uint64_t number;
	if (!split(t, percent_units, &digits, &unit) || !multiply(digits, unit, &number) ||
			number > 100)
		return expected;
	*ret = number;
	return NULL;
}

const char *scalar_number(struct text t, uint64_t *ret)
{
	return text_to_u64(t, ret) ? NULL : "a whole number such as 100";
}

const char *scalar_boolean(struct text t, bool plain, uint64_t *ret)
{
	bool yes = text_equal(t, TEXT("true"));
	if (!yes && !text_equal(t, TEXT("false")))
		return "true or false";
	if (!plain)
		return "true or false without quotes";
	*ret = yes;
	return NULL;
}

static void show(uint64_t number, const struct unit *units, char *ret)
{
	const struct unit *best = units;
	for (; units->name; units++) {
		if (number > 0 && number % units->factor == 0)
			best = units;
	}
	(void)snprintf(ret, 24, "%" PRIu64 "%s", number / best->factor, best->name);
}

void scalar_show_duration(uint64_t number, char ret[static 24])
{
	show(number, duration_units, ret);
}

void scalar_show_size(uint64_t number, char ret[static 24])
{
	show(number, size_units, ret);
}

void scalar_show_percent(uint64_t number, char ret[static 24])
{
	show(number, percent_units, ret);
}
