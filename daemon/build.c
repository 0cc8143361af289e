/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors of all kinds are collected as far as each step can be taken: a file that can't be read has
 * no resources, but a resource that can't be made doesn't hide what is wrong with a pipeline.
 */
#include "daemon/build.h"

#include "pipeline/drivers/driver.h"
#include "pipeline/stages/pipeline.h"

bool build_read(struct build *build, const char *path)
{
	*build = (struct build){0};
	arena_init(&build->arena, NULL);
	diag_init(&build->diag, &build->arena);
	return config_read(&build->config, path, &build->arena, &build->diag);
}

static struct cache *find_cache(void *user, struct text name)
{
	struct resource *resource = resources_find(user, "cache", name);
	return resource ? resource->cache : NULL;
}

static struct database *find_database(void *user, struct text name)
{
	struct resource *resource = resources_find(user, "database", name);
	return resource ? resource->database : NULL;
}

static struct source *find_source(void *user, struct text name)
{
	struct resource *resource = resources_find(user, "source", name);
	return resource ? resource->source : NULL;
}

static void see_each(void *user, const char *kind, struct nearest *nearest)
{
	const struct resources *resources = user;
	for (size_t i = 0; i < resources->count; i++) {
		struct text name = text_of(resources->all[i]->name);
		if (resources_find(resources, kind, name))
			nearest_see(nearest, name);
	}
}

/* Flights are all over when the engine is idle, so there is nothing to do; but a root has to say
 * what it does. */
static void on_flights_idle(struct scope *scope)
{
	(void)scope;
}

bool build_compile(struct build *build, struct async *async, struct engine *engine,
		const struct driver_context *context)
{
	resources_create(&build->resources, &build->config, context, &build->arena, &build->diag);
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
			.user = &build->resources,
	};
	build->pipelines = pipelines_compile(build->config.pipelines, &stages, on_flights_idle);
	return build->diag.errors == 0;
}

void build_say(struct build *build)
{
	diag_sort(&build->diag);
	diag_print(&build->diag, stderr);
}

void build_deinit(struct build *build)
{
	if (build->pipelines)
		pipelines_free(build->pipelines);
	build->pipelines = NULL;
	arena_deinit(&build->arena);
}
