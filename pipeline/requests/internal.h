/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the files of this room share, and nobody outside it sees.
 */
#include "pipeline/async/async.h"
#include "pipeline/async/scope.h"
#include "pipeline/async/stream_queue.h"
#include "pipeline/base/hash.h"
#include "pipeline/base/list.h"
#include "pipeline/base/table.h"
#include "pipeline/requests/adaptive.h"
#include "pipeline/requests/engine.h"
#include "pipeline/requests/generation.h"
#include "pipeline/stages/pipeline.h"
#include "pipeline/stages/run.h"
#include "pipeline/wire/wire.h"

/*
 * Where a request is, once it is started. RUNNING -> HELD when its reply waits in the outbox; both
 * are in flight, known by id. -> ENDED when its reply has left; its memory goes when its scope is
 * idle too.
 */
enum request_state { REQUEST_RUNNING, REQUEST_HELD, REQUEST_ENDED };

/* A reply that waits in its client's outbox, or a part of one. */
struct held {
	struct link link;
	struct reply *reply; /* NULL: nothing waits */
	struct request *request;
};

/* What a request has that wants its answer in parts. */
struct delivery {
	struct stream_queue queue; /* of parts, from the stage that makes them */
	struct stream_wait wait;   /* for the next */
	struct held held;	   /* a part; no other is pulled meanwhile */
	uint64_t sent;		   /* parts, the one that is held included */
	size_t bytes;		   /* theirs */
	bool lost;		   /* there was no memory for one */
	void *buffer[PARTS_MAX];
};

struct request {
	struct frame frame; /* owner of the scope; its outcome: why there is no activation */
	struct scope scope;
	struct run run; /* its id is the request's; its root NULL: the body was refused */
	struct arena arena;
	struct engine *engine;
	struct client *client; /* NULL once it has ended */
	struct pipeline *pipeline;
	struct table_entry entry;  /* among those in flight */
	struct link link;	   /* in its client's list, while in flight */
	struct held held;	   /* while HELD */
	struct delivery *delivery; /* NULL: the answer is wanted whole */
	uint64_t received;
	uint64_t deadline;
	struct generation *generation; /* NULL: it is only a reply that is held */
	struct text envelope;
	size_t bytes_in;
	enum request_state state;
	bool listed; /* it has entered flight: the table and its client's list */
	bool idle;   /* nothing goes on in its scope */
};

/* Freed as soon as it is gone: only requests in flight point at it, and they are let go first. */
struct client {
	struct engine *engine;
	void *connection;
	uint64_t number;
	struct link link;     /* among all clients */
	struct link stuck;    /* among those with an outbox */
	struct link requests; /* in flight */
	struct link outbox;   /* of struct held, oldest first */
	struct timer stall;
	struct table_entry entry; /* by its number */
	uint64_t in_flight;
	size_t unread; /* bytes of its large replies that the transport has, and is not done with */
	uint32_t batched; /* replies that leave at the end of the batch */
};

/* A reply that leaves at the end of the batch. */
struct departure {
	struct client *client;
	struct reply *reply;
};

/* As many as a door may read in one turn, or they leave in several parts. */
#define BATCH_MAX 256

/* Requests that are started together. A few are enough to have reads overtake each other's waiting;
 * what many need would not stay in the nearest of the processor's caches. */
#define GROUP_MAX 8

struct engine {
	struct async *async;
	struct engine_limits limits;
	struct engine_ops ops;
	const struct log *log;
	struct generation *generation; /* of requests that are read now */
	struct account account;
	struct arena_pool arenas;
	struct hash_key hash_key;
	struct table in_flight; /* requests, by client and id */
	struct table by_number; /* clients */
	struct link clients;
	struct link stuck;
	uint64_t client_numbers;
	bool draining;
	struct engine_counts counts;
	struct adaptive adaptive; /* of counts.in_flight_max, where limits.in_flight_min is set */
	bool batching;
	size_t grouped;
	size_t grouped_started;		  /* of them; 0 outside group_start() */
	struct request *group[GROUP_MAX]; /* read, to be started in this order */
	size_t batched;
	struct departure batch[BATCH_MAX];
};

/* in_flight.c: requests in flight, by client, envelope and id. Two may be of one name, where the
 * reply to the first was refused after the second had been started: the one that runs is found. */
struct request *in_flight_find(const struct client *client, struct text envelope, struct text id);
void in_flight_add(struct request *request);
/* Harmless for one that is not in flight. */
void in_flight_remove(struct request *request);

