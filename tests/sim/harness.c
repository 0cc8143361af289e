/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transport that keeps its promises: a reply that was taken is its own, one that was refused
 * stays the engine's, and each is given back exactly once.
 */
#include "tests/sim/harness.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/stages/stage.h"

struct parcel {
	struct reply reply;
	struct peer *peer;
	char bytes[];
};

/* A large reply is counted until it has been read. */
static size_t cost_of(size_t size)
{
	return size < REPLY_LARGE ? 0 : size;
}

static struct reply *reserve(void *user, void *connection, size_t size)
{
	struct harness *harness = user;
	if (harness->before_reply)
		harness->before_reply();
	struct parcel *parcel = harness->out_of_memory ? NULL : malloc(sizeof(*parcel) + size);
	if (!parcel)
		return NULL;
	parcel->reply = (struct reply){parcel->bytes, size};
	parcel->peer = connection;
	harness->reserved++;
	account_charge(engine_account(harness->engine), cost_of(size));
	return &parcel->reply;
}

static void give_back(struct harness *harness, struct reply *reply)
{
	harness->reserved--;
	free(container_of(reply, struct parcel, reply));
}

static void discard(void *user, struct reply *reply)
{
	struct harness *harness = user;
	const struct watch *watch = harness->world.watch;
	if (watch && watch->reply_discarded)
		watch->reply_discarded(watch->user, container_of(reply, struct parcel, reply)->peer,
				(struct text){reply->data, reply->size});
	account_release(engine_account(harness->engine), cost_of(reply->size));
	give_back(harness, reply);
}

static void keep(struct peer *peer, struct text envelope, struct text reply)
{
	if (envelope.size > 0)
		buffer_append_format(&peer->replies, "[%.*s] ", TEXT_ARG(envelope));
	buffer_append(&peer->replies, reply);
	buffer_append_char(&peer->replies, '\0');
	peer->size = reply.size;
}

static void forget_unread(struct peer *peer)
{
	account_release(engine_account(peer->harness->engine), peer->unread);
	peer->unread = 0;
}

/* The engine is told of it later, as a real transport's other thread would. */
static void on_reading(struct task *task)
{
	struct harness *harness = container_of(task, struct harness, reading);
	const struct watch *watch = harness->world.watch;
	for (size_t i = 0; i < harness->peer_count; i++) {
		struct peer *peer = &harness->peers[i];
		size_t size = peer->unread;
		if (peer->hoards || size == 0)
			continue;
		forget_unread(peer);
		if (!peer->client)
			continue;
		if (watch && watch->peer_read)
			watch->peer_read(watch->user, peer);
		engine_returned(harness->engine, client_number(peer->client), size);
	}
}

static void read_later(struct harness *harness)
{
	if (!task_queued(&harness->reading))
		runner_add(&harness->world.async.runner, &harness->reading);
}

static void take(struct harness *harness, struct peer *peer, const struct reply *reply)
{
	peer->room -= peer->room != ROOM_FOR_ALL;
	if (cost_of(reply->size) == 0)
		return;
	peer->unread += reply->size;
	read_later(harness);
}

static enum sent send_reply(void *user, void *connection, struct text envelope, struct reply *reply)
{
	struct peer *peer = connection;
	const struct watch *watch = peer->harness->world.watch;
	struct text text = {reply->data, reply->size};
	if (!peer->gone && peer->room == 0) {
		if (watch && watch->reply_refused)
			watch->reply_refused(watch->user, peer, envelope, text);
		return SENT_FULL;
	}
	if (peer->gone && watch && watch->reply_gone)
		watch->reply_gone(watch->user, peer, envelope, text);
	if (!peer->gone) {
		take(user, peer, reply);
		if (watch && watch->reply_taken)
			watch->reply_taken(watch->user, peer, envelope, text);
		else
			keep(peer, envelope, text);
	} else {
		account_release(engine_account(peer->harness->engine), cost_of(reply->size));
	}
	give_back(user, reply);
	return peer->gone ? SENT_GONE : SENT_TAKEN;
}

static void write_stage(void *user, const struct stage_frame *frame, uint64_t flight)
{
	struct buffer *buffer = user;
	struct text status = TEXT("-");
	uint64_t took = 0;
	if (frame->frame.state == FRAME_ENDED) {
		status = status_text(frame->frame.outcome.status);
		took = frame->frame.ended - frame->started;
	}
	buffer_append_format(buffer, "\n%.*s %.*s us=%" PRIu64, TEXT_ARG(frame->stage->path),
			TEXT_ARG(status), took / 1000);
	if (flight)
		buffer_append_format(buffer, " flight=%" PRIu64, flight);
}

static void on_feed(void *user, const struct feed_event *event)
{
	struct harness *harness = user;
	const struct watch *watch = harness->world.watch;
	if (watch && watch->feed_told) {
		watch->feed_told(watch->user, event);
		return;
	}
	buffer_append(&harness->told, event->feed->topic);
	feed_event_write(event, &harness->told);
	buffer_append_char(&harness->told, '\n');
}

