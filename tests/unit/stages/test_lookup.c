/* SPDX-License-Identifier: Apache-2.0 */
/* Queries: how many at once, with which values, and what comes of them. */
#include <stdio.h>

#include "pipeline/base/buffer.h"
#include "tests/unit/stages/trial.h"

static void load_lookup(const char *options)
{
	char yaml[1024];
	(void)snprintf(yaml, sizeof(yaml),
			"pipelines:\n  p:\n    steps:\n      - lookup: {in: catalog, %s}\n",
			options);
	load(yaml);
}

static struct trial *look(void)
{
	return start("p", "{}", 1000);
}

#define AT_LOOKUP     ",\"stage\":\"p/1.lookup\""
#define QUEUE_IS_FULL "RESOURCE_EXHAUSTED {\"error\":\"the queue is full\"" AT_LOOKUP "}"

static void test_permits_and_places_in_the_queue_are_bounded(void **state)
{
	load_lookup("query: SELECT 1, concurrency: 2, queue: 1");
	struct trial *first = look();
	struct trial *second = look();
	struct trial *third = look();
	expect(look(), QUEUE_IS_FULL);
	assert_int_equal(world.catalog.running, 2);
	row(1, "2");
	expect(second, "OK 2");
	assert_int_equal(world.catalog.running, 2);
	row(1, "3");
	expect(third, "OK 3");
	row(0, "1");
	expect(first, "OK 1");
	assert_int_equal(world.catalog.database.running_highest, 2);
}

static void test_without_a_queue_what_cannot_run_is_refused(void **state)
{
	load_lookup("query: SELECT 1, concurrency: 1, queue: 0");
	struct trial *first = look();
	expect(look(), QUEUE_IS_FULL);
	row(0, "1");
	expect(first, "OK 1");
	expect(look(), "");
}

static void test_without_a_word_as_many_run_as_there_are_connections(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - lookup: {in: ledger, query: SELECT 1}\n");
	struct trial *first = look();
	struct trial *second = look();
	expect(first, "");
	assert_int_equal(world.ledger.running, 1);
	scripted_job_end(scripted_job(&world.ledger, 0), STATUS_OK, "1");
	expect(first, "OK 1");
	scripted_job_end(scripted_job(&world.ledger, 0), STATUS_OK, "2");
	expect(second, "OK 2");
}

static void test_first_come_first_served(void **state)
{
	load_lookup("query: SELECT 1, concurrency: 1");
	struct trial *trials[4];
	for (int i = 0; i < 4; i++)
		trials[i] = look();
	cut(trials[2]);
	expect(trials[2], "CANCELLED {\"error\":\"cancelled\"}");
	row(0, "0");
	expect(trials[0], "OK 0");
	expect(trials[1], "");
	row(0, "1");
	expect(trials[1], "OK 1");
	row(0, "3");
	expect(trials[3], "OK 3");
	assert_int_equal(world.catalog.database.queries, 3);
}

static void test_a_permit_is_held_until_its_job_has_really_ended(void **state)
{
	load_lookup("query: SELECT 1, concurrency: 1");
	world.catalog.stubborn = true;
	struct trial *first = look();
	struct trial *second = look();
	struct scripted_job *stubborn = job(0);
	cut(first);
	expect(first, "CANCELLED {\"error\":\"cancelled\"}");
	expect(second, "");
	assert_ptr_equal(job(0), stubborn);
	assert_int_equal(world.catalog.running, 1);
	scripted_job_end(stubborn, STATUS_OK, "\"of nobody\"");
	row(0, "2");
	expect(second, "OK 2");
}

static void test_one_that_is_granted_and_cut_at_once_gives_the_permit_back(void **state)
{
	load_lookup("query: SELECT 1, concurrency: 1");
	struct trial *first = look();
	struct trial *second = look();
	struct trial *third = look();
	row(0, "1");
	/* The job has ended: the first is resumed, gives its permit to the second, and that one is
	 * cut before it knows. */
	runner_drain(&world.async.runner, 1);
	cut(second);
	expect(first, "OK 1");
	row(0, "3");
	expect(third, "OK 3");
	assert_int_equal(world.catalog.database.queries, 2);
}

static void test_waiting_and_running_share_the_deadline(void **state)
{
	load_lookup("query: SELECT 1, concurrency: 1");
	struct trial *first = start("p", "{}", 60);
	struct trial *second = start("p", "{}", 100);
	struct trial *third = start("p", "{}", 40);
	world_at(&world, 41);
	expect(third, "DEADLINE_EXCEEDED {\"error\":\"deadline exceeded\"}");
	world_at(&world, 61);
	expect(first, "DEADLINE_EXCEEDED {\"error\":\"deadline exceeded\"}");
	assert_int_equal(world.catalog.database.queries, 2);
	world_at(&world, 99);
	expect(second, "");
	world_at(&world, 101);
	expect(second, "DEADLINE_EXCEEDED {\"error\":\"deadline exceeded\"}");
	assert_int_equal(world.catalog.cancelled, 2);
	assert_in_range(second->run.queue_ns, 60 * WORLD_MS, 61 * WORLD_MS);
}

