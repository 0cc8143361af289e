/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The parts of a running daemon. For daemon.c, which puts them together, load.c, which loads what
 * it serves, drain.c, which brings it to rest, and stats.c, which tells of all.
 */
#include <stdbool.h>
#include <stdint.h>

#include "daemon/build.h"
#include "pipeline/async/async.h"
#include "pipeline/base/log.h"
#include "pipeline/drivers/driver.h"
#include "pipeline/loop/loop.h"

struct engine;
struct feed;
struct front;

/* What libzmq may still send when the door is closed. */
#define LINGER_MS 500
/* How long libzmq is waited for at the end, where it may be that it looks up a name: to send what
 * it may, and to let go. */
#define NETWORK_NS UINT64_C(5000000000)
/* How long a worker that is stuck in its database is waited for. */
#define WORKERS_NS UINT64_C(1000000000)

struct daemon {
	struct log log;
	struct log_rate oversize_rate;
	struct log_rate stalled_rate;
	struct async async;
	struct loop loop;
	const char *path;      /* of the configuration */
	struct link builds;    /* all that are not over */
	struct build *current; /* whose pipelines requests run that are read now; NULL: none yet */
	struct build *next;    /* what is being loaded; NULL: nothing is */
	struct build *doors;   /* by which they were bound: the first, whose memory stays for it */
	uint64_t load_began;
	const struct resource *waiting_for; /* that it was last said to wait for, */
	const char *waiting_trouble;	    /* and why */
	bool reload_wanted;		    /* as soon as it is ready */
	struct driver_context context;
	struct engine *engine;
	struct front *front;
	struct feed *feed;
	void *zmq;
	uint64_t boot;
	sd_event_source *signals[3];
	sd_event_source *stats_timer;
	sd_event_source *watchdog_timer;
	sd_event_source *open_timer; /* while something is to be opened */
	sd_event_source *drain_timer;
	sd_event_source *drain_watch; /* after each turn of a drain */
	bool looping;		      /* the loop is there */
	bool ready;
	bool draining;
	bool drained; /* to the end: the counts are final */
	int code;
};
