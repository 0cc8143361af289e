/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What costs is the formatting, so an event is counted first and written only where its topic is
 * wanted: for a request that nobody watches that is an index, an increment and a bool. The wall
 * clock is read only for what is written.
 *
 * A plain XPUB says when a prefix gets its first subscriber and when it loses its last, also when
 * that one has died; it drops what a slow subscriber has no room for and never makes the sender
 * wait (zmq_socket(3), ZMQ_XPUB). What a subscriber sends besides is passed over. One that is not
 * libzmq can take back a prefix that only others asked for, and nothing tells it apart: they then
 * miss events until it is asked for anew.
 */
#include "daemon/feed.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/feed_topics.h"
#include "pipeline/base/log.h"
#include "pipeline/loop/network.h"
#include "pipeline/loop/zsocket.h"
#include "pipeline/requests/record_feed.h"
#include "pipeline/requests/record_members.h"
#include "pipeline/stages/pipeline.h"
#include "pipeline/wire/status.h"

#define ENDPOINT_MAX 256
/* Subscriptions taken in one turn. */
#define BATCH 64
/* Events that one subscriber may be behind: the more, the older is what it reads. */
#define BEHIND_MAX 1000
/* A subscriber that sends more at once is cut off; no prefix worth having is as long. */
#define MESSAGE_MAX 4096
/* Who is silent that long is asked, and cut off if it stays so: else its prefixes stay wanted. */
#define HEARTBEAT_MS	     5000
#define HEARTBEAT_TIMEOUT_MS 15000
#define HANDSHAKE_MS	     3000
#define LINGER_MS	     500

struct feed {
	struct zsocket socket;
	struct topics topics;
	struct topic *unnamed; /* `request.-.STATUS`, by status */
	struct topic *stats;
	const struct record_feeds *feeds;
	struct buffer event; /* while it is written; keeps its memory */
	uint64_t boot;
	uint64_t dropped;
	char endpoint[ENDPOINT_MAX];
};

/* ---- subscriptions */

static void take_subscription(struct feed *feed, struct text message)
{
	if (message.size == 0)
		return;
	struct text prefix = {message.data + 1, message.size - 1};
	if (message.data[0] == 1)
		topics_subscribe(&feed->topics, prefix);
	else if (message.data[0] == 0)
		topics_unsubscribe(&feed->topics, prefix);
}

/* Each frame is a subscription of its own, so a turn may end between any two. */
static void on_readable(void *user, struct zsocket *socket)
{
	struct feed *feed = user;
	int error = 0;
	for (int i = 0; i < BATCH && error == 0; i++) {
		zmq_msg_t message;
		(void)zmq_msg_init(&message);
		error = zsocket_receive(socket, &message);
		if (error == 0)
			take_subscription(feed, (struct text){zmq_msg_data(&message),
								zmq_msg_size(&message)});
		(void)zmq_msg_close(&message);
	}
}

/* ---- from start to end */

static bool set_int(void *socket, int option, int value)
{
	return zmq_setsockopt(socket, option, &value, sizeof(value)) == 0;
}

static bool set_options(void *socket)
{
	const int64_t message_max = MESSAGE_MAX;
	return set_int(socket, ZMQ_SNDHWM, BEHIND_MAX) && set_int(socket, ZMQ_LINGER, LINGER_MS) &&
	       set_int(socket, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS) &&
	       set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS) &&
	       set_int(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) &&
	       zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &message_max, sizeof(message_max)) == 0;
}

static int bind_socket(struct feed *feed, void *socket, const char *endpoint)
{
	size_t size = sizeof(feed->endpoint);
	int error = set_options(socket) ? network_bind(socket, endpoint) : -zmq_errno();
	if (error == 0 && zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, feed->endpoint, &size) < 0)
		error = -zmq_errno();
	return error;
}

static int open_socket(struct feed *feed, struct loop *loop, void *zmq, const char *endpoint)
{
	void *socket = zmq_socket(zmq, ZMQ_XPUB);
	if (!socket)
		return -zmq_errno();
	int error = bind_socket(feed, socket, endpoint);
	if (error == 0)
		error = zsocket_init(&feed->socket, loop, socket, LOOP_PRIORITY_ANSWERS,
				on_readable, feed);
	if (error < 0)
		(void)zmq_close(socket);
	return error;
}

