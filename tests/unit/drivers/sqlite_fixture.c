/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/drivers/sqlite_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipeline/base/blob.h"
#include "pipeline/base/live.h"

#define FAILED_NS (30 * UINT64_C(1000000000))
#define FOREVER	  UINT64_MAX

static const struct place resource_place = {"sluice.yaml", RESOURCE_LINE, 5};

static enum progress on_ended(struct frame *frame, struct frame *child)
{
	return PENDING;
}

static void on_idle(struct scope *scope)
{
	container_of(scope, struct sqlite_fixture, root)->idle = true;
}

static void on_log(void *user, enum log_level level, const char *message,
		const struct log_field *fields)
{
	struct sqlite_fixture *f = user;
	f->log_lines++;
	int size = snprintf(f->last_line, sizeof(f->last_line), "%s", message);
	for (; fields->key; fields++)
		size += snprintf(f->last_line + size, sizeof(f->last_line) - (size_t)size,
				" %s=%.*s", fields->key, TEXT_ARG(fields->value));
}

static void make_file(struct sqlite_fixture *f)
{
	(void)snprintf(f->directory, sizeof(f->directory), "/tmp/sqlite-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	(void)snprintf(f->path, sizeof(f->path), "%s/catalog.db", f->directory);
	assert_int_equal(sqlite3_open(f->path, &f->writer), SQLITE_OK);
	sqlite_fixture_exec(f, "CREATE TABLE product(sku TEXT PRIMARY KEY, name TEXT, price REAL, "
			       "qty INTEGER, symbols TEXT);"
			       "INSERT INTO product VALUES"
			       "('a-1', 'Anvil', 9.5, 3, '[\"X\",\"Y\"]'), ('b-2', 'Brush', 2.0, "
			       "NULL, NULL)");
}

int sqlite_fixture_set_up(void **state)
{
	struct sqlite_fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	*state = f;
	loop_fixture_init(&f->f);
	arena_init(&f->arena, NULL);
	diag_init(&f->diag, &f->arena);
	f->limits = (struct json_limits){.bytes = 4096, .depth = 4, .values = 100};
	f->log = (struct log){on_log, f, LOG_LEVEL_DEBUG};
	f->context = (struct driver_context){.loop = &f->f.loop,
			.account = &f->account,
			.limits = &f->limits,
			.log = &f->log};
	make_file(f);
	static const struct frame_ops parent_ops = {.resume = on_ended};
	frame_init_root(&f->parent, &parent_ops);
	scope_init_root(&f->root, &f->f.async, NULL, &f->parent, SCOPE_FOREVER, on_idle);
	assert_non_null(sqlite_fixture_create(f, text_of(f->path), 2));
	return 0;
}

static bool is_idle(void *user)
{
	return ((struct sqlite_fixture *)user)->idle;
}

static void close_resource(struct sqlite_fixture *f)
{
	if (f->resource)
		assert_true(f->resource->driver->close(f->resource, FOREVER));
	while (f->query_count > 0)
		f->database->ops->query_free(f->queries[--f->query_count]);
	if (f->resource)
		f->resource->driver->free(f->resource);
	f->resource = NULL;
}

int sqlite_fixture_tear_down(void **state)
{
	struct sqlite_fixture *f = *state;
	loop_enter(&f->f.loop);
	scope_close(&f->root);
	loop_leave(&f->f.loop);
	loop_fixture_run_until(&f->f, is_idle, f);
	close_resource(f);
	sqlite3_close(f->writer);
	(void)unlink(f->path);
	assert_int_equal(rmdir(f->directory), 0);
	assert_int_equal(f->account.used, 0);
	loop_fixture_deinit(&f->f);
	arena_deinit(&f->arena);
	free(f);
	return live_report();
}

struct resource *sqlite_fixture_create(
		struct sqlite_fixture *f, struct text path, uint32_t connections)
{
	close_resource(f);
	f->options[0] = (struct option_value){
			.name = TEXT("sqlite"), .place = resource_place, .text = path};
	f->options[1] = (struct option_value){.name = TEXT("connections"),
			.place = resource_place,
			.number = connections};
	f->options[2] = (struct option_value){
			.name = TEXT("required"), .place = resource_place, .number = 1};
	f->map = (struct option_map){resource_place, f->options, 3};
	f->resource = sqlite_driver.create(&f->context, "catalog", &f->map, &f->diag);
	f->database = f->resource ? f->resource->database : NULL;
	return f->resource;
}

void sqlite_fixture_exec(struct sqlite_fixture *f, const char *sql)
{
	char *error = NULL;
	if (sqlite3_exec(f->writer, sql, NULL, NULL, &error) != SQLITE_OK)
		fail_msg("%s: %s", sql, error);
}

void sqlite_fixture_overwrite(struct sqlite_fixture *f)
{
	static const char line[] = "this is not a database\n";
	int fd = open(f->path, O_WRONLY);
	assert_true(fd >= 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(write(fd, line, sizeof(line) - 1), sizeof(line) - 1);
	assert_int_equal(close(fd), 0);
}

struct query_spec *sqlite_fixture_spec(struct sqlite_fixture *f, const char *sql)
{
	struct query_spec *spec = arena_zalloc(&f->arena, sizeof(*spec));
	assert_non_null(spec);
	spec->sql = text_of(sql);
	spec->place = (struct place){"sluice.yaml", QUERY_LINE, 9};
	spec->stage = TEXT("product/1.lookup");
	spec->rows_max = 1000;
	spec->bytes_max = 1 << 20;
	int count = sql_parameters(spec->sql, &f->arena, &spec->parameters);
	assert_true(count >= 0);
	spec->parameter_count = (size_t)count;
	return spec;
}

struct query *sqlite_fixture_query(struct sqlite_fixture *f, const struct query_spec *spec)
{
	struct query *query = f->database->ops->query_new(f->database, spec);
	assert_non_null(query);
	assert_true(f->query_count < QUERIES_MAX);
	f->queries[f->query_count++] = query;
	return query;
}

struct query *sqlite_fixture_sql(struct sqlite_fixture *f, const char *sql)
{
	return sqlite_fixture_query(f, sqlite_fixture_spec(f, sql));
}

void sqlite_fixture_open(struct sqlite_fixture *f)
{
	f->resource->driver->open(f->resource, &f->diag);
	if (f->diag.errors > 0)
		fail_msg("%s", f->diag.first->message);
	assert_true(f->resource->ready);
}

void sqlite_fixture_open_fails(
		struct sqlite_fixture *f, size_t errors, unsigned line, const char *words)
{
	f->resource->driver->open(f->resource, &f->diag);
	assert_false(f->resource->ready);
	assert_int_equal(f->diag.errors, errors);
	assert_int_equal(f->diag.first->place.line, line);
	if (strstr(f->diag.first->message, words) == NULL)
		fail_msg("%s: \"%s\" is not in it", f->diag.first->message, words);
	diag_init(&f->diag, &f->arena);
}

struct job *sqlite_fixture_job(struct sqlite_fixture *f, struct scope *scope, struct query *query,
		const struct sql_value *values)
{
	struct job *job = arena_alloc(&f->arena, f->database->job_size);
	assert_non_null(job);
	f->database->ops->job_init(job, query, &f->arena, &f->parent, scope);
	job->values = values;
	return job;
}

void sqlite_fixture_start_job(struct sqlite_fixture *f, struct job *job)
{
	loop_enter(&f->f.loop);
	(void)frame_start(&job->frame);
	loop_leave(&f->f.loop);
}

struct job *sqlite_fixture_start(struct sqlite_fixture *f, struct scope *scope, struct query *query,
		const struct sql_value *values)
{
	struct job *job = sqlite_fixture_job(f, scope, query, values);
	sqlite_fixture_start_job(f, job);
	return job;
}

static bool has_ended(void *user)
{
	return ((struct job *)user)->frame.state == FRAME_ENDED;
}

void sqlite_fixture_wait(struct sqlite_fixture *f, struct job *job)
{
	loop_fixture_run_until(&f->f, has_ended, job);
}

void sqlite_fixture_expect_row(struct sqlite_fixture *f, struct query *query,
		const struct sql_value *values, const char *row)
{
	struct job *job = sqlite_fixture_start(f, &f->root, query, values);
	sqlite_fixture_wait(f, job);
	const struct outcome *outcome = &job->frame.outcome;
	if (row == NULL) {
		assert_int_equal(outcome->status, STATUS_NOT_FOUND);
		assert_null(job->result);
		return;
	}
	if (outcome->status != STATUS_OK)
		fail_msg("%s: %s", row, f->last_line);
	assert_string_equal(job->result->data, row);
	assert_ptr_equal(outcome->blob, job->result);
	assert_true(text_equal(outcome->value.text, text_of(row)));
	assert_true(f->account.used >= outcome->value.text.size);
	blob_unref(job->result);
}

void sqlite_fixture_expect(struct sqlite_fixture *f, struct query *query, enum status status,
		const char *message)
{
	struct job *job = sqlite_fixture_start(f, &f->root, query, NULL);
	sqlite_fixture_wait(f, job);
	const struct outcome *outcome = &job->frame.outcome;
	assert_int_equal(outcome->status, status);
	assert_null(job->result);
	assert_non_null(outcome->fault);
	assert_int_equal(outcome->fault->status, status);
	assert_true(text_equal(outcome->fault->message, text_of(message)));
	assert_true(text_equal(outcome->fault->stage, TEXT("product/1.lookup")));
}

void sqlite_fixture_expect_logged(const struct sqlite_fixture *f, const char *words)
{
	if (strstr(f->last_line, words) == NULL)
		fail_msg("%s: \"%s\" is not in it", f->last_line, words);
}

struct scope *sqlite_fixture_scope(struct sqlite_fixture *f, uint64_t deadline)
{
	struct scope *scope = arena_alloc(&f->arena, sizeof(*scope));
	assert_non_null(scope);
	loop_enter(&f->f.loop);
	scope_init(scope, &f->root, &f->parent, deadline, TIMEOUT);
	loop_leave(&f->f.loop);
	return scope;
}

void sqlite_fixture_cancel(struct sqlite_fixture *f, struct scope *scope)
{
	loop_enter(&f->f.loop);
	scope_cancel(scope, ASKED);
	scope_close(scope);
	loop_leave(&f->f.loop);
}

void sqlite_fixture_wait_begun(struct sqlite_fixture *f, uint64_t statements)
{
	uint64_t until = loop_now() + FAILED_NS;
	while (f->database->queries < statements) {
		assert_true(loop_now() < until);
		sched_yield();
	}
}
