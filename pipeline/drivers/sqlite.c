/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Databases that are SQLite files: the driver, its connections and its queries. A query blocks, so
 * it runs in a worker that has a connection of its own (sqlite_job.c).
 */
#include "pipeline/drivers/sqlite.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "pipeline/base/log.h"

static const struct option options[] = {
		{.key = "sqlite",
				.kind = OPTION_TEXT,
				.required = true,
				.help = "path of the database file, which must exist"},
		{.key = "connections",
				.kind = OPTION_NUMBER,
				.fallback = "4",
				.min = 1,
				.max = 64,
				.help = "threads, each with a connection: queries that run at "
					"once"},
		{.key = "required",
				.kind = OPTION_BOOLEAN,
				.fallback = "true",
				.help = "whether to wait for it before READY=1"},
		{0},
};

/* ---- queries */

static struct query *query_of(struct link *link)
{
	return container_of(link, struct query, link);
}

/* The lowest that no query has. */
static size_t free_index(struct sqlite *sqlite)
{
	size_t index = 0;
	for (struct link *at = sqlite->queries.next; at != &sqlite->queries;) {
		bool taken = query_of(at)->index == index;
		index += taken;
		at = taken ? sqlite->queries.next : at->next;
	}
	return index;
}

static void update_behind(struct sqlite *sqlite)
{
	struct link *at = sqlite->queries.next;
	while (at != &sqlite->queries && query_of(at)->proven)
		at = at->next;
	sqlite->resource.behind = sqlite->resource.ready && at != &sqlite->queries;
}

static struct query *query_new(struct database *database, const struct query_spec *spec)
{
	struct sqlite *sqlite = container_of(database, struct sqlite, database);
	struct query *query = calloc(1, sizeof(*query));
	if (query == NULL)
		return NULL;
	query->sqlite = sqlite;
	query->spec = spec;
	query->index = free_index(sqlite);
	query->number = ++sqlite->query_numbers;
	link_init(&query->link);
	list_append(&sqlite->queries, &query->link);
	update_behind(sqlite);
	return query;
}

static void query_free(struct query *query)
{
	link_remove(&query->link);
	update_behind(query->sqlite);
	sqlite_look_later(query->sqlite);
	free(query);
}

static uint32_t query_running_highest(const struct query *query)
{
	return atomic_load(&query->running_highest);
}

/* ---- the resource */

static const struct database_ops database_ops = {
		.query_new = query_new,
		.query_free = query_free,
		.job_init = sqlite_job_init,
		.query_running_highest = query_running_highest,
};

static bool init_locks(struct sqlite *sqlite)
{
	pthread_condattr_t monotonic;
	if (pthread_condattr_init(&monotonic) != 0)
		return false;
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	bool made = pthread_cond_init(&sqlite->cancelled, &monotonic) == 0;
	pthread_condattr_destroy(&monotonic);
	if (made && pthread_mutex_init(&sqlite->lock, NULL) != 0) {
		pthread_cond_destroy(&sqlite->cancelled);
		made = false;
	}
	return made;
}

static struct sqlite *sqlite_new(struct text path)
{
	struct sqlite *sqlite = calloc(1, sizeof(*sqlite));
	if (sqlite == NULL)
		return NULL;
	sqlite->path = strndup(path.data, path.size);
	if (sqlite->path == NULL || !init_locks(sqlite)) {
		free(sqlite->path);
		free(sqlite);
		return NULL;
	}
	link_init(&sqlite->queries);
	return sqlite;
}

static struct resource *create(const struct driver_context *context, const char *name,
		const struct option_map *map, struct diag *diag)
{
	struct text path = option_text(map, "sqlite");
	if (path.size == 0 || memchr(path.data, '\0', path.size)) {
		diag_error(diag, option_get(map, "sqlite")->place, "expected the path of a file");
		return NULL;
	}
	struct sqlite *sqlite = sqlite_new(path);
	if (sqlite == NULL) {
		diag_error(diag, map->place, "database \"%s\": out of memory", name);
		return NULL;
	}
	sqlite->context = context;
	sqlite->database.ops = &database_ops;
	sqlite->database.name = name;
	sqlite->database.job_size = sizeof(struct sqlite_job);
	sqlite->database.connections = (uint32_t)option_number(map, "connections");
	sqlite->resource = (struct resource){
			.driver = &sqlite_driver,
			.name = name,
			.place = option_get(map, "sqlite")->place,
			.required = option_number(map, "required"),
			.database = &sqlite->database,
	};
	return &sqlite->resource;
}

static void close_connections(struct sqlite *sqlite)
{
	for (uint32_t i = 0; sqlite->connections && i < sqlite->database.connections; i++)
		sqlite_connection_close(&sqlite->connections[i]);
	free(sqlite->connections);
	sqlite->connections = NULL;
}

static enum sqlite_open open_connections(struct sqlite *sqlite, struct diag *diag)
{
	uint32_t count = sqlite->database.connections;
	sqlite->connections = calloc(count, sizeof(*sqlite->connections));
	if (sqlite->connections == NULL || !sqlite_watch(sqlite))
		return OPEN_SHORT;
	enum sqlite_open result = OPEN_DONE;
	for (uint32_t i = 0; i < count && result == OPEN_DONE; i++)
		result = sqlite_connection_open(&sqlite->connections[i], sqlite, QUERIES_ALL, diag);
	return result;
}

