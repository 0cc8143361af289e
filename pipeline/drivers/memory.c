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

/* Between two parts of going to another bound. */
#define PART_EVERY_NS 1000000

struct memory_resource {
	struct resource resource;
	struct async *async;	/* NULL under --check */
	struct timer next_part; /* of going to another bound */
	size_t bytes_max;
};

static void go_on_resizing(struct timer *timer);

/*
 * Under --check there is no loop, and no stranger's key will ever be hashed: any random numbers
 * will do.
 */
static struct cache *make_cache(const struct driver_context *context, const char *name, size_t size)
{
	struct random fixed;
	random_init(&fixed, 0);
	return memory_cache_new(name, size, context->account,
			context->loop ? &context->loop->async->keys : &fixed);
}

static struct resource *create(const struct driver_context *context, const char *name,
		const struct option_map *map, struct diag *diag)
{
	size_t bytes_max = option_number(map, "memory");
	struct memory_resource *memory = calloc(1, sizeof(*memory));
	struct cache *cache = memory ? make_cache(context, name, bytes_max) : NULL;
	if (cache == NULL) {
		diag_error(diag, map->place, "cache \"%s\": out of memory", name);
		free(memory);
		return NULL;
	}
	*memory = (struct memory_resource){
			.resource =
					{
							.driver = &memory_driver,
							.name = name,
							.place = map->place,
							.required = true,
							.ready = true,
							.cache = cache,
					},
			.async = context->loop ? context->loop->async : NULL,
			.bytes_max = bytes_max,
	};
	timer_init(&memory->next_part, go_on_resizing);
	return &memory->resource;
}

/* A large cache is made smaller in parts, between which requests are served. */
static void resize(struct memory_resource *memory)
{
	struct async *async = memory->async;
	timer_disarm(&async->wheel, &memory->next_part);
	if (!memory_cache_resize(memory->resource.cache, memory->bytes_max))
		timer_arm(&async->wheel, &memory->next_part, async->now + PART_EVERY_NS);
}

static void go_on_resizing(struct timer *timer)
{
	resize(container_of(timer, struct memory_resource, next_part));
}

static void adapt(struct resource *resource, const struct option_map *map)
{
	struct memory_resource *memory = container_of(resource, struct memory_resource, resource);
	memory->bytes_max = option_number(map, "memory");
	resize(memory);
}

static void free_cache(struct resource *resource)
{
	struct memory_resource *memory = container_of(resource, struct memory_resource, resource);
	if (timer_armed(&memory->next_part))
		timer_disarm(&memory->async->wheel, &memory->next_part);
	resource->cache->ops->free(resource->cache);
	free(memory);
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
