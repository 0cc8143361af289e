/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors of all kinds are collected as far as each step can be taken: a file that can't be read has
 * no resources, but a resource that can't be made doesn't hide what is wrong with a pipeline.
 */
#include "daemon/build.h"

#include <stdlib.h>

#include "pipeline/async/async.h"
#include "pipeline/requests/engine.h"
#include "pipeline/requests/record_feed.h"
#include "pipeline/stages/pipeline.h"

struct build *build_read(const char *path, struct link *builds)
{
	struct build *build = calloc(1, sizeof(*build));
	if (!build)
		return NULL;
	build->refs = 1;
	link_init(&build->link);
	list_append(builds, &build->link);
	arena_init(&build->arena, NULL);
	diag_init(&build->diag, &build->arena);
	config_read(&build->config, path, &build->arena, &build->diag);
	return build;
}

void build_ref(struct build *build)
{
	build->refs++;
}

void build_unref(struct build *build)
{
	if (--build->refs > 0)
		return;
	arena_deinit(&build->arena);
	free(build);
}

/* Nothing runs in it any more, not even work of requests that were answered: jobs in workers look
 * at what the pipelines have made. */
static void end(struct build *build)
{
	record_feeds_close(build->feeds);
	if (build->generation.pipelines)
		pipelines_free(build->generation.pipelines);
	resources_release(&build->resources);
	link_remove(&build->link);
	build_unref(build);
}

static void on_flights_idle(struct scope *scope)
{
	end(container_of(scope, struct pipelines, scope)->user);
}

static struct cache *find_cache(void *user, struct text name)
{
	const struct build *build = user;
	struct resource *resource = resources_find(&build->resources, "cache", name);
	return resource ? resource->cache : NULL;
}

static struct database *find_database(void *user, struct text name)
{
	const struct build *build = user;
	struct resource *resource = resources_find(&build->resources, "database", name);
	return resource ? resource->database : NULL;
}

static struct source *find_source(void *user, struct text name)
{
	const struct build *build = user;
	struct resource *resource = resources_find(&build->resources, "source", name);
	return resource ? resource->source : NULL;
}

static const struct option_map *written(const struct config *config, struct text kind)
{
	if (text_equal(kind, TEXT("database")))
		return config->databases;
	return text_equal(kind, TEXT("cache")) ? config->caches : config->sources;
}

static void see_each(void *user, const char *kind, struct nearest *nearest)
{
	const struct build *build = user;
	const struct option_map *map = written(&build->config, text_of(kind));
	for (size_t i = 0; map && i < map->count; i++)
		nearest_see(nearest, map->values[i].name);
}

bool build_compile(struct build *build, struct async *async, struct engine *engine,
		const struct driver_context *context, const struct build *before)
{
	build->context = *context;
	build->context.limits = &build->config.limits.json;
	build->generation.number = before ? before->generation.number + 1 : 1;
	resources_create(build, before);
	struct stages_context stages = {
			.async = async,
			.arena = &build->arena,
			.diag = &build->diag,
			.flights = engine_arenas(engine),
			.limits = &build->config.limits.json,
			.max_deadline = build->config.limits.max_deadline,
			.waiters_max = build->config.limits.in_flight,
			.cache = find_cache,
			.database = find_database,
			.source = find_source,
			.each = see_each,
			.user = build,
	};
	build->generation.pipelines =
			pipelines_compile(build->config.pipelines, &stages, on_flights_idle);
	build->feeds = record_feeds_compile(build->config.feeds, build->config.pipelines,
			&async->random, &build->arena, &build->diag);
	if (build->feeds && build->generation.pipelines)
		record_feeds_attach(build->feeds, build->generation.pipelines);
	if (build->diag.errors == 0)
		resources_check_used(build);
	return build->diag.errors == 0;
}

void build_say(struct build *build)
{
	diag_sort(&build->diag);
	diag_print(&build->diag, stderr);
}

void build_drop(struct build *build, enum reason reason)
{
	struct generation *generation = &build->generation;
	if (!generation->pipelines) {
		end(build);
		return;
	}
	pipelines_cancel(generation->pipelines, reason);
	generation_retire(generation);
}
