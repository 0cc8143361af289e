/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests by client, envelope and id. Only what waits is ever in the table, and it is looked into
 * only for a client that has something in flight: a cache hit of any other costs nothing here. Ids
 * are chosen by clients, so the hash is keyed.
 */
#include "pipeline/requests/internal.h"

static uint64_t hash_of(const struct engine *engine, const struct client *client, struct text id)
{
	return hash_text(&engine->hash_key, id) ^ hash_u64(client->number);
}

struct request *in_flight_find(const struct client *client, struct text envelope, struct text id)
{
	const struct engine *engine = client->engine;
	struct table_entry *entry = table_first(&engine->in_flight, hash_of(engine, client, id));
	struct request *answered = NULL;
	for (; entry; entry = table_next(entry)) {
		struct request *request = container_of(entry, struct request, entry);
		if (request->client != client || !text_equal(request->run.id, id) ||
				!text_equal(request->envelope, envelope))
			continue;
		if (request->state == REQUEST_RUNNING)
			return request;
		answered = request;
	}
	return answered;
}

void in_flight_add(struct request *request)
{
	struct engine *engine = request->engine;
	struct client *client = request->client;
	table_add(&engine->in_flight, &request->entry, hash_of(engine, client, request->run.id));
	list_append(&client->requests, &request->link);
	request->listed = true;
	client->in_flight++;
	if (++engine->counts.in_flight > engine->counts.in_flight_highest)
		engine->counts.in_flight_highest = engine->counts.in_flight;
}

void in_flight_remove(struct request *request)
{
	if (!request->listed)
		return;
	table_remove(&request->engine->in_flight, &request->entry);
	link_remove(&request->link);
	request->client->in_flight--;
	request->engine->counts.in_flight--;
}