static void write_record(struct buffer *buffer, const struct record *record)
{
	buffer_clear(buffer);
	buffer_append(buffer, record->pipeline ? record->pipeline->name : TEXT("-"));
	buffer_append_char(buffer, ' ');
	buffer_append(buffer, status_text(record->status));
	if (record->reason != REASON_NONE)
		buffer_append_format(buffer, " %s", reason_name(record->reason));
	struct text id = record->id.data ? record->id : TEXT("-");
	buffer_append_format(buffer, " id=%.*s client=%" PRIu64 " us=%" PRIu64 " in=%zu out=%zu",
			TEXT_ARG(id), record->client, record->us, record->bytes_in,
			record->bytes_out);
	if (record->trace.data)
		buffer_append_format(buffer, " trace=%.*s", TEXT_ARG(record->trace));
	if (record->run)
		pipeline_visit(record->pipeline, record->run->root, write_stage, buffer);
}

static void observe(void *user, const struct record *record)
{
	struct harness *harness = user;
	const struct watch *watch = harness->world.watch;
	harness->observed++;
	if (watch && watch->request_ended)
		watch->request_ended(watch->user, record);
	else
		write_record(&harness->record, record);
	record_feeds_see(harness->feeds, record, on_feed, harness);
}

static void stalled(void *user, void *connection, uint64_t client)
{
	struct peer *peer = connection;
	const struct watch *watch = peer->harness->world.watch;
	peer->client = NULL;
	peer->stalled = true;
	forget_unread(peer);
	if (watch && watch->peer_stalled)
		watch->peer_stalled(watch->user, peer);
}

/* Where the configuration gives a limit, it replaces the harness's own. */
static void read_limits(struct engine_limits *limits, const struct option_map *map)
{
	const struct {
		const char *key;
		uint64_t *number;
	} numbers[] = {
			{"in_flight", &limits->in_flight},
			{"in_flight_min", &limits->in_flight_min},
			{"per_client", &limits->per_client},
			{"bytes", &limits->bytes},
			{"deadline", &limits->deadline},
			{"max_deadline", &limits->max_deadline},
			{"client_stall", &limits->client_stall},
	};
	const struct option_value *value;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		value = option_get(map, numbers[i].key);
		if (value->given)
			*numbers[i].number = value->number;
	}
	value = option_get(map, "message");
	if (value->given)
		limits->json.bytes = (uint32_t)value->number;
	value = option_get(map, "values");
	if (value->given)
		limits->json.values = (uint32_t)value->number;
	value = option_get(map, "depth");
	if (value->given)
		limits->json.depth = (uint32_t)value->number;
}

void harness_init(struct harness *harness)
{
	*harness = (struct harness){.limits = {
						    .in_flight = 10000,
						    .per_client = 1000,
						    .bytes = 256 * 1024 * 1024,
						    .deadline = 1000 * WORLD_MS,
						    .max_deadline = 30000 * WORLD_MS,
						    .client_stall = 5000 * WORLD_MS,
						    .json = {.bytes = 1024 * 1024,
								    .depth = 32,
								    .values = 10000},
				    }};
	harness->reading = (struct task){NULL, on_reading};
	world_init_clock(&harness->world);
	buffer_init(&harness->record);
	buffer_init(&harness->told);
}

static bool load_feeds(struct loaded *loaded, struct arena *arena, struct diag *diag)
{
	const struct option_map *telemetry = option_get(loaded->configuration, "telemetry")->map;
	loaded->more = record_feeds_compile(option_get(telemetry, "feeds")->map,
			option_get(loaded->configuration, "pipelines")->map,
			&loaded->world->async.random, arena, diag);
	return loaded->more && diag->errors == 0;
}

static void unload_feeds(struct loaded *loaded)
{
	record_feeds_close(loaded->more);
}

/* From here on what is sent runs in what was loaded. */
static void use(struct harness *harness, struct loaded *loaded)
{
	harness->feeds = loaded->more;
	record_feeds_attach(harness->feeds, loaded->generation.pipelines);
	engine_use(harness->engine, &loaded->generation);
}

bool harness_load(struct harness *harness, const char *yaml)
{
	struct world *world = &harness->world;
	const struct engine_ops ops = {
			reserve, send_reply, discard, harness, observe, stalled, harness};
	world->feeds = record_feed_options;
	world->load_more = load_feeds;
	world->unload_more = unload_feeds;
	if (!world_read(world, yaml))
		return false;
	read_limits(&harness->limits, option_get(world->configuration, "limits")->map);
	world->limits = harness->limits.json;
	world->max_deadline = harness->limits.max_deadline;
	world->waiters_max = harness->limits.in_flight;
	harness->engine = engine_new(&world->async, &harness->limits, &ops, NULL);
	if (!harness->engine ||
			!world_init(world, engine_account(harness->engine),
					engine_arenas(harness->engine)) ||
			!world_compile(world))
		return false;
	use(harness, world->loaded);
	return true;
}

