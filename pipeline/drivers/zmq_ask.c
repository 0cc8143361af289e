/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks of a ZeroMQ source: a line goes out under a number, and a reply with that number ends the
 * frame. An ask is in `pending` exactly while its frame waits, and whoever takes it out there ends
 * it: the reply, a cancel, or the loss of the connection. What comes for a number afterwards finds
 * nothing, so no answer can reach a frame that has ended.
 */
#include "pipeline/drivers/zmq_ask.h"

#include <errno.h>

#include "pipeline/async/async.h"
#include "pipeline/async/scope.h"
#include "pipeline/base/arena.h"
#include "pipeline/base/buffer.h"
#include "pipeline/base/lesser.h"
#include "pipeline/drivers/asking.h"

/* Bytes that libzmq may hold for a source, for bursts; what is beyond is refused. */
#define SENT_BYTES_MAX ((size_t)16 << 20)

#define LOOK_NS UINT64_C(100000000)

/* A source may ask for more, but then it is not asked again anyway: 9 digits, as of a budget. */
#define RETRY_MAX_MS UINT64_C(999999999)

#define NS_PER_MS UINT64_C(1000000)
#define ABSENT	  ((struct text){NULL, 0})

static struct zmq_source *source_of(const struct zmq_ask *ask)
{
	return container_of(ask->ask.source, struct zmq_source, source);
}

static struct zmq_ask *ask_of(struct frame *frame)
{
	return container_of(frame, struct zmq_ask, ask.frame);
}

/*
 * zmq_send() looks at most once a millisecond for what the network threads have told the socket, so
 * a connection that has just come up, or room that was just given back, may not be known to it yet.
 * Asking for ZMQ_EVENTS always looks.
 */
static void look(struct zsocket *socket)
{
	int events;
	size_t size = sizeof(events);
	(void)zmq_getsockopt(socket->socket, ZMQ_EVENTS, &events, &size);
	socket->dirty = true;
}

/* A first one goes out however large it is. */
static bool has_room(const struct zmq_source *zs, size_t size)
{
	size_t bytes = zmq_sent_bytes(zs->sent);
	return bytes == 0 || bytes + size <= SENT_BYTES_MAX;
}

static void on_look(void *user)
{
	zmq_ask_settle(user);
}

/* libzmq tells nobody on the loop when it has written something, so it is looked at with each
 * message, and by the timer until all has gone. */
void zmq_ask_settle(struct zmq_source *zs)
{
	size_t bytes = zmq_sent_bytes(zs->sent);
	if (bytes == zs->charged)
		return;
	account_settle(zs->context->account, &zs->charged, bytes);
	if (bytes == 0)
		zs->look = sd_event_source_disable_unref(zs->look);
	else if (!zs->look)
		(void)loop_every(zs->context->loop, LOOK_NS, LOOP_PRIORITY_ANSWERS, on_look, zs,
				&zs->look);
}

int zmq_ask_send(struct zmq_source *zs, struct text target, uint64_t number, uint64_t budget_ms,
		struct text trace, struct text body)
{
	char header[WIRE_HEADER_MAX + 1];
	char digits[20];
	struct text id = {digits, (size_t)(format_u64(digits, number) - digits)};
	const struct wire_request_keys keys = {.trace = trace};
	char *end = wire_write_request(header, target, id, budget_ms, &keys, body.size > 0);
	size_t header_size = (size_t)(end - header);
	size_t size = header_size + body.size;
	zmq_msg_t message;
	if (!has_room(zs, size))
		return -EAGAIN;
	char *data = zmq_sent_init(zs->sent, &message, size);
	if (!data)
		return -ENOMEM;
	memcpy(data, header, header_size);
	if (body.size > 0)
		memcpy(data + header_size, body.data, body.size);
	zmq_sent_written(data, size);
	int r = zsocket_send(&zs->socket, &message, 0);
	if (r == -EAGAIN) {
		look(&zs->socket);
		r = zsocket_send(&zs->socket, &message, 0);
	}
	if (r < 0)
		(void)zmq_msg_close(&message);
	zmq_ask_settle(zs);
	return r;
}

static struct outcome refused(struct zmq_ask *ask, struct text why)
{
	ask->ask.source->stats.refused++;
	return asking_failed(&ask->ask, STATUS_UNAVAILABLE, why);
}

