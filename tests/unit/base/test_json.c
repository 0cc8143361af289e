/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is JSON and what is not, and where it stops being it. Each text is parsed from a block of
 * just its size, so that a step past its end is seen.
 */
#include "pipeline/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/buffer.h"
#include "pipeline/base/hash.h"
#include "pipeline/base/live.h"
#include "tests/unit/allocations.h"

/* TEXT() as a constant. */
/* clang-format off */
#define LITERAL(literal) {(literal), sizeof(literal) - 1}
/* clang-format on */

static const struct json_limits usual = {.bytes = 1 << 20, .depth = 32, .values = 10000};

static struct arena arena;
static struct json json;
static struct json_error error;

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

/* Leaves the error in `error`; the view must not be followed into the text, which is gone. */
static bool accepts_within(struct text t, const struct json_limits *limits)
{
	char *bytes = malloc(t.size ? t.size : 1);
	assert_non_null(bytes);
	memcpy(bytes, t.data, t.size);
	bool accepted = json_parse(&json, &arena, (struct text){bytes, t.size}, limits, &error);
	free(bytes);
	return accepted;
}

static bool accepts(struct text t)
{
	return accepts_within(t, &usual);
}

static void assert_accepted(struct text t, uint32_t values)
{
	if (!accepts(t))
		fail_msg("%.*s: %s at %zu", TEXT_ARG(t), error.message, error.at);
	if (json.count != values)
		fail_msg("%.*s: %u values instead of %u", TEXT_ARG(t), json.count, values);
}

static void assert_refused(struct text t, size_t at, const char *message)
{
	if (accepts(t))
		fail_msg("%.*s: accepted", TEXT_ARG(t));
	if (error.at != at || strcmp(error.message, message) != 0)
		fail_msg("%.*s: %s at %zu", TEXT_ARG(t), error.message, error.at);
}

