/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Both ends of an HTTP source in one thread: the driver on a real loop, and a server that the test
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
#include "pipeline/base/options.h"
#include "pipeline/drivers/driver.h"
#include "pipeline/loop/loop.h"
#include "pipeline/resources/source.h"

/* After so long, what a test waits for will not come. */
#define FAILED_US UINT64_C(20000000)

struct fixture {
	struct async async;
	struct loop loop;
	struct arena arena;
	struct json_limits limits;
	struct driver_context context;
	struct resource *resource;
	struct source *source;
	struct frame parent; /* of all asks, the owner of the root scope */
	struct scope scope;
	bool idle;
	unsigned ended;
	char last_event[64];
	const char *host;
	int listener;
	int connection; /* -1: none */
	int port;
	char request[4096];
	size_t request_size;
	const char *answer; /* of fixture_serve(); at first `[1,2, 3]`, in two chunks */
};

/* The tests' setup and teardown: a source at a server's URL, with a connection or two, that is not
 * open. */
int fixture_set_up(void **state);
int fixture_tear_down(void **state);

/* What a configuration says of a source, from line 7 of its file on. */
enum {
	HTTP_URL,
	HTTP_METHOD,
	HTTP_BODY,
	HTTP_HEADERS,
	HTTP_CONNECTIONS,
	HTTP_QUEUE,
	HTTP_MAX_BODY,
	HTTP_REQUIRED,
	HTTP_CA,
	HTTP_OPTIONS,
};

/* These, of which two connections, a queue of ten, and nothing else is given: to be changed. */
struct option_value *fixture_options(struct fixture *f, const char *url, struct diag *diag);
struct resource *fixture_create(
		struct fixture *f, const struct option_value *values, struct diag *diag);

/* Opens it; must succeed. */
void fixture_open(struct resource *resource);

/* One turn, for at most so long. */
void fixture_turn(struct fixture *f, uint64_t us);

/* An ask of `/q` at the server's host and port, started in a turn. */
struct ask *fixture_start(struct fixture *f, struct source *source, struct scope *scope,
		enum progress expected);

/* Until so many asks have ended, since the last time. */
void fixture_run_until_ended(struct fixture *f, unsigned count);

/* ---- the server's end */

/* Listens at an address of this host, and a port; 0: one that is free, and *port is it then. */
int fixture_listen_at(uint32_t host, int *port);

bool fixture_is_readable(int fd);

/* Until there is a next connection, which takes the place of the one before. */
void fixture_accept(struct fixture *f);

/* Until its end, which is false, or a whole request. */
bool fixture_hear(struct fixture *f);

/* Over the connection. */
void fixture_say(struct fixture *f, const char *text);

/* Answers whatever has come; does not wait for it. */
void fixture_serve(struct fixture *f);

#define OK_7 "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n7"