static bool start_workers(struct sqlite *sqlite)
{
	static const struct workers_ops ops = {
			.run = sqlite_connection_run, .done = sqlite_job_done};
	uint32_t count = sqlite->database.connections;
	void *states[64];
	int error;
	for (uint32_t i = 0; i < count; i++)
		states[i] = &sqlite->connections[i];
	sqlite->workers = workers_new(
			sqlite->context->loop, "sqlite", &ops, sqlite, states, count, &error);
	return sqlite->workers != NULL;
}

static void tell_locked(struct sqlite *sqlite)
{
	static const char locked[] = "it is locked";
	if (sqlite->resource.trouble != locked)
		log_line(sqlite->context->log, LOG_LEVEL_NOTICE, "waiting for a locked database",
				{"database", text_of(sqlite->resource.name)},
				{"file", text_of(sqlite->path)});
	sqlite->resource.trouble = locked;
}

/* It ends a load. Of what serves it is said once, and tried again. */
static void tell_short(struct sqlite *sqlite, struct diag *diag)
{
	static const char out[] = "out of memory, threads or descriptors";
	if (sqlite->resource.ready || sqlite->resource.trouble != out)
		diag_error(diag, sqlite->resource.place, "database \"%s\": %s",
				sqlite->resource.name, out);
	sqlite->resource.trouble = out;
}

static void note_proven(struct sqlite *sqlite)
{
	for (struct link *at = sqlite->queries.next; at != &sqlite->queries; at = at->next)
		query_of(at)->proven = true;
	sqlite->resource.trouble = NULL;
	update_behind(sqlite);
}

enum sqlite_open sqlite_open_all(struct sqlite *sqlite, struct diag *diag)
{
	enum sqlite_open opened = open_connections(sqlite, diag);
	if (opened == OPEN_DONE && !start_workers(sqlite))
		opened = OPEN_SHORT;
	sqlite->resource.ready = opened == OPEN_DONE;
	if (opened == OPEN_DONE)
		note_proven(sqlite);
	else
		close_connections(sqlite);
	return opened;
}

/* The connections are their workers', so it takes one more. */
enum sqlite_open sqlite_prove(struct sqlite *sqlite, enum sqlite_queries which, struct diag *diag)
{
	struct sqlite_connection connection = {0};
	enum sqlite_open opened = sqlite_connection_open(&connection, sqlite, which, diag);
	sqlite_connection_close(&connection);
	return opened;
}

/*
 * What was named since it was opened. The queries before are not tried again: the schema may have
 * been changed under them, which is for those who still ask them. Where the file was replaced after
 * the load had begun, and what runs cannot do with the new one, nothing can be tried on the old one
 * any more: the next load has the new one.
 */
static enum sqlite_open prove_new(struct sqlite *sqlite, struct diag *diag)
{
	if (!sqlite_look(sqlite)) {
		sqlite->resource.trouble = "its file has just been replaced";
		return OPEN_LATER;
	}
	enum sqlite_open opened = sqlite_prove(sqlite, QUERIES_NEW, diag);
	if (opened == OPEN_DONE)
		note_proven(sqlite);
	return opened;
}

static void open_database(struct resource *resource, struct diag *diag)
{
	struct sqlite *sqlite = container_of(resource, struct sqlite, resource);
	if (resource->ready && !resource->behind)
		return;
	enum sqlite_open opened =
			resource->ready ? prove_new(sqlite, diag) : sqlite_open_all(sqlite, diag);
	if (opened == OPEN_LOCKED)
		tell_locked(sqlite);
	else if (opened == OPEN_SHORT)
		tell_short(sqlite, diag);
	else if (opened == OPEN_FAILED)
		resource->trouble = NULL;
}

/*
 * What the next configuration asks may be what only another file can answer, that stands at the
 * path already and that this one can't do with. That is then opened for the next, while what runs
 * goes on with the old one; and what could not be opened at all is opened anew.
 */
static bool lasts(struct resource *resource)
{
	return resource->ready && sqlite_look(container_of(resource, struct sqlite, resource));
}

static bool close_database(struct resource *resource, uint64_t until)
{
	struct sqlite *sqlite = container_of(resource, struct sqlite, resource);
	resource->ready = false;
	sqlite_unwatch(sqlite);
	if (sqlite->workers && !workers_free(sqlite->workers, until))
		return false;
	sqlite->workers = NULL;
	sqlite_jobs_over(sqlite);
	close_connections(sqlite);
	return true;
}

static void free_database(struct resource *resource)
{
	struct sqlite *sqlite = container_of(resource, struct sqlite, resource);
	assert(list_empty(&sqlite->queries));
	pthread_cond_destroy(&sqlite->cancelled);
	pthread_mutex_destroy(&sqlite->lock);
	free(sqlite->path);
	free(sqlite);
}

const struct driver sqlite_driver = {
		.name = "sqlite",
		.kind = DRIVER_DATABASE,
		.help = "an SQLite file, read only",
		.options = options,
		.create = create,
		.open = open_database,
		.lasts = lasts,
		.close = close_database,
		.free = free_database,
};
