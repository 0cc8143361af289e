/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a topic is wanted is worked out when subscriptions change, which is seldom, so that an
 * event asks one bool. Prefixes lie in a table of fixed size: no subscriber can make it grow, and
 * no memory is needed to take note of one.
 */
#include "daemon/feed_topics.h"

static struct text prefix_text(const struct topic_prefix *prefix)
{
	return (struct text){prefix->data, prefix->size};
}

static bool is_wanted(const struct topics *topics, struct text name)
{
	if (topics->prefixes_missed > 0)
		return true;
	for (size_t i = 0; i < topics->prefix_count; i++) {
		if (text_begins_with(name, prefix_text(&topics->prefixes[i])))
			return true;
	}
	return false;
}

/* Looks anew at the topics whose names begin with prefix. */
static void look_again(struct topics *topics, struct text prefix)
{
	for (struct topic *topic = topics->first; topic; topic = topic->next) {
		if (text_begins_with(topic->name, prefix))
			topic->wanted = is_wanted(topics, topic->name);
	}
}

void topics_init(struct topics *topics)
{
	arena_init(&topics->arena, NULL);
	topics->first = NULL;
	topics->prefix_count = 0;
	topics->prefixes_missed = 0;
}

void topics_deinit(struct topics *topics)
{
	arena_deinit(&topics->arena);
}

struct topic *topics_alloc(struct topics *topics, size_t count)
{
	return arena_zalloc(&topics->arena, count * sizeof(struct topic));
}

void topics_add(struct topics *topics, struct topic *topic, struct text name)
{
	*topic = (struct topic){topics->first, name, 0, is_wanted(topics, name)};
	topics->first = topic;
}

struct topic *topics_find(const struct topics *topics, struct text name)
{
	struct topic *topic = topics->first;
	while (topic && !text_equal(topic->name, name))
		topic = topic->next;
	return topic;
}

void topics_subscribe(struct topics *topics, struct text prefix)
{
	if (prefix.size > TOPIC_PREFIX_MAX)
		return; /* No topic's name is as long. */
	if (topics->prefix_count == TOPICS_PREFIXES_MAX) {
		topics->prefixes_missed++;
		look_again(topics, TEXT(""));
		return;
	}
	struct topic_prefix *kept = &topics->prefixes[topics->prefix_count++];
	kept->size = prefix.size;
	if (prefix.size > 0)
		memcpy(kept->data, prefix.data, prefix.size);
	look_again(topics, prefix);
}

void topics_unsubscribe(struct topics *topics, struct text prefix)
{
	for (size_t i = 0; i < topics->prefix_count; i++) {
		if (!text_equal(prefix_text(&topics->prefixes[i]), prefix))
			continue;
		topics->prefixes[i] = topics->prefixes[--topics->prefix_count];
		look_again(topics, prefix);
		return;
	}
	if (topics->prefixes_missed > 0 && prefix.size <= TOPIC_PREFIX_MAX &&
			--topics->prefixes_missed == 0)
		look_again(topics, TEXT(""));
}
