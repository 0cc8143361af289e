/* SPDX-License-Identifier: Apache-2.0 */
/* What is refused before any option is looked at: files that can't be read, and YAML that we don't
 * take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipeline/base/buffer.h"
#include "tests/unit/conf/tables.h"

struct bad {
	struct text written;
	const char *errors;
};

#define BAD(written, errors)                                                                       \
	{                                                                                          \
		{(written), sizeof(written) - 1}, errors                                           \
	}

static void check(struct reading *reading, const struct bad *bad, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		reading_read(reading, bad[i].written);
		assert_string_equal(reading_errors(reading), bad[i].errors);
		assert_null(reading->map);
	}
}

#define CHECK(state, bad) check(*(state), bad, sizeof(bad) / sizeof((bad)[0]))

static void not_yaml(void **state)
{
	static const struct bad bad[] = {
			BAD("listen: [a, b\nevery: 1s\n",
					"2:6: not YAML: did not find expected ',' or ']', while "
					"parsing a flow sequence that begins at line 1\n"),
			BAD("listen: \"a\n", "2:1: not YAML: found unexpected end of stream, while "
					     "scanning a quoted scalar that begins at line 1\n"),
			BAD("listen: a\n every: 1s\n", "2:7: not YAML: mapping values are not "
						       "allowed in this context\n"),
			BAD("limits:\n\tdepth: 3\n", "2:1: a tab where only spaces may indent\n"),
			BAD("\tlisten: a\n", "1:1: a tab where only spaces may indent\n"),
	};
	CHECK(state, bad);
}

static void not_text(void **state)
{
	static const struct bad bad[] = {
			BAD("listen: a\nevery: \xff\xfe\n",
					"2:8: not UTF-8 text: invalid leading UTF-8 octet\n"),
			BAD("# \xc3\xa9\xc3\xa9 \xc3",
					"1:6: not UTF-8 text: incomplete UTF-8 octet sequence\n"),
			BAD("listen: a\0b\n", "1:10: not UTF-8 text: control characters are not "
					      "allowed\n"),
			BAD("\x7f"
			    "ELF\2\1\1\0\0\0",
					"1:1: not UTF-8 text: control characters are not "
					"allowed\n"),
			BAD("\xff\xfel\0i\0", "1:1: not UTF-8 text: invalid leading UTF-8 octet\n"),
			BAD("listen: \"a\\0b\"\n", "1:9: \\0 may not stand in a text\n"),
	};
	CHECK(state, bad);
}

static void nothing_in_it(void **state)
{
	static const struct bad bad[] = {
			BAD("", "1:1: is empty; expected a map of options\n"),
			BAD("# only a remark\n\n", "1:1: is empty; expected a map of options\n"),
			BAD("---\n", "2:1: expected a map of options, not nothing\n"),
			BAD("hello\n", "1:1: expected a map of options, not \"hello\"\n"),
			BAD("- a\n", "1:1: expected a map of options, not a list\n"),
			BAD("*a\n", "1:1: an alias, *a: write the value here\n"),
	};
	CHECK(state, bad);
}

static void refused_parts_of_yaml(void **state)
{
	static const struct bad bad[] = {
			BAD("listen: &here a\ncontrol: b\nlimits: *here\n",
					"1:9: an anchor, &here: write each value where it is used\n"
					"2:1: \"control\" is not in this version\n"
					"3:9: an alias, *here: write the value here\n"),
			BAD("listen: &a [*a]\n",
					"1:9: an anchor, &a: write each value where it is used\n"
					"1:9: \"listen\": expected a text, not a list\n"
					"1:13: an alias, *a: write the value here\n"),
			BAD("listen: !!str a\nlimits: !x {}\n",
					"1:9: a tag: what a value is follows from its key\n"
					"2:9: a tag: what a value is follows from its key\n"),
			BAD("listen: a\n---\nlisten: b\n",
					"2:1: a second document begins here; expected only one\n"),
			BAD("listen: a\n...\nlisten: b\n",
					"3:1: not YAML: did not find expected <document start>\n"),
			BAD("listen: a\n...\n---\nlisten: b\n",
					"3:1: a second document begins here; expected only one\n"),
			BAD("listen: a\n? [x, y]\n: b\n", "2:3: expected a key, not a list\n"),
			BAD("listen: a\n? {x: y}\n: {z: 1}\nevery: 1\n",
					"2:3: expected a key, not a map\n"
					"4:8: \"every\": expected a duration such as 250ms (ns, "
					"us, ms, s, m or h), not \"1\"\n"),
			BAD("listen: a\n*x : b\n", "2:1: an alias, *x: write the value here\n"),
	};
	CHECK(state, bad);
}

static void duplicate_keys(void **state)
{
	static const struct bad bad[] = {
			BAD("listen: a\nevery: 2s\nlisten: b\n\"listen\": c\n",
					"3:1: \"listen\" is given twice, first at line 1\n"
					"4:1: \"listen\" is given twice, first at line 3\n"),
			BAD("listen: a\nlimits: {depth: 1, strict: true, depth: 1}\n",
					"2:34: \"depth\" is given twice, first at line 2\n"),
			BAD("listen: a\npipelines:\n  p: [pass]\n  p: [pass]\n",
					"4:3: \"p\" is given twice, first at line 3\n"),
	};
	CHECK(state, bad);
}

/* A text of `before` once and `part` count times. */
static struct text repeated(
		struct reading *reading, const char *before, const char *part, size_t count)
{
	struct buffer buffer;
	buffer_init_arena(&buffer, &reading->arena);
	buffer_append(&buffer, text_of(before));
	for (size_t i = 0; i < count; i++)
		buffer_append(&buffer, text_of(part));
	assert_false(buffer.failed);
	return buffer_text(&buffer);
}

