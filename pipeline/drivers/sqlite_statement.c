/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One query, prepared on one connection. What it may be is checked here and when the
 * configuration's SQL is opened: one statement that reads and gives columns, whose parameters are
 * all `:name`, whose columns all have names of their own.
 */
#include "pipeline/drivers/sqlite.h"

#include <stdio.h>
#include <stdlib.h>

/* What is wrong, in words of ours. */
static int wrong(char **ret_error, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int wrong(char **ret_error, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	if (vasprintf(ret_error, format, arguments) < 0)
		*ret_error = NULL;
	va_end(arguments);
	return SQLITE_ERROR;
}

static int out_of_memory(char **ret_error)
{
	*ret_error = NULL;
	return SQLITE_NOMEM;
}

/* What follows a statement may only be space and comments, of which SQLite makes no statement. */
static int check_blank(sqlite3 *db, const char *sql, const char *end, char **ret_error)
{
	enum status status;
	sqlite3_stmt *more = NULL;
	int code = sqlite3_prepare_v2(db, sql, (int)(end - sql), &more, NULL);
	bool blank = code == SQLITE_OK && more == NULL;
	sqlite3_finalize(more);
	if (blank)
		return SQLITE_OK;
	if (!sqlite_database_failure(code, &status))
		return wrong(ret_error, "it is more than one statement");
	(void)wrong(ret_error, "%s", sqlite3_errmsg(db));
	return code;
}

static int prepare(struct sqlite_statement *statement, sqlite3 *db, char **ret_error)
{
	struct text sql = statement->spec->sql;
	const char *tail = NULL;
	if (memchr(sql.data, '\0', sql.size))
		return wrong(ret_error, "it holds a NUL byte");
	int code = sqlite3_prepare_v3(db, sql.data, (int)sql.size, SQLITE_PREPARE_PERSISTENT,
			&statement->stmt, &tail);
	if (code != SQLITE_OK) {
		(void)wrong(ret_error, "%s", sqlite3_errmsg(db));
		return code;
	}
	if (statement->stmt == NULL)
		return wrong(ret_error, "it is empty");
	code = check_blank(db, tail, sql.data + sql.size, ret_error);
	if (code != SQLITE_OK)
		return code;
	if (!sqlite3_stmt_readonly(statement->stmt) || sqlite3_column_count(statement->stmt) == 0)
		return wrong(ret_error, "it is not a statement that only reads, as SELECT is");
	return SQLITE_OK;
}

/*
 * Where the value of SQLite's parameter `number` stands among spec's; the count of those where it
 * doesn't.
 */
static size_t find_parameter(const struct query_spec *spec, const char *name)
{
	size_t i = 0;
	while (i < spec->parameter_count &&
			!(name && name[0] == ':' &&
					text_equal(spec->parameters[i], text_of(name + 1))))
		i++;
	return i;
}

static int number_parameters(struct sqlite_statement *statement, char **ret_error)
{
	const struct query_spec *spec = statement->spec;
	statement->parameters = calloc(spec->parameter_count + 1, sizeof(*statement->parameters));
	if (statement->parameters == NULL)
		return out_of_memory(ret_error);
	int count = sqlite3_bind_parameter_count(statement->stmt);
	for (int number = 1; number <= count; number++) {
		const char *name = sqlite3_bind_parameter_name(statement->stmt, number);
		size_t i = find_parameter(spec, name);
		if (i == spec->parameter_count)
			return wrong(ret_error, "its parameter %s is not of the form :name",
					name ? name : "?");
		statement->parameters[i] = number;
	}
	return SQLITE_OK;
}

static bool is_json(const struct query_spec *spec, const char *name)
{
	for (size_t i = 0; i < spec->json_column_count; i++)
		if (text_equal(spec->json_columns[i], text_of(name)))
			return true;
	return false;
}

static bool has_column(sqlite3_stmt *stmt, int before, struct text name)
{
	for (int i = 0; i < before; i++)
		if (text_equal(text_of(sqlite3_column_name(stmt, i)), name))
			return true;
	return false;
}

static int read_columns(struct sqlite_statement *statement, char **ret_error)
{
	buffer_clear(&statement->heads);
	for (int i = 0; i < statement->column_count; i++) {
		const char *name = sqlite3_column_name(statement->stmt, i);
		if (name == NULL)
			return out_of_memory(ret_error);
		if (has_column(statement->stmt, i, text_of(name)))
			return wrong(ret_error, "it returns two columns named \"%s\"", name);
		struct sqlite_column *column = &statement->columns[i];
		column->at = statement->heads.size;
		buffer_append_json_string(&statement->heads, text_of(name));
		buffer_append_char(&statement->heads, ':');
		column->size = statement->heads.size - column->at;
		column->json = is_json(statement->spec, name);
	}
	return statement->heads.failed ? out_of_memory(ret_error) : SQLITE_OK;
}

static int check_json_columns(struct sqlite_statement *statement, char **ret_error)
{
	const struct query_spec *spec = statement->spec;
	for (size_t i = 0; i < spec->json_column_count; i++) {
		struct text name = spec->json_columns[i];
		if (!has_column(statement->stmt, statement->column_count, name))
			return wrong(ret_error, "it returns no column \"%.*s\", which `json` names",
					TEXT_ARG(name));
	}
	return SQLITE_OK;
}

static int learn_columns(struct sqlite_statement *statement, char **ret_error)
{
	int count = sqlite3_column_count(statement->stmt);
	struct sqlite_column *columns =
			reallocarray(statement->columns, (size_t)count, sizeof(*columns));
	if (columns == NULL)
		return out_of_memory(ret_error);
	statement->columns = columns;
	statement->column_count = count;
	int code = read_columns(statement, ret_error);
	return code == SQLITE_OK ? check_json_columns(statement, ret_error) : code;
}

int sqlite_statement_init(struct sqlite_statement *statement, sqlite3 *db,
		const struct query_spec *spec, char **ret_error)
{
	statement->spec = spec;
	buffer_init(&statement->heads);
	int code = prepare(statement, db, ret_error);
	if (code == SQLITE_OK)
		code = number_parameters(statement, ret_error);
	if (code == SQLITE_OK)
		code = learn_columns(statement, ret_error);
	return code;
}

void sqlite_statement_deinit(struct sqlite_statement *statement)
{
	sqlite3_finalize(statement->stmt);
	free(statement->parameters);
	free(statement->columns);
	buffer_deinit(&statement->heads);
	*statement = (struct sqlite_statement){0};
}

static int bind(sqlite3_stmt *stmt, int number, const struct sql_value *value)
{
	switch (value->kind) {
	case SQL_NULL:
		return sqlite3_bind_null(stmt, number);
	case SQL_BOOLEAN:
	case SQL_INTEGER:
		return sqlite3_bind_int64(stmt, number, value->integer);
	case SQL_REAL:
		return sqlite3_bind_double(stmt, number, value->real);
	case SQL_TEXT:
		return sqlite3_bind_text64(stmt, number, value->text.data, value->text.size,
				SQLITE_STATIC, SQLITE_UTF8);
	}
	return SQLITE_MISUSE;
}

/*
 * A name that stands only in a comment for us and nowhere for SQLite has no number, and no value.
 */
int sqlite_statement_bind(struct sqlite_statement *statement, const struct sql_value *values)
{
	int code = SQLITE_OK;
	for (size_t i = 0; i < statement->spec->parameter_count && code == SQLITE_OK; i++)
		if (statement->parameters[i] > 0)
			code = bind(statement->stmt, statement->parameters[i], &values[i]);
	return code;
}

int sqlite_statement_refresh(struct sqlite_statement *statement, char **ret_error)
{
	int prepared_again = sqlite3_stmt_status(statement->stmt, SQLITE_STMTSTATUS_REPREPARE, 0);
	if (prepared_again == statement->prepared_again)
		return SQLITE_OK;
	int code = learn_columns(statement, ret_error);
	if (code == SQLITE_OK)
		statement->prepared_again = prepared_again;
	return code;
}

/* What the step said was looked at when it said it. */
void sqlite_statement_reset(struct sqlite_statement *statement)
{
	(void)sqlite3_reset(statement->stmt);
	(void)sqlite3_clear_bindings(statement->stmt);
}