/* A topic that is there already goes on counting. NULL when memory is out. */
static struct topic *find_or_add(struct feed *feed, struct text name)
{
	struct topic *topic = topics_find(&feed->topics, name);
	if (topic)
		return topic;
	topic = topics_alloc(&feed->topics, 1);
	struct text kept = arena_copy(&feed->topics.arena, name);
	if (!topic || !kept.data)
		return NULL;
	topics_add(&feed->topics, topic, kept);
	return topic;
}

/* `request.NAME.STATUS` for each status: a row of topics, which may be there already. NULL when
 * memory is out. */
static struct topic *request_topics(struct feed *feed, struct text name)
{
	char first[TOPIC_PREFIX_MAX];
	int size = snprintf(first, sizeof(first), "request.%.*s.%.*s", TEXT_ARG(name),
			TEXT_ARG(status_text((enum status)0)));
	assert(size > 0 && (size_t)size < sizeof(first));
	struct topic *row = topics_find(&feed->topics, (struct text){first, (size_t)size});
	if (row)
		return row;
	row = topics_alloc(&feed->topics, STATUS_COUNT);
	for (int status = 0; row && status < STATUS_COUNT; status++) {
		struct text topic = arena_format(&feed->topics.arena, "request.%.*s.%.*s",
				TEXT_ARG(name), TEXT_ARG(status_text((enum status)status)));
		if (!topic.data)
			return NULL;
		topics_add(&feed->topics, &row[status], topic);
	}
	return row;
}

static int add_own_topics(struct feed *feed)
{
	feed->unnamed = request_topics(feed, TEXT("-"));
	feed->stats = find_or_add(feed, TEXT("stats"));
	return feed->unnamed && feed->stats ? 0 : -ENOMEM;
}

struct feed *feed_new(
		struct loop *loop, void *zmq, const char *endpoint, uint64_t boot, int *ret_error)
{
	struct feed *feed = calloc(1, sizeof(*feed));
	if (!feed) {
		*ret_error = -ENOMEM;
		return NULL;
	}
	feed->boot = boot;
	topics_init(&feed->topics);
	buffer_init(&feed->event);
	int error = add_own_topics(feed);
	if (error == 0)
		error = open_socket(feed, loop, zmq, endpoint);
	if (error == 0)
		return feed;
	feed_free(feed);
	*ret_error = error;
	return NULL;
}

void feed_free(struct feed *feed)
{
	if (!feed)
		return;
	zsocket_deinit(&feed->socket);
	buffer_deinit(&feed->event);
	topics_deinit(&feed->topics);
	free(feed);
}

const char *feed_endpoint(const struct feed *feed)
{
	return feed ? feed->endpoint : NULL;
}

static int add_feeds(struct feed *feed, struct record_feeds *feeds)
{
	for (size_t i = 0; i < feeds->count; i++) {
		feeds->all[i].user = find_or_add(feed, feeds->all[i].topic);
		if (!feeds->all[i].user)
			return -ENOMEM;
	}
	feed->feeds = feeds;
	return 0;
}

int feed_use(struct feed *feed, struct pipelines *pipelines, struct record_feeds *feeds)
{
	if (!feed)
		return 0;
	for (size_t i = 0; i < pipelines->count; i++) {
		struct pipeline *pipeline = &pipelines->all[i];
		pipeline->observer = request_topics(feed, pipeline->name);
		if (!pipeline->observer)
			return -ENOMEM;
	}
	return add_feeds(feed, feeds);
}

/* ---- events */