/* admission.c */
/* The absolute deadline: the earliest of budget, the pipeline's own and the longest allowed;
 * without the first two, the usual one. */
uint64_t admission_deadline(const struct engine *engine, const struct pipeline *pipeline,
		uint64_t budget_ms, uint64_t received);
/* A request that was in flight has run to its end, or its deadline: the limit may follow from how
 * long it took. */
void admission_learn(struct engine *engine, const struct request *request,
		const struct outcome *outcome);
/* The limit because of which nothing of this client may wait now, in words; NULL: it may. */
const char *admission_used_up(const struct client *client);
/* Whether limits.bytes is used up, by all but what was read after the request whose turn it is. */
bool admission_memory_used_up(const struct engine *engine);
/* How long to stay away, in milliseconds: a quarter of the pipeline's median time, at least 10,
 * give or take half. pipeline may be NULL. */
uint64_t admission_retry_ms(struct engine *engine, struct pipeline *pipeline);

/* request.c */
void request_receive(struct engine *engine, struct client *client, struct text envelope,
		const struct wire_request *wire, struct text message, uint64_t received);
/* Starts a request that group.c has kept: it is RUNNING then, or has been answered. */
void request_start(struct request *request);
/* Ends a request that is RUNNING, for that reason, with a reply where one is due. */
void request_cut(struct request *request, enum reason reason);
/* Its reply has left, or never will: it is in flight no more. */
void request_leave(struct request *request);

/* reply.c */
/* How a reply that was due left: taken or GONE, with the BATCH, HELD in the outbox, or DROPPED. */
enum left { LEFT_TAKEN, LEFT_BATCH, LEFT_HELD, LEFT_GONE, LEFT_DROPPED };
/* Answers a request with an outcome, and tells of it. may_hold: it may wait in the outbox. */
enum left reply_request(struct request *request, const struct outcome *outcome, enum reason reason,
		bool may_hold);
/* Sends a part of its answer, or puts it into the outbox. False when memory is out. */
bool reply_part(struct request *request, const struct part *part);
/* Answers what never became a request. id may be absent. */
struct refusal {
	struct text id;
	struct text trace;
	struct pipeline *pipeline;
	enum status status;
	const char *message; /* NULL: OK, without a body */
	struct wire_reply_keys keys;
	size_t bytes_in;
	uint64_t received;
	bool told; /* whether it is told of in telemetry; commands are not */
};
void reply_refuse(struct engine *engine, struct client *client, struct text envelope,
		const struct refusal *refusal);

/* group.c: requests that were read and are started with those that come right after them. */
/* Takes a request over, and starts it at once where there is no batch. */
void group_add(struct request *request);
/* Starts those that are kept. */
void group_start(struct engine *engine);
/* The bytes that those hold whose turn has not come. */
size_t group_bytes(const struct engine *engine);

/* client.c */
/* Hands a reply to the transport. */
enum sent client_send(struct client *client, struct text envelope, struct reply *reply);

/* batch.c */
/* Keeps a reply to the end of the batch. False: there is none, or the reply can't wait for it. */
bool batch_add(struct client *client, struct text envelope, struct reply *reply);
void batch_flush(struct engine *engine);

/* outbox.c */
/* held is the request's own, or its delivery's. */
void outbox_add(struct request *request, struct held *held, struct reply *reply);
/* Whether a part of that size has to wait, because enough lies unread with the transport. */
bool outbox_holds_back(const struct client *client, size_t size);
/* Throws away what waits. */
void outbox_withdraw(struct held *held);
void outbox_drop(struct client *client, uint64_t *count);

/* delivery.c: parts of an answer, from the stage that makes them to the transport. */
/* For a request that has no scope yet; delivery_begin() is for when it has. False when memory is
 * out. */
bool delivery_open(struct request *request);
void delivery_begin(struct request *request);
/* It is in flight; or there is room, or there may be a part. */
void delivery_go_on(struct request *request);
/* No part is sent any more. */
void delivery_end(struct request *request);

/* command.c */
/* Whether the target is `$cancel`, however the rest is written: it has no reply of its own. */
bool command_is_cancel(struct text message);
/* An unknown or ended id is ignored. */
void command_cancel(struct client *client, struct text envelope, struct text id);
/* Any other command. */
void command_receive(struct engine *engine, struct client *client, struct text envelope,
		const struct wire_request *wire, size_t bytes_in, uint64_t received);
