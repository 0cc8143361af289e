/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which feeds see the requests to one pipeline, and with which statuses. For record_feed.c, which
 * runs feeds, and record_feed_compile.c, which makes them.
 */
#include <stddef.h>
#include <stdint.h>

struct outlier_rule;
struct random;
struct record_feed;

struct feed_seer {
	struct record_feed *feed;
	uint32_t statuses; /* a bit each */
};

struct feed_row {
	size_t count;
	struct feed_seer seers[];
};

/* Puts the feed's operators together: where, if it has a filter; outlier, if it has a field; sample
 * over 1; select. */
void record_feed_chain(struct record_feed *feed, const struct outlier_rule *rule, uint64_t sample,
		struct random *random);