static void test_where_nothing_may_wait_nothing_is_asked(void **state)
{
	load_lookup("query: 'SELECT :a'");
	expect(start_without_waiting("p", "{}"),
			"RESOURCE_EXHAUSTED {\"error\":\"too many requests in flight\"" AT_LOOKUP
			"}");
	assert_int_equal(world.catalog.database.queries, 0);
}

static void test_no_row(void **state)
{
	load("pipelines:\n  p:\n    steps:\n      - lookup: {in: catalog, query: SELECT 1}\n"
	     "  q:\n    steps:\n      - lookup: {in: catalog, query: SELECT 1, missing: 'null'}\n  "
	     "      as: row\n"
	     "    reply: {row: \"${row}\", price: \"${row.price | 0}\"}\n");
	struct trial *error = start("p", "{}", 1000);
	scripted_job_end(job(0), STATUS_NOT_FOUND, NULL);
	expect(error, "NOT_FOUND {\"error\":\"not found\"" AT_LOOKUP "}");
	struct trial *null = start("q", "{}", 1000);
	scripted_job_end(job(0), STATUS_NOT_FOUND, NULL);
	expect(null, "OK {\"row\":null,\"price\":0}");
	struct trial *failed = start("q", "{}", 1000);
	scripted_job_end(job(0), STATUS_UNAVAILABLE, "the database is locked");
	expect(failed, "UNAVAILABLE {\"error\":\"the database is "
		       "locked\",\"stage\":\"q/1.lookup\"}");
}

static void test_what_goes_wrong_names_the_stage(void **state)
{
	load_lookup("query: SELECT 1");
	struct trial *locked = look();
	scripted_job_end(job(0), STATUS_UNAVAILABLE, "the database is locked");
	expect(locked, "UNAVAILABLE {\"error\":\"the database is locked\"" AT_LOOKUP "}");
	struct trial *broken = look();
	scripted_job_end(job(0), STATUS_INTERNAL, NULL);
	expect(broken, "INTERNAL {\"error\":\"internal error\"" AT_LOOKUP "}");
}

static void test_what_the_database_is_told_of_a_query(void **state)
{
	load("pipelines:\n  p:\n    steps:\n"
	     "      - lookup: {in: catalog, query: 'SELECT :b, :a, :b', json: [x, y], rows: all, "
	     "max_rows: 7, max_bytes: 5KiB}\n"
	     "      - lookup: {in: catalog, query: SELECT 1}\n");
	(void)start("p", "{\"a\":1,\"b\":2}", 1000);
	const struct query_spec *spec = job(0)->job.query->spec;
	assert_int_equal(spec->parameter_count, 2);
	assert_true(text_equal(spec->parameters[0], TEXT("b")) &&
			text_equal(spec->parameters[1], TEXT("a")));
	assert_int_equal(spec->json_column_count, 2);
	assert_true(text_equal(spec->json_columns[0], TEXT("x")) &&
			text_equal(spec->json_columns[1], TEXT("y")));
	assert_true(spec->all_rows && spec->rows_max == 7 && spec->bytes_max == 5120);
	assert_true(text_equal(spec->stage, TEXT("p/1.lookup")));
	assert_int_equal(spec->place.line, 4);
	assert_int_equal(job(0)->job.values[0].integer, 2);
	assert_int_equal(job(0)->job.values[1].integer, 1);
	row(0, "[1]");
	spec = job(0)->job.query->spec;
	assert_false(spec->all_rows);
	assert_int_equal(spec->bytes_max, world.limits.bytes);
	assert_int_equal(spec->json_column_count + spec->parameter_count, 0);
}

/* The value that the job of a lookup of `:a` was given. */
static struct sql_value bound(const char *json)
{
	char body[256];
	(void)snprintf(body, sizeof(body), "{\"a\":%s}", json);
	struct trial *trial = start("p", body, 1000);
	struct sql_value value = job(0)->job.values[0];
	if (value.kind == SQL_TEXT) {
		static char kept[64];
		memcpy(kept, value.text.data, value.text.size);
		value.text.data = kept;
	}
	cut(trial);
	return value;
}

static void expect_text(const char *json, struct text text)
{
	struct sql_value value = bound(json);
	assert_int_equal(value.kind, SQL_TEXT);
	assert_true(text_equal(value.text, text));
}

static void expect_integer(const char *json, enum sql_kind kind, int64_t integer)
{
	struct sql_value value = bound(json);
	assert_int_equal(value.kind, kind);
	assert_true(value.integer == integer);
}

static void expect_real(const char *json, double real)
{
	struct sql_value value = bound(json);
	assert_int_equal(value.kind, SQL_REAL);
	assert_true(value.real == real);
}

