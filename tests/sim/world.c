/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time never stands between two turns: whoever moves the clock meets every deadline on the way at
 * its own time, so what a test sees at one moment does not depend on how it came there.
 */
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

#include "conf/conf.h"
#include "pipeline/base/buffer.h"
#include "pipeline/base/live.h"
#include "pipeline/resources/memory_cache.h"

#define CACHE_BYTES ((size_t)1024 * 1024)

const char *const source_names[SOURCES + 1] = {"north", "south", "east", "west", NULL};

static const struct option limits_options[] = {
		{.key = "in_flight", .kind = OPTION_NUMBER},
		{.key = "in_flight_min", .kind = OPTION_NUMBER},
		{.key = "per_client", .kind = OPTION_NUMBER},
		{.key = "message", .kind = OPTION_SIZE},
		{.key = "bytes", .kind = OPTION_SIZE},
		{.key = "values", .kind = OPTION_NUMBER},
		{.key = "depth", .kind = OPTION_NUMBER},
		{.key = "deadline", .kind = OPTION_DURATION},
		{.key = "max_deadline", .kind = OPTION_DURATION},
		{.key = "client_stall", .kind = OPTION_DURATION},
		{.key = NULL},
};

static const struct option cache_options[] = {
		{.key = "memory", .kind = OPTION_SIZE, .fallback = "1MiB"},
		{.key = NULL},
};

static const struct option caches_options[] = {
		{.key = "hot", .kind = OPTION_MAP, .table = cache_options},
		{.key = "cold", .kind = OPTION_MAP, .table = cache_options},
		{.key = NULL},
};

static const struct option database_options[] = {
		{.key = "connections", .kind = OPTION_NUMBER, .min = 1},
		{.key = "stubborn", .kind = OPTION_BOOLEAN, .fallback = "false"},
		{.key = NULL},
};

static const struct option databases_options[] = {
		{.key = "catalog", .kind = OPTION_MAP, .table = database_options},
		{.key = "ledger", .kind = OPTION_MAP, .table = database_options},
		{.key = NULL},
};

static const struct option source_options[] = {
		{.key = "stubborn", .kind = OPTION_BOOLEAN, .fallback = "false"},
		{.key = "holds", .kind = OPTION_BOOLEAN, .fallback = "false"},
		SOURCE_OPTIONS,
		{.key = "url", .kind = OPTION_TEMPLATE},
		{.key = "header", .kind = OPTION_TEMPLATE},
		{.key = NULL},
};

static const struct option sources_options[] = {
		{.key = "north", .kind = OPTION_MAP, .table = source_options},
		{.key = "south", .kind = OPTION_MAP, .table = source_options},
		{.key = "east", .kind = OPTION_MAP, .table = source_options},
		{.key = "west", .kind = OPTION_MAP, .table = source_options},
		{.key = NULL},
};

static const struct option nothing[] = {{.key = NULL}};

/* What telemetry may be told of requests is known to who makes some: world.telemetry. */
static struct option telemetry_options[] = {
		{.key = "feeds", .kind = OPTION_NAMED, .table = nothing},
		{.key = NULL},
};

static const struct option root_options[] = {
		{.key = "telemetry", .kind = OPTION_MAP, .table = telemetry_options},
		{.key = "limits", .kind = OPTION_MAP, .table = limits_options},
		{.key = "caches", .kind = OPTION_MAP, .table = caches_options},
		{.key = "databases", .kind = OPTION_MAP, .table = databases_options},
		{.key = "sources", .kind = OPTION_MAP, .table = sources_options},
		{.key = "pipelines",
				.kind = OPTION_NAMED,
				.required = true,
				.table = pipeline_options,
				.help = "what clients ask for"},
		{.key = NULL},
};

/* A scope knows nobody but its pipelines, and they the world. */
static struct loaded *loaded_of(struct pipelines *pipelines)
{
	const struct world *world = pipelines->user;
	struct loaded *loaded = world->loaded;
	while (loaded && loaded->generation.pipelines != pipelines)
		loaded = loaded->before;
	return loaded;
}

static void unload_more(struct loaded *loaded)
{
	if (loaded->world->unload_more)
		loaded->world->unload_more(loaded);
}

static void forget(struct loaded *loaded)
{
	struct world *world = loaded->world;
	struct loaded **at = &world->loaded;
	unload_more(loaded);
	pipelines_free(loaded->generation.pipelines);
	while (*at != loaded)
		at = &(*at)->before;
	*at = loaded->before;
	if (loaded == &world->first) {
		world->pipelines = NULL;
		return;
	}
	arena_deinit(&loaded->arena);
	free(loaded);
}

/* One whose place another has taken is over then. */
static void on_idle(struct scope *scope)
{
	struct loaded *loaded = loaded_of(container_of(scope, struct pipelines, scope));
	loaded->idle = true;
	if (loaded->generation.retired)
		forget(loaded);
}

