/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies that leave together. What is answered at once, in the turn in which it was read, would
 * wake the transport's thread for each reply; kept to the end of the batch, a batch wakes it once.
 * That is a third of the CPU of a cache hit.
 *
 * A reply that is refused then goes to the outbox as if its request had waited: what is known of it
 * is its id, and that stands in front of the reply.
 */
#include "pipeline/requests/internal.h"

#include <assert.h>

void engine_begin_batch(struct engine *engine)
{
	engine->batching = true;
}

bool batch_add(struct client *client, struct text envelope, struct reply *reply)
{
	struct engine *engine = client->engine;
	if (!engine->batching || envelope.size > 0)
		return false;
	if (engine->batched == BATCH_MAX)
		batch_flush(engine);
	engine->batch[engine->batched++] = (struct departure){client, reply};
	client->batched++;
	return true;
}

/* A request that is nothing but its reply. NULL when memory is out. */
static struct request *holder_new(struct client *client, const struct reply *reply)
{
	struct engine *engine = client->engine;
	const char *space = memchr(reply->data, ' ', reply->size);
	assert(space); /* each begins with `ID STATUS` */
	struct text id = {reply->data, (size_t)(space - reply->data)};
	struct arena arena;
	if (!arena_pool_take(&engine->arenas, &arena))
		return NULL;
	struct request *request = arena_zalloc(&arena, sizeof(*request));
	struct text own_id = request ? arena_copy(&arena, id) : (struct text){NULL, 0};
	if (!own_id.data) {
		arena_pool_give(&engine->arenas, &arena);
		return NULL;
	}
	request->arena = arena;
	request->engine = engine;
	request->client = client;
	request->run.id = own_id;
	request->idle = true;
	return request;
}

static void hold(struct client *client, struct reply *reply)
{
	struct engine *engine = client->engine;
	bool room = client->in_flight < engine->limits.per_client;
	struct request *holder = room ? holder_new(client, reply) : NULL;
	if (holder) {
		in_flight_add(holder);
		holder->state = REQUEST_HELD;
		outbox_add(holder, &holder->held, reply);
		return;
	}
	engine->ops.discard(engine->ops.door, reply);
	engine->counts.undelivered++;
}

static void depart(const struct departure *departure)
{
	struct client *client = departure->client;
	struct engine *engine = client->engine;
	struct text envelope = {NULL, 0};
	enum sent sent = SENT_FULL;
	client->batched--;
	if (list_empty(&client->outbox))
		sent = client_send(client, envelope, departure->reply);
	if (sent == SENT_TAKEN)
		engine->counts.answered++;
	else if (sent == SENT_GONE)
		engine->counts.gone++;
	else
		hold(client, departure->reply);
}

void batch_flush(struct engine *engine)
{
	for (size_t i = 0; i < engine->batched; i++)
		depart(&engine->batch[i]);
	engine->batched = 0;
}