static void test_values_bind_as_their_kind(void **state)
{
	load_lookup("query: 'SELECT :a'");
	expect_text("\"x\"", TEXT("x"));
	expect_text("\"\"", TEXT(""));
	expect_text("\"a'\\\"\\u00e4\\n\"", TEXT("a'\"\303\244\n"));
	expect_text("\"12\"", TEXT("12"));
	expect_integer("12", SQL_INTEGER, 12);
	expect_integer("-0", SQL_INTEGER, 0);
	expect_integer("9223372036854775807", SQL_INTEGER, INT64_MAX);
	expect_integer("-9223372036854775808", SQL_INTEGER, INT64_MIN);
	expect_integer("true", SQL_BOOLEAN, 1);
	expect_integer("false", SQL_BOOLEAN, 0);
	expect_real("9223372036854775808.0", 9223372036854775808.0);
	expect_real("1.5", 1.5);
	expect_real("-2e3", -2000.0);
	expect_real("1E-400", 0.0);
	expect_real("0."
		    "1000000000000000000000000000000000000000000000000000000000000000000000000001",
			0.1);
	assert_int_equal(bound("null").kind, SQL_NULL);
}

#define CANNOT_BE_BOUND(why)                                                                       \
	"INVALID_ARGUMENT {\"error\":\"\\\":a\\\" can't be bound to " why "\"" AT_LOOKUP "}"

static void test_what_has_no_kind_in_sql_is_refused(void **state)
{
	load_lookup("query: 'SELECT :a'");
	expect(start("p", "{\"a\":[1]}", 1000), CANNOT_BE_BOUND("an array"));
	expect(start("p", "{\"a\":{}}", 1000), CANNOT_BE_BOUND("an object"));
	expect(start("p", "{\"a\":1e999}", 1000), CANNOT_BE_BOUND("a number out of range"));
	expect(start("p", "{\"a\":9223372036854775808}", 1000),
			CANNOT_BE_BOUND("a number out of range"));
	expect(start("p", "{\"a\":-9223372036854775809}", 1000),
			CANNOT_BE_BOUND("a number out of range"));
	expect(start("p", "{}", 1000),
			"INVALID_ARGUMENT {\"error\":\"\\\"a\\\" is missing\"" AT_LOOKUP "}");
	assert_int_equal(world.catalog.database.queries, 0);
}

static void test_params_say_what_is_bound(void **state)
{
	load_lookup("query: 'SELECT :a, :b, :c, :d, :e', params: {a: \"${x.0}\", b: 7, c: '7', d: "
		    "\"<${x.1}>\", e: \"${y | 1.5}\"}");
	(void)start("p", "{\"x\":[true,2],\"a\":1}", 1000);
	const struct sql_value *values = job(0)->job.values;
	assert_int_equal(values[0].kind, SQL_BOOLEAN);
	assert_int_equal(values[1].kind, SQL_INTEGER);
	assert_true(values[2].kind == SQL_TEXT && text_equal(values[2].text, TEXT("7")));
	assert_true(values[3].kind == SQL_TEXT && text_equal(values[3].text, TEXT("<2>")));
	assert_true(values[4].kind == SQL_REAL && values[4].real == 1.5);
}

static void test_stats(void **state)
{
	load_lookup("query: SELECT 1, concurrency: 1, queue: 1");
	struct buffer buffer;
	buffer_init(&buffer);
	(void)look();
	(void)look();
	(void)look();
	(void)answer(look());
	pipelines_write_stats(world.pipelines, &buffer);
	buffer_append_char(&buffer, '\0');
	assert_string_equal(buffer.data,
			"\"p\":{\"ended\":{},\"us\":{\"p50\":0,\"p90\":0,\"p99\":"
			"0,\"max\":0},\"stages\":{\"p/1.lookup\":"
			"{\"running\":1,\"running_highest\":1,\"permits\":1,"
			"\"waiting\":1,\"waiting_highest\":1,"
			"\"granted\":1,\"refused\":2,\"shed\":0,\"waited_us\":0}}}");
	buffer_deinit(&buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			stage_test(test_permits_and_places_in_the_queue_are_bounded),
			stage_test(test_without_a_queue_what_cannot_run_is_refused),
			stage_test(test_without_a_word_as_many_run_as_there_are_connections),
			stage_test(test_first_come_first_served),
			stage_test(test_a_permit_is_held_until_its_job_has_really_ended),
			stage_test(test_one_that_is_granted_and_cut_at_once_gives_the_permit_back),
			stage_test(test_waiting_and_running_share_the_deadline),
			stage_test(test_where_nothing_may_wait_nothing_is_asked),
			stage_test(test_no_row),
			stage_test(test_what_goes_wrong_names_the_stage),
			stage_test(test_what_the_database_is_told_of_a_query),
			stage_test(test_values_bind_as_their_kind),
			stage_test(test_what_has_no_kind_in_sql_is_refused),
			stage_test(test_params_say_what_is_bound),
			stage_test(test_stats),
	};
	return cmocka_run_group_tests_name("stages/lookup", tests, NULL, NULL);
}