static void nested_too_deep(void **state)
{
	struct reading *reading = *state;
	reading_read(reading, repeated(reading, "listen: ", "[", 10000));
	assert_string_equal(reading_errors(reading), "1:136: nested more than 128 deep\n");
	reading_read(reading, repeated(reading, "listen: ", "{a: ", 10000));
	assert_string_equal(reading_errors(reading), "1:517: nested more than 128 deep\n");
	reading_read(reading, repeated(reading, "", "- ", 10000));
	assert_string_equal(reading_errors(reading), "1:257: nested more than 128 deep\n");
	reading_read(reading, repeated(reading, "listen:\n ", "[\n ", 10000));
	assert_string_equal(reading_errors(reading), "129:2: nested more than 128 deep\n");
	assert_null(reading->map);
}

/* A pipeline of groups within groups: two levels of YAML each, with three around and inside them.
 */
static struct text groups(struct reading *reading, size_t count)
{
	struct text open = repeated(reading, "listen: a\npipelines: {p: ", "[group: ", count);
	struct text close = repeated(reading, "[]", "]", count);
	struct text whole = arena_format(
			&reading->arena, "%.*s%.*s}\n", TEXT_ARG(open), TEXT_ARG(close));
	assert_non_null(whole.data);
	return whole;
}

static void nested_as_deep_as_allowed(void **state)
{
	struct reading *reading = *state;
	reading_read(reading, groups(reading, 62));
	assert_string_equal(reading_errors(reading), "");
	assert_non_null(reading->map);
	reading_read(reading, groups(reading, 63));
	assert_string_equal(reading_errors(reading), "2:520: nested more than 128 deep\n");
	assert_null(reading->map);
}

static void file_too_large(void **state)
{
	struct reading *reading = *state;
	struct text most = repeated(reading, "listen: a\n", "#", (256 << 10) - 10);
	reading_read(reading, most);
	assert_string_equal(reading_errors(reading), "");
	assert_non_null(reading->map);
	reading_read(reading, repeated(reading, "listen: a\n", "#", (256 << 10) - 9));
	assert_string_equal(reading_errors(reading), "0:0: is over 256 KiB\n");
	assert_null(reading->map);
}

/* The only error of loading path. */
static const char *load(struct reading *reading, const char *path)
{
	diag_init(&reading->diag, &reading->arena);
	reading->map = conf_load(path, root_table, &reading->arena, &reading->diag);
	if (reading->map)
		return "";
	assert_int_equal(reading->diag.errors, 1);
	assert_string_equal(reading->diag.first->place.file, path);
	assert_int_equal(reading->diag.first->place.line, 0);
	return reading->diag.first->message;
}

