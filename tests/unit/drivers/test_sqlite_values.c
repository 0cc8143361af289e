/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pipeline/base/blob.h"
#include "pipeline/base/random.h"
#include "tests/unit/drivers/sqlite_fixture.h"

static void give(struct sqlite_fixture *f, const char *sql, const char *row)
{
	assert_non_null(sqlite_fixture_create(f, text_of(f->path), 1));
	struct query *query = sqlite_fixture_sql(f, sql);
	sqlite_fixture_open(f);
	sqlite_fixture_expect_row(f, query, NULL, row);
}

static void test_integers(void **state)
{
	give(*state, "SELECT 0 AS a, -1 AS b, 42 AS c", "{\"a\":0,\"b\":-1,\"c\":42}");
	give(*state, "SELECT 9223372036854775807 AS a, -9223372036854775808 AS b",
			"{\"a\":9223372036854775807,\"b\":-9223372036854775808}");
}

static void test_reals_look_like_reals(void **state)
{
	give(*state, "SELECT 1.0 AS a, -0.0 AS b, 0.1 AS c, -2.5 AS d",
			"{\"a\":1.0,\"b\":-0.0,\"c\":0.1,\"d\":-2.5}");
	give(*state, "SELECT 1e300 AS a, 1e15 AS b, 5e-324 AS c",
			"{\"a\":1e+300,\"b\":1e+15,\"c\":4.94065645841247e-324}");
	give(*state, "SELECT 123456789.0 AS a, 0.1 + 0.2 AS b",
			"{\"a\":123456789.0,\"b\":0.30000000000000004}");
}

static void test_null_and_text(void **state)
{
	give(*state, "SELECT NULL AS a, '' AS b, 'x' AS c", "{\"a\":null,\"b\":\"\",\"c\":\"x\"}");
	give(*state, "SELECT 'say \"hi\"\\' || char(10) || char(9) || char(1) AS a",
			"{\"a\":\"say \\\"hi\\\"\\\\\\n\\t\\u0001\"}");
	give(*state, "SELECT 'Grüße, 世界 🎉' AS a", "{\"a\":\"Grüße, 世界 🎉\"}");
}

static void test_names_of_columns(void **state)
{
	give(*state, "SELECT 1 AS \"a \"\"b\"\"\", 2 AS \"Größe\"",
			"{\"a \\\"b\\\"\":1,\"Größe\":2}");
}

static void refuse(struct sqlite_fixture *f, const char *value, const char *why)
{
	char sql[128];
	(void)snprintf(sql, sizeof(sql), "SELECT 1 AS fine, %s AS bad", value);
	assert_non_null(sqlite_fixture_create(f, text_of(f->path), 1));
	struct query *query = sqlite_fixture_sql(f, sql);
	sqlite_fixture_open(f);
	sqlite_fixture_expect(f, query, STATUS_INTERNAL, "a value cannot be written as JSON");
	sqlite_fixture_expect_logged(f, "column \"bad\": ");
	sqlite_fixture_expect_logged(f, why);
	sqlite_fixture_expect_logged(f, sql);
	sqlite_fixture_expect_logged(f, f->path);
}

static void test_values_that_no_json_can_hold(void **state)
{
	refuse(*state, "x'00ff'", "a blob");
	refuse(*state, "x''", "a blob");
	refuse(*state, "9e999", "an infinite number");
	refuse(*state, "-9e999", "an infinite number");
	refuse(*state, "CAST(x'ff' AS TEXT)", "not UTF-8");
	refuse(*state, "CAST(x'eda080' AS TEXT)", "not UTF-8");
	refuse(*state, "'a' || char(0) || 'b'", "not UTF-8");
}

static struct query *json_query(struct sqlite_fixture *f, const char *sql)
{
	static const struct text names[] = {{"j", 1}};
	assert_non_null(sqlite_fixture_create(f, text_of(f->path), 1));
	struct query_spec *spec = sqlite_fixture_spec(f, sql);
	spec->json_columns = names;
	spec->json_column_count = 1;
	struct query *query = sqlite_fixture_query(f, spec);
	sqlite_fixture_open(f);
	return query;
}

static void give_json(struct sqlite_fixture *f, const char *sql, const char *row)
{
	sqlite_fixture_expect_row(f, json_query(f, sql), NULL, row);
}

static void test_columns_whose_text_is_json(void **state)
{
	give_json(*state, "SELECT '[\"X\", {\"a\":1}]' AS j, '[1]' AS t",
			"{\"j\":[\"X\", {\"a\":1}],\"t\":\"[1]\"}");
	give_json(*state, "SELECT char(10) || ' true ' AS j", "{\"j\":true}");
	give_json(*state, "SELECT NULL AS j", "{\"j\":null}");
	give_json(*state, "SELECT 5 AS j", "{\"j\":5}");
	give_json(*state, "SELECT symbols AS j FROM product WHERE sku = 'a-1'",
			"{\"j\":[\"X\",\"Y\"]}");
}

