/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a resource goes on is told from what the two configurations say of it. Sources and
 * databases have the limits on bodies built in (a socket's, and what workers read), so with other
 * limits they are others; a cache goes on whatever is said, as its driver can adapt it. A database
 * may have reasons of its own not to go on.
 */
#include "daemon/resources.h"

#include <string.h>

#include "daemon/build.h"
#include "pipeline/base/arena.h"
#include "pipeline/drivers/driver.h"
#include "pipeline/loop/loop.h"
#include "pipeline/resources/source.h"

/* How long the idle threads of a database are waited for, when it ends in the middle of a run. */
#define IDLE_NS UINT64_C(1000000000)

static const char *kind_name(enum driver_kind kind)
{
	static const char *const names[] = {[DRIVER_DATABASE] = "database",
			[DRIVER_CACHE] = "cache",
			[DRIVER_SOURCE] = "source"};
	return names[kind];
}

static const struct option_map *written(const struct config *config, enum driver_kind kind)
{
	const struct option_map *const maps[] = {[DRIVER_DATABASE] = config->databases,
			[DRIVER_CACHE] = config->caches,
			[DRIVER_SOURCE] = config->sources};
	return maps[kind];
}

static struct holding *find(
		const struct resources *resources, enum driver_kind kind, struct text name)
{
	for (size_t i = 0; i < resources->count; i++) {
		struct holding *holding = resources->all[i];
		if (holding->resource->driver->kind == kind &&
				text_equal(text_of(holding->resource->name), name))
			return holding;
	}
	return NULL;
}

static bool same_limits(const struct build *a, const struct build *b)
{
	const struct json_limits *one = &a->config.limits.json, *other = &b->config.limits.json;
	return one->bytes == other->bytes && one->depth == other->depth &&
	       one->values == other->values;
}

/* The holding of `before` that stands for value, too; NULL: there is none. */
static struct holding *shared(const struct build *build, const struct build *before,
		const struct driver *driver, const struct option_value *value)
{
	if (!before)
		return NULL;
	struct holding *holding = find(&before->resources, driver->kind, value->name);
	if (!holding || holding->resource->driver != driver)
		return NULL;
	if (driver->adapt)
		return holding;
	const struct option_map *map = written(&before->config, driver->kind);
	bool same = option_value_equal(option_find(map, value->name), value) &&
		    same_limits(build, before);
	bool lasts = same && (!driver->lasts || driver->lasts(holding->resource));
	return lasts ? holding : NULL;
}

static void on_breaker(void *user, const struct source *source)
{
	static const char *const events[] = {[BREAKER_CLOSED] = "source_breaker_closed",
			[BREAKER_OPEN] = "source_breaker_open",
			[BREAKER_HALF_OPEN] = "source_breaker_half_open"};
	static const char *const reasons[] = {[BREAKER_CLOSED] = "it has answered",
			[BREAKER_OPEN] = "too much has failed",
			[BREAKER_HALF_OPEN] = "one question is let through"};
	const struct driver_context *context = user;
	enum breaker_state state = source->breaker.state;
	if (!breaker_is_news(&source->breaker))
		return;
	context->event(context->user, events[state], text_of(source->name), reasons[state]);
}

static void watch_source(struct source *source, const struct option_map *map,
		const struct driver_context *context)
{
	source_configure(source, map);
	source->breaker_changed = on_breaker;
	source->breaker_user = (void *)context;
}

static struct holding *make(struct build *build, const struct build *before,
		const struct driver *driver, const struct option_value *value)
{
	struct holding *holding = arena_zalloc(&build->arena, sizeof(*holding));
	if (!holding) {
		diag_error(&build->diag, value->place, "out of memory");
		return NULL;
	}
	holding->resource =
			driver->create(&build->context, value->name.data, value->map, &build->diag);
	if (!holding->resource)
		return NULL;
	if (holding->resource->source)
		watch_source(holding->resource->source, value->map, &build->context);
	struct holding *other = before ? find(&before->resources, driver->kind, value->name) : NULL;
	holding->before = other ? other->resource : NULL;
	holding->maker = build;
	build_ref(build);
	return holding;
}

static void create(struct build *build, const struct build *before, const struct option_map *map)
{
	for (size_t i = 0; map && i < map->count; i++) {
		const struct option_value *value = &map->values[i];
		if (value->wrong)
			continue;
		const struct driver *driver = driver_find(value->variant->name);
		struct holding *holding = shared(build, before, driver, value);
		if (!holding)
			holding = make(build, before, driver, value);
		if (!holding)
			continue;
		holding->holders++;
		build->resources.all[build->resources.count++] = holding;
	}
}

static size_t size_of(const struct option_map *map)
{
	return map ? map->count : 0;
}

void resources_create(struct build *build, const struct build *before)
{
	const struct config *config = &build->config;
	size_t count = size_of(config->databases) + size_of(config->caches) +
		       size_of(config->sources);
	build->resources.count = 0;
	build->resources.all = arena_alloc(&build->arena, count * sizeof(struct holding *));
	build->resources.used = arena_zalloc(&build->arena, count * sizeof(bool));
	if (!build->resources.all || !build->resources.used) {
		diag_error(&build->diag, config->listen_place, "out of memory");
		return;
	}
	create(build, before, config->databases);
	create(build, before, config->caches);
	create(build, before, config->sources);
}

struct resource *resources_find(
		const struct resources *resources, const char *kind, struct text name)
{
	for (size_t i = 0; i < resources->count; i++) {
		struct resource *resource = resources->all[i]->resource;
		if (strcmp(kind_name(resource->driver->kind), kind) == 0 &&
				text_equal(text_of(resource->name), name)) {
			resources->used[i] = true;
			return resource;
		}
	}
	return NULL;
}

/* As it stands in this configuration. */
static const struct option_value *said_of(
		const struct config *config, const struct resource *resource)
{
	return option_find(written(config, resource->driver->kind), text_of(resource->name));
}

void resources_check_used(struct build *build)
{
	for (size_t i = 0; i < build->resources.count; i++) {
		const struct resource *resource = build->resources.all[i]->resource;
		if (!build->resources.used[i])
			diag_warning(&build->diag, said_of(&build->config, resource)->place,
					"no pipeline uses the %s \"%s\": take it out, or name it "
					"in a stage",
					kind_name(resource->driver->kind), resource->name);
	}
}

/*
 * Where it stands by what those say that open it: what else holds it may have been written before
 * its lines moved, or be refused yet. The file is the same.
 */
static void say_place(struct resource *resource, const struct config *config)
{
	const struct option_value *value = said_of(config, resource);
	struct place place = option_get(value->map, value->variant->name)->place;
	resource->place.line = place.line;
	resource->place.column = place.column;
}

static void open_one(struct resource *resource, const struct config *config, struct diag *diag)
{
	size_t errors = diag->errors;
	say_place(resource, config);
	if (!resource->driver->open || resource->failed || (resource->ready && !resource->behind))
		return;
	resource->driver->open(resource, diag);
	resource->failed = !resource->ready && !resource->trouble && diag->errors > errors;
}

void resources_open(struct build *build, struct diag *diag)
{
	for (size_t i = 0; i < build->resources.count; i++)
		open_one(build->resources.all[i]->resource, &build->config, diag);
}

bool resources_to_open(const struct resources *resources)
{
	for (size_t i = 0; i < resources->count; i++) {
		const struct resource *resource = resources->all[i]->resource;
		if (resource->database && !resource->ready && !resource->failed)
			return true;
	}
	return false;
}

const struct resource *resources_missing(const struct resources *resources)
{
	for (size_t i = 0; i < resources->count; i++) {
		const struct resource *resource = resources->all[i]->resource;
		if ((resource->required && !resource->ready) || resource->behind)
			return resource;
	}
	return NULL;
}

/* Whether requests get anything from it. */
static bool serves(const struct resource *resource)
{
	return resource->source ? resource->source->stats.up : resource->ready;
}

const struct resource *resources_coming(const struct resources *resources)
{
	for (size_t i = 0; i < resources->count; i++) {
		const struct holding *holding = resources->all[i];
		if (holding->before && serves(holding->before) && !serves(holding->resource))
			return holding->resource;
	}
	return NULL;
}

void resources_take(struct build *build)
{
	for (size_t i = 0; i < build->resources.count; i++) {
		struct resource *resource = build->resources.all[i]->resource;
		const struct driver *driver = resource->driver;
		build->resources.all[i]->before = NULL;
		if (!driver->adapt)
			continue;
		driver->adapt(resource, said_of(&build->config, resource)->map);
	}
}

static bool close_one(struct resource *resource, uint64_t until)
{
	return !resource->driver->close || resource->driver->close(resource, until);
}

bool resources_close(struct resources *resources, uint64_t until)
{
	bool closed = true;
	for (size_t i = 0; i < resources->count; i++)
		closed = close_one(resources->all[i]->resource, until) && closed;
	return closed;
}

/* Where a thread does not come back, what it may touch is left: that is better than to wait. */
static void end(struct holding *holding)
{
	struct build *maker = holding->maker;
	if (!close_one(holding->resource, loop_now() + IDLE_NS))
		return;
	holding->resource->driver->free(holding->resource);
	build_unref(maker);
}

void resources_release(struct resources *resources)
{
	for (size_t i = 0; i < resources->count; i++) {
		if (--resources->all[i]->holders == 0)
			end(resources->all[i]);
	}
	resources->count = 0;
}
