/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection: opened by the loop, with its queries prepared on it, and opened anew by its
 * worker when the loop has taken another file. Who opens it does not wait for another's lock.
 */
#include "pipeline/drivers/sqlite.h"

#include <errno.h>
#include <stdlib.h>

const char *sqlite_database_failure(int code, enum status *ret_status)
{
	*ret_status = STATUS_UNAVAILABLE;
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return "the database is locked";
	case SQLITE_CANTOPEN:
	case SQLITE_CORRUPT:
	case SQLITE_FULL: /* of what a query puts aside */
	case SQLITE_IOERR:
	case SQLITE_NOTADB:
	case SQLITE_READONLY: /* another's journal is to be rolled back first */
		return "the database cannot be read";
	case SQLITE_NOMEM:
		*ret_status = STATUS_RESOURCE_EXHAUSTED;
		return "out of memory";
	default:
		*ret_status = STATUS_INTERNAL;
		return NULL;
	}
}

/* Whether what has failed so would not, were there more of what others have taken. */
static bool is_short(int primary, int error)
{
	return primary == SQLITE_NOMEM || error == ENOMEM || error == EMFILE || error == ENFILE;
}

static enum sqlite_open failed(struct sqlite_connection *connection, int code, struct diag *diag)
{
	struct resource *resource = &connection->sqlite->resource;
	int primary = code & 0xff;
	if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED || primary == SQLITE_PROTOCOL)
		return OPEN_LOCKED;
	int error = primary == SQLITE_CANTOPEN || primary == SQLITE_IOERR
				    ? sqlite3_system_errno(connection->db)
				    : 0;
	if (is_short(primary, error))
		return OPEN_SHORT;
	diag_error(diag, resource->place, "database \"%s\" cannot be opened: %s: %s",
			resource->name, connection->sqlite->path,
			error ? strerror(error) : sqlite3_errstr(code));
	return OPEN_FAILED;
}

/* What the schema of a file may do is bounded by these, since anybody may have made the file. */
static int configure(struct sqlite_connection *connection)
{
	sqlite3 *db = connection->db;
	int code = sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
	return code == SQLITE_OK ? sqlite_handlers_set(connection) : code;
}

static int open_file(struct sqlite_connection *connection)
{
	int code = sqlite3_open_v2(connection->sqlite->path, &connection->db,
			SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (code == SQLITE_OK)
		code = configure(connection);
	/* The first that looks into the file: whether it is a database, and free to be read. */
	if (code == SQLITE_OK)
		code = sqlite3_exec(connection->db, "PRAGMA schema_version", NULL, NULL, NULL);
	return code;
}

/* Room for a statement at that index. */
static bool make_room(struct sqlite_connection *connection, size_t index)
{
	size_t count = connection->statement_count;
	if (index < count)
		return true;
	struct sqlite_statement *statements =
			reallocarray(connection->statements, index + 1, sizeof(*statements));
	if (statements == NULL)
		return false;
	memset(statements + count, 0, (index + 1 - count) * sizeof(*statements));
	connection->statements = statements;
	connection->statement_count = index + 1;
	return true;
}

int sqlite_connection_prepare(
		struct sqlite_connection *connection, const struct query *query, char **ret_error)
{
	*ret_error = NULL;
	if (!make_room(connection, query->index))
		return SQLITE_NOMEM;
	struct sqlite_statement *statement = &connection->statements[query->index];
	if (statement->query == query->number)
		return SQLITE_OK;
	sqlite_statement_deinit(statement);
	int code = sqlite_statement_init(statement, connection->db, query->spec, ret_error);
	if (code == SQLITE_OK)
		statement->query = query->number;
	else
		sqlite_statement_deinit(statement);
	return code;
}

static enum sqlite_open prepare_query(
		struct sqlite_connection *connection, struct query *query, struct diag *diag)
{
	char *error;
	enum status status;
	int code = sqlite_connection_prepare(connection, query, &error);
	if (code == SQLITE_OK)
		return OPEN_DONE;
	enum sqlite_open result = OPEN_FAILED;
	if (sqlite_database_failure(code, &status))
		result = failed(connection, code, diag);
	else
		diag_error(diag, query->spec->place, "the query cannot be prepared: %s",
				error ? error : "out of memory");
	free(error);
	return result;
}

enum sqlite_open sqlite_connection_open(struct sqlite_connection *connection, struct sqlite *sqlite,
		enum sqlite_queries which, struct diag *diag)
{
	connection->sqlite = sqlite;
	connection->files = atomic_load(&sqlite->files);
	buffer_init(&connection->out);
	int code = open_file(connection);
	if (code != SQLITE_OK)
		return failed(connection, code, diag);
	enum sqlite_open result = OPEN_DONE;
	for (struct link *at = sqlite->queries.next; at != &sqlite->queries; at = at->next) {
		struct query *query = container_of(at, struct query, link);
		if (which == QUERIES_NEW && query->proven)
			continue;
		enum sqlite_open one = prepare_query(connection, query, diag);
		if (one == OPEN_LOCKED || one == OPEN_SHORT)
			return one;
		if (one == OPEN_FAILED)
			result = one; /* and what is wrong with the others is said, too */
	}
	return result;
}

static void close_file(struct sqlite_connection *connection)
{
	for (size_t i = 0; i < connection->statement_count; i++)
		sqlite_statement_deinit(&connection->statements[i]);
	free(connection->statements);
	connection->statements = NULL;
	connection->statement_count = 0;
	(void)sqlite3_close(connection->db);
	connection->db = NULL;
}

void sqlite_connection_close(struct sqlite_connection *connection)
{
	if (connection->sqlite == NULL)
		return;
	close_file(connection);
	buffer_deinit(&connection->out);
	*connection = (struct sqlite_connection){0};
}

/*
 * The old file will do, so there is no job yet that would wait for another's lock. SQLite's
 * handlers are bound to the connection, so it is the old file that is put aside meanwhile.
 */
void sqlite_connection_follow(struct sqlite_connection *connection)
{
	struct sqlite *sqlite = connection->sqlite;
	uint64_t files = atomic_load(&sqlite->files);
	if (connection->files == files)
		return;
	struct sqlite_connection old = *connection;
	connection->db = NULL;
	connection->statements = NULL;
	connection->statement_count = 0;
	bool opened = sqlite_file_is_current(sqlite) && open_file(connection) == SQLITE_OK &&
		      sqlite_file_is_current(sqlite);
	if (opened) {
		connection->files = files;
		close_file(&old);
	} else {
		close_file(connection);
		connection->db = old.db;
		connection->statements = old.statements;
		connection->statement_count = old.statement_count;
	}
}
