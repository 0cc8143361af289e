/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Both ends of a ZeroMQ source in one thread: the driver on a real loop, and a ROUTER that the test
 * reads and writes. Whatever is waited for is an event; the only times are those after which a test
 * has failed.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/async/async.h"
#include "pipeline/async/frame.h"
#include "pipeline/async/scope.h"
#include "pipeline/base/arena.h"
#include "pipeline/base/json.h"
#include "pipeline/base/text.h"
#include "pipeline/drivers/driver.h"
#include "pipeline/loop/loop.h"
#include "pipeline/resources/source.h"

/* The limit for bodies in these tests. */
#define BODY_MAX 1024

#define ENDED_MAX 16

struct fixture {
	struct async async;
	struct loop loop;
	void *zmq;
	struct arena arena;
	struct json_limits limits;
	struct account account;
	struct driver_context context;
	struct resource *resource;
	struct source *source;
	char directory[32];
	char endpoint[64];
	char last_event[64]; /* "source_up north", and so on */

	struct frame parent; /* of all asks, the owner of the root scope */
	struct scope scope;
	bool idle;		      /* the root scope is over */
	struct ask *ended[ENDED_MAX]; /* in the order their parent was resumed */
	size_t ended_count;

	void *router;  /* the source's end; NULL while it is down */
	int reads;     /* so many messages by itself; 0: as many as libzmq does */
	char peer[64]; /* whom the last request came from */
	size_t peer_size;
	char request[4096]; /* terminated */
	uint64_t number;    /* the id of the last request */
};

/*
 * The tests' setup and teardown: a driver that is open towards an endpoint where nobody listens
 * yet.
 */
int fixture_set_up(void **state);
int fixture_tear_down(void **state);

/*
 * What a configuration says of a source, from line 7 of its file on: `{zmq: ENDPOINT,
 * required: true}`.
 */
const struct option_map *fixture_options(struct fixture *f, struct text endpoint);

/* The source begins to listen, and is connected, and has read the `$ping`, if one was due. */
void fixture_rise(struct fixture *f);

/* The same, and `$ping` is answered. */
void fixture_rise_ready(struct fixture *f);

/*
 * The source's process is gone, with what it had read and written. The driver has not been told
 * yet.
 */
void fixture_fall(struct fixture *f);

/* An ask in scope that is not started yet, for the target "quote" and a body. */
struct ask *fixture_ask(struct fixture *f, struct scope *scope, const char *body);

/* Starts it in a turn. */
enum progress fixture_start(struct fixture *f, struct ask *ask);

/* Starts a further one in the root scope, which must pend, and reads it at the source's end. */
struct ask *fixture_asked(struct fixture *f, const char *body);

/* Reads the next request at the source's end: into `request`, and its id into `number`. */
void fixture_receive(struct fixture *f);

/* The source says that, as one frame. format may hold one %PRIu64 for `number`. */
void fixture_say(struct fixture *f, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Runs the loop until that many asks have ended since the last call, or the condition holds. */
void fixture_run_until_ended(struct fixture *f, size_t count);
void fixture_run_until(struct fixture *f, bool (*holds)(const struct fixture *f));
void fixture_run_until_event(struct fixture *f, const char *event);
