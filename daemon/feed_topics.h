/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The topics of the telemetry feed: how many events each has had, and whether anybody wants them. A
 * topic is wanted while a prefix of its name is subscribed to. What subscribers can make this hold
 * is bounded: beyond TOPICS_PREFIXES_MAX prefixes all topics count as wanted.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/text.h"

#define TOPICS_PREFIXES_MAX 256
#define TOPIC_PREFIX_MAX    96 /* `request.PIPELINE.STATUS` has at most 91 bytes */

struct topic {
	struct topic *next;
	struct text name;
	uint64_t seq; /* of the latest event */
	bool wanted;
};

struct topic_prefix {
	size_t size;
	char data[TOPIC_PREFIX_MAX];
};

struct topics {
	struct arena arena; /* of the topics and their names */
	struct topic *first;
	size_t prefix_count;
	size_t prefixes_missed; /* subscribed to, but not kept */
	struct topic_prefix prefixes[TOPICS_PREFIXES_MAX];
};

void topics_init(struct topics *topics);

/* Frees all topics. */
void topics_deinit(struct topics *topics);

/* Room for count topics in a row, which are none before topics_add(). NULL when memory is out. */
struct topic *topics_alloc(struct topics *topics, size_t count);

/* Makes topic one, by that name, which is borrowed for good. */
void topics_add(struct topics *topics, struct topic *topic, struct text name);

/* NULL: there is none of that name. */
struct topic *topics_find(const struct topics *topics, struct text name);

/* prefix has its first subscriber; has lost its last. */
void topics_subscribe(struct topics *topics, struct text prefix);
void topics_unsubscribe(struct topics *topics, struct text prefix);

/* Counts an event. True: somebody wants it. */
static inline bool topic_count(struct topic *topic)
{
	topic->seq++;
	return topic->wanted;
}
