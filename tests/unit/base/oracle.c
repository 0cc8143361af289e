/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole numbers are read as doubles too, so that large ones are no matter of opinion.
 */
#include "tests/unit/base/oracle.h"

#include <jansson.h>

static const json_t *of(const struct oracle *value)
{
	return (const json_t *)value;
}

const struct oracle *oracle_parse(struct text text, bool *ret_own_limit)
{
	json_error_t error = {0};
	json_t *whole = json_loadb(text.data, text.size,
			JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &error);
	enum json_error_code code = whole ? json_error_unknown : json_error_code(&error);
	*ret_own_limit = code == json_error_numeric_overflow || code == json_error_stack_overflow;
	return (const struct oracle *)whole;
}

void oracle_free(const struct oracle *whole)
{
	json_decref((json_t *)whole);
}

char oracle_kind(const struct oracle *value)
{
	switch (json_typeof(of(value))) {
	case JSON_NULL:
		return 'n';
	case JSON_FALSE:
		return 'f';
	case JSON_TRUE:
		return 't';
	case JSON_STRING:
		return '"';
	case JSON_ARRAY:
		return '[';
	case JSON_OBJECT:
		return '{';
	case JSON_INTEGER:
	case JSON_REAL:
		break;
	}
	return '0';
}

double oracle_number(const struct oracle *number)
{
	return json_number_value(of(number));
}

struct text oracle_string(const struct oracle *string)
{
	return (struct text){json_string_value(of(string)), json_string_length(of(string))};
}

size_t oracle_count(const struct oracle *value)
{
	return json_is_array(of(value)) ? json_array_size(of(value)) : json_object_size(of(value));
}

const struct oracle *oracle_element(const struct oracle *array, size_t n)
{
	return (const struct oracle *)json_array_get(of(array), n);
}

const struct oracle *oracle_member(const struct oracle *object, struct text name)
{
	return (const struct oracle *)json_object_getn(of(object), name.data, name.size);
}