static enum progress start(struct frame *frame)
{
	struct zmq_ask *ask = ask_of(frame);
	struct zmq_source *zs = source_of(ask);
	if (!zs->source.stats.up)
		return frame_done(frame, refused(ask, TEXT("not connected")));
	uint64_t budget_ms = asking_budget_ms(frame->scope);
	if (budget_ms == 0)
		return frame_done(frame, asking_too_late(&ask->ask));
	uint64_t number = pending_number(&zs->pending);
	int r = zmq_ask_send(zs, ask->ask.target, number, budget_ms, ask->ask.trace, ask->ask.body);
	if (r == -ENOMEM)
		return frame_done(frame, outcome_status(STATUS_RESOURCE_EXHAUSTED));
	/* Its queue is full, or its connection is lost and the monitor has not said so yet. */
	if (r < 0)
		return frame_done(frame, refused(ask, TEXT("takes no questions at the moment")));
	pending_add(&zs->pending, &ask->entry, number);
	asking_sent(&ask->ask);
	return PENDING;
}

/* Ends an ask that waits. */
static void finish(struct zmq_source *zs, struct zmq_ask *ask, struct outcome outcome)
{
	pending_remove(&zs->pending, &ask->entry);
	zs->source.stats.pending--;
	ask->ask.frame.outcome = outcome;
	frame_finish(&ask->ask.frame);
}

static void cancel(struct frame *frame, enum reason reason)
{
	struct zmq_ask *ask = ask_of(frame);
	struct zmq_source *zs = source_of(ask);
	/* Only a help to the source: where it can't be sent, the answer is dropped all the same. */
	(void)zmq_ask_send(
			zs, TEXT("$cancel"), ask->entry.number, WIRE_BUDGET_NONE, ABSENT, ABSENT);
	zs->source.stats.cancelled++;
	finish(zs, ask, outcome_status(STATUS_CANCELLED));
}

static const struct frame_ops frame_ops = {.start = start, .cancel = cancel};

static void ask_init(struct ask *ask, struct source *source, struct arena *arena,
		struct frame *parent, struct scope *scope)
{
	*ask = (struct ask){.source = source, .arena = arena};
	frame_init(&ask->frame, &frame_ops, parent, scope);
}

const struct source_ops zmq_ask_source_ops = {.ask_init = ask_init};

/* A body of libzmq's message, as it is kept. */
static struct text kept(struct zmq_ask *ask, struct text body)
{
	return body.data ? arena_copy(ask->ask.arena, body) : body;
}

static struct outcome failed_by_source(struct zmq_ask *ask, const struct wire_reply *reply)
{
	struct text name = status_text(reply->status);
	bool readable = reply->body.size <= ask->ask.source->limits->bytes;
	struct text said = readable ? asking_error(&ask->ask, kept(ask, reply->body)) : ABSENT;
	uint64_t retry_ms = lesser(reply->retry_ms, RETRY_MAX_MS);
	return outcome_retry(ask->ask.arena, reply->status, said.data ? said : name,
			retry_ms * NS_PER_MS);
}

/* Copied out of libzmq's message only where it may stay. */
static struct outcome value_of_body(struct zmq_ask *ask, struct text body)
{
	if (body.size > ask->ask.source->limits->bytes)
		return asking_value(&ask->ask, body);
	struct text copy = kept(ask, body);
	if (body.data && !copy.data)
		return outcome_status(STATUS_RESOURCE_EXHAUSTED);
	return asking_value(&ask->ask, copy);
}

static struct outcome outcome_of(
		struct zmq_ask *ask, const struct wire_reply *reply, const char *wrong)
{
	if (wrong)
		return outcome_failed(ask->ask.arena, STATUS_INTERNAL, ABSENT,
				"its answer is no reply: %s", wrong);
	if (reply->status != STATUS_OK)
		return failed_by_source(ask, reply);
	struct outcome outcome = value_of_body(ask, reply->body);
	outcome.partial = outcome.status == STATUS_OK && reply->partial;
	return outcome;
}

bool zmq_ask_answer(struct zmq_source *zs, uint64_t number, const struct wire_reply *reply,
		const char *wrong)
{
	struct pending_entry *entry = pending_find(&zs->pending, number);
	if (!entry)
		return false;
	struct zmq_ask *ask = container_of(entry, struct zmq_ask, entry);
	struct outcome outcome = outcome_of(ask, reply, wrong);
	zs->source.stats.answered++;
	if (outcome.status != STATUS_OK)
		zs->source.stats.failed++;
	finish(zs, ask, outcome);
	return true;
}

void zmq_ask_lose_all(struct zmq_source *zs)
{
	struct pending_entry *entry;
	while ((entry = pending_first(&zs->pending))) {
		struct zmq_ask *ask = container_of(entry, struct zmq_ask, entry);
		zs->source.stats.lost++;
		finish(zs, ask,
				asking_failed(&ask->ask, STATUS_UNAVAILABLE,
						TEXT("connection lost")));
	}
}
