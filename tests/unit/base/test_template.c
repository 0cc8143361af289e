/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/base/template.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/buffer.h"
#include "pipeline/base/live.h"
#include "tests/unit/allocations.h"

static const struct place place = {"sluice.yaml", 7, 3};

static struct arena arena;
static struct diag diag;
static struct value body;
static struct template_error error;

static int set_up(void **state)
{
	arena_init(&arena, NULL);
	diag_init(&diag, &arena);
	body = VALUE_NONE;
	return 0;
}

static int tear_down(void **state)
{
	allocations_heal();
	arena_deinit(&arena);
	return live_report();
}

static struct template *compile(const char *text)
{
	struct template *template = template_compile(text_of(text), false, place, &arena, &diag);
	if (template == NULL)
		fail_msg("%s: %s", text, diag.first->message);
	assert_int_equal(diag.errors, 0);
	return template;
}

/* A path's name is a member of `body`. */
static bool resolve(void *user, const struct path *path, struct value *ret)
{
	struct value named;
	assert_ptr_equal(user, &arena);
	return value_follow(&body, &path->name, 1, &arena, &named) &&
	       value_follow(&named, path->segments, path->segment_count, &arena, ret);
}

static void assert_text(struct text t, const char *expected)
{
	if (!text_equal(t, text_of(expected)))
		fail_msg("%.*s instead of %s", TEXT_ARG(t), expected);
}

static void test_literals_and_paths(void **state)
{
	struct template *t = compile("at ${a.b.0}/${c}$${d}$ ${ e-1._x.$missing }");
	assert_int_equal(t->part_count, 6);
	assert_text(t->parts[0].literal, "at ");
	assert_null(t->parts[0].path);
	const struct path *path = t->parts[1].path;
	assert_text(path->whole, "a.b.0");
	assert_text(path->name, "a");
	assert_int_equal(path->segment_count, 2);
	assert_text(path->segments[0], "b");
	assert_text(path->segments[1], "0");
	assert_null(path->fallback.data);
	assert_int_equal(path->slot, -1);
	assert_text(t->parts[2].literal, "/");
	assert_text(t->parts[3].path->whole, "c");
	assert_int_equal(t->parts[3].path->segment_count, 0);
	assert_text(t->parts[4].literal, "${d}$ ");
	assert_text(t->parts[5].path->whole, "e-1._x.$missing");
	assert_text(t->parts[5].path->segments[1], "$missing");
	assert_null(t->constant.data);
	assert_int_equal(t->place.line, 7);
}