/* What is left out of the row does not count. */
static void test_blanks_round_json_take_no_room(void **state)
{
	static const struct text names[] = {{"j", 1}};
	static const char sql[] = "SELECT printf('%40s', '') || '1' AS j";
	struct sqlite_fixture *f = *state;
	assert_non_null(sqlite_fixture_create(f, text_of(f->path), 1));
	struct query_spec *json = sqlite_fixture_spec(f, sql);
	struct query_spec *text = sqlite_fixture_spec(f, sql);
	json->bytes_max = 20;
	json->json_columns = names;
	json->json_column_count = 1;
	text->bytes_max = 20;
	struct query *fits = sqlite_fixture_query(f, json);
	struct query *over = sqlite_fixture_query(f, text);
	sqlite_fixture_open(f);
	sqlite_fixture_expect_row(f, fits, NULL, "{\"j\":1}");
	sqlite_fixture_expect(f, over, STATUS_INTERNAL, "the query returns too many bytes");
	sqlite_fixture_expect_logged(f, "more than 20 bytes");
}

static void test_columns_whose_text_is_no_json(void **state)
{
	static const char *const texts[] = {"''", "'{'", "'{\"a\":1,\"a\":2}'", "'[1] [2]'",
			"'nul'", "'[[[[[1]]]]]'", "CAST(x'22ff22' AS TEXT)",
			"'\"' || hex(zeroblob(4000)) || '\"'"};
	struct sqlite_fixture *f = *state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char sql[128];
		(void)snprintf(sql, sizeof(sql), "SELECT %s AS j", texts[i]);
		sqlite_fixture_expect(f, json_query(f, sql), STATUS_INTERNAL,
				"a value cannot be written as JSON");
		sqlite_fixture_expect_logged(f, "column \"j\": a text that is not JSON");
	}
}

static void test_values_are_bound_as_their_kind(void **state)
{
	struct sqlite_fixture *f = *state;
	const struct sql_value values[] = {
			{.kind = SQL_NULL},
			{.kind = SQL_BOOLEAN, .integer = 1},
			{.kind = SQL_INTEGER, .integer = INT64_MIN},
			{.kind = SQL_REAL, .real = 2.5},
			{.kind = SQL_TEXT, .text = TEXT("it's :a")},
			{.kind = SQL_TEXT, .text = TEXT("")},
	};
	struct query *query = sqlite_fixture_sql(f,
			"SELECT typeof(:a) AS a, typeof(:b) AS b, typeof(:c) AS c, "
			"typeof(:d) AS d, typeof(:e) AS e, typeof(:f) AS f");
	struct query *echo = sqlite_fixture_sql(
			f, "SELECT :a AS a, :b AS b, :c AS c, :d AS d, :e AS e, :f AS f, :e AS g");
	sqlite_fixture_open(f);
	sqlite_fixture_expect_row(f, query, values,
			"{\"a\":\"null\",\"b\":\"integer\",\"c\":\"integer\",\"d\":\"real\",\"e\":"
			"\"text\",\"f\":\"text\"}");
	sqlite_fixture_expect_row(f, echo, values,
			"{\"a\":null,\"b\":1,\"c\":-9223372036854775808,\"d\":2.5,\"e\":\"it's "
			":a\",\"f\":\"\",\"g\":\"it's :a\"}");
}

static void test_reals_come_back_bit_by_bit(void **state)
{
	struct sqlite_fixture *f = *state;
	struct query *query = sqlite_fixture_sql(f, "SELECT :x AS x");
	struct random random;
	random_init(&random, 4711);
	sqlite_fixture_open(f);
	for (int i = 0; i < 300; i++) {
		uint64_t bits = random_next(&random) & ~(UINT64_C(1) << 62); /* finite */
		struct sql_value value = {.kind = SQL_REAL};
		memcpy(&value.real, &bits, sizeof(bits));
		struct job *job = sqlite_fixture_start(f, &f->root, query, &value);
		sqlite_fixture_wait(f, job);
		assert_int_equal(job->frame.outcome.status, STATUS_OK);
		double back = strtod(job->result->data + strlen("{\"x\":"), NULL);
		assert_memory_equal(&back, &value.real, sizeof(back));
		blob_unref(job->result);
	}
}

#define TEST(name)                                                                                 \
	cmocka_unit_test_setup_teardown(name, sqlite_fixture_set_up, sqlite_fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_integers),
			TEST(test_reals_look_like_reals),
			TEST(test_null_and_text),
			TEST(test_names_of_columns),
			TEST(test_values_that_no_json_can_hold),
			TEST(test_columns_whose_text_is_json),
			TEST(test_blanks_round_json_take_no_room),
			TEST(test_columns_whose_text_is_no_json),
			TEST(test_values_are_bound_as_their_kind),
			TEST(test_reals_come_back_bit_by_bit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
