/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a reload has changed, told from what the two configurations say; in words for a log, as a
 * JSON array for the feed.
 */
#include "daemon/receipt.h"

#include <string.h>

#include "daemon/config.h"

/* Where the changes go, one after another. */
struct receipt {
	struct buffer *buffer;
	bool json;
	size_t count;
};

static void say(struct receipt *receipt, const char *kind, struct text name, const char *how)
{
	if (receipt->count++ > 0)
		buffer_append(receipt->buffer, receipt->json ? TEXT(",") : TEXT(", "));
	/* Names are words, so there is nothing to escape. */
	buffer_append_format(receipt->buffer, "%s%s%s%.*s %s%s", receipt->json ? "\"" : "", kind,
			name.size > 0 ? " " : "", TEXT_ARG(name), how, receipt->json ? "\"" : "");
}

static const struct option_value *find(const struct option_map *map, struct text name)
{
	return map ? option_find(map, name) : NULL;
}

static void compare(struct receipt *receipt, const char *kind, const struct option_map *before,
		const struct option_map *after)
{
	for (size_t i = 0; before && i < before->count; i++) {
		if (!find(after, before->values[i].name))
			say(receipt, kind, before->values[i].name, "removed");
	}
	for (size_t i = 0; after && i < after->count; i++) {
		const struct option_value *value = &after->values[i];
		const struct option_value *old = find(before, value->name);
		if (!old)
			say(receipt, kind, value->name, "added");
		else if (old->variant != value->variant || !option_value_equal(old, value))
			say(receipt, kind, value->name, "changed");
	}
}

static bool same_limits(const struct engine_limits *a, const struct engine_limits *b)
{
	return a->in_flight == b->in_flight && a->in_flight_min == b->in_flight_min &&
	       a->per_client == b->per_client && a->bytes == b->bytes &&
	       a->deadline == b->deadline && a->max_deadline == b->max_deadline &&
	       a->client_stall == b->client_stall && a->json.bytes == b->json.bytes &&
	       a->json.depth == b->json.depth && a->json.values == b->json.values;
}

static void compare_all(
		struct receipt *receipt, const struct config *before, const struct config *after)
{
	struct text none = TEXT("");
	compare(receipt, "database", before->databases, after->databases);
	compare(receipt, "cache", before->caches, after->caches);
	compare(receipt, "source", before->sources, after->sources);
	compare(receipt, "pipeline", before->pipelines, after->pipelines);
	compare(receipt, "feed", before->feeds, after->feeds);
	if (!same_limits(&before->limits, &after->limits))
		say(receipt, "limits", none, "changed");
	if (before->publish_every != after->publish_every)
		say(receipt, "telemetry", none, "changed");
	if (before->drain != after->drain)
		say(receipt, "drain", none, "changed");
	if (before->start_timeout != after->start_timeout)
		say(receipt, "start_timeout", none, "changed");
}

void receipt_append_json(
		struct buffer *buffer, const struct config *before, const struct config *after)
{
	struct receipt receipt = {.buffer = buffer, .json = true};
	compare_all(&receipt, before, after);
}

void receipt_append_words(
		struct buffer *buffer, const struct config *before, const struct config *after)
{
	struct receipt receipt = {.buffer = buffer};
	compare_all(&receipt, before, after);
	if (receipt.count == 0)
		buffer_append(buffer, TEXT("nothing"));
}
