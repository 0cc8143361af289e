/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory cache may evict whatever it likes, so an answer "nothing" is always right. Where a
 * newer value may have been evicted before an older run put its own, both are right.
 */
#include "tests/sim/checked_cache.h"

#include <stdlib.h>
#include <string.h>

#include "pipeline/base/blob.h"
#include "pipeline/base/list.h"

#define SLOTS 1024

struct put {
	uint64_t began;
	uint64_t expires;
	uint64_t let_go;   /* how many entries the cache had let go of by then */
	struct text value; /* absent: there is none */
};

/* What a key may give now: the latest put, and the one before where it can't be told. */
struct known {
	struct known *next;
	struct text key;
	struct put puts[2];
	size_t count;
};

struct checked_cache {
	struct cache cache;
	struct cache *inner;
	complain_fn complain;
	void *user;
	struct known *slots[SLOTS];
};

static struct checked_cache *checked_of(struct cache *cache)
{
	return container_of(cache, struct checked_cache, cache);
}

static struct known *find(struct checked_cache *self, uint64_t hash, struct text key)
{
	struct known *known = self->slots[hash % SLOTS];
	while (known && !text_equal(known->key, key))
		known = known->next;
	return known;
}

static struct text copy(struct text t)
{
	char *bytes = malloc(t.size + 1);
	if (bytes)
		memcpy(bytes, t.data, t.size);
	return (struct text){bytes, t.size};
}

static struct known *find_or_add(struct checked_cache *self, uint64_t hash, struct text key)
{
	struct known *known = find(self, hash, key);
	if (known)
		return known;
	known = calloc(1, sizeof(*known));
	if (!known)
		abort();
	known->key = copy(key);
	known->next = self->slots[hash % SLOTS];
	self->slots[hash % SLOTS] = known;
	return known;
}

static bool is_put(const struct put *put, struct text value, uint64_t now)
{
	bool same = put->value.data ? value.data && text_equal(put->value, value) : !value.data;
	return same && now < put->expires;
}

/* value absent: "there is none" was answered. */
static void check_found(struct checked_cache *self, uint64_t hash, struct text key, uint64_t now,
		struct text value)
{
	const struct known *known = find(self, hash, key);
	for (size_t i = 0; known && i < known->count; i++) {
		if (is_put(&known->puts[i], value, now))
			return;
	}
	self->complain(self->user, "a cache gave what is too old, was replaced, or was never put");
}

static enum cache_found get(struct cache *cache, uint64_t hash, struct text key, uint64_t now,
		struct blob **ret)
{
	struct checked_cache *self = checked_of(cache);
	enum cache_found found = self->inner->ops->get(self->inner, hash, key, now, ret);
	if (found == CACHE_VALUE)
		check_found(self, hash, key, now, blob_text(*ret));
	else if (found == CACHE_MISSING)
		check_found(self, hash, key, now, (struct text){NULL, 0});
	return found;
}

static uint64_t begin(struct cache *cache)
{
	struct cache *inner = checked_of(cache)->inner;
	return inner->ops->begin(inner);
}

static void forget(struct known *known)
{
	for (size_t i = 0; i < known->count; i++)
		free((char *)known->puts[i].value.data);
	known->count = 0;
}

/* let_go: as it was just before. */
static void remember(struct known *known, struct put put, uint64_t let_go)
{
	const struct put *latest = known->count > 0 ? &known->puts[0] : NULL;
	bool older = latest && put.began < latest->began;
	if (!older) {
		forget(known);
		known->puts[0] = put;
		known->count = 1;
	} else if (latest->let_go == let_go) {
		free((char *)put.value.data); /* the newer one is still there */
	} else {
		if (known->count == 2)
			free((char *)known->puts[1].value.data);
		known->puts[1] = put;
		known->count = 2;
	}
}

static uint64_t count_let_go(const struct cache *cache)
{
	return cache->stats.evicted + cache->stats.expired;
}

static void put(struct cache *cache, uint64_t hash, struct text key, struct blob *value,
		uint64_t began, uint64_t now, uint64_t ttl)
{
	struct checked_cache *self = checked_of(cache);
	struct cache *inner = self->inner;
	uint64_t let_go = count_let_go(inner);
	uint64_t passed_by = inner->stats.passed_by;
	inner->ops->put(inner, hash, key, value, began, now, ttl);
	if (inner->stats.bytes > inner->stats.bytes_max)
		self->complain(self->user, "a cache holds more bytes than it may");
	if (ttl == 0 || inner->stats.passed_by != passed_by)
		return;
	struct text bytes = value ? copy(blob_text(value)) : (struct text){NULL, 0};
	struct put latest = {began, now + ttl, count_let_go(inner), bytes};
	remember(find_or_add(self, hash, key), latest, let_go);
}

static void begin_read(struct cache *cache, uint64_t hash, unsigned nth)
{
	struct cache *inner = checked_of(cache)->inner;
	inner->ops->begin_read(inner, hash, nth);
}

static void free_checked(struct cache *cache)
{
	struct checked_cache *self = checked_of(cache);
	self->inner->ops->free(self->inner);
	for (size_t i = 0; i < SLOTS; i++) {
		for (struct known *known = self->slots[i], *next; known; known = next) {
			next = known->next;
			forget(known);
			free((char *)known->key.data);
			free(known);
		}
	}
	free(self);
}

struct cache *checked_cache_new(struct cache *inner, complain_fn complain, void *user)
{
	static const struct cache_ops ops = {.get = get,
			.begin = begin,
			.put = put,
			.free = free_checked,
			.begin_read = begin_read};
	struct checked_cache *self = calloc(1, sizeof(*self));
	if (!self) {
		inner->ops->free(inner);
		return NULL;
	}
	self->cache = (struct cache){.ops = &ops, .name = inner->name, .hash_key = inner->hash_key};
	self->inner = inner;
	self->complain = complain;
	self->user = user;
	return &self->cache;
}

const struct cache_stats *checked_cache_stats(const struct cache *cache)
{
	return &container_of(cache, const struct checked_cache, cache)->inner->stats;
}