static bool is(struct text name, const char *known)
{
	return text_equal(name, text_of(known));
}

static struct cache *find_cache(void *user, struct text name)
{
	const struct world *world = user;
	if (is(name, "hot"))
		return world->hot;
	return is(name, "cold") ? world->cold : NULL;
}

static struct database *find_database(void *user, struct text name)
{
	struct world *world = user;
	if (is(name, "catalog"))
		return &world->catalog.database;
	return is(name, "ledger") ? &world->ledger.database : NULL;
}

struct scripted_source *world_source(struct world *world, struct text name)
{
	for (size_t i = 0; i < SOURCES; i++) {
		if (is(name, source_names[i]))
			return &world->sources[i];
	}
	return NULL;
}

size_t world_source_number(const struct world *world, const struct source *source)
{
	return (size_t)(container_of(source, struct scripted_source, source) - world->sources);
}

uint64_t world_asks(const struct world *world)
{
	uint64_t asks = 0;
	for (size_t i = 0; i < SOURCES; i++)
		asks += world->sources[i].source.stats.pending;
	return asks;
}

static struct source *find_source(void *user, struct text name)
{
	struct scripted_source *source = world_source(user, name);
	return source ? &source->source : NULL;
}

static void see_each(void *user, const char *kind, struct nearest *nearest)
{
	static const char *const databases[] = {"catalog", "ledger", NULL};
	static const char *const caches[] = {"hot", "cold", NULL};
	const char *const *names = is(TEXT("database"), kind) ? databases
				   : is(TEXT("cache"), kind)  ? caches
							      : source_names;
	for (; *names; names++)
		nearest_see(nearest, text_of(*names));
}

void world_init_clock(struct world *world)
{
	*world = (struct world){
			.limits = {.bytes = 1024 * 1024, .depth = 32, .values = 10000},
			.max_deadline = 30000 * WORLD_MS,
			.waiters_max = 10000,
	};
	async_init(&world->async, WORLD_START, 1);
	arena_init(&world->arena, NULL);
	diag_init(&world->diag, &world->arena);
}

/* What the configuration says of one resource, or NULL where none was read. */
static const struct option_map *settings(
		const struct world *world, const char *kind, const char *name)
{
	if (!world->configuration)
		return NULL;
	return option_get(option_get(world->configuration, kind)->map, name)->map;
}

static void init_database(struct world *world, struct scripted_database *database, const char *name,
		uint32_t connections, struct account *account)
{
	const struct option_map *map = settings(world, "databases", name);
	if (map && option_get(map, "connections")->given)
		connections = (uint32_t)option_number(map, "connections");
	scripted_database_init(database, name, connections, account);
	database->stubborn = map && option_number(map, "stubborn");
	database->watch = world->watch;
}

static void init_source(struct world *world, struct scripted_source *source, const char *name)
{
	const struct option_map *map = settings(world, "sources", name);
	scripted_source_init(source, name, &world->limits);
	source->stubborn = map && option_number(map, "stubborn");
	source->holds = map && option_number(map, "holds");
	if (map && option_get(map, "header")->given)
		scripted_source_with_header(source, option_get(map, "header")->template);
	if (map && option_get(map, "url")->given)
		scripted_source_by_url(source, option_get(map, "url")->template);
	if (map)
		source_configure(&source->source, map);
	source->watch = world->watch;
}

static struct cache *make_cache(struct world *world, const char *name, struct account *account)
{
	const struct option_map *map = settings(world, "caches", name);
	size_t bytes = map ? option_number(map, "memory") : CACHE_BYTES;
	struct cache *cache = memory_cache_new(name, bytes, account, &world->async.keys);
	return cache && world->wrap_cache ? world->wrap_cache(world->wrap_user, cache) : cache;
}

bool world_init(struct world *world, struct account *account, struct arena_pool *arenas)
{
	world->arenas = arenas;
	init_database(world, &world->catalog, "catalog", 4, account);
	init_database(world, &world->ledger, "ledger", 1, account);
	for (size_t i = 0; i < SOURCES; i++)
		init_source(world, &world->sources[i], source_names[i]);
	world->hot = make_cache(world, "hot", account);
	world->cold = make_cache(world, "cold", account);
	return world->hot && world->cold;
}

bool world_read(struct world *world, const char *yaml)
{
	telemetry_options[0].table = world->feeds ? world->feeds : nothing;
	world->configuration =
			conf_look("test", text_of(yaml), root_options, &world->arena, &world->diag);
	return world->configuration && world->diag.errors == 0;
}

