/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers are compared digit by digit, as the decimals that they are written as: a double would
 * take 9007199254740993 for 9007199254740992. A number is 0.d1d2d3… times ten to the power of its
 * magnitude, with d1 its first digit that is not 0.
 */
#include "pipeline/base/json_compare.h"

#include <stdint.h>

#include "pipeline/base/json.h"
#include "pipeline/base/json_internal.h"

/* Far beyond what the digits of any text can shift it by, and nowhere near where int64_t ends. */
#define EXPONENT_MAX (INT64_C(1) << 60)

struct decimal {
	bool negative;
	int64_t magnitude;
	const char *at;	 /* the first digit that is not 0; at end: the number is 0 */
	const char *end; /* of the digits; a point may stand between them */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* What stands behind the `e`: a sign perhaps, and at least one digit. */
static int64_t exponent_of(const char *at, const char *end)
{
	bool negative = *at == '-';
	int64_t exponent = 0;
	if (!is_digit(*at))
		at++;
	for (; at < end && exponent < EXPONENT_MAX / 10; at++)
		exponent = exponent * 10 + (*at - '0');
	if (at < end)
		exponent = EXPONENT_MAX;
	return negative ? -exponent : exponent;
}

static struct decimal decimal_of(struct text number)
{
	const char *end = number.data + number.size;
	struct decimal decimal = {.negative = *number.data == '-', .at = number.data};
	bool in_fraction = false;
	decimal.at += decimal.negative;
	/* Leading zeros: those behind the point make it smaller. */
	for (; decimal.at < end && (*decimal.at == '0' || *decimal.at == '.'); decimal.at++) {
		decimal.magnitude -= in_fraction;
		in_fraction |= *decimal.at == '.';
	}
	for (decimal.end = decimal.at; decimal.end < end; decimal.end++) {
		if (*decimal.end == '.')
			in_fraction = true;
		else if (!is_digit(*decimal.end))
			break;
		else if (!in_fraction)
			decimal.magnitude++;
	}
	if (decimal.end < end)
		decimal.magnitude += exponent_of(decimal.end + 1, end);
	return decimal;
}

/* The next digit; 0 behind the last. */
static char next_digit(struct decimal *decimal)
{
	if (decimal->at < decimal->end && *decimal->at == '.')
		decimal->at++;
	return decimal->at < decimal->end ? *decimal->at++ : '0';
}

static int compare_digits(struct decimal a, struct decimal b)
{
	if (a.magnitude != b.magnitude)
		return a.magnitude < b.magnitude ? -1 : 1;
	while (a.at < a.end || b.at < b.end) {
		int difference = next_digit(&a) - next_digit(&b);
		if (difference != 0)
			return difference;
	}
	return 0;
}

int json_compare_numbers(struct text one, struct text other)
{
	struct decimal a = decimal_of(one), b = decimal_of(other);
	bool a_is_zero = a.at == a.end, b_is_zero = b.at == b.end;
	if (a_is_zero && b_is_zero)
		return 0;
	if (a_is_zero)
		return b.negative ? 1 : -1;
	if (b_is_zero)
		return a.negative ? -1 : 1;
	if (a.negative != b.negative)
		return a.negative ? -1 : 1;
	int order = compare_digits(a, b);
	return a.negative ? -order : order;
}

bool json_equal(struct text a, struct text b)
{
	enum json_kind kind = json_kind_of(a);
	if (kind != json_kind_of(b))
		return false;
	switch (kind) {
	case JSON_NULL:
	case JSON_FALSE:
	case JSON_TRUE:
		return true;
	case JSON_NUMBER:
		return json_compare_numbers(a, b) == 0;
	case JSON_STRING:
		return json_same_characters(a, b);
	case JSON_ARRAY:
	case JSON_OBJECT:
		break;
	}
	return false;
}
