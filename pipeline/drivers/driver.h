/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A kind of resource on a real engine. `create` does no I/O and gives the handle that pipelines are
 * compiled against; `open` connects, and `--check` never calls it. The tables of drivers are what a
 * configuration's `databases`, `caches` and `sources` may hold.
 */
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/base/options.h"

struct account;
struct cache;
struct database;
struct diag;
struct json_limits;
struct log;
struct loop;
struct source;

/* What drivers are handed, once. */
struct driver_context {
	struct loop *loop;	 /* NULL under --check */
	void *zmq;		 /* the one ZeroMQ context; NULL under --check */
	struct account *account; /* limits.bytes: rows on their way, evicted values still read */
	const struct json_limits *limits;
	const struct log *log;
	/* A source came up or went down, a file was found replaced, …: `daemon.EVENT` */
	void (*event)(void *user, const char *event, struct text name, const char *reason);
	void *user;
};

enum driver_kind { DRIVER_DATABASE, DRIVER_CACHE, DRIVER_SOURCE };

/* One configured resource. The first member of what each driver makes. */
struct resource {
	const struct driver *driver;
	const char *name;
	struct place place;
	bool required; /* waited for before READY=1 */
	bool ready;  /* opened, every query prepared; a source: has answered $ping, was connected */
	bool behind; /* a database that is ready, of which queries were named since that have not
			been prepared: to be opened again */
	bool failed; /* it cannot be opened as things are, and so is not opened again: it may yet
			become ready by itself */
	const char *trouble; /* why it is not ready, or is behind, where that is known and may
				pass; else NULL. Static, and of no meaning while it is there */
	struct cache *cache;
	struct database *database;
	struct source *source;
};

struct driver {
	const char *name; /* the key that picks it: "sqlite", "memory", "zmq", "http" */
	enum driver_kind kind;
	const char *help;
	const struct option *options;
	/* Makes the resource; errors go to diag. NULL after an error. */
	struct resource *(*create)(const struct driver_context *context, const char *name,
			const struct option_map *options, struct diag *diag);
	/*
	 * Connects. What can't be right later either (SQL that does not prepare, a file that is
	 * none) goes to diag. What may pass by itself (a file that another process has locked, a
	 * source that isn't up yet) doesn't: the resource is not `ready` then, and either becomes
	 * so by itself or may be opened again, until start_timeout and after it. So may one that
	 * memory was out for, which goes to diag, the first time, and is its `trouble`. Opening
	 * what is ready prepares what it is `behind` with, and does nothing else. May be NULL.
	 */
	void (*open)(struct resource *resource, struct diag *diag);
	/* Whether the next configuration may hold it too, where it says the same of it. NULL: yes.
	 */
	bool (*lasts)(struct resource *resource);
	/* Takes other options over while it is in use: they are said, and not checked here. NULL:
	 * it can't, and one with other options is another resource. */
	void (*adapt)(struct resource *resource, const struct option_map *options);
	/*
	 * Ends what open() began; nobody asks it any more, and what was asked has been cancelled.
	 * until: how long (loop_now()) a thread that does not come back is waited for. False: one
	 * has not, and what it may touch is left alone; it may be called again. May be NULL.
	 */
	bool (*close)(struct resource *resource, uint64_t until);
	/* Gives back what create() has made, of a resource that is closed or was never opened, when
	 * nothing that was compiled against it is left. */
	void (*free)(struct resource *resource);
};

extern const struct driver sqlite_driver;
extern const struct driver memory_driver;
extern const struct driver zmq_driver;
extern const struct driver http_driver; /* not in every build */

/* The driver that a key picks, or NULL: this build has none. */
const struct driver *driver_find(const char *name);
