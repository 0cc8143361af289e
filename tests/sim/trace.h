/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What happens between a harness's peers, its engine and its resources, as text: a line an event,
 * with its time in milliseconds (tests/sim/scenarios/README.md). Lines of what was put in have a
 * `>`; those of what the engine did come by themselves, as the world's watch.
 */
#include <stdbool.h>

#include "pipeline/base/buffer.h"
#include "pipeline/base/text.h"
#include "tests/sim/harness.h"
#include "tests/sim/watch.h"

struct trace {
	struct buffer text;
	struct watch watch; /* its own; another may stand in its place that passes on to it */
	bool observe;	    /* also how requests ended, with their stages; false unless set */
	bool stopped;	    /* writes nothing any more */
	struct harness *harness;
	struct text names[PEERS_MAX];
};

/* Between harness_init() and harness_load(); borrows harness, and becomes its world's watch. */
void trace_init(struct trace *trace, struct harness *harness);
void trace_deinit(struct trace *trace);

/* What that peer is called; borrowed. One without a name is `c` and its number. */
void trace_name(struct trace *trace, const struct peer *peer, struct text name);

/* Adds a line of what was put in, or of anything else; LFs in it are written as ` | `. */
void trace_input(struct trace *trace, const char *format, ...)
		__attribute__((format(printf, 2, 3)));
void trace_event(struct trace *trace, const char *format, ...)
		__attribute__((format(printf, 2, 3)));
