/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Caches in this process's memory. The cache itself is pure and lives below; here it becomes a
 * resource that a configuration can name.
 */
#include <stdlib.h>

#include "pipeline/base/random.h"
#include "pipeline/drivers/driver.h"
#include "pipeline/loop/loop.h"
#include "pipeline/resources/memory_cache.h"

static const struct option options[] = {
		{.key = "memory",
				.kind = OPTION_SIZE,
				.required = true,
				.min = 4096,
				.help = "how much it may hold, all its own overhead included"},
		{0},
};

/*
 * Under --check there is no loop, and no stranger's key will ever be hashed: any random numbers
 * will do.
 */
static struct cache *make_cache(const struct driver_context *context, const char *name, size_t size)
{
	struct random fixed;
	random_init(&fixed, 0);
	return memory_cache_new(name, size, context->account,
			context->loop ? &context->loop->async->random : &fixed);
}

static struct resource *create(const struct driver_context *context, const char *name,
		const struct option_map *map, struct diag *diag)
{
	struct resource *resource = calloc(1, sizeof(*resource));
	struct cache *cache =
			resource ? make_cache(context, name, option_number(map, "memory")) : NULL;
	if (cache == NULL) {
		diag_error(diag, map->place, "cache \"%s\": out of memory", name);
		free(resource);
		return NULL;
	}
	*resource = (struct resource){
			.driver = &memory_driver,
			.name = name,
			.place = map->place,
			.required = true,
			.ready = true,
			.cache = cache,
	};
	return resource;
}

static void adapt(struct resource *resource, const struct option_map *map)
{
	memory_cache_resize(resource->cache, option_number(map, "memory"));
}

static void free_cache(struct resource *resource)
{
	resource->cache->ops->free(resource->cache);
	free(resource);
}

const struct driver memory_driver = {
		.name = "memory",
		.kind = DRIVER_CACHE,
		.help = "a cache in the memory of this process",
		.options = options,
		.create = create,
		.adapt = adapt,
		.free = free_cache,
};
