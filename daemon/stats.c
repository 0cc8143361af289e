/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers are cumulative or as they are; nothing is reset but the loop's lag, which is the longest
 * turn since the last `stats`.
 */
#include "daemon/stats.h"

#include <inttypes.h>
#include <malloc.h>

#include "daemon/config.h"
#include "daemon/feed.h"
#include "pipeline/drivers/driver.h"
#include "pipeline/loop/loop.h"
#include "pipeline/requests/engine.h"
#include "pipeline/resources/cache.h"
#include "pipeline/resources/database.h"
#include "pipeline/resources/source.h"

static void write_cache(struct buffer *buffer, const struct cache *cache)
{
	const struct cache_stats *stats = &cache->stats;
	buffer_append_format(buffer,
			"\"hits\":%" PRIu64 ",\"misses\":%" PRIu64 ",\"stored\":%" PRIu64
			",\"evicted\":%" PRIu64 ",\"expired\":%" PRIu64 ",\"outdated\":%" PRIu64
			",\"passed_by\":%" PRIu64 ",\"entries\":%" PRIu64 ",\"bytes\":%" PRIu64
			",\"bytes_max\":%" PRIu64,
			stats->hits, stats->misses, stats->stored, stats->evicted, stats->expired,
			stats->outdated, stats->passed_by, stats->entries, stats->bytes,
			stats->bytes_max);
}

static void write_database(struct buffer *buffer, const struct database *database)
{
	buffer_append_format(buffer,
			"\"connections\":%" PRIu32 ",\"queries\":%" PRIu64
			",\"running_highest\":%" PRIu32 ",\"replaced\":%" PRIu64,
			database->connections, (uint64_t)database->queries,
			(uint32_t)database->running_highest, database->replaced);
}

static void write_source(struct buffer *buffer, const struct source *source)
{
	const struct source_stats *stats = &source->stats;
	buffer_append_format(buffer,
			"\"up\":%s,\"asked\":%" PRIu64 ",\"answered\":%" PRIu64
			",\"failed\":%" PRIu64 ",\"cancelled\":%" PRIu64 ",\"refused\":%" PRIu64
			",\"lost\":%" PRIu64 ",\"late\":%" PRIu64 ",\"garbage\":%" PRIu64
			",\"connected\":%" PRIu64 ",\"pending\":%" PRIu64,
			stats->up ? "true" : "false", stats->asked, stats->answered, stats->failed,
			stats->cancelled, stats->refused, stats->lost, stats->late, stats->garbage,
			stats->connected, stats->pending);
}

static void write_resource(struct buffer *buffer, const struct resource *resource)
{
	buffer_append_format(buffer, "\"%s\":{\"ready\":%s,", resource->name,
			resource->ready ? "true" : "false");
	if (resource->cache)
		write_cache(buffer, resource->cache);
	else if (resource->database)
		write_database(buffer, resource->database);
	else
		write_source(buffer, resource->source);
	buffer_append_char(buffer, '}');
}

static void write_resources(struct buffer *buffer, const char *title, enum driver_kind kind,
		const struct resources *resources)
{
	bool any = false;
	buffer_append_format(buffer, ",\"%s\":{", title);
	for (size_t i = 0; i < resources->count; i++) {
		if (resources->all[i]->driver->kind != kind)
			continue;
		if (any)
			buffer_append_char(buffer, ',');
		write_resource(buffer, resources->all[i]);
		any = true;
	}
	buffer_append_char(buffer, '}');
}

void stats_write(struct buffer *buffer, const struct engine *engine,
		const struct resources *resources, struct loop *loop, const struct feed *feed)
{
	engine_write_stats(engine, buffer);
	write_resources(buffer, "databases", DRIVER_DATABASE, resources);
	write_resources(buffer, "caches", DRIVER_CACHE, resources);
	write_resources(buffer, "sources", DRIVER_SOURCE, resources);
	feed_write_stats(feed, buffer);
	struct mallinfo2 heap = mallinfo2();
	buffer_append_format(buffer, ",\"lag_us\":%" PRIu64 ",\"dropped\":%" PRIu64 ",\"heap\":%zu",
			loop->lag_highest_ns / 1000, feed_dropped(feed),
			heap.uordblks + heap.hblkhd);
	loop->lag_highest_ns = 0;
}
