/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a fan-out asks of a quote source.
 * The loop thread only.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/async/frame.h"
#include "pipeline/base/json.h"
#include "pipeline/base/template.h"
#include "pipeline/base/text.h"

struct arena;
struct option_map;
struct source;

/* What is kept back of the time that remains when it is handed on, for the way back. */
#define SOURCE_MARGIN_NS (2 * UINT64_C(1000000))

/*
 * What a source wants filled in anew for each question besides `target` and `body`: its URL, a
 * header. The template is the source's; its names are those that the asking fan-out sees, and are
 * checked for each that asks it.
 */
struct source_template {
	const struct template *written;
	enum template_use use;
};

/*
 * One question. A frame that the driver made: OK with the source's value, in arena and already
 * viewed; the source's own status where it answered with an error; UNAVAILABLE where it is not
 * connected; INTERNAL where its body is no JSON; DEADLINE_EXCEEDED, without having been sent, where
 * nothing remains of the scope's time. Cancelled, it tells the source and ends at once.
 */
struct ask {
	struct frame frame;
	struct source *source;
	struct arena *arena;
	struct text target; /* the rest: set by the caller before frame_start(), and to stay until
			       the frame has ended */
	struct text body;   /* absent: none */
	struct text trace;  /* absent: none */
	const struct text *texts; /* the source's templates, filled in */
};

struct source_ops {
	/* Makes an ask of ask_size bytes at `ask`. */
	void (*ask_init)(struct ask *ask, struct source *source, struct arena *arena,
			struct frame *parent, struct scope *scope);
};

/* Cumulative, and `up`, `pending` as they are. */
struct source_stats {
	uint64_t asked;
	uint64_t answered;
	uint64_t failed; /* of the answered: with another status than OK, or a bad body */
	uint64_t cancelled;
	uint64_t refused;   /* not connected, or its queue was full */
	uint64_t lost;	    /* asked, and then there was no connection (any more) */
	uint64_t connected; /* connections that were made */
	uint64_t late;	    /* answers to what had ended, or twice */
	uint64_t garbage;   /* messages that are no reply */
	uint64_t pending;
	bool up;
};

struct source {
	const struct source_ops *ops;
	const char *name; /* the configuration's; borrowed */
	size_t ask_size;
	const struct json_limits *limits; /* for the bodies of its answers */
	struct text target;		  /* the default for a fan-out that names none */
	const struct option_map *body;	  /* templates of the default body; NULL: what the fan-out
					     gives by itself */
	const struct source_template *templates;
	uint32_t template_count;
	bool without_target; /* it would mean nothing to it: asks have none */
	bool without_body;   /* the same */
	struct source_stats stats;
};