static void test_text_that_is_no_path(void **state)
{
	static const char *const cases[][2] = {
			{"", "\"\""},
			{"plain", "\"plain\""},
			{"$", "\"$\""},
			{"$$", "\"$$\""},
			{"a}b{c", "\"a}b{c\""},
			{"{a}", "\"{a}\""},
			{"$${", "\"${\""},
			{"$$${a}", "\"$${a}\""},
			{"say \"hi\"\n", "\"say \\\"hi\\\"\\n\""},
			{"5", "\"5\""},
			{"null", "\"null\""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct template *t = compile(cases[i][0]);
		assert_text(t->constant, cases[i][1]);
		assert_false(template_is_path(t));
		assert_true(template_is_separated(t));
	}
}

static void test_plain_scalars(void **state)
{
	static const char *const cases[][2] = {
			{"5", "5"},
			{"-0.5e3", "-0.5e3"},
			{"true", "true"},
			{"false", "false"},
			{"null", "null"},
			{"", "\"\""},
			{"05", "\"05\""},
			{"5 apples", "\"5 apples\""},
			{"+5", "\"+5\""},
			{"yes", "\"yes\""},
			{"True", "\"True\""},
			{"~", "\"~\""},
			{"\"quoted\"", "\"\\\"quoted\\\"\""},
			{"[]", "\"[]\""},
			{"{}", "\"{}\""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct template *t =
				template_compile(text_of(cases[i][0]), true, place, &arena, &diag);
		assert_non_null(t);
		assert_text(t->constant, cases[i][1]);
	}
}

static void test_defaults(void **state)
{
	static const char *const cases[][2] = {
			{"${a | en}", "\"en\""},
			{"${a|en}", "\"en\""},
			{"${ a.0  |  two words  }", "\"two words\""},
			{"${a | 5}", "5"},
			{"${a | 05}", "\"05\""},
			{"${a | true}", "true"},
			{"${a | null}", "null"},
			{"${a | \"5\"}", "\"5\""},
			{"${a | \" \"}", "\" \""},
			{"${a | \"open}", "\"\\\"open\""},
			{"${a | []}", "\"[]\""},
			{"${a | b | c}", "\"b | c\""},
			{"${a |}", "\"\""},
			{"${a | ${b}", "\"${b\""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct template *t = compile(cases[i][0]);
		assert_true(template_is_path(t));
		assert_text(t->parts[0].path->name, "a");
		assert_text(t->parts[0].path->fallback, cases[i][1]);
	}
}

static void test_errors(void **state)
{
#define EXPECTED "expected names and indexes with dots between them in "
#define SUCH	 ", such as ${a.b.0} or ${a.b | default}"
	static const char *const cases[][2] = {
			{"${}", EXPECTED "\"${}\"" SUCH},
			{"x ${ } y", EXPECTED "\"${ }\"" SUCH},
			{"${.a}", EXPECTED "\"${.a}\"" SUCH},
			{"${a.}", EXPECTED "\"${a.}\"" SUCH},
			{"${a..b}", EXPECTED "\"${a..b}\"" SUCH},
			{"${a b}", EXPECTED "\"${a b}\"" SUCH},
			{"${a. b}", EXPECTED "\"${a. b}\"" SUCH},
			{"${a[0]}", EXPECTED "\"${a[0]}\"" SUCH},
			{"${a\t}", EXPECTED "\"${a?}\"" SUCH},
			{"${'a'}", EXPECTED "\"${'a'}\"" SUCH},
			{"${{a}}", EXPECTED "\"${{a}\"" SUCH},
			{"${| en}", EXPECTED "\"${| en}\"" SUCH},
			{"${a} ${", "expected '}' at the end of \"${\" (a literal ${ is written "
				    "$${)"},
			{"${a.b", "expected '}' at the end of \"${a.b\" (a literal ${ is written "
				  "$${)"},
			{"${a ${b}", EXPECTED "\"${a ${b}\"" SUCH},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		diag_init(&diag, &arena);
		assert_null(template_compile(text_of(cases[i][0]), false, place, &arena, &diag));
		assert_int_equal(diag.errors, 1);
		assert_string_equal(diag.first->message, cases[i][1]);
		assert_int_equal(diag.first->place.line, 7);
		assert_int_equal(diag.first->place.column, 3);
	}
}

static void test_no_nul(void **state)
{
	assert_null(template_compile(TEXT("a\0b"), false, place, &arena, &diag));
	assert_string_equal(diag.first->message, "expected no U+0000 in a text");
}

static void test_a_path_by_itself(void **state)
{
	struct path *path = path_compile(TEXT("a.1 | x"), place, &arena, &diag);
	assert_text(path->whole, "a.1");
	assert_text(path->fallback, "\"x\"");
	assert_int_equal(path->slot, -1);
	assert_null(path_compile(TEXT(""), place, &arena, &diag));
	assert_int_equal(diag.errors, 1);
}

/* The configuration's text may go once it is compiled. */
static void test_all_is_kept_in_the_arena(void **state)
{
	char text[] = "x ${a.b | en} y";
	struct template *t = template_compile(
			(struct text){text, sizeof(text) - 1}, false, place, &arena, &diag);
	memset(text, '#', sizeof(text));
	assert_text(t->parts[0].literal, "x ");
	assert_text(t->parts[1].path->whole, "a.b");
	assert_text(t->parts[1].path->segments[0], "b");
	assert_text(t->parts[1].path->fallback, "\"en\"");
	assert_text(t->parts[2].literal, " y");
}

static void test_is_separated(void **state)
{
	static const struct {
		const char *text;
		bool separated;
	} cases[] = {
			{"${a}", true},
			{"x${a}y", true},
			{"${a}/${b}", true},
			{"${a}-/-${b}", true},
			{"${a} ${b}:${c}", true},
			{"${a}\xc3\xa9${b}", true},
			{"${a}_${b}", true},
			{"${a}${b}", false},
			{"/${a}${b}/", false},
			{"${a}x${b}", false},
			{"${a}Z9${b}", false},
			{"${a}-${b}", false},
			{"${a}+${b}", false},
			{"${a}.${b}", false},
			{"${a}/${b}e${c}", false},
			{"${a}e${b}/${c}", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(template_is_separated(compile(cases[i].text)), cases[i].separated);
}

static void assert_rendered(const char *text, enum template_use use, const char *expected)
{
	struct buffer buffer;
	buffer_init(&buffer);
	buffer_append(&buffer, TEXT(">"));
	assert_true(template_render(compile(text), use, resolve, &arena, &buffer, &error));
	assert_int_equal(buffer.data[0], '>');
	assert_text((struct text){buffer.data + 1, buffer.size - 1}, expected);
	buffer_deinit(&buffer);
}

#define BODY                                                                                       \
	"{\"s\":\"a\\u0062\\/\\\"\",\"n\":-1.50,\"t\":true,\"f\":false,\"z\":null,\"o\":{ "        \
	"\"k\":[\"v\"]},"                                                                          \
	"\"e\":\"\"}"

static void test_rendered_as_text(void **state)
{
	body = value_of(TEXT(BODY));
	assert_rendered("", TEMPLATE_TEXT, "");
	assert_rendered("only \"text\"", TEMPLATE_TEXT, "only \"text\"");
	assert_rendered("${s}", TEMPLATE_TEXT, "ab/\"");
	assert_rendered("[${s}|${n}|${t}|${f}|${e}|${o.k.0}]", TEMPLATE_TEXT,
			"[ab/\"|-1.50|true|false||v]");
	assert_rendered("${s | x}${no | x}${no.0 | 7}${o.k.1 | \"\\n\"}", TEMPLATE_TEXT,
			"ab/\"x7\n");
}

static void test_rendered_as_key(void **state)
{
	body = value_of(TEXT(BODY));
	assert_rendered("product/${s}", TEMPLATE_KEY, "product/\"ab/\\\"\"");
	assert_rendered("${n} ${t} ${z} ${e}", TEMPLATE_KEY, "-1.50 true null \"\"");
	assert_rendered("${o}", TEMPLATE_KEY, "{ \"k\":[\"v\"]}");
	assert_rendered("${no | \\u0062} ${no | \"\\u0062\"} ${no | 1}", TEMPLATE_KEY,
			"\"\\\\u0062\" \"b\" 1");
}

static void test_rendered_in_a_url(void **state)
{
	body = value_of(TEXT(BODY));
	assert_rendered("http://a:1/${s}?n=${n}&t=${t}&e=${e}", TEMPLATE_URL,
			"http://a:1/ab%2F%22?n=-1.50&t=true&e=");
	/* Only what RFC 3986 calls unreserved stands bare; a number's plus would be a space. */
	assert_rendered("${no | \"AZaz09-._~ !#$%&'()*+,/:;=?@[]\\n\"}", TEMPLATE_URL,
			"AZaz09-._~%20%21%23%24%25%26%27%28%29%2A%2B%2C%2F%3A%3B%3D%3F%40%5B%5D%"
			"0A");
	assert_rendered("${no | 1e+5}/${no | \"\\ud83d\\ude00\xc3\xa9\"}", TEMPLATE_URL,
			"1e%2B5/%F0%9F%98%80%C3%A9");
}

static void assert_not_rendered(const char *text, const char *path, const char *message)
{
	struct buffer buffer;
	buffer_init(&buffer);
	for (enum template_use use = TEMPLATE_TEXT; use <= TEMPLATE_URL; use++) {
		error = (struct template_error){NULL, NULL};
		assert_false(template_render(compile(text), use, resolve, &arena, &buffer, &error));
		assert_text(error.path->whole, path);
		assert_string_equal(error.message, message);
	}
	buffer_deinit(&buffer);
}

static void test_what_may_not_stand_in_text(void **state)
{
	static const char scalar[] = "must be a string, a number or a boolean";
	body = value_of(TEXT(BODY));
	assert_not_rendered("${s} ${z}", "z", scalar);
	assert_not_rendered("${o}", "o", scalar);
	assert_not_rendered("${o.k}", "o.k", scalar);
	assert_not_rendered("${no | null}", "no", scalar);
	assert_not_rendered("${s}${no}", "no", "is missing");
	assert_not_rendered("${s.x}", "s.x", "is missing");
	assert_not_rendered("${o.k.1}", "o.k.1", "is missing");
}

static void test_a_missing_path_in_a_key(void **state)
{
	struct buffer buffer;
	buffer_init(&buffer);
	body = value_of(TEXT("{}"));
	assert_false(template_render(
			compile("k/${a.b}"), TEMPLATE_KEY, resolve, &arena, &buffer, &error));
	assert_text(error.path->whole, "a.b");
	assert_string_equal(error.message, "is missing");
	buffer_deinit(&buffer);
}

static void assert_value(const char *text, const char *expected)
{
	struct value value = VALUE_NONE;
	assert_true(template_value(compile(text), resolve, &arena, &arena, &value, &error));
	assert_text(value.text, expected);
}

static void test_as_a_value(void **state)
{
	body = value_of(TEXT(BODY));
	assert_value("${o}", "{ \"k\":[\"v\"]}");
	assert_value("${z}", "null");
	assert_value("${s}", "\"a\\u0062\\/\\\"\"");
	assert_value("${no | 3}", "3");
	assert_value("plain", "\"plain\"");
	assert_value("${s}\n${n}", "\"ab/\\\"\\n-1.50\"");
	assert_value("${e}${e}", "\"\"");
	struct value value = VALUE_NONE;
	assert_false(template_value(compile("${no}"), resolve, &arena, &arena, &value, &error));
	assert_string_equal(error.message, "is missing");
	assert_false(template_value(compile("a ${o}"), resolve, &arena, &arena, &value, &error));
	assert_string_equal(error.message, "must be a string, a number or a boolean");
	assert_false(value_present(&value));
}

/* The value of a path keeps its view. */
static void test_a_value_is_not_copied(void **state)
{
	body = value_of(TEXT(BODY));
	struct value value;
	assert_true(template_value(compile("${o}"), resolve, &arena, &arena, &value, &error));
	assert_ptr_equal(value.json, body.json);
	assert_in_range((uintptr_t)value.text.data, (uintptr_t)body.text.data,
			(uintptr_t)(body.text.data + body.text.size));
}

/* A text so long that each step of compiling it takes memory of its own. */
static void test_memory_that_is_out_when_compiled(void **state)
{
	static char text[20000];
	memset(text, 'x', sizeof(text));
	static const char path[] = {'$', '{', 'a', '.', 'b', '|'};
	memcpy(text + 9000, path, sizeof(path));
	text[16000] = '}';
	struct arena failing;
	struct template *t = NULL;
	unsigned failures = 0;
	for (; t == NULL; failures++) {
		assert_in_range(failures, 0, 50);
		arena_init(&failing, NULL);
		diag_init(&diag, &arena);
		assert_non_null(arena_alloc(&arena, 1));
		allocations_fail_after(failures);
		t = template_compile(
				(struct text){text, sizeof(text)}, false, place, &failing, &diag);
		allocations_heal();
		assert_int_equal(diag.errors, t == NULL);
		assert_int_equal(t == NULL || t->part_count == 3, true);
		arena_deinit(&failing);
	}
	assert_in_range(failures, 5, 50);
}

static void test_memory_that_is_out_when_run(void **state)
{
	body = value_of(TEXT(BODY));
	struct template *t = compile("${n} and ${n}");
	assert_true(value_view(&body, &arena));
	struct arena failing;
	struct buffer buffer;
	struct value value = VALUE_NONE;
	arena_init(&failing, NULL);
	buffer_init(&buffer);
	allocations_fail_after(0);
	assert_false(template_render(t, TEMPLATE_TEXT, resolve, &arena, &buffer, &error));
	assert_null(error.path);
	assert_string_equal(error.message, "out of memory");
	assert_false(template_value(t, resolve, &arena, &failing, &value, &error));
	assert_null(error.path);
	assert_string_equal(error.message, "out of memory");
	assert_false(value_present(&value));
	allocations_heal();
	buffer_deinit(&buffer);
	arena_deinit(&failing);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_literals_and_paths),
			TEST(test_text_that_is_no_path),
			TEST(test_plain_scalars),
			TEST(test_defaults),
			TEST(test_errors),
			TEST(test_no_nul),
			TEST(test_a_path_by_itself),
			TEST(test_all_is_kept_in_the_arena),
			TEST(test_is_separated),
			TEST(test_rendered_as_text),
			TEST(test_rendered_as_key),
			TEST(test_rendered_in_a_url),
			TEST(test_what_may_not_stand_in_text),
			TEST(test_a_missing_path_in_a_key),
			TEST(test_as_a_value),
			TEST(test_a_value_is_not_copied),
			TEST(test_memory_that_is_out_when_compiled),
			TEST(test_memory_that_is_out_when_run),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
