/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/resources/database.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/live.h"
#include "tests/unit/allocations.h"

static int tear_down(void **state)
{
	allocations_heal();
	return live_report();
}

/* expected: the names, each followed by a space. */
static void check(const char *sql, const char *expected)
{
	struct arena arena;
	const struct text *names = NULL;
	char found[256] = "";
	arena_init(&arena, NULL);
	int count = sql_parameters(text_of(sql), &arena, &names);
	for (int i = 0; i < count; i++)
		(void)snprintf(found + strlen(found), sizeof(found) - strlen(found), "%.*s ",
				TEXT_ARG(names[i]));
	assert_string_equal(found, expected);
	arena_deinit(&arena);
}

static void test_names_in_their_order_each_once(void **state)
{
	check("", "");
	check("SELECT 1", "");
	check("SELECT * FROM t WHERE a = :a", "a ");
	check("SELECT :b, :a, :b FROM t WHERE c=:c2", "b a c2 ");
	check(":_1,:Sku(:x)", "_1 Sku x ");
	check("SELECT :größe, :a$b", "größe a$b ");
	check(":a:b", "a b ");
}

static void test_colons_that_begin_no_name(void **state)
{
	check("SELECT : a, :", "");
	check("SELECT a::text, :b::int", "b ");
	check("SELECT :::a", "a ");
	check("SELECT ?1, @a, $b", "");
}

static void test_strings_quoted_names_and_comments(void **state)
{
	check("SELECT ':a', 'it''s :b', :c", "c ");
	check("SELECT \":a\", \"x\"\":b\", :c", "c ");
	check("SELECT `:a`, [:b], :c", "c ");
	check("SELECT '\":a', :b, \"':c\"", "b ");
	check("SELECT 1 -- :a\n, :b", "b ");
	check("SELECT 1 /* :a */, :b /*/ :c */", "b ");
	check("SELECT 1 - :a / :b * :c", "a b c ");
}

static void test_what_is_not_closed_goes_to_the_end(void **state)
{
	check(":a 'b :c", "a ");
	check(":a /* :b", "a ");
	check(":a /*/", "a ");
	check(":a -- :b", "a ");
	check(":a [:b", "a ");
	check(":a -", "a ");
	check(":a /", "a ");
}

/* A slice that isn't terminated, cut at every byte: nothing behind it is looked at. */
static void test_every_slice(void **state)
{
	static const char sql[] = ":a ':b' \":c\" [:d] /* :e */ -- :f\n :g::h";
	struct arena arena;
	arena_init(&arena, NULL);
	for (size_t size = 0; size < sizeof(sql); size++) {
		const struct text *names = NULL;
		char *copy = test_malloc(size + (size == 0));
		memcpy(copy, sql, size);
		assert_in_range(sql_parameters((struct text){copy, size}, &arena, &names), 0, 2);
		test_free(copy);
	}
	arena_deinit(&arena);
}

static void test_a_nul_begins_nothing(void **state)
{
	struct arena arena;
	const struct text *names = NULL;
	arena_init(&arena, NULL);
	assert_int_equal(sql_parameters(TEXT("SELECT \0, :a"), &arena, &names), 1);
	assert_true(text_equal(names[0], TEXT("a")));
	arena_deinit(&arena);
}

static void test_memory_is_out(void **state)
{
	struct arena arena;
	const struct text *names = NULL;
	arena_init(&arena, NULL);
	allocations_fail_after(0);
	assert_int_equal(sql_parameters(TEXT("SELECT :a"), &arena, &names), -1);
	allocations_heal();
	arena_deinit(&arena);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_names_in_their_order_each_once),
			TEST(test_colons_that_begin_no_name),
			TEST(test_strings_quoted_names_and_comments),
			TEST(test_what_is_not_closed_goes_to_the_end),
			TEST(test_every_slice),
			TEST(test_a_nul_begins_nothing),
			TEST(test_memory_is_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
