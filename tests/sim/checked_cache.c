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
	uint64_t fresh_until; /* absolute, as are those that follow */
	uint64_t refresh_from;
	uint64_t stale_until;
	uint64_t usable_until;
	uint64_t let_go;   /* how many entries the cache had let go of by then */
	struct text value; /* absent: there is none */
};

/* What a key may give now: the latest put, and the one before where it can't be told. */
struct known {
	struct known *next;
	struct text key;
	struct put puts[2];
	size_t count;
	uint64_t purged; /* runs that began up to it store nothing here */
};

struct checked_cache {
	struct cache cache;
	struct cache *inner;
	complain_fn complain;
	looked_fn looked;
	void *user;
	struct known *slots[SLOTS];
	uint64_t swept; /* runs that began up to it store nothing at all */
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

/* What is to be said of such a value at such a time. */
static enum cache_found judge(const struct put *put, uint64_t now)
{
	if (now >= put->usable_until)
		return CACHE_NONE;
	if (!put->value.data)
		return CACHE_MISSING;
	if (now < put->fresh_until)
		return now < put->refresh_from ? CACHE_VALUE : CACHE_EARLY;
	if (now < put->refresh_from)
		return CACHE_THROTTLED;
	return now < put->stale_until ? CACHE_STALE : CACHE_OLD;
}

static bool is_put(const struct put *put, struct text value)
{
	return put->value.data ? value.data && text_equal(put->value, value) : !value.data;
}

/* value absent: "there is none" was answered. */
static void check_found(struct checked_cache *self, const struct known *known, uint64_t now,
		enum cache_found found, struct text value)
{
	const char *complaint = "a cache gave what was replaced, was purged, or was never put";
	for (size_t i = 0; known && i < known->count; i++) {
		if (!is_put(&known->puts[i], value))
			continue;
		if (judge(&known->puts[i], now) == found)
			return;
		complaint = "a cache said a wrong age of what it gave";
	}
	self->complain(self->user, complaint);
}

static enum cache_found get(struct cache *cache, uint64_t hash, struct text key, uint64_t now,
		struct blob **ret)
{
	struct checked_cache *self = checked_of(cache);
	enum cache_found found = self->inner->ops->get(self->inner, hash, key, now, ret);
	struct text value = {NULL, 0};
	self->looked(self->user, found != CACHE_NONE);
	if (found == CACHE_NONE)
		return found;
	if (found != CACHE_MISSING)
		value = blob_text(*ret);
	check_found(self, find(self, hash, key), now, found, value);
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
static void remember(
		struct checked_cache *self, struct known *known, struct put put, uint64_t let_go)
{
	const struct put *latest = known->count > 0 ? &known->puts[0] : NULL;
	if (put.began <= known->purged || put.began <= self->swept)
		self->complain(self->user, "a run that began before a purge stored its value");
	if (!latest || put.began > latest->began) {
		forget(known);
		known->puts[0] = put;
		known->count = 1;
		return;
	}
	if (latest->let_go == let_go)
		self->complain(self->user, "an older run put its value over a newer one");
	if (known->count == 2)
		free((char *)known->puts[1].value.data);
	known->puts[1] = put;
	known->count = 2;
}

static uint64_t count_let_go(const struct cache *cache)
{
	return cache->stats.evicted + cache->stats.expired + cache->stats.outdated;
}

static struct put put_of(struct blob *value, uint64_t began, uint64_t now,
		const struct cache_ages *ages, uint64_t let_go)
{
	uint64_t stale_until = now + ages->ttl + (value ? ages->stale : 0);
	return (struct put){
			.began = began,
			.fresh_until = now + ages->ttl,
			.refresh_from = now + ages->refresh_at,
			.stale_until = stale_until,
			.usable_until = stale_until + (value ? ages->stale_if_error : 0),
			.let_go = let_go,
			.value = value ? copy(blob_text(value)) : (struct text){NULL, 0},
	};
}

static void put(struct cache *cache, uint64_t hash, struct text key, struct blob *value,
		uint64_t began, uint64_t now, const struct cache_ages *ages)
{
	struct checked_cache *self = checked_of(cache);
	struct cache *inner = self->inner;
	struct cache_stats before = inner->stats;
	uint64_t let_go = count_let_go(inner);
	inner->ops->put(inner, hash, key, value, began, now, ages);
	if (inner->stats.bytes > inner->stats.bytes_max)
		self->complain(self->user, "a cache holds more bytes than it may");
	struct known *known = find_or_add(self, hash, key);
	if (inner->stats.stored != before.stored)
		remember(self, known, put_of(value, began, now, ages, count_let_go(inner)), let_go);
	else if (inner->stats.passed_by != before.passed_by ||
			inner->stats.outdated != before.outdated)
		forget(known);
}

static void hold_off(
		struct cache *cache, uint64_t hash, struct text key, uint64_t began, uint64_t until)
{
	struct checked_cache *self = checked_of(cache);
	struct known *known = find(self, hash, key);
	self->inner->ops->hold_off(self->inner, hash, key, began, until);
	for (size_t i = 0; known && i < known->count; i++) {
		struct put *put = &known->puts[i];
		if (put->began < began && put->refresh_from < until)
			put->refresh_from = until;
	}
}

static void purge(struct cache *cache, uint64_t hash, struct text key)
{
	struct checked_cache *self = checked_of(cache);
	struct known *known = find_or_add(self, hash, key);
	known->purged = begin(cache);
	forget(known);
	self->inner->ops->purge(self->inner, hash, key);
}

static bool begins_with(struct text text, struct text prefix)
{
	return text.size >= prefix.size && memcmp(text.data, prefix.data, prefix.size) == 0;
}

static bool purge_some(struct cache *cache, struct cache_purge *purge)
{
	struct checked_cache *self = checked_of(cache);
	if (purge->began == 0)
		self->swept = begin(cache);
	if (!self->inner->ops->purge_some(self->inner, purge))
		return false;
	for (size_t i = 0; i < SLOTS; i++) {
		for (struct known *known = self->slots[i]; known; known = known->next) {
			if (begins_with(known->key, purge->prefix) && known->count > 0 &&
					known->puts[0].began < purge->began)
				forget(known);
		}
	}
	return true;
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

struct cache *checked_cache_new(
		struct cache *inner, complain_fn complain, looked_fn looked, void *user)
{
	static const struct cache_ops ops = {.get = get,
			.begin = begin,
			.put = put,
			.hold_off = hold_off,
			.purge = purge,
			.purge_some = purge_some,
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
	self->looked = looked;
	self->user = user;
	return &self->cache;
}

const struct cache_stats *checked_cache_stats(const struct cache *cache)
{
	return &container_of(cache, const struct checked_cache, cache)->inner->stats;
}
