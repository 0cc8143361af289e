/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients come and go; requests point at theirs only while they are in flight, so a client can be
 * freed as soon as it is gone and its requests have been let go.
 */
#include <stdlib.h>

#include "pipeline/requests/internal.h"

static void on_stall(struct timer *timer);

struct client *client_open(struct engine *engine, void *connection)
{
	struct client *client = malloc(sizeof(*client));
	if (!client)
		return NULL;
	*client = (struct client){.engine = engine,
			.connection = connection,
			.number = ++engine->client_numbers};
	link_init(&client->stuck);
	link_init(&client->requests);
	link_init(&client->outbox);
	timer_init(&client->stall, on_stall);
	list_append(&engine->clients, &client->link);
	table_add(&engine->by_number, &client->entry, hash_u64(client->number));
	engine->counts.clients++;
	return client;
}

uint64_t client_number(const struct client *client)
{
	return client->number;
}

enum sent client_send(struct client *client, struct text envelope, struct reply *reply)
{
	struct engine *engine = client->engine;
	size_t size = reply->size;
	enum sent sent = engine->ops.send(engine->ops.door, client->connection, envelope, reply);
	if (sent == SENT_TAKEN && size >= REPLY_LARGE)
		client->unread += size;
	return sent;
}

void client_gone(struct client *client)
{
	struct engine *engine = client->engine;
	group_start(engine);
	batch_flush(engine);
	outbox_drop(client, &engine->counts.gone);
	while (!list_empty(&client->requests))
		request_cut(container_of(client->requests.next, struct request, link), GONE);
	link_remove(&client->link);
	table_remove(&engine->by_number, &client->entry);
	engine->counts.clients--;
	free(client);
}

static void on_stall(struct timer *timer)
{
	struct client *client = container_of(timer, struct client, stall);
	struct engine *engine = client->engine;
	void *connection = client->connection;
	uint64_t number = client->number;
	client_gone(client);
	engine->ops.stalled(engine->ops.user, connection, number);
}
