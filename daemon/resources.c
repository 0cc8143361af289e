/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resources of a configuration, of all kinds, as one list: they are created, opened, waited for
 * and closed alike.
 */
#include <string.h>

#include "daemon/config.h"
#include "pipeline/base/arena.h"
#include "pipeline/drivers/driver.h"

static const char *kind_name(enum driver_kind kind)
{
	static const char *const names[] = {[DRIVER_DATABASE] = "database",
			[DRIVER_CACHE] = "cache",
			[DRIVER_SOURCE] = "source"};
	return names[kind];
}

static void create(struct resources *resources, const struct option_map *map,
		const struct driver_context *context, struct diag *diag)
{
	for (size_t i = 0; map && i < map->count; i++) {
		const struct option_value *value = &map->values[i];
		const struct driver *driver = driver_find(value->variant->name);
		struct resource *resource =
				driver->create(context, value->name.data, value->map, diag);
		if (resource)
			resources->all[resources->count++] = resource;
	}
}

static size_t size_of(const struct option_map *map)
{
	return map ? map->count : 0;
}

void resources_create(struct resources *ret, const struct config *config,
		const struct driver_context *context, struct arena *arena, struct diag *diag)
{
	size_t count = size_of(config->databases) + size_of(config->caches) +
		       size_of(config->sources);
	ret->count = 0;
	ret->all = arena_alloc(arena, count * sizeof(*ret->all));
	if (!ret->all) {
		diag_error(diag, config->listen_place, "out of memory");
		return;
	}
	create(ret, config->databases, context, diag);
	create(ret, config->caches, context, diag);
	create(ret, config->sources, context, diag);
}

struct resource *resources_find(
		const struct resources *resources, const char *kind, struct text name)
{
	for (size_t i = 0; i < resources->count; i++) {
		struct resource *resource = resources->all[i];
		if (strcmp(kind_name(resource->driver->kind), kind) == 0 &&
				text_equal(text_of(resource->name), name))
			return resource;
	}
	return NULL;
}

bool resources_close(struct resources *resources, uint64_t until)
{
	bool closed = true;
	for (size_t i = 0; i < resources->count; i++) {
		struct resource *resource = resources->all[i];
		if (resource->driver->close && !resource->driver->close(resource, until))
			closed = false;
	}
	return closed;
}

void resources_free(struct resources *resources)
{
	for (size_t i = 0; i < resources->count; i++)
		resources->all[i]->driver->free(resources->all[i]);
	resources->count = 0;
}

void resources_open(struct resources *resources, struct diag *diag)
{
	for (size_t i = 0; i < resources->count; i++) {
		struct resource *resource = resources->all[i];
		if (!resource->ready && resource->driver->open)
			resource->driver->open(resource, diag);
	}
}

bool resources_to_open(const struct resources *resources)
{
	for (size_t i = 0; i < resources->count; i++) {
		if (resources->all[i]->database && !resources->all[i]->ready)
			return true;
	}
	return false;
}

const struct resource *resources_missing(const struct resources *resources)
{
	for (size_t i = 0; i < resources->count; i++) {
		if (resources->all[i]->required && !resources->all[i]->ready)
			return resources->all[i];
	}
	return NULL;
}
