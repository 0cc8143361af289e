/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entrances. Each message that is read ends in exactly one of: a reply, a client that is gone,
 * a reply that could not be delivered; the counts say which.
 */
#include "pipeline/requests/engine.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "pipeline/base/buffer.h"
#include "pipeline/requests/internal.h"

/* Arenas kept for the next request: enough for the requests of a few batches. */
#define SPARE_ARENAS 1024

/* A limit that adapts begins anew only where its bounds are others. */
static void take_limits(struct engine *engine, const struct engine_limits *limits)
{
	bool same = engine->limits.in_flight == limits->in_flight &&
		    engine->limits.in_flight_min == limits->in_flight_min;
	engine->limits = *limits;
	engine->account.max = limits->bytes;
	if (same)
		return;
	engine->counts.in_flight_max = limits->in_flight;
	if (limits->in_flight_min == 0)
		return;
	adaptive_init(&engine->adaptive, limits->in_flight_min, limits->in_flight);
	engine->counts.in_flight_max = limits->in_flight_min;
}

struct engine *engine_new(struct async *async, const struct engine_limits *limits,
		const struct engine_ops *ops, const struct log *log)
{
	struct engine *engine = calloc(1, sizeof(*engine));
	if (!engine)
		return NULL;
	engine->async = async;
	take_limits(engine, limits);
	engine->ops = *ops;
	engine->log = log;
	arena_pool_init(&engine->arenas, &engine->account, SPARE_ARENAS);
	random_hash_key(&async->keys, &engine->hash_key);
	link_init(&engine->clients);
	link_init(&engine->stuck);
	if (table_init(&engine->in_flight) == 0 && table_init(&engine->by_number) == 0)
		return engine;
	table_deinit(&engine->in_flight);
	free(engine);
	return NULL;
}

void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	assert(engine_idle(engine) && list_empty(&engine->clients));
	arena_pool_deinit(&engine->arenas);
	table_deinit(&engine->in_flight);
	table_deinit(&engine->by_number);
	free(engine);
}

void engine_use(struct engine *engine, struct generation *generation)
{
	struct generation *before = engine->generation;
	assert(engine->grouped == 0);
	engine->generation = generation;
	if (before)
		generation_retire(before);
}

void engine_limit(struct engine *engine, const struct engine_limits *limits)
{
	group_start(engine);
	take_limits(engine, limits);
}

struct account *engine_account(struct engine *engine)
{
	return &engine->account;
}

struct arena_pool *engine_arenas(struct engine *engine)
{
	return &engine->arenas;
}

const struct engine_counts *engine_counts(const struct engine *engine)
{
	return &engine->counts;
}

static void refuse_malformed(struct engine *engine, struct client *client, struct text envelope,
		struct text id, const char *problem, size_t bytes_in, uint64_t received)
{
	struct refusal refusal = {
			.id = id,
			.status = STATUS_INVALID_ARGUMENT,
			.message = problem,
			.bytes_in = bytes_in,
			.received = received,
			.told = true,
	};
	group_start(engine);
	reply_refuse(engine, client, envelope, &refusal);
}

void engine_receive(struct engine *engine, struct client *client, struct text envelope,
		struct text message, uint64_t received)
{
	struct wire_request wire;
	const char *problem = wire_parse_request(message, &wire);
	if (command_is_cancel(message)) {
		group_start(engine);
		if (!problem)
			command_cancel(client, envelope, wire.id);
		return;
	}
	engine->counts.read++;
	if (problem)
		refuse_malformed(
				engine, client, envelope, wire.id, problem, message.size, received);
	else if (wire.target.data[0] == '$')
		command_receive(engine, client, envelope, &wire, message.size, received);
	else
		request_receive(engine, client, envelope, &wire, message, received);
}

void engine_receive_malformed(struct engine *engine, struct client *client, struct text envelope,
		const char *problem)
{
	engine->counts.read++;
	refuse_malformed(engine, client, envelope, (struct text){NULL, 0}, problem, 0,
			engine->async->now);
}

void engine_receive_late(struct engine *engine)
{
	engine->counts.read++;
	engine->counts.gone++;
}

void engine_drain(struct engine *engine)
{
	group_start(engine);
	engine->draining = true;
	if (engine->generation)
		pipelines_drain(engine->generation->pipelines);
}

/* Requests leave the list as they are answered, or stay, HELD, in their client's outbox. */
static void cut_client(struct client *client)
{
	for (struct link *link = client->requests.next, *next; link != &client->requests;
			link = next) {
		struct request *request = container_of(link, struct request, link);
		next = link->next;
		if (request->state == REQUEST_RUNNING)
			request_cut(request, DRAIN);
	}
}

void engine_cut(struct engine *engine)
{
	assert(engine->grouped == 0);
	for (struct link *link = engine->clients.next; link != &engine->clients; link = link->next)
		cut_client(container_of(link, struct client, link));
}

void engine_drop(struct engine *engine)
{
	while (!list_empty(&engine->clients)) {
		struct client *client = container_of(engine->clients.next, struct client, link);
		outbox_drop(client, &engine->counts.undelivered);
		client_gone(client);
	}
}

bool engine_answered(const struct engine *engine)
{
	return engine->counts.in_flight == 0 && engine->grouped == 0;
}

bool engine_idle(const struct engine *engine)
{
	return engine_answered(engine) && engine->counts.reaping == 0;
}

static void write_by_status(const struct engine_counts *counts, struct buffer *buffer)
{
	bool any = false;
	buffer_append(buffer, TEXT("\"ended\":{"));
	for (int status = 0; status < STATUS_COUNT; status++) {
		if (counts->by_status[status] == 0)
			continue;
		struct text name = status_text((enum status)status);
		buffer_append_format(buffer, "%s\"%.*s\":%" PRIu64, any ? "," : "", TEXT_ARG(name),
				counts->by_status[status]);
		any = true;
	}
	buffer_append_char(buffer, '}');
}

void engine_write_stats(const struct engine *engine, struct buffer *buffer)
{
	const struct engine_counts *counts = &engine->counts;
	buffer_append_format(buffer,
			"\"read\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"gone\":%" PRIu64
			",\"undelivered\":%" PRIu64 ",\"parts\":%" PRIu64 ",\"cancelled\":%" PRIu64
			",\"in_flight\":%" PRIu64 ",\"in_flight_highest\":%" PRIu64
			",\"in_flight_max\":%" PRIu64 ",\"reaping\":%" PRIu64
			",\"outboxes\":%" PRIu64 ",\"clients\":%" PRIu64
			",\"bytes\":%zu,\"bytes_highest\":%zu,\"bytes_max\":%zu,",
			counts->read, counts->answered, counts->gone, counts->undelivered,
			counts->parts, counts->cancelled, counts->in_flight,
			counts->in_flight_highest, counts->in_flight_max, counts->reaping,
			counts->outboxes, counts->clients, engine->account.used,
			engine->account.peak, engine->account.max);
	write_by_status(counts, buffer);
	buffer_append(buffer, TEXT(",\"pipelines\":{"));
	pipelines_write_stats(engine->generation->pipelines, buffer);
	buffer_append_char(buffer, '}');
}