static uint64_t wall_clock_us(void)
{
	struct timespec now;
	int result = clock_gettime(CLOCK_REALTIME, &now);
	assert(result == 0);
	(void)result;
	return (uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U;
}

/* Begins an event: what all have in common. Returns where its own members go, each with a comma
 * before it. */
static struct buffer *begin(struct feed *feed, const struct topic *topic)
{
	buffer_clear(&feed->event);
	buffer_append_format(&feed->event,
			"{\"seq\":%" PRIu64 ",\"boot\":\"%016" PRIx64 "\",\"t\":%" PRIu64,
			topic->seq, feed->boot, wall_clock_us());
	return &feed->event;
}

static void publish(struct feed *feed, const struct topic *topic)
{
	buffer_append_char(&feed->event, '}');
	struct text event = buffer_text(&feed->event);
	struct text name = topic->name;
	if (!event.data ||
			zsocket_send_bytes(&feed->socket, name.data, name.size, ZMQ_SNDMORE) < 0 ||
			zsocket_send_bytes(&feed->socket, event.data, event.size, 0) < 0)
		feed->dropped++;
}

static void publish_record(
		struct feed *feed, const struct topic *topic, const struct record *record)
{
	struct buffer *buffer = begin(feed, topic);
	for (const struct record_member *member = record_members; member->name; member++)
		record_member_write(member, buffer, record);
	publish(feed, topic);
}

static void tell(void *user, const struct feed_event *event)
{
	struct feed *feed = user;
	struct topic *topic = event->feed->user;
	if (!topic_count(topic))
		return;
	feed_event_write(event, begin(feed, topic));
	publish(feed, topic);
}

void feed_request(struct feed *feed, const struct record *record)
{
	if (!feed)
		return;
	struct topic *row = record->pipeline ? record->pipeline->observer : feed->unnamed;
	struct topic *topic = &row[record->status];
	if (topic_count(topic))
		publish_record(feed, topic, record);
	if (feed->feeds)
		record_feeds_see(feed->feeds, record, tell, feed);
}

/* Events of the daemon are rare, and their names few and our own. NULL when memory is out. */
static struct topic *daemon_topic(struct feed *feed, const char *event)
{
	char name[TOPIC_PREFIX_MAX];
	int size = snprintf(name, sizeof(name), "daemon.%s", event);
	assert(size > 0 && (size_t)size < sizeof(name));
	return find_or_add(feed, (struct text){name, (size_t)size});
}

/* Counts an event of the daemon. NULL: it is not to be written. */
static struct topic *count_daemon(struct feed *feed, const char *event)
{
	if (!feed)
		return NULL;
	struct topic *topic = daemon_topic(feed, event);
	if (!topic)
		feed->dropped++;
	return topic && topic_count(topic) ? topic : NULL;
}

void feed_daemon(struct feed *feed, const char *event, const struct log_field *fields)
{
	struct topic *topic = count_daemon(feed, event);
	if (!topic)
		return;
	struct buffer *buffer = begin(feed, topic);
	for (; fields->key; fields++) {
		buffer_append_format(buffer, ",\"%s\":", fields->key);
		buffer_append_json_string(buffer, fields->value);
	}
	publish(feed, topic);
}

static void publish_members(struct feed *feed, const struct topic *topic, struct text members)
{
	struct buffer *buffer = begin(feed, topic);
	if (members.size > 0)
		buffer_append_char(buffer, ',');
	buffer_append(buffer, members);
	publish(feed, topic);
}

void feed_daemon_members(struct feed *feed, const char *event, struct text members)
{
	struct topic *topic = count_daemon(feed, event);
	if (topic)
		publish_members(feed, topic, members);
}

bool feed_wants_stats(const struct feed *feed)
{
	return feed && feed->stats->wanted;
}

void feed_stats(struct feed *feed, struct text members)
{
	if (!feed || !topic_count(feed->stats))
		return;
	if (members.data)
		publish_members(feed, feed->stats, members);
	else
		feed->dropped++;
}

void feed_write_stats(const struct feed *feed, struct buffer *buffer)
{
	buffer_append(buffer, TEXT(",\"feeds\":{"));
	if (feed && feed->feeds)
		record_feeds_write_stats(feed->feeds, buffer);
	buffer_append_char(buffer, '}');
}

uint64_t feed_dropped(const struct feed *feed)
{
	return feed ? feed->dropped : 0;
}
