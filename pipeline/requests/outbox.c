/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies that a client does not read yet. Each keeps its request in flight, so `per_client` bounds
 * them. A client whose outbox does not move for client_stall is treated as gone.
 */
#include "pipeline/requests/internal.h"

/* What a reply counts for while it is held; a large one is counted from its making to its sending.
 */
static size_t cost_of(size_t size)
{
	return size < REPLY_LARGE ? size : 0;
}

static void take_out(struct request *request, size_t size)
{
	account_release(&request->engine->account, cost_of(size));
	request->engine->counts.outboxes--;
	link_remove(&request->outbox);
	request->reply = NULL;
	request_leave(request);
}

static void watch(struct client *client)
{
	timer_disarm(&client->engine->async->wheel, &client->stall);
	timer_arm(&client->engine->async->wheel, &client->stall,
			client->engine->async->now + client->engine->limits.client_stall);
}

void outbox_add(struct request *request, struct reply *reply)
{
	struct client *client = request->client;
	request->reply = reply;
	request->state = REQUEST_HELD;
	account_charge(&client->engine->account, cost_of(reply->size));
	client->engine->counts.outboxes++;
	if (list_empty(&client->outbox)) {
		list_append(&client->engine->stuck, &client->stuck);
		watch(client);
	}
	list_append(&client->outbox, &request->outbox);
}

static void moved(struct client *client)
{
	if (list_empty(&client->outbox)) {
		link_remove(&client->stuck);
		timer_disarm(&client->engine->async->wheel, &client->stall);
	} else {
		watch(client);
	}
}

void outbox_drop(struct client *client, uint64_t *count)
{
	struct engine *engine = client->engine;
	while (!list_empty(&client->outbox)) {
		struct request *request = container_of(client->outbox.next, struct request, outbox);
		size_t size = request->reply->size;
		engine->ops.discard(engine->ops.door, request->reply);
		++*count;
		take_out(request, size);
	}
	moved(client);
}

/* False: the client still does not read. */
static bool send_first(struct client *client)
{
	struct engine *engine = client->engine;
	struct request *request = container_of(client->outbox.next, struct request, outbox);
	size_t size = request->reply->size;
	enum sent sent = engine->ops.send(
			engine->ops.door, client->connection, request->envelope, request->reply);
	if (sent == SENT_FULL)
		return false;
	if (sent == SENT_TAKEN)
		engine->counts.answered++;
	else
		engine->counts.gone++;
	take_out(request, size);
	return true;
}

static void flush(struct client *client)
{
	bool any = false;
	while (!list_empty(&client->outbox) && send_first(client))
		any = true;
	if (any)
		moved(client);
}

void engine_flush(struct engine *engine)
{
	group_start(engine);
	engine->batching = false;
	batch_flush(engine);
	for (struct link *link = engine->stuck.next, *next; link != &engine->stuck; link = next) {
		next = link->next;
		flush(container_of(link, struct client, stuck));
	}
}