static bool compile(
		struct world *world, struct loaded *loaded, struct arena *arena, struct diag *diag)
{
	struct stages_context context = {
			.async = &world->async,
			.arena = arena,
			.diag = diag,
			.flights = world->arenas,
			.limits = &world->limits,
			.max_deadline = world->max_deadline,
			.waiters_max = world->waiters_max,
			.cache = find_cache,
			.database = find_database,
			.source = find_source,
			.each = see_each,
			.user = world,
	};
	const struct option_map *pipelines = option_get(loaded->configuration, "pipelines")->map;
	world->context = context;
	loaded->world = world;
	loaded->generation.number = world->loaded ? world->loaded->generation.number + 1 : 1;
	world->catalog.generation = loaded->generation.number;
	world->ledger.generation = loaded->generation.number;
	bool good = !world->load_more || world->load_more(loaded, arena, diag);
	if (good)
		loaded->generation.pipelines = pipelines_compile(pipelines, &context, on_idle);
	if (!loaded->generation.pipelines) {
		unload_more(loaded);
		return false;
	}
	loaded->before = world->loaded;
	world->loaded = loaded;
	return true;
}

bool world_compile(struct world *world)
{
	world->first.configuration = world->configuration;
	if (!compile(world, &world->first, &world->arena, &world->diag))
		return false;
	world->pipelines = world->first.generation.pipelines;
	return true;
}

struct loaded *world_load_beside(struct world *world, const char *yaml)
{
	struct loaded *loaded = calloc(1, sizeof(*loaded));
	if (!loaded)
		return NULL;
	arena_init(&loaded->arena, NULL);
	diag_init(&loaded->diag, &loaded->arena);
	loaded->configuration = conf_read(
			"test", text_of(yaml), root_options, &loaded->arena, &loaded->diag);
	if (loaded->configuration && compile(world, loaded, &loaded->arena, &loaded->diag))
		return loaded;
	arena_deinit(&loaded->arena);
	free(loaded);
	return NULL;
}

bool world_load(struct world *world, const char *yaml)
{
	return world_read(world, yaml) && world_compile(world);
}

const char *world_problems(struct world *world)
{
	struct buffer buffer;
	buffer_init_arena(&buffer, &world->arena);
	diag_sort(&world->diag);
	for (const struct diag_item *item = world->diag.first; item; item = item->next)
		buffer_append_format(&buffer, "%u:%u: %s%s\n", item->place.line, item->place.column,
				item->warning ? "warning: " : "", item->message);
	buffer_append_char(&buffer, '\0');
	return buffer_text(&buffer).data;
}

uint64_t world_turn(struct world *world)
{
	uint64_t next;
	do {
		async_enter(&world->async, world->async.now);
		next = async_leave(&world->async);
	} while (next == world->async.now);
	return next;
}

void world_at(struct world *world, uint64_t ms)
{
	uint64_t until = WORLD_START + ms * WORLD_MS;
	for (uint64_t next = world_turn(world); next <= until; next = world_turn(world))
		async_enter(&world->async, next);
	async_enter(&world->async, until);
	(void)world_turn(world);
}

static void end_jobs(struct scripted_database *database)
{
	while (scripted_job(database, 0))
		scripted_job_end(scripted_job(database, 0), STATUS_UNAVAILABLE, "closed");
}

static void end_asks(struct scripted_source *source)
{
	while (scripted_ask(source, 0))
		scripted_ask_end(scripted_ask(source, 0), STATUS_UNAVAILABLE, "closed");
}

static uint64_t count_work(const struct world *world)
{
	return world->catalog.running + world->ledger.running + world_asks(world);
}

/* An end may let the next begin, so all are ended until a turn begins none. */
static void end_all(struct world *world)
{
	do {
		end_jobs(&world->catalog);
		end_jobs(&world->ledger);
		for (size_t i = 0; i < SOURCES; i++)
			end_asks(&world->sources[i]);
		(void)world_turn(world);
	} while (count_work(world) > 0);
}

/* The latest is the only one that is not over, or ending by itself. */
static bool close_pipelines(struct world *world)
{
	if (!world->loaded)
		return true;
	pipelines_cancel(world->loaded->generation.pipelines, DRAIN);
	pipelines_retire(world->loaded->generation.pipelines);
	end_all(world);
	if (!world->loaded->idle)
		return false;
	forget(world->loaded);
	return !world->loaded;
}

bool world_deinit(struct world *world)
{
	if (!close_pipelines(world)) {
		(void)fprintf(stderr, "work still goes on in the flights\n");
		return false;
	}
	if (world->hot)
		world->hot->ops->free(world->hot);
	if (world->cold)
		world->cold->ops->free(world->cold);
	scripted_database_deinit(&world->catalog);
	scripted_database_deinit(&world->ledger);
	arena_deinit(&world->arena);
	if (world->async.wheel.armed > 0)
		(void)fprintf(stderr, "%zu timers are still armed\n", world->async.wheel.armed);
	return world->async.wheel.armed == 0 && live_report() == 0;
}
