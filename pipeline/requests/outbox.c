/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies that a client does not read yet, and parts of them. Each keeps its request in flight, and
 * a request has at most one of each here, so `per_client` bounds them. A client whose outbox does
 * not move for client_stall is treated as gone.
 */
#include <assert.h>

#include "pipeline/requests/internal.h"

/*
 * Bytes of large replies to one client that may lie with the transport before parts to it are held
 * back. The transport takes so many messages and minds no bytes, and whoever asks for parts has
 * been let in but once.
 */
#define UNREAD_MAX ((size_t)1024 * 1024)

/* What a reply counts for while it is held; a large one is counted from its making to its sending.
 */
static size_t cost_of(size_t size)
{
	return size < REPLY_LARGE ? size : 0;
}

static bool is_part(const struct held *held)
{
	return held != &held->request->held;
}

static void take_out(struct held *held, size_t size)
{
	struct engine *engine = held->request->engine;
	account_release(&engine->account, cost_of(size));
	engine->counts.outboxes--;
	link_remove(&held->link);
	held->reply = NULL;
}

static void watch(struct client *client)
{
	timer_disarm(&client->engine->async->wheel, &client->stall);
	timer_arm(&client->engine->async->wheel, &client->stall,
			client->engine->async->now + client->engine->limits.client_stall);
}

void outbox_add(struct request *request, struct held *held, struct reply *reply)
{
	struct client *client = request->client;
	held->reply = reply;
	held->request = request;
	account_charge(&client->engine->account, cost_of(reply->size));
	client->engine->counts.outboxes++;
	if (!link_in_list(&client->stuck)) {
		list_append(&client->engine->stuck, &client->stuck);
		watch(client);
	}
	list_append(&client->outbox, &held->link);
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

static void discard(struct held *held)
{
	struct engine *engine = held->request->engine;
	assert(held->reply);
	size_t size = held->reply->size;
	engine->ops.discard(engine->ops.door, held->reply);
	take_out(held, size);
}

void outbox_withdraw(struct held *held)
{
	discard(held);
	moved(held->request->client);
}

static struct held *first(const struct client *client)
{
	return container_of(client->outbox.next, struct held, link);
}

void outbox_drop(struct client *client, uint64_t *count)
{
	while (!list_empty(&client->outbox)) {
		struct held *held = first(client);
		discard(held);
		if (is_part(held))
			continue;
		++*count;
		request_leave(held->request);
	}
	moved(client);
}

/* It has been sent, or has found that the client is gone. */
static void on_left(struct held *held, enum sent sent)
{
	struct engine *engine = held->request->engine;
	bool taken = sent == SENT_TAKEN;
	if (is_part(held)) {
		engine->counts.parts += taken;
		if (held->request->state == REQUEST_RUNNING)
			delivery_go_on(held->request);
		return;
	}
	engine->counts.answered += taken;
	engine->counts.gone += !taken;
	request_leave(held->request);
}

/* False: the client still does not read. */
static bool send_first(struct client *client)
{
	struct held *held = first(client);
	size_t size = held->reply->size;
	if (is_part(held) && outbox_holds_back(client, size))
		return false;
	enum sent sent = client_send(client, held->request->envelope, held->reply);
	if (sent == SENT_FULL)
		return false;
	take_out(held, size);
	on_left(held, sent);
	return true;
}

/* reads: it is known to have read something, if perhaps too little for another reply. */
static void flush(struct client *client, bool reads)
{
	bool any = reads;
	while (!list_empty(&client->outbox) && send_first(client))
		any = true;
	if (any)
		moved(client);
}

bool outbox_holds_back(const struct client *client, size_t size)
{
	return size >= REPLY_LARGE && client->unread > 0 && client->unread + size > UNREAD_MAX;
}

void engine_returned(struct engine *engine, uint64_t number, size_t size)
{
	struct table_entry *entry = table_first(&engine->by_number, hash_u64(number));
	for (; entry; entry = table_next(entry)) {
		struct client *client = container_of(entry, struct client, entry);
		if (client->number != number)
			continue;
		client->unread -= size;
		if (link_in_list(&client->stuck))
			flush(client, true);
		return;
	}
}

void engine_flush(struct engine *engine)
{
	group_start(engine);
	engine->batching = false;
	batch_flush(engine);
	for (struct link *link = engine->stuck.next, *next; link != &engine->stuck; link = next) {
		next = link->next;
		flush(container_of(link, struct client, stuck), false);
	}
}
