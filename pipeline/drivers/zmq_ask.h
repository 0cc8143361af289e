/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For zmq.c only: what is asked over a connection, and how it ends. The connection itself is
 * zmq.c's matter.
 */
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/drivers/driver.h"
#include "pipeline/drivers/pending.h"
#include "pipeline/drivers/zmq_sent.h"
#include "pipeline/loop/zmonitor.h"
#include "pipeline/loop/zsocket.h"
#include "pipeline/resources/source.h"
#include "pipeline/wire/wire.h"

struct zmq_source {
	struct resource resource;
	struct source source;
	const struct driver_context *context;
	struct zsocket socket;
	struct zmonitor monitor;
	struct pending pending; /* zmq_asks; none while the source is down */
	struct zmq_sent *sent;	/* what libzmq still holds for it, */
	size_t charged;		/* how much of that stands in limits.bytes, */
	sd_event_source *look;	/* and the timer that looks at it while it is any; else NULL */
	uint64_t ping;		/* the number of each `$ping` sent on this connection; 0: none */
	uint64_t pongs_due;	/* pings that have not been answered */
	char endpoint[];
};

struct zmq_ask {
	struct ask ask;
	struct pending_entry entry;
};

/* Its asks are zmq_asks, of a zmq_source's `source`. */
extern const struct source_ops zmq_ask_source_ops;

/* Sends one request; trace and body may be absent. 0, -EAGAIN, -ENOMEM, … What a source does not
 * read is bounded in number and bytes: -EAGAIN. */
int zmq_ask_send(struct zmq_source *zs, struct text target, uint64_t number, uint64_t budget_ms,
		struct text trace, struct text body);

/*
 * Ends the ask of that number by what came for it; wrong: why that is no reply. False: no such ask
 * waits.
 */
bool zmq_ask_answer(struct zmq_source *zs, uint64_t number, const struct wire_reply *reply,
		const char *wrong);

/* What libzmq holds for the source counts in limits.bytes. */
void zmq_ask_settle(struct zmq_source *zs);

/* Ends all asks: their connection is lost. */
void zmq_ask_lose_all(struct zmq_source *zs);
