/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the way in a table that was laid, and the characters of strings however they are spelled.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/buffer.h"
#include "pipeline/base/json.h"
#include "pipeline/base/live.h"
#include "pipeline/base/random.h"
#include "tests/unit/allocations.h"

/* TEXT() as a constant. */
/* clang-format off */
#define LITERAL(literal) {(literal), sizeof(literal) - 1}
/* clang-format on */

static struct arena arena;
static struct json json;

static int set_up(void **state)
{
	arena_init(&arena, NULL);
	return 0;
}

static int tear_down(void **state)
{
	allocations_heal();
	arena_deinit(&arena);
	return live_report();
}

static void parse(struct text t)
{
	static const struct json_limits limits = {.bytes = 1 << 20, .depth = 32, .values = 10000};
	struct json_error error;
	if (!json_parse(&json, &arena, t, &limits, &error))
		fail_msg("%.*s: %s at %zu", TEXT_ARG(t), error.message, error.at);
}

static void assert_text(struct text t, struct text expected)
{
	if (!text_equal(t, expected))
		fail_msg("%.*s instead of %.*s", TEXT_ARG(t), TEXT_ARG(expected));
}

static void assert_raw(uint32_t index, struct text expected)
{
	assert_int_not_equal(index, JSON_NONE);
	assert_text(json_raw(&json, index), expected);
}

static void test_the_table(void **state)
{
	static const struct {
		enum json_kind kind;
		uint32_t next;
		uint32_t count;
		struct text raw;
	} values[] = {
			{JSON_OBJECT, 12, 3,
					LITERAL("{ \"a\":[1 , {}, -2.5e3 ] ,\"b\\n\":null, "
						"\"c\":{\"d\":true}}")},
			{JSON_STRING, 2, 0, LITERAL("\"a\"")},
			{JSON_ARRAY, 6, 3, LITERAL("[1 , {}, -2.5e3 ]")},
			{JSON_NUMBER, 4, 0, LITERAL("1")},
			{JSON_OBJECT, 5, 0, LITERAL("{}")},
			{JSON_NUMBER, 6, 0, LITERAL("-2.5e3")},
			{JSON_STRING, 7, 0, LITERAL("\"b\\n\"")},
			{JSON_NULL, 8, 0, LITERAL("null")},
			{JSON_STRING, 9, 0, LITERAL("\"c\"")},
			{JSON_OBJECT, 12, 1, LITERAL("{\"d\":true}")},
			{JSON_STRING, 11, 0, LITERAL("\"d\"")},
			{JSON_TRUE, 12, 0, LITERAL("true")},
	};
	parse(TEXT(" { \"a\":[1 , {}, -2.5e3 ] ,\"b\\n\":null, \"c\":{\"d\":true}} \n"));
	assert_int_equal(json.count, 12);
	for (uint32_t i = 0; i < 12; i++) {
		assert_int_equal(json_kind(&json, i), values[i].kind);
		assert_int_equal(json.values[i].next, values[i].next);
		assert_int_equal(json.values[i].count, values[i].count);
		assert_int_equal(json.values[i].escaped, i == 6);
		assert_raw(i, values[i].raw);
	}
}

static void test_member(void **state)
{
	parse(TEXT("{\"a\":{\"x\":1},\"\":2,\"\\u0062\\ud83d\\ude00\":3,\"a\\u005cn\":4,\"q\\\"\":"
		   "5,\"x\":[]}"));
	assert_raw(json_member(&json, 0, TEXT("a")), TEXT("{\"x\":1}"));
	assert_raw(json_member(&json, 0, TEXT("")), TEXT("2"));
	assert_raw(json_member(&json, 0, TEXT("b\xf0\x9f\x98\x80")), TEXT("3"));
	assert_raw(json_member(&json, 0, TEXT("a\\n")), TEXT("4"));
	assert_raw(json_member(&json, 0, TEXT("q\"")), TEXT("5"));
	assert_raw(json_member(&json, 0, TEXT("x")), TEXT("[]"));
	static const struct text absent[] = {LITERAL("b"), LITERAL("aa"), LITERAL("A"),
			LITERAL("a\n"), LITERAL("\\u0062"), LITERAL("b\xf0\x9f\x98"),
			LITERAL("b\xf0\x9f\x98\x81"), LITERAL("q"), LITERAL("q\"\""), LITERAL("1")};
	for (size_t i = 0; i < sizeof(absent) / sizeof(*absent); i++)
		assert_int_equal(json_member(&json, 0, absent[i]), JSON_NONE);
	uint32_t inner = json_member(&json, 0, TEXT("a"));
	assert_raw(json_member(&json, inner, TEXT("x")), TEXT("1"));
	assert_int_equal(json_member(&json, inner, TEXT("a")), JSON_NONE);
	assert_int_equal(
			json_member(&json, json_member(&json, 0, TEXT("x")), TEXT("x")), JSON_NONE);
	assert_int_equal(json_member(&json, 1, TEXT("a")), JSON_NONE);
}