bool harness_reload(struct harness *harness, const char *yaml)
{
	struct world *world = &harness->world;
	struct engine_limits limits = harness->limits;
	const struct pipelines *before = world->loaded->generation.pipelines;
	struct loaded *loaded = world_load_beside(world, yaml);
	if (!loaded)
		return false;
	read_limits(&limits, option_get(loaded->configuration, "limits")->map);
	pipelines_inherit(loaded->generation.pipelines, before);
	record_feeds_inherit(loaded->more, harness->feeds);
	engine_limit(harness->engine, &limits);
	use(harness, loaded);
	return true;
}

struct peer *harness_connect(struct harness *harness)
{
	if (harness->peer_count == PEERS_MAX)
		return NULL;
	struct peer *peer = &harness->peers[harness->peer_count++];
	*peer = (struct peer){.harness = harness, .room = ROOM_FOR_ALL};
	buffer_init(&peer->replies);
	peer->client = client_open(harness->engine, peer);
	return peer;
}

/* Copied to where it ends exactly, so that a byte too many that is read or kept shows. */
static char *copy(struct text t)
{
	char *bytes = malloc(t.size);
	if (bytes && t.size > 0)
		memcpy(bytes, t.data, t.size);
	return bytes;
}

void peer_send_text(struct peer *peer, struct text envelope, struct text message, uint64_t received)
{
	struct async *async = &peer->harness->world.async;
	char *envelope_bytes = copy(envelope);
	char *message_bytes = copy(message);
	async_enter(async, async->now);
	engine_receive(peer->harness->engine, peer->client,
			(struct text){envelope_bytes, envelope.size},
			(struct text){message_bytes, message.size}, received);
	free(envelope_bytes);
	free(message_bytes);
}

void peer_send_in(struct peer *peer, const char *envelope, const char *message)
{
	peer_send_text(peer, text_of(envelope), text_of(message), peer->harness->world.async.now);
}

void peer_send(struct peer *peer, const char *message)
{
	peer_send_in(peer, "", message);
}

/* Takes ` KEY=DIGITS` out of the header that text begins with, and gives the digits' value. */
static uint64_t cut_key(char *text, const char *key, const char *instead)
{
	char *at = strstr(text, key);
	size_t header = strcspn(text, "\n");
	if (!at || (size_t)(at - text) > header)
		return 0;
	char *end;
	uint64_t value = strtoull(at + strlen(key), &end, 10);
	size_t size = strlen(instead);
	memmove(at + size, end, strlen(end) + 1);
	memcpy(at, instead, size);
	return value;
}

const char *peer_take(struct peer *peer)
{
	(void)world_turn(&peer->harness->world);
	if (peer->replies.failed || peer->taken == peer->replies.size)
		return "";
	char *reply = peer->replies.data + peer->taken;
	peer->taken += strlen(reply) + 1;
	(void)cut_key(reply, " us=", "");
	peer->retry_ms = cut_key(reply, " retry_ms=", " retry_ms=*");
	return reply;
}

void peer_read(struct peer *peer)
{
	peer->hoards = false;
	read_later(peer->harness);
	(void)world_turn(&peer->harness->world);
}

void peer_leave(struct peer *peer)
{
	struct async *async = &peer->harness->world.async;
	if (!peer->client)
		return;
	async_enter(async, async->now);
	client_gone(peer->client);
	peer->client = NULL;
	forget_unread(peer);
}

void harness_flush(struct harness *harness)
{
	async_enter(&harness->world.async, harness->world.async.now);
	engine_flush(harness->engine);
}

const char *harness_record(struct harness *harness)
{
	(void)world_turn(&harness->world);
	buffer_append_char(&harness->record, '\0');
	return buffer_text(&harness->record).data;
}

const char *harness_told(struct harness *harness)
{
	static char told[65536];
	struct text text = buffer_text(&harness->told);
	(void)snprintf(told, sizeof(told), "%.*s", TEXT_ARG(text));
	buffer_clear(&harness->told);
	return told;
}

static bool holds(bool condition, const char *what)
{
	if (!condition)
		(void)fprintf(stderr, "%s\n", what);
	return condition;
}

static bool engine_is_clean(const struct harness *harness)
{
	const struct engine_counts *counts = engine_counts(harness->engine);
	bool clean = holds(engine_idle(harness->engine), "a request is left");
	clean &= holds(counts->outboxes == 0 && counts->clients == 0,
			"an outbox or a client is left");
	clean &= holds(counts->read == counts->answered + counts->gone + counts->undelivered,
			"what was read is not what was answered, gone or undelivered");
	clean &= holds(engine_account(harness->engine)->used == 0,
			"the engine's account is not empty");
	clean &= holds(harness->reserved == 0, "a reply was neither sent nor given back");
	return clean;
}

bool harness_deinit(struct harness *harness)
{
	for (size_t i = 0; i < harness->peer_count; i++) {
		peer_leave(&harness->peers[i]);
		buffer_deinit(&harness->peers[i].replies);
	}
	bool clean = world_deinit(&harness->world) && engine_is_clean(harness);
	buffer_deinit(&harness->record);
	buffer_deinit(&harness->told);
	if (clean)
		engine_free(harness->engine);
	return clean;
}
