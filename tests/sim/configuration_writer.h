/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the writers of a configuration share. Each writes its part as YAML, and notes in the shape
 * what a witness must know of it.
 *
 * A new stage is a writer of its own and a line in the table of configuration_stages.c; a pipeline
 * of which all is to be known is a kind of shape, and a line in the table of configuration.c.
 */
#include <inttypes.h>

#include "tests/sim/configuration.h"
#include "tests/sim/world.h"

struct writer {
	struct configuration *configuration;
	struct random *random;
	struct buffer *yaml;
	struct shape *shape;
	unsigned keys; /* caches so far: each has keys of its own */
	unsigned names;
	size_t shared;	   /* where the CACHE's stage stands in the text, */
	size_t shared_end; /* which others may have too */
};

#define COUNT(list)	   (sizeof(list) / sizeof((list)[0]))
#define PICK(writer, list) (list)[random_below((writer)->random, COUNT(list))]

static inline bool writer_one_in(struct writer *writer, uint64_t n)
{
	return random_below(writer->random, n) == 0;
}

/* Of a `timeout`: one of a few whole milliseconds, for things to happen at one moment. */
static inline uint64_t writer_timeout_ms(struct writer *writer)
{
	static const uint64_t timeouts_ms[] = {1, 5, 5, 10, 10, 20};
	return PICK(writer, timeouts_ms);
}

/* configuration_stages.c. Each stage is left open for its `as`: all but the brace that closes it.
 */
/* Any stages, in brackets. in_miss: nothing is known of n there. depth: how many more may be
 * nested. */
void writer_steps(struct writer *writer, unsigned depth, bool in_miss);
void writer_lookup(struct writer *writer, bool in_miss, uint32_t queue);
/* Up to its `miss:`. */
void writer_cache_head(struct writer *writer);
/* Up to its `steps:`. In a miss nothing is known of n. */
void writer_condition(struct writer *writer, bool in_miss);
/* Up to its `steps:`. */
void writer_retry_head(struct writer *writer);

/* configuration_fanout.c */
/* Up to options that follow the body. */
void writer_race(struct writer *writer, const char *body);
void writer_race_timeout(struct writer *writer);
void writer_fanout(struct writer *writer, bool in_miss);
/* All answers for each element, so that it is known how many there are. */
void writer_board(struct writer *writer);
void writer_hedged(struct writer *writer);

/* configuration_feeds.c */
void writer_feeds(struct writer *writer);
