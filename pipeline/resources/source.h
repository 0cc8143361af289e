/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a fan-out asks of a quote source, and what it knows of how the source does.
 * The loop thread only.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/async/frame.h"
#include "pipeline/async/retry_budget.h"
#include "pipeline/base/json.h"
#include "pipeline/base/options.h"
#include "pipeline/base/template.h"
#include "pipeline/base/text.h"
#include "pipeline/resources/breaker.h"
#include "pipeline/resources/latency.h"

struct arena;
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
	bool sent;		  /* set by the driver: it is on its way to the source, */
	uint64_t sent_at;	  /* since then; until then it may wait for a connection */
};

extern const struct option source_breaker_options[];

/* What all kinds of sources may be told, for the tables of their drivers: source_configure() reads
 * it. */
#define SOURCE_OPTIONS                                                                             \
	{.key = "breaker",                                                                         \
			.kind = OPTION_MAP,                                                        \
			.table = source_breaker_options,                                           \
			.help = "when too much of what it is asked fails, it is left alone for a " \
				"while"},                                                          \
	{                                                                                          \
		.key = "spare", .kind = OPTION_NUMBER, .fallback = "10", .max = RETRY_BUDGET_MAX,  \
		.help = "failures after half of which it is asked nothing beyond what must be; "   \
			"ten good answers make up for one; `0`: it is asked all the same"          \
	}

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

	/* How it does, told by whoever asks it. Cleared, it has no breaker and spares all. */
	struct breaker breaker;
	struct retry_budget spare; /* for what is asked only because another failed, or is slow */
	uint32_t spared;	   /* times, since it was last asked anything */
	uint32_t good_in_a_row;	   /* answers to what it could have been spared, since it is;
				      no more than matter are counted */
	struct latency latency;	   /* of its answers */
	void (*breaker_changed)(void *user, const struct source *source); /* may be NULL */
	void *breaker_user;
};

/* By options of SOURCE_OPTIONS. */
void source_configure(struct source *source, const struct option_map *options);

/*
 * Whether it is to be spared a question that need not be asked of it, because too much of it fails,
 * or, slow, because it would mostly answer too late. It counts how often it was: one that would
 * never be asked anything could never give the good answers, and in time, that end this.
 */
bool source_spared(struct source *source, bool slow);

/* What is known of a question as it is asked. */
struct source_pass {
	enum breaker_pass breaker;
	bool tries; /* it could have been spared it, and has been for long */
};

/* Around each question: whether its breaker lets it pass, and how it ended. */
struct source_pass source_ask(struct source *source, uint64_t now);
void source_ended(
		struct source *source, uint64_t now, struct source_pass pass, enum breaker_end end);
