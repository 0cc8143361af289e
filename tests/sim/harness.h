/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The engine in a world of its own, between peers that stand in place of connections: what they
 * send is received at once, and what becomes of each reply is theirs to say.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/base/buffer.h"
#include "pipeline/requests/engine.h"
#include "pipeline/requests/record_feed.h"
#include "tests/sim/world.h"

#define PEERS_MAX    256
#define ROOM_FOR_ALL SIZE_MAX

struct harness;

struct peer {
	struct harness *harness;
	struct client *client; /* NULL once it is gone */
	size_t room;	       /* replies that it will still take; then it is full */
	bool gone;    /* each reply finds that it is, though the engine has not been told yet */
	bool stalled; /* the engine has let go of it */
	struct buffer replies; /* that it took, each with a NUL at its end */
	size_t taken;	       /* of those, in bytes */
	uint64_t retry_ms;     /* of the latest reply that peer_take() gave */
	size_t size;	       /* of the latest that it took, in bytes */
	bool hoards;	       /* what it takes lies unread, until peer_read() */
	size_t unread;	       /* bytes of large replies that the engine does not know to be read */
};

struct harness {
	struct world world;
	struct engine_limits limits; /* may be changed until harness_load(); `limits` in the
					configuration changes them too */
	struct engine *engine;
	struct peer peers[PEERS_MAX];
	size_t peer_count;
	struct task reading;	    /* tells the engine what has been read */
	size_t reserved;	    /* replies that have been neither sent nor given back */
	bool out_of_memory;	    /* for replies */
	void (*before_reply)(void); /* called when the engine wants room for one; may be NULL */
	size_t observed;
	struct buffer record;		  /* the latest: see harness_record() */
	const struct record_feeds *feeds; /* the latest */
	struct buffer told;		  /* by them, since the last harness_told() */
};

void harness_init(struct harness *harness);

/* False where the configuration is wrong: world_problems() says why. */
bool harness_load(struct harness *harness, const char *yaml);

/* Loads another, beside the one that runs: for what is sent from now on. Resources stay as they
 * are, whatever it says of them. False, and nothing has changed: it is wrong. */
bool harness_reload(struct harness *harness, const char *yaml);

/* A peer that takes all replies; with world.watch->reply_taken set they are not kept. NULL when
 * there are PEERS_MAX. */
struct peer *harness_connect(struct harness *harness);

/* A message of that peer, at the present time; it is not told what came of it. */
void peer_send(struct peer *peer, const char *message);
void peer_send_in(struct peer *peer, const char *envelope, const char *message);

/* The same for any bytes, and for one that was read earlier. */
void peer_send_text(
		struct peer *peer, struct text envelope, struct text message, uint64_t received);

/*
 * The next reply that it took, once nothing is queued: `[ENVELOPE] REPLY`, without `us=` and with
 * `retry_ms=*`; "" where there is none.
 */
const char *peer_take(struct peer *peer);

/* It reads all that it took while it hoarded. */
void peer_read(struct peer *peer);

/* It disconnects. */
void peer_leave(struct peer *peer);

/* Tries the outboxes again. */
void harness_flush(struct harness *harness);

/*
 * The latest record: `PIPELINE STATUS[ REASON] id=… client=… us=… in=… out=…[ trace=…]`, and for
 * each stage that it met a line `PATH STATUS us=…[ flight=…]`, where `-` stands for a status that
 * it has not.
 */
const char *harness_record(struct harness *harness);

/* What feeds have told since the last time, a line each: `TOPIC,"MEMBER":VALUE…`. */
const char *harness_told(struct harness *harness);

/*
 * Ends all that still goes on, and frees everything. False if anything is left then, or if what was
 * read is not what was answered, gone or undelivered.
 */
bool harness_deinit(struct harness *harness);