static void test_accepted(void **state)
{
	static const struct {
		struct text text;
		uint32_t values;
	} cases[] = {
			{LITERAL("null"), 1},
			{LITERAL("true"), 1},
			{LITERAL("false"), 1},
			{LITERAL("\"\""), 1},
			{LITERAL("0"), 1},
			{LITERAL("-0"), 1},
			{LITERAL("7"), 1},
			{LITERAL("-10"), 1},
			{LITERAL("0.0"), 1},
			{LITERAL("-0.5"), 1},
			{LITERAL("10.25"), 1},
			{LITERAL("0e0"), 1},
			{LITERAL("1e1"), 1},
			{LITERAL("1E1"), 1},
			{LITERAL("1e+1"), 1},
			{LITERAL("1E-01"), 1},
			{LITERAL("1.5e007"), 1},
			{LITERAL("1e999"), 1},
			{LITERAL("123456789012345678901234567890"), 1},
			{LITERAL("0.00000000000000000000000000000000000000000000000000000001"), 1},
			{LITERAL("[]"), 1},
			{LITERAL("{}"), 1},
			{LITERAL("[[]]"), 2},
			{LITERAL("[{}]"), 2},
			{LITERAL("[1]"), 2},
			{LITERAL("[1,2,3]"), 4},
			{LITERAL("[[],[],{}]"), 4},
			{LITERAL("[null,true,false,\"\",0,[],{}]"), 8},
			{LITERAL("{\"a\":1}"), 3},
			{LITERAL("{\"\":1}"), 3},
			{LITERAL("{\"a\":{\"a\":{\"a\":null}}}"), 7},
			{LITERAL("{\"a\":1,\"b\":[1,{\"a\":2}],\"A\":3}"), 11},
			{LITERAL("{\"a\":{\"b\":1},\"b\":{\"a\":1}}"), 9},
			{LITERAL(" \t\r\n[ \t\r\n1 \t\r\n, \t\r\n2 \t\r\n] \t\r\n"), 3},
			{LITERAL(" { \"a\" : 1 , \"b\" : { } } "), 5},
			{LITERAL("\n7\n"), 1},
			{LITERAL("\"a/b\""), 1},
			{LITERAL("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), 1},
			{LITERAL("\"\\u0001\\u00e9\\u20AC\\uFFFF\\ufffe\""), 1},
			{LITERAL("\"\\ud83d\\ude00\""), 1},
			{LITERAL("\"\\uD800\\uDC00\\uDBFF\\uDFFF\""), 1},
			{LITERAL("\"\\ud7ff\\ue000\""), 1},
			{LITERAL("\"\\\\u0000\""), 1},
			{LITERAL("\"\x7f\""), 1},
			{LITERAL("\"\xc2\x80 \xdf\xbf\""), 1},
			{LITERAL("\"\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf\""), 1},
			{LITERAL("\"\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf\""), 1},
			{LITERAL("\"\xef\xbb\xbf\""), 1},
			{LITERAL("\"\xe2\x80\xa8\xe2\x80\xa9\""), 1},
			{LITERAL("{\"\xc3\xa9\":1,\"e\":2}"), 5},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_accepted(cases[i].text, cases[i].values);
}

/* What is no JSON, where that is seen, and what is said of it. */
static const struct {
	struct text text;
	size_t at;
	const char *message;
} refused[] = {
		{LITERAL(""), 0, "expected a value"},
		{LITERAL("  "), 2, "expected a value"},
		{LITERAL("\xef\xbb\xbf{}"), 0, "expected a value"},
		{LITERAL("\v1"), 0, "expected a value"},
		{LITERAL("\f1"), 0, "expected a value"},
		{LITERAL("\xc2\xa0 1"), 0, "expected a value"},
		{LITERAL("\0"), 0, "expected a value"},
		{LITERAL("1\0"), 1, "expected the end"},
		{LITERAL("1 2"), 2, "expected the end"},
		{LITERAL("{}}"), 2, "expected the end"},
		{LITERAL("[] ,"), 3, "expected the end"},
		{LITERAL("nul"), 0, "expected a value"},
		{LITERAL("nulL"), 0, "expected a value"},
		{LITERAL("Null"), 0, "expected a value"},
		{LITERAL("TRUE"), 0, "expected a value"},
		{LITERAL("fals"), 0, "expected a value"},
		{LITERAL("truex"), 4, "expected the end"},
		{LITERAL("undefined"), 0, "expected a value"},
		{LITERAL("NaN"), 0, "expected a value"},
		{LITERAL("Infinity"), 0, "expected a value"},
		{LITERAL("-Infinity"), 1, "expected a digit"},
		{LITERAL("-"), 1, "expected a digit"},
		{LITERAL("--1"), 1, "expected a digit"},
		{LITERAL("+1"), 0, "expected a value"},
		{LITERAL(".5"), 0, "expected a value"},
		{LITERAL("-.5"), 1, "expected a digit"},
		{LITERAL("5."), 2, "expected a digit"},
		{LITERAL("5.e1"), 2, "expected a digit"},
		{LITERAL("1e"), 2, "expected a digit"},
		{LITERAL("1e+"), 3, "expected a digit"},
		{LITERAL("1e1.5"), 3, "expected the end"},
		{LITERAL("1.2.3"), 3, "expected the end"},
		{LITERAL("00"), 1, "expected the end"},
		{LITERAL("01"), 1, "expected the end"},
		{LITERAL("-01"), 2, "expected the end"},
		{LITERAL("0x10"), 1, "expected the end"},
		{LITERAL("1_000"), 1, "expected the end"},
		{LITERAL("1 000"), 2, "expected the end"},
		{LITERAL("\xd9\xa1"), 0, "expected a value"},
		{LITERAL("["), 1, "expected a value"},
		{LITERAL("]"), 0, "expected a value"},
		{LITERAL("[,]"), 1, "expected a value"},
		{LITERAL("[,1]"), 1, "expected a value"},
		{LITERAL("[1"), 2, "expected ',' or ']'"},
		{LITERAL("[1,"), 3, "expected a value"},
		{LITERAL("[1,]"), 3, "expected a value"},
		{LITERAL("[1,,2]"), 3, "expected a value"},
		{LITERAL("[1 2]"), 3, "expected ',' or ']'"},
		{LITERAL("[1;2]"), 2, "expected ',' or ']'"},
		{LITERAL("[1}"), 2, "expected ',' or ']'"},
		{LITERAL("[\"a\":1]"), 4, "expected ',' or ']'"},
		{LITERAL("[[1]"), 4, "expected ',' or ']'"},
		{LITERAL("{"), 1, "expected a name"},
		{LITERAL("}"), 0, "expected a value"},
		{LITERAL("{]"), 1, "expected a name"},
		{LITERAL("{,}"), 1, "expected a name"},
		{LITERAL("{1:2}"), 1, "expected a name"},
		{LITERAL("{a:1}"), 1, "expected a name"},
		{LITERAL("{'a':1}"), 1, "expected a name"},
		{LITERAL("{null:1}"), 1, "expected a name"},
		{LITERAL("{\"a\"}"), 4, "expected ':'"},
		{LITERAL("{\"a\",1}"), 4, "expected ':'"},
		{LITERAL("{\"a\" 1}"), 5, "expected ':'"},
		{LITERAL("{\"a\"=1}"), 4, "expected ':'"},
		{LITERAL("{\"a\":}"), 5, "expected a value"},
		{LITERAL("{\"a\"::1}"), 5, "expected a value"},
		{LITERAL("{\"a\":1"), 6, "expected ',' or '}'"},
		{LITERAL("{\"a\":1]"), 6, "expected ',' or '}'"},
		{LITERAL("{\"a\":1,}"), 7, "expected a name"},
		{LITERAL("{\"a\":1,,\"b\":2}"), 7, "expected a name"},
		{LITERAL("{\"a\":1 \"b\":2}"), 7, "expected ',' or '}'"},
		{LITERAL("{\"a\":1,1}"), 7, "expected a name"},
		{LITERAL("// c\n1"), 0, "expected a value"},
		{LITERAL("/* c */1"), 0, "expected a value"},
		{LITERAL("[1 /* c */]"), 3, "expected ',' or ']'"},
		{LITERAL("#\n1"), 0, "expected a value"},
		{LITERAL("'a'"), 0, "expected a value"},
		{LITERAL("`a`"), 0, "expected a value"},
		{LITERAL("\""), 1, "expected the end of a string"},
		{LITERAL("\"abcdefghij"), 11, "expected the end of a string"},
		{LITERAL("\"a\\\""), 4, "expected the end of a string"},
		{LITERAL("\"a\"\""), 3, "expected the end"},
		{LITERAL("\"a\nb\""), 2, "expected no control character in a string"},
		{LITERAL("\"\t\""), 1, "expected no control character in a string"},
		{LITERAL("\"\0\""), 1, "expected no control character in a string"},
		{LITERAL("\"\x1f\""), 1, "expected no control character in a string"},
		{LITERAL("\"\\"), 1, "expected a known escape"},
		{LITERAL("\"\\\0\""), 1, "expected a known escape"},
		{LITERAL("\"\\'\""), 1, "expected a known escape"},
		{LITERAL("\"\\a\""), 1, "expected a known escape"},
		{LITERAL("\"\\v\""), 1, "expected a known escape"},
		{LITERAL("\"\\x41\""), 1, "expected a known escape"},
		{LITERAL("\"\\0\""), 1, "expected a known escape"},
		{LITERAL("\"\\\n\""), 1, "expected a known escape"},
		{LITERAL("\"\\U0041\""), 1, "expected a known escape"},
		{LITERAL("\"\\N\""), 1, "expected a known escape"},
		{LITERAL("\"\\u\""), 1, "expected a known escape"},
		{LITERAL("\"\\u004\""), 1, "expected a known escape"},
		{LITERAL("\"\\u00g1\""), 1, "expected a known escape"},
		{LITERAL("\"\\u-041\""), 1, "expected a known escape"},
		{LITERAL("\"\\u 041\""), 1, "expected a known escape"},
		{LITERAL("\"\\u{41}\""), 1, "expected a known escape"},
		{LITERAL("\"\\u0000\""), 1, "expected a known escape"},
		{LITERAL("\"ab\\u0000\""), 3, "expected a known escape"},
		{LITERAL("\"\\ud800\""), 1, "expected a known escape"},
		{LITERAL("\"\\udbff!\""), 1, "expected a known escape"},
		{LITERAL("\"\\udc00\""), 1, "expected a known escape"},
		{LITERAL("\"\\udfff\\ud800\""), 1, "expected a known escape"},
		{LITERAL("\"\\ud800\\ud800\""), 1, "expected a known escape"},
		{LITERAL("\"\\ud800\\u0041\""), 1, "expected a known escape"},
		{LITERAL("\"\\ud800\\n\""), 1, "expected a known escape"},
		{LITERAL("\"\\ud800\\udc0\""), 1, "expected a known escape"},
		{LITERAL("\"\\ud800udc00\""), 1, "expected a known escape"},
		{LITERAL("\"\x80\""), 1, "expected UTF-8"},
		{LITERAL("\"\xbf\""), 1, "expected UTF-8"},
		{LITERAL("\"\xc0\x80\""), 1, "expected UTF-8"},
		{LITERAL("\"\xc1\xbf\""), 1, "expected UTF-8"},
		{LITERAL("\"\xc3\""), 1, "expected UTF-8"},
		{LITERAL("\"a\xc3(\""), 2, "expected UTF-8"},
		{LITERAL("\"\xe0\x80\x80\""), 1, "expected UTF-8"},
		{LITERAL("\"\xe0\x9f\xbf\""), 1, "expected UTF-8"},
		{LITERAL("\"\xed\xa0\x80\""), 1, "expected UTF-8"},
		{LITERAL("\"\xed\xbf\xbf\""), 1, "expected UTF-8"},
		{LITERAL("\"\xe2\x82\""), 1, "expected UTF-8"},
		{LITERAL("\"\xf0\x80\x80\x80\""), 1, "expected UTF-8"},
		{LITERAL("\"\xf0\x8f\xbf\xbf\""), 1, "expected UTF-8"},
		{LITERAL("\"\xf4\x90\x80\x80\""), 1, "expected UTF-8"},
		{LITERAL("\"\xf5\x80\x80\x80\""), 1, "expected UTF-8"},
		{LITERAL("\"\xf8\x88\x80\x80\x80\""), 1, "expected UTF-8"},
		{LITERAL("\"\xff\""), 1, "expected UTF-8"},
		{LITERAL("\"\xfe\xff\""), 1, "expected UTF-8"},
		{LITERAL("\"\xe9\""), 1, "expected UTF-8"},
		{LITERAL("\"\xf0\x9f\x98"), 1, "expected UTF-8"},
		{LITERAL("{\"\xff\":1}"), 2, "expected UTF-8"},
		{LITERAL("{\"a\":1,\"a\":1}"), 7, "duplicate name"},
		{LITERAL("{\"\":1,\"\":2}"), 6, "duplicate name"},
		{LITERAL("{\"a\":1,\"b\":2,\"\\u0061\":3}"), 13, "duplicate name"},
		{LITERAL("[{\"\\n\":1,\"\\u000a\":{}}]"), 9, "duplicate name"},
		{LITERAL("{\"\\/\":1,\"/\":1}"), 8, "duplicate name"},
		{LITERAL("{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":1}"), 18, "duplicate name"},
};

static void test_refused(void **state)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		assert_refused(refused[i].text, refused[i].at, refused[i].message);
}

static void test_cut_short_at_every_byte(void **state)
{
	static const struct text texts[] = {
			LITERAL("{\"sku\":\"A-10042\",\"qty\":3,\"locale\":\"en-GB\",\"x\":[1.5e3,{"
				"}]"
				"}"),
			LITERAL("[[[]],[{}],{\"a\":[null,true,false,-0.25E+10]}]"),
			LITERAL("\"\\u20ac \\ud83d\\ude00 \xe2\x82\xac \xf0\x9f\x98\x80 "
				"\\\"end\\\"\""),
			LITERAL("{ \"\\u0061\" : { \"b\" : [ 1 , 2 ] } , \"c\" : \"\\n\" }"),
			LITERAL("true"),
			LITERAL("null"),
			LITERAL("false"),
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct text whole = texts[i];
		assert_true(accepts(whole));
		for (size_t size = 0; size < whole.size; size++) {
			assert_false(accepts((struct text){whole.data, size}));
			assert_true(error.at <= size);
		}
	}
}

/* The scan takes eight bytes at once where it can: each byte at each place of such a block. */
static void test_every_byte_at_every_place_of_a_string(void **state)
{
	for (size_t before = 0; before < 20; before++)
		for (unsigned byte = 0; byte < 256; byte++) {
			char bytes[40];
			memset(bytes, 'a', sizeof(bytes));
			bytes[0] = bytes[sizeof(bytes) - 1] = '"';
			bytes[before + 1] = (char)byte;
			bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
			assert_int_equal(accepts((struct text){bytes, sizeof(bytes)}), plain);
			if (!plain)
				assert_int_equal(error.at, before + (byte == '"' ? 2 : 1));
		}
}

static void test_limit_of_bytes(void **state)
{
	struct json_limits limits = {.bytes = 5, .depth = 1, .values = 10};
	assert_true(accepts_within(TEXT("[1,2]"), &limits));
	assert_false(accepts_within(TEXT("[1,2] "), &limits));
	assert_int_equal(error.at, 5);
	assert_string_equal(error.message, "too long");
	limits.bytes = 0;
	assert_false(accepts_within(TEXT("1"), &limits));
	assert_string_equal(error.message, "too long");
}

static void test_limit_of_depth(void **state)
{
	struct json_limits limits = {.bytes = 100, .depth = 3, .values = 10};
	assert_true(accepts_within(TEXT("[[[]],{\"a\":[1]}]"), &limits));
	assert_false(accepts_within(TEXT("[[[]],{\"a\":[{}]}]"), &limits));
	assert_int_equal(error.at, 12);
	assert_string_equal(error.message, "nested too deeply");
	limits.depth = 0;
	assert_true(accepts_within(TEXT("\"a\""), &limits));
	assert_false(accepts_within(TEXT("[]"), &limits));
	assert_false(accepts_within(TEXT("{}"), &limits));
	assert_string_equal(error.message, "nested too deeply");
}

static void test_depth_costs_no_stack(void **state)
{
	enum { DEPTH = 100000 };
	static char bytes[2 * DEPTH];
	memset(bytes, '[', DEPTH);
	memset(bytes + DEPTH, ']', DEPTH);
	struct json_limits limits = {.bytes = UINT32_MAX, .depth = DEPTH, .values = UINT32_MAX};
	assert_true(accepts_within((struct text){bytes, sizeof(bytes)}, &limits));
	assert_int_equal(json.count, DEPTH);
	assert_int_equal(json.values[0].next, DEPTH);
	limits.depth--;
	assert_false(accepts_within((struct text){bytes, sizeof(bytes)}, &limits));
	assert_int_equal(error.at, DEPTH - 1);
}

static void test_limit_of_values(void **state)
{
	struct json_limits limits = {.bytes = 100, .depth = 5, .values = 6};
	assert_true(accepts_within(
			TEXT("[1,{\"a\":[],\"b\":2}]"), &(struct json_limits){100, 5, 7}));
	assert_false(accepts_within(TEXT("[1,{\"a\":[],\"b\":2}]"), &limits));
	assert_int_equal(error.at, 15);
	assert_string_equal(error.message, "too many values");
	limits.values = 0;
	assert_false(accepts_within(TEXT("1"), &limits));
	assert_string_equal(error.message, "too many values");
}

static void append_numbers(struct buffer *buffer, unsigned count)
{
	buffer_append_char(buffer, '[');
	for (unsigned i = 0; i < count; i++)
		buffer_append_format(buffer, "%s%u", i ? "," : "", i);
	buffer_append_char(buffer, ']');
}

static void test_many_values(void **state)
{
	struct buffer buffer;
	buffer_init(&buffer);
	append_numbers(&buffer, 9999);
	assert_accepted(buffer_text(&buffer), 10000);
	buffer_clear(&buffer);
	append_numbers(&buffer, 10000);
	assert_false(accepts(buffer_text(&buffer)));
	assert_string_equal(error.message, "too many values");
	buffer_deinit(&buffer);
}

static void test_memory_beyond_the_table_is_given_back(void **state)
{
	assert_non_null(arena_alloc(&arena, 16));
	char *before = arena.at;
	assert_true(accepts(TEXT("{\"name\":\"a string that has hardly any values in it\"}")));
	assert_int_equal(arena.at - before, 3 * sizeof(struct json_value));
	/* What comparing many names took goes back too, but for the least block there is. */
	before = arena.at;
	assert_true(accepts(TEXT("[{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":"
				 "8,\"i\":9}]")));
	assert_int_equal(arena.at - before, 20 * sizeof(struct json_value) + 16);
}

static void test_memory_that_is_out(void **state)
{
	struct buffer buffer;
	buffer_init(&buffer);
	buffer_append(&buffer, TEXT("[{\"a\":1"));
	for (int i = 0; i < 500; i++)
		buffer_append_format(&buffer, ",\"\\u0061%d\":[]", i);
	buffer_append(&buffer, TEXT("}]"));
	struct text t = buffer_text(&buffer);
	bool accepted = false;
	unsigned failures = 0;
	for (; !accepted; failures++) {
		assert_in_range(failures, 0, 100);
		json.count = 12345;
		allocations_fail_after(failures);
		accepted = json_parse(&json, &arena, t, &usual, &error);
		allocations_heal();
		if (!accepted)
			assert_string_equal(error.message, "out of memory");
		assert_int_equal(json.count, accepted ? 1004 : 12345);
		arena_deinit(&arena);
	}
	assert_in_range(failures, 3, 100);
	buffer_deinit(&buffer);
}

/* An object whose members are named by their numbers, every other name with an escape. Returns
 * where the name of the last one stands. */
static size_t append_members(struct buffer *buffer, unsigned count, unsigned last)
{
	size_t at = 0;
	for (unsigned i = 0; i < count; i++) {
		buffer_append_char(buffer, i ? ',' : '{');
		at = buffer->size;
		buffer_append_format(buffer, "\"%s%u\":{\"n1\":1}", i & 1 ? "\\u006e" : "n",
				i + 1 == count ? last : i);
	}
	buffer_append_char(buffer, '}');
	return at;
}

static void test_duplicates_among_few_and_many(void **state)
{
	struct buffer buffer;
	buffer_init(&buffer);
	for (unsigned count = 2; count < 300; count += count < 20 ? 1 : 31) {
		buffer_clear(&buffer);
		(void)append_members(&buffer, count, count - 1);
		assert_accepted(buffer_text(&buffer), 1 + 4 * count);
		for (unsigned twin = 0; twin + 1 < count; twin++) {
			buffer_clear(&buffer);
			size_t at = append_members(&buffer, count, twin);
			assert_refused(buffer_text(&buffer), at, "duplicate name");
		}
	}
	buffer_deinit(&buffer);
}

/* Two long names, which differ in their last character or not, both or one with an escape. */
static void test_duplicates_among_long_names(void **state)
{
	static const char *const pads[] = {"n", "\\u006e"};
	struct buffer buffer;
	buffer_init(&buffer);
	for (int i = 0; i < 8; i++) {
		size_t second = 0;
		buffer_clear(&buffer);
		for (int name = 0; name < 2; name++) {
			buffer_append(&buffer, name ? TEXT(",\"") : TEXT("{\""));
			second = buffer.size - 1;
			for (int n = 0; n < 70; n++)
				buffer_append(&buffer, text_of(pads[(i >> name) & 1]));
			buffer_append_format(&buffer, "%d\":1", (i >> 2) & name);
		}
		buffer_append_char(&buffer, '}');
		if (i < 4)
			assert_refused(buffer_text(&buffer), second, "duplicate name");
		else
			assert_accepted(buffer_text(&buffer), 5);
	}
	buffer_deinit(&buffer);
}

/* What is left of a table's memory tells that there was one: else they are compared each with
 * each. */
static void test_few_long_names_are_hashed_where_one_has_an_escape(void **state)
{
	char text[200];
	assert_non_null(arena_alloc(&arena, 16));
	for (int size = 10; size < 80; size += 10) {
		for (int escaped = 0; escaped < 2; escaped++) {
			(void)snprintf(text, sizeof(text), "{\"%s%0*d\":1,\"b\":2}",
					escaped ? "\\n" : "", size, 0);
			const char *before = arena.at;
			assert_accepted(text_of(text), 5);
			size_t taken = (size_t)(arena.at - before);
			bool hashed = escaped && size + 4 > 64;
			assert_int_equal(taken, 5 * sizeof(struct json_value) + 16 * hashed);
		}
	}
}

/* There is nothing to compare it with. */
static void test_a_lone_long_name_with_an_escape(void **state)
{
	char text[200];
	(void)snprintf(text, sizeof(text), "{\"\\n%0*d\":1}", 100, 0);
	assert_accepted(text_of(text), 3);
}

static void test_duplicates_are_found_with_any_key(void **state)
{
	for (unsigned char byte = 1; byte < 3; byte++) {
		struct hash_key key = {.bytes = {byte, 0xff, byte}};
		json_seed(&key);
		test_duplicates_among_few_and_many(state);
	}
}

static void test_crowds_inside_crowds(void **state)
{
	struct buffer buffer;
	buffer_init(&buffer);
	buffer_append(&buffer, TEXT("{"));
	for (unsigned i = 0; i < 40; i++) {
		buffer_append_format(&buffer, "\"%u\":", i);
		(void)append_members(&buffer, 20, 19);
		buffer_append_char(&buffer, ',');
	}
	size_t good = buffer.size;
	buffer_append(&buffer, TEXT("\"40\":[]}"));
	assert_true(accepts(buffer_text(&buffer)));
	buffer.size = good;
	buffer_append(&buffer, TEXT("\"\\u0033\\u0039\":[]}"));
	assert_refused(buffer_text(&buffer), good, "duplicate name");
	buffer_deinit(&buffer);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_accepted),
			TEST(test_refused),
			TEST(test_cut_short_at_every_byte),
			TEST(test_every_byte_at_every_place_of_a_string),
			TEST(test_limit_of_bytes),
			TEST(test_limit_of_depth),
			TEST(test_depth_costs_no_stack),
			TEST(test_limit_of_values),
			TEST(test_many_values),
			TEST(test_memory_beyond_the_table_is_given_back),
			TEST(test_memory_that_is_out),
			TEST(test_duplicates_among_few_and_many),
			TEST(test_duplicates_among_long_names),
			TEST(test_few_long_names_are_hashed_where_one_has_an_escape),
			TEST(test_a_lone_long_name_with_an_escape),
			TEST(test_duplicates_are_found_with_any_key),
			TEST(test_crowds_inside_crowds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
