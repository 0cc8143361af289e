/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing replies. Header and body are put together once, in the block that is sent; what is told
 * of a request is told here too, because here is the only place that knows how it ended.
 */
#include "pipeline/requests/internal.h"

#include "pipeline/base/buffer.h"

#define REFUSAL_MAX 256

struct message {
	struct text id;
	enum status status;
	struct wire_reply_keys keys;
	struct part body; /* of it the value absent: none */
};

static struct reply *write_reply(
		struct engine *engine, struct client *client, const struct message *message)
{
	const struct part *body = &message->body;
	char header[WIRE_HEADER_MAX];
	char *end = wire_write_reply(header, message->id, message->status, &message->keys,
			body->value.data != NULL);
	size_t size = (size_t)(end - header);
	struct reply *reply = engine->ops.reserve(engine->ops.door, client->connection,
			size + body->head.size + body->value.size + body->tail.size);
	if (!reply)
		return NULL;
	memcpy(reply->data, header, size);
	(void)text_put(text_put(text_put(reply->data + size, body->head), body->value), body->tail);
	return reply;
}

static uint64_t elapsed_us(const struct engine *engine, uint64_t received)
{
	return (engine->async->now - received) / 1000;
}

/* One client's replies leave in the order in which its requests ended: those that wait for the end
 * of the batch go first. */
static void send_batched(const struct client *client)
{
	if (client->batched > 0)
		batch_flush(client->engine);
}

/* may_wait: it goes behind those that wait in the outbox, and FULL says so. */
static enum sent send_in_order(
		struct client *client, struct text envelope, struct reply *reply, bool may_wait)
{
	if (may_wait && link_in_list(&client->stuck))
		return SENT_FULL;
	return client_send(client, envelope, reply);
}

/* Hands a reply to the transport, or to the outbox where it may wait and there is room. */
static enum left send(struct engine *engine, struct client *client, struct text envelope,
		struct reply *reply, struct request *holder)
{
	if (holder && !holder->listed && list_empty(&client->outbox) &&
			batch_add(client, envelope, reply))
		return LEFT_BATCH;
	send_batched(client);
	enum sent sent = send_in_order(client, envelope, reply, holder != NULL);
	if (sent == SENT_TAKEN) {
		engine->counts.answered++;
		return LEFT_TAKEN;
	}
	if (sent == SENT_GONE) {
		engine->counts.gone++;
		return LEFT_GONE;
	}
	if (holder && (holder->listed || client->in_flight < engine->limits.per_client)) {
		holder->state = REQUEST_HELD;
		outbox_add(holder, &holder->held, reply);
		return LEFT_HELD;
	}
	engine->ops.discard(engine->ops.door, reply);
	engine->counts.undelivered++;
	return LEFT_DROPPED;
}

static struct text error_body(struct arena *arena, const struct outcome *outcome)
{
	struct buffer buffer;
	buffer_init_arena(&buffer, arena);
	outcome_append_error(&buffer, outcome);
	return buffer.failed ? TEXT("{\"error\":\"out of memory\"}") : buffer_text(&buffer);
}

static void tell(struct request *request, const struct message *message, enum reason reason,
		size_t bytes_out)
{
	struct engine *engine = request->engine;
	struct record record = {
			.pipeline = request->pipeline,
			.run = request->run.root ? &request->run : NULL,
			.id = request->run.id,
			.trace = request->run.trace,
			.client = request->client->number,
			.generation = request->generation->number,
			.status = message->status,
			.reason = reason,
			.us = message->keys.us,
			.bytes_in = request->bytes_in,
			.bytes_out = bytes_out,
	};
	if (request->delivery) {
		record.parts = request->delivery->sent;
		record.bytes_out += request->delivery->bytes;
	}
	engine->counts.by_status[record.status]++;
	pipeline_count(request->pipeline, record.status, record.us);
	engine->ops.observe(engine->ops.user, &record);
}

enum left reply_request(struct request *request, const struct outcome *outcome, enum reason reason,
		bool may_hold)
{
	struct engine *engine = request->engine;
	struct message message = {
			.id = request->run.id,
			.status = outcome->status,
			.keys = {.us = elapsed_us(engine, request->received),
					.cache = request->run.cache,
					.partial = outcome->partial},
	};
	if (request->delivery)
		message.keys.parts = request->delivery->sent;
	if (outcome->status == STATUS_RESOURCE_EXHAUSTED || reason == DRAIN)
		message.keys.retry_ms = admission_retry_ms(engine, request->pipeline);
	if (reason == GONE) {
		engine->counts.gone++;
		tell(request, &message, reason, 0);
		return LEFT_GONE;
	}
	message.body.value = outcome->status == STATUS_OK ? outcome->value.text
							  : error_body(&request->arena, outcome);
	struct reply *reply = write_reply(engine, request->client, &message);
	tell(request, &message, reason, reply ? reply->size : 0);
	if (reply)
		return send(engine, request->client, request->envelope, reply,
				may_hold ? request : NULL);
	engine->counts.undelivered++;
	return LEFT_DROPPED;
}

bool reply_part(struct request *request, const struct part *part)
{
	struct engine *engine = request->engine;
	struct client *client = request->client;
	struct delivery *delivery = request->delivery;
	struct message message = {
			.id = request->run.id,
			.status = STATUS_MORE,
			.keys = {.us = elapsed_us(engine, request->received),
					.seq = delivery->sent + 1},
			.body = *part,
	};
	struct reply *reply = write_reply(engine, client, &message);
	if (!reply)
		return false;
	size_t size = reply->size;
	enum sent sent = SENT_FULL;
	send_batched(client);
	if (!outbox_holds_back(client, size))
		sent = send_in_order(client, request->envelope, reply, true);
	if (sent == SENT_TAKEN)
		engine->counts.parts++;
	else if (sent == SENT_FULL)
		outbox_add(request, &delivery->held, reply);
	delivery->sent++;
	delivery->bytes += size;
	return true;
}

void reply_refuse(struct engine *engine, struct client *client, struct text envelope,
		const struct refusal *refusal)
{
	char text[REFUSAL_MAX];
	struct message message = {
			.id = refusal->id, .status = refusal->status, .keys = refusal->keys};
	message.keys.us = elapsed_us(engine, refusal->received);
	if (refusal->message) {
		int size = snprintf(text, sizeof(text), "{\"error\":\"%s\"}", refusal->message);
		message.body.value = (struct text){text, (size_t)size};
	}
	struct reply *reply = write_reply(engine, client, &message);
	if (refusal->told) {
		struct record record = {
				.pipeline = refusal->pipeline,
				.id = refusal->id,
				.trace = refusal->trace,
				.client = client->number,
				.generation = engine->generation->number,
				.status = refusal->status,
				.us = message.keys.us,
				.bytes_in = refusal->bytes_in,
				.bytes_out = reply ? reply->size : 0,
		};
		engine->counts.by_status[refusal->status]++;
		if (refusal->pipeline)
			pipeline_count_refused(refusal->pipeline, refusal->status);
		engine->ops.observe(engine->ops.user, &record);
	}
	if (reply)
		(void)send(engine, client, envelope, reply, NULL);
	else
		engine->counts.undelivered++;
}
