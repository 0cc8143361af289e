/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers are cumulative or as they are; nothing is reset but the loop's lag, which is the longest
 * turn since the last `stats`.
 */
#include "daemon/stats.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/feed.h"
#include "daemon/state.h"
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
	const uint64_t *quantiles = source->latency.quantiles;
	buffer_append_format(buffer,
			",\"us\":{\"p50\":%" PRIu64 ",\"p95\":%" PRIu64 ",\"p99\":%" PRIu64
			"},\"breaker\":\"%s\",\"opened\":%" PRIu64 ",\"spare\":%" PRIu32,
			quantiles[P50] / 1000, quantiles[P95] / 1000, quantiles[P99] / 1000,
			breaker_state_name(source->breaker.state), source->breaker.opened,
			retry_budget_tokens(&source->spare));
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
		const struct resource *resource = resources->all[i]->resource;
		if (resource->driver->kind != kind)
			continue;
		if (any)
			buffer_append_char(buffer, ',');
		write_resource(buffer, resource);
		any = true;
	}
	buffer_append_char(buffer, '}');
}

static size_t count_generations(const struct daemon *daemon)
{
	size_t count = 0;
	for (const struct link *at = daemon->builds.next; at != &daemon->builds; at = at->next)
		count++;
	return count - (daemon->next != NULL);
}

/*
 * 0: it can't be read. What is allocated, mallinfo2(3) would say, and count all that is free for
 * it, piece by piece: 45 ms beside 256 MiB of cached values, in which nobody is answered.
 */
static uint64_t resident_bytes(void)
{
	char pages[128] = ""; /* in all, resident, and more (proc(5)) */
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t size = read(fd, pages, sizeof(pages) - 1);
	(void)close(fd);
	const char *resident = size > 0 ? strchr(pages, ' ') : NULL;
	return resident ? strtoull(resident, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static void write_all(struct buffer *buffer, struct daemon *daemon)
{
	const struct resources *resources = &daemon->current->resources;
	engine_write_stats(daemon->engine, buffer);
	write_resources(buffer, "databases", DRIVER_DATABASE, resources);
	write_resources(buffer, "caches", DRIVER_CACHE, resources);
	write_resources(buffer, "sources", DRIVER_SOURCE, resources);
	feed_write_stats(daemon->feed, buffer);
	buffer_append_format(buffer,
			",\"generation\":%" PRIu64 ",\"generations\":%zu,\"lag_us\":%" PRIu64
			",\"dropped\":%" PRIu64 ",\"resident\":%" PRIu64,
			daemon->current->generation.number, count_generations(daemon),
			daemon->loop.lag_highest_ns / 1000, feed_dropped(daemon->feed),
			resident_bytes());
	daemon->loop.lag_highest_ns = 0;
}

static void on_time(void *user)
{
	struct daemon *daemon = user;
	struct text members = {NULL, 0};
	struct buffer buffer;
	buffer_init(&buffer);
	if (feed_wants_stats(daemon->feed)) {
		write_all(&buffer, daemon);
		members = buffer_text(&buffer);
	}
	feed_stats(daemon->feed, members);
	buffer_deinit(&buffer);
}

int stats_every(struct daemon *daemon, uint64_t period_ns)
{
	sd_event_source *timer = NULL;
	if (!daemon->feed)
		return 0;
	int r = loop_every(
			&daemon->loop, period_ns, LOOP_PRIORITY_ANSWERS, on_time, daemon, &timer);
	if (r < 0)
		return r;
	daemon->stats_timer = sd_event_source_disable_unref(daemon->stats_timer);
	daemon->stats_timer = timer;
	return 0;
}
