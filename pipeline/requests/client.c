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
	engine->counts.clients++;
	return client;
}

uint64_t client_number(const struct client *client)
{
	return client->number;
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