static void files(void **state)
{
	struct reading *reading = *state;
	assert_string_equal(load(reading, "/nowhere/t.yaml"),
			"cannot be read: No such file or directory");
	assert_string_equal(load(reading, "/dev/null/t.yaml"), "cannot be read: Not a directory");
	assert_string_equal(load(reading, "/"), "cannot be read: Is a directory");
	assert_string_equal(load(reading, "/dev/zero"), "is over 256 KiB");

	char path[] = "/tmp/conf-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	static const char text[] = "listen: tcp://127.0.0.1:5555\n";
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	assert_string_equal(load(reading, path), "");
	assert_string_equal(option_text(reading->map, "listen").data, "tcp://127.0.0.1:5555");
	assert_string_equal(option_get(reading->map, "listen")->place.file, path);

	assert_int_equal(close(fd), 0);
	assert_int_equal(unlink(path), 0);
}

/* From a file, with so many errors. */
static const struct option_map *load_wrong(
		struct reading *reading, const char *text, unsigned errors)
{
	char path[] = "/tmp/conf-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(close(fd), 0);
	diag_init(&reading->diag, &reading->arena);
	reading->map = conf_load(path, root_table, &reading->arena, &reading->diag);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(reading->diag.errors, errors);
	return reading->map;
}

static const struct option_value *entry(
		const struct option_map *map, const char *kind, const char *name)
{
	const struct option_value *value = option_find(option_get(map, kind)->map, text_of(name));
	assert_non_null(value);
	return value;
}

/* A topmost key is as if it had not been given; an entry is named; a step is not held against what
 * it stands in. */
static void what_is_wrong_is_marked(void **state)
{
	const struct option_map *map = load_wrong(*state,
			"every: 1ns\n"
			"control: x\n"
			"limits: {message: 2MiB, dept: 3}\n"
			"resources: {a: {memory: 1MiB}, b: {memory: x}, d: {oracle: x}}\n"
			"pipelines:\n"
			"  p: [pass, {pass: {note: []}}, {group: [pass, {pas: x}]}, {group: "
			"{after: x, "
			"steps: [pass]}}]\n"
			"  q: {takes: {a: strin}, steps: [pass]}\n",
			10);
	assert_non_null(map);
	assert_true(option_get(map, "listen")->wrong); /* it is missing */
	assert_true(option_get(map, "every")->wrong && option_number(map, "every") == 1000000000);
	assert_true(option_get(map, "control")->wrong && !option_get(map, "control")->given);
	assert_true(option_get(map, "limits")->wrong);
	assert_int_equal(option_number(option_get(map, "limits")->map, "message"), 1 << 20);
	assert_false(option_get(map, "doors")->wrong);
	assert_false(option_get(map, "resources")->wrong);
	assert_false(entry(map, "resources", "a")->wrong);
	assert_true(entry(map, "resources", "b")->wrong);
	assert_true(entry(map, "resources", "d")->wrong);
	assert_true(entry(map, "pipelines", "q")->wrong);
	const struct option_value *p = entry(map, "pipelines", "p");
	assert_false(p->wrong);
	const struct option_value *steps = option_get(p->map, "steps")->list->values;
	static const bool wrong[] = {false, true, false, true};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(steps[i].wrong, wrong[i]);
	const struct option_value *inner = option_get(steps[2].map, "steps")->list->values;
	assert_false(inner[0].wrong);
	assert_true(inner[1].wrong);
}

/* What stands there is not known then. */
static void a_broken_document_has_no_tree(void **state)
{
	assert_null(load_wrong(*state, "listen: a\nevery: *other\n", 1));
	assert_null(load_wrong(*state, "listen: a\nlisten: b\nlimits: 3\n", 2));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, reading_setup, reading_teardown)
	const struct CMUnitTest tests[] = {
			TEST(not_yaml),
			TEST(not_text),
			TEST(nothing_in_it),
			TEST(refused_parts_of_yaml),
			TEST(duplicate_keys),
			TEST(nested_too_deep),
			TEST(nested_as_deep_as_allowed),
			TEST(file_too_large),
			TEST(files),
			TEST(what_is_wrong_is_marked),
			TEST(a_broken_document_has_no_tree),
	};
	return cmocka_run_group_tests_name("conf/document", tests, NULL, NULL);
}
