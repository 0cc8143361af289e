/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The engine: clients and their requests, from (client, envelope, message) to (client, envelope,
 * reply). It knows no socket, no thread and no clock; whoever carries the messages hands it a table
 * of functions. All functions are called inside a turn, on the loop thread.
 *
 * Every request that is read gets one final reply, unless its client is gone or does not read.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/json.h"
#include "pipeline/base/text.h"
#include "pipeline/requests/record.h"

struct async;
struct buffer;
struct client;
struct engine;
struct generation;
struct log;

/* Replies from this size on count in limits.bytes until they are sent. */
#define REPLY_LARGE 4096

struct engine_limits {
	uint64_t in_flight;	/* the most, where it adapts */
	uint64_t in_flight_min; /* from where it adapts to how long requests take; 0: it does not */
	uint64_t per_client;
	uint64_t bytes;
	uint64_t deadline; /* durations, in nanoseconds */
	uint64_t max_deadline;
	uint64_t client_stall;
	struct json_limits json; /* json.bytes is limits.message */
};

/* Room for one reply; the transport embeds it in what it sends. */
struct reply {
	char *data;
	size_t size;
};

/* TAKEN: on its way, the reply is the transport's. FULL: the client does not read now, the reply
 * stays the engine's. GONE: there is no such client any more, the reply is the transport's. */
enum sent { SENT_TAKEN, SENT_FULL, SENT_GONE };

struct engine_ops {
	/* Room for size bytes to that client. NULL when memory is out. */
	struct reply *(*reserve)(void *door, void *connection, size_t size);
	/* Sends envelope and reply without waiting. */
	enum sent (*send)(void *door, void *connection, struct text envelope, struct reply *reply);
	/* Gives back a reply that will not be sent. */
	void (*discard)(void *door, struct reply *reply);
	void *door;
	/* A request has ended. */
	void (*observe)(void *user, const struct record *record);
	/* The client has not read for client_stall. The engine has let go of it: client_gone() is
	 * not called for it. */
	void (*stalled)(void *user, void *connection, uint64_t client);
	void *user;
};

/* read is every message but $cancel; answered: the transport took the reply; gone: the client was;
 * undelivered: dropped otherwise. */
struct engine_counts {
	uint64_t read;
	uint64_t answered;
	uint64_t gone;
	uint64_t undelivered;
	uint64_t by_status[STATUS_COUNT];
	uint64_t parts;	    /* of answers, that the transport took; they are no replies */
	uint64_t cancelled; /* by $cancel */
	uint64_t in_flight; /* as it is */
	uint64_t in_flight_highest;
	uint64_t in_flight_max; /* as it is: the limit */
	uint64_t reaping;	/* as it is: answered, with work that still ends */
	uint64_t outboxes;	/* as it is: replies and parts that wait for their client to read */
	uint64_t clients;	/* as it is */
};

/* Borrows all but limits. NULL when memory is out. */
struct engine *engine_new(struct async *async, const struct engine_limits *limits,
		const struct engine_ops *ops, const struct log *log);

/* Nothing may be in flight or reaping, and no client open. Takes NULL. */
void engine_free(struct engine *engine);

/*
 * Requests from now on run in this generation (borrowed until it is over); those that were read
 * before end in theirs, which is retired. Not within a batch.
 */
void engine_use(struct engine *engine, struct generation *generation);

/* Limits for what comes; what goes on already goes on. */
void engine_limit(struct engine *engine, const struct engine_limits *limits);

/* What arenas, outboxes and large replies are charged to: limits.bytes. */
struct account *engine_account(struct engine *engine);

/* Arenas for flights, charged likewise. */
struct arena_pool *engine_arenas(struct engine *engine);

/* A client that has connected; connection is handed back to the ops. NULL when memory is out. */
struct client *client_open(struct engine *engine, void *connection);

/* It has disconnected: its requests are cancelled, its outbox is dropped. The client is the
 * engine's to free. */
void client_gone(struct client *client);

/* Its number in this process, from 1. */
uint64_t client_number(const struct client *client);

/*
 * A message: one frame after the envelope. received: when it was read (async->now at the latest);
 * deadlines count from it. Envelope and message are borrowed for the call; the envelope's bytes
 * mean nothing here.
 */
void engine_receive(struct engine *engine, struct client *client, struct text envelope,
		struct text message, uint64_t received);

/* A message that is no request: frames without an envelope, an envelope over its limits. problem is
 * for the reply's error. */
void engine_receive_malformed(struct engine *engine, struct client *client, struct text envelope,
		const char *problem);

/*
 * The transport is done with that much of what it had TAKEN for a client, by its number: to be told
 * of each reply of REPLY_LARGE or more, but not from inside of the ops.
 */
void engine_returned(struct engine *engine, uint64_t client, size_t size);

/* A message that was read after its client had gone: counted, nothing else. */
void engine_receive_late(struct engine *engine);

/*
 * From here to engine_flush(), in the same turn, requests may be kept for a moment, to be started a
 * few at a time, and replies to what is answered at once, to leave together. Where the turn is
 * entered again in between, deadlines fire in the middle of a batch: whatever ends something starts
 * the requests that are kept first, and an engine_flush() from there ends the batch.
 */
void engine_begin_batch(struct engine *engine);

/* Ends a batch, and tries the outboxes again. */
void engine_flush(struct engine *engine);

/* New requests and $ping are answered UNAVAILABLE from here on; those in flight go on, and what
 * goes on in the background ends. */
void engine_drain(struct engine *engine);

/* What is still in flight is answered UNAVAILABLE now. Not within a batch. */
void engine_cut(struct engine *engine);

/* What is still in an outbox is dropped, as undelivered; all clients are let go. The end. */
void engine_drop(struct engine *engine);

/* Whether nothing is in flight, outboxes included; and whether, besides, nothing is reaping. */
bool engine_answered(const struct engine *engine);
bool engine_idle(const struct engine *engine);

const struct engine_counts *engine_counts(const struct engine *engine);

/* Appends the members of `stats` that the engine knows: no braces around them. */
void engine_write_stats(const struct engine *engine, struct buffer *buffer);
