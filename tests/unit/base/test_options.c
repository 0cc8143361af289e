/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/base/options.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/live.h"
#include "pipeline/base/template.h"

static const struct option_value values[] = {
		{.name = {"ttl", 3}, .given = true, .number = 30000000000},
		{.name = {"key", 3}, .given = true, .text = {"product/${sku}", 14}},
		{.name = {"waiters", 7}},
};
static const struct option_map map = {.values = values, .count = 3};

static void test_get(void **state)
{
	assert_ptr_equal(option_get(&map, "ttl"), &values[0]);
	assert_ptr_equal(option_get(&map, "waiters"), &values[2]);
	assert_int_equal(option_number(&map, "ttl"), 30000000000);
	assert_int_equal(option_number(&map, "waiters"), 0);
	assert_true(text_equal(option_text(&map, "key"), TEXT("product/${sku}")));
	assert_null(option_text(&map, "waiters").data);
}

static void test_find(void **state)
{
	assert_ptr_equal(option_find(&map, TEXT("key")), &values[1]);
	assert_null(option_find(&map, TEXT("ke")));
	assert_null(option_find(&map, TEXT("keys")));
	assert_null(option_find(&map, TEXT("")));
	const struct option_map empty = {.count = 0};
	assert_null(option_find(&empty, TEXT("key")));
}

/* A `miss` as conf gives it: one step, whose map holds a number, a text and a template. */
struct steps {
	struct option_value entries[3];
	struct option_map map;
	struct option_value step;
	struct option_list list;
	struct option_value miss;
};

static struct option_value make_steps(struct steps *steps, struct template *template, unsigned line)
{
	*steps = (struct steps){
			.entries =
					{
							{.name = TEXT("concurrency"),
									.given = true,
									.number = 4},
							{.name = TEXT("query"),
									.given = true,
									.text = TEXT("SELECT 1")},
							{.name = TEXT("body"),
									.given = true,
									.template = template},
					},
			.map = {.values = steps->entries, .count = 3},
			.step = {.name = TEXT("lookup"),
					.given = true,
					.map = &steps->map,
					.as = TEXT("row")},
			.list = {.values = &steps->step, .count = 1},
			.miss = {.name = TEXT("miss"), .given = true, .list = &steps->list},
	};
	steps->miss.place.line = line;
	steps->entries[0].place.line = line;
	return steps->miss;
}

static void test_equal_values_differ_in_place_only(void **state)
{
	struct steps a, b;
	struct option_value one = make_steps(&a, NULL, 1);
	struct option_value other = make_steps(&b, NULL, 2);
	assert_true(option_value_equal(&one, &other));
	b.entries[0].number = 5;
	assert_false(option_value_equal(&one, &other));
	make_steps(&b, NULL, 2);
	b.entries[0].choice = 1;
	assert_false(option_value_equal(&one, &other));
	make_steps(&b, NULL, 2);
	b.entries[0].given = false;
	assert_false(option_value_equal(&one, &other));
	make_steps(&b, NULL, 2);
	b.entries[1].text = TEXT("SELECT 2");
	assert_false(option_value_equal(&one, &other));
	make_steps(&b, NULL, 2);
	b.map.count = 2;
	assert_false(option_value_equal(&one, &other));
	make_steps(&b, NULL, 2);
	b.step.name = TEXT("call");
	assert_false(option_value_equal(&one, &other));
	make_steps(&b, NULL, 2);
	b.step.as = TEXT("product");
	assert_false(option_value_equal(&one, &other));
	make_steps(&b, NULL, 2);
	b.step.map = NULL;
	assert_false(option_value_equal(&one, &other));
	other.list = NULL;
	assert_false(option_value_equal(&one, &other));
}

static void test_a_default_that_is_written_out_is_no_change(void **state)
{
	static const struct option with = {.key = "connections", .fallback = "4"};
	static const struct option without = {.key = "connections"};
	const struct option_value written = {.option = &with, .given = true, .number = 4};
	const struct option_value left_out = {.option = &with, .number = 4};
	const struct option_value other = {.option = &with, .given = true, .number = 5};
	const struct option_value none = {.option = &without};
	const struct option_value zero = {.option = &without, .given = true};
	assert_true(option_value_equal(&written, &left_out));
	assert_true(option_value_equal(&left_out, &written));
	assert_false(option_value_equal(&other, &left_out));
	assert_false(option_value_equal(&none, &zero));
}