static void test_element(void **state)
{
	parse(TEXT("[[1,2],{\"a\":3},\"b\",[]]"));
	assert_raw(json_element(&json, 0, 0), TEXT("[1,2]"));
	assert_raw(json_element(&json, 0, 1), TEXT("{\"a\":3}"));
	assert_raw(json_element(&json, 0, 2), TEXT("\"b\""));
	assert_raw(json_element(&json, 0, 3), TEXT("[]"));
	assert_int_equal(json_element(&json, 0, 4), JSON_NONE);
	assert_int_equal(json_element(&json, 0, UINT32_MAX), JSON_NONE);
	assert_raw(json_element(&json, 1, 1), TEXT("2"));
	assert_int_equal(json_element(&json, 1, 2), JSON_NONE);
	assert_int_equal(json_element(&json, json_element(&json, 0, 1), 0), JSON_NONE);
	assert_int_equal(json_element(&json, json_element(&json, 0, 2), 0), JSON_NONE);
	assert_int_equal(json_element(&json, json_element(&json, 0, 3), 0), JSON_NONE);
}

static void test_kinds(void **state)
{
	static const struct {
		struct text text;
		enum json_kind kind;
		const char *name;
	} cases[] = {
			{LITERAL("null"), JSON_NULL, "null"},
			{LITERAL("true"), JSON_TRUE, "boolean"},
			{LITERAL("false"), JSON_FALSE, "boolean"},
			{LITERAL("0"), JSON_NUMBER, "number"},
			{LITERAL("-1"), JSON_NUMBER, "number"},
			{LITERAL("9e9"), JSON_NUMBER, "number"},
			{LITERAL("\"\""), JSON_STRING, "string"},
			{LITERAL("[]"), JSON_ARRAY, "array"},
			{LITERAL("{}"), JSON_OBJECT, "object"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		parse(cases[i].text);
		assert_int_equal(json_kind(&json, 0), cases[i].kind);
		assert_int_equal(json_kind_of(cases[i].text), cases[i].kind);
		assert_string_equal(json_kind_name(cases[i].kind), cases[i].name);
	}
}

/* How strings are written, what they say, and how that is written again. */
static const struct {
	struct text raw;
	struct text characters;
	struct text normal;
} strings[] = {
		{LITERAL("\"\""), LITERAL(""), LITERAL("\"\"")},
		{LITERAL("\"plain\""), LITERAL("plain"), LITERAL("\"plain\"")},
		{LITERAL("\"\\u0070l\\u0061in\""), LITERAL("plain"), LITERAL("\"plain\"")},
		{LITERAL("\"a\\/b\""), LITERAL("a/b"), LITERAL("\"a/b\"")},
		{LITERAL("\"\\u002F\""), LITERAL("/"), LITERAL("\"/\"")},
		{LITERAL("\"\\\"\\\\\""), LITERAL("\"\\"), LITERAL("\"\\\"\\\\\"")},
		{LITERAL("\"\\u0022\\u005C\""), LITERAL("\"\\"), LITERAL("\"\\\"\\\\\"")},
		{LITERAL("\"\\b\\f\\n\\r\\t\""), LITERAL("\b\f\n\r\t"),
				LITERAL("\"\\b\\f\\n\\r\\t\"")},
		{LITERAL("\"\\u0008\\u000C\\u000a\\u000D\\u0009\""), LITERAL("\b\f\n\r\t"),
				LITERAL("\"\\b\\f\\n\\r\\t\"")},
		{LITERAL("\"\\u0001\\u001F\""), LITERAL("\1\x1f"), LITERAL("\"\\u0001\\u001f\"")},
		{LITERAL("\"\\u007F\""), LITERAL("\x7f"), LITERAL("\"\x7f\"")},
		{LITERAL("\"\\u0080\\u07ff\""), LITERAL("\xc2\x80\xdf\xbf"),
				LITERAL("\"\xc2\x80\xdf\xbf\"")},
		{LITERAL("\"\\u0800\\uffff\""), LITERAL("\xe0\xa0\x80\xef\xbf\xbf"),
				LITERAL("\"\xe0\xa0\x80\xef\xbf\xbf\"")},
		{LITERAL("\"\\ud800\\udc00\\uDBFF\\uDFFF\""),
				LITERAL("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"),
				LITERAL("\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"")},
		{LITERAL("\"J\\u00fcrgen \xc3\xa9\""), LITERAL("J\xc3\xbcrgen \xc3\xa9"),
				LITERAL("\"J\xc3\xbcrgen \xc3\xa9\"")},
		{LITERAL("\"end\\n\""), LITERAL("end\n"), LITERAL("\"end\\n\"")},
};

static void test_characters_of_strings(void **state)
{
	for (size_t i = 0; i < sizeof(strings) / sizeof(*strings); i++) {
		parse(strings[i].raw);
		assert_text(json_string(&json, 0, &arena), strings[i].characters);
		struct buffer buffer;
		buffer_init(&buffer);
		json_append_unescaped(&buffer, strings[i].raw);
		assert_text(buffer_text(&buffer), strings[i].characters);
		buffer_clear(&buffer);
		json_append_normal(&buffer, strings[i].raw);
		assert_text(buffer_text(&buffer), strings[i].normal);
		buffer_deinit(&buffer);
	}
}

static void test_a_string_without_escapes_is_borrowed(void **state)
{
	struct text t = TEXT("[\"a\xc3\xa9\",\"\"]");
	parse(t);
	char *before = arena.at;
	assert_ptr_equal(json_string(&json, 1, &arena).data, t.data + 2);
	assert_non_null(json_string(&json, 2, &arena).data);
	assert_ptr_equal(arena.at, before);
}

static void test_memory_that_is_out(void **state)
{
	parse(TEXT("\"\\n\""));
	struct arena none;
	arena_init(&none, NULL);
	allocations_fail_after(0);
	assert_null(json_string(&json, 0, &none).data);
	struct buffer buffer;
	buffer_init(&buffer);
	json_append_unescaped(&buffer, json_raw(&json, 0));
	assert_null(buffer_text(&buffer).data);
	buffer_clear(&buffer);
	json_append_normal(&buffer, json_raw(&json, 0));
	assert_null(buffer_text(&buffer).data);
	allocations_heal();
	arena_deinit(&none);
}

/* Spells a character of U+0001 to U+00FF in one of its ways. */
static void append_spelling(struct buffer *buffer, struct random *random, unsigned character)
{
	struct text t;
	char utf8[2] = {(char)(0xc0 | character >> 6), (char)(0x80 | (character & 0x3f))};
	char ascii = (char)character;
	if (character < 0x80)
		t = (struct text){&ascii, 1};
	else
		t = (struct text){utf8, 2};
	bool bare = character >= 0x20 && character != '"' && character != '\\';
	if (bare && random_below(random, 2))
		buffer_append(buffer, t);
	else
		buffer_append_format(
				buffer, random_below(random, 2) ? "\\u%04x" : "\\u%04X", character);
}

/* However it is spelled, a string has one normal spelling: the one that its characters are given
 * elsewhere. */
static void test_spellings_of_one_string(void **state)
{
	struct random random;
	struct buffer raw, normal, expected;
	random_init(&random, 7);
	buffer_init(&raw);
	buffer_init(&normal);
	buffer_init(&expected);
	for (int round = 0; round < 2000; round++) {
		buffer_clear(&raw);
		buffer_clear(&normal);
		buffer_clear(&expected);
		buffer_append_char(&raw, '"');
		for (uint64_t left = random_below(&random, 12); left > 0; left--)
			append_spelling(&raw, &random, (unsigned)random_below(&random, 255) + 1);
		buffer_append_char(&raw, '"');
		parse(buffer_text(&raw));
		json_append_normal(&normal, buffer_text(&raw));
		buffer_append_json_string(&expected, json_string(&json, 0, &arena));
		assert_text(buffer_text(&normal), buffer_text(&expected));
	}
	buffer_deinit(&raw);
	buffer_deinit(&normal);
	buffer_deinit(&expected);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_the_table),
			TEST(test_member),
			TEST(test_element),
			TEST(test_kinds),
			TEST(test_characters_of_strings),
			TEST(test_a_string_without_escapes_is_borrowed),
			TEST(test_memory_that_is_out),
			TEST(test_spellings_of_one_string),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