static void test_equal_values_have_equal_templates(void **state)
{
	static const char *const texts[] = {"a", "1", "${a}", "${b}", "${a.b}", "${a | x}",
			"${a | y}", "${a}-", "-${a}", "${a}+", "${a}-${b}"};
	enum { COUNT = sizeof(texts) / sizeof(texts[0]) };
	struct arena arena;
	struct diag diag;
	arena_init(&arena, NULL);
	diag_init(&diag, &arena);
	for (size_t i = 0; i <= COUNT; i++) {
		for (size_t j = 0; j <= COUNT; j++) {
			struct template *templates[2] = {NULL, NULL};
			size_t index[2] = {i, j};
			for (unsigned k = 0; k < 2; k++)
				if (index[k] < COUNT)
					templates[k] = template_compile(text_of(texts[index[k]]),
							true, (struct place){"a.yaml", k + 1, 1},
							&arena, &diag);
			struct steps a, b;
			struct option_value one = make_steps(&a, templates[0], 1);
			struct option_value other = make_steps(&b, templates[1], 2);
			assert_int_equal(option_value_equal(&one, &other), i == j);
		}
	}
	assert_int_equal(diag.errors, 0);
	arena_deinit(&arena);
	assert_int_equal(live_report(), 0);
}

static void test_equal_values_take_the_same(void **state)
{
	const struct field_type plain = {.name = TEXT("sku"), .kind = TYPE_STRING};
	struct field_type types[] = {plain, plain, plain, plain, plain};
	types[1].name = TEXT("sky");
	types[2].kind = TYPE_ARRAY;
	types[3].kind = TYPE_ARRAY;
	types[3].element = TYPE_NUMBER;
	types[4].fallback = TEXT("\"\"");
	for (size_t i = 0; i < 5; i++) {
		for (size_t j = 0; j < 5; j++) {
			struct option_value one = {.types = &types[i], .type_count = 1};
			struct option_value other = {.types = &types[j], .type_count = 1};
			assert_int_equal(option_value_equal(&one, &other), i == j);
			other.type_count = 0;
			assert_false(option_value_equal(&one, &other));
		}
	}
}

static bool accepts(struct arena *arena, const struct field_type *type, const char *text)
{
	static const struct json_limits limits = {.bytes = 100, .depth = 5, .values = 50};
	struct json json;
	struct json_error error;
	assert_true(json_parse(&json, arena, text_of(text), &limits, &error));
	return field_type_accepts(type, &json, 0);
}

static void test_types_accept(void **state)
{
	static const char *const samples[] = {"\"a\"", "1", "true", "false", "{\"a\":[1]}", "null"};
	static const struct {
		enum type_kind kind;
		const char *accepted; /* y for each sample that is of the type */
	} cases[] = {
			{TYPE_ANY, "yyyyyy"},
			{TYPE_STRING, "ynnnnn"},
			{TYPE_NUMBER, "nynnnn"},
			{TYPE_BOOLEAN, "nnyynn"},
			{TYPE_OBJECT, "nnnnyn"},
	};
	struct arena arena;
	arena_init(&arena, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct field_type alone = {.kind = cases[i].kind};
		const struct field_type array = {.kind = TYPE_ARRAY, .element = cases[i].kind};
		for (size_t j = 0; j < sizeof(samples) / sizeof(samples[0]); j++) {
			bool yes = cases[i].accepted[j] == 'y';
			char elements[64];
			assert_int_equal(accepts(&arena, &alone, samples[j]), yes);
			assert_false(accepts(&arena, &array, samples[j]));
			(void)snprintf(elements, sizeof(elements), "[%s]", samples[j]);
			assert_int_equal(accepts(&arena, &array, elements), yes);
			assert_int_equal(accepts(&arena, &alone, elements),
					cases[i].kind == TYPE_ANY);
			(void)snprintf(elements, sizeof(elements), "[%s,%s,[]]", samples[j],
					samples[j]);
			assert_int_equal(accepts(&arena, &array, elements),
					cases[i].kind == TYPE_ANY);
		}
		assert_true(accepts(&arena, &array, "[]"));
	}
	arena_deinit(&arena);
	assert_int_equal(live_report(), 0);
}

static void test_type_names(void **state)
{
	static const char *const names[] = {
			[TYPE_ANY] = "any",
			[TYPE_STRING] = "string",
			[TYPE_NUMBER] = "number",
			[TYPE_BOOLEAN] = "boolean",
			[TYPE_OBJECT] = "object",
	};
	for (enum type_kind kind = TYPE_ANY; kind < TYPE_ARRAY; kind++) {
		char expected[32];
		(void)snprintf(expected, sizeof(expected), "[%s]", names[kind]);
		assert_string_equal(
				field_type_name(&(struct field_type){.kind = kind}), names[kind]);
		assert_string_equal(field_type_name(&(struct field_type){
						    .kind = TYPE_ARRAY, .element = kind}),
				expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_get),
			cmocka_unit_test(test_find),
			cmocka_unit_test(test_equal_values_differ_in_place_only),
			cmocka_unit_test(test_a_default_that_is_written_out_is_no_change),
			cmocka_unit_test(test_equal_values_have_equal_templates),
			cmocka_unit_test(test_equal_values_take_the_same),
			cmocka_unit_test(test_types_accept),
			cmocka_unit_test(test_type_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
