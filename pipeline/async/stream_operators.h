/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What can be put on a stream (stream.h). Each is a stream itself, in memory of fixed size that is
 * the caller's, and holds no element: an element that `where` refuses is released by the pull that
 * looks for the next. Functions are called while somebody pulls, once for each element, in order.
 */
#include <stdint.h>

#include "pipeline/async/stream.h"

struct random;

/* Those that keep() says true to. */
struct stream_where {
	struct stream stream;
	stream_keep_fn keep;
	void *user;
};

void stream_where_init(struct stream_where *where, struct stream *upstream, stream_keep_fn keep,
		void *user);

/* What map() makes of each; it stays until the next pull. */
typedef void *(*stream_map_fn)(void *user, void *element);

struct stream_select {
	struct stream stream;
	stream_map_fn map;
	void *user;
};

void stream_select_init(struct stream_select *select, struct stream *upstream, stream_map_fn map,
		void *user);

/* The first `count`; the pull after the last of them closes what is upstream (LOST), without
 * waiting for one more. It has then ended, OK. */
struct stream_take {
	struct stream stream;
	uint64_t left;
};

void stream_take_init(struct stream_take *take, struct stream *upstream, uint64_t count);

/*
 * One of each `every` in a row, at a place among them that chance picks: a fixed place would, of
 * what comes in a rhythm, see always the same.
 */
struct stream_sample {
	struct stream stream;
	struct random *random;
	uint64_t every;
	uint64_t seen; /* of this row */
	uint64_t picked;
};

/* every: at least 1. Borrows random. */
void stream_sample_init(struct stream_sample *sample, struct stream *upstream, uint64_t every,
		struct random *random);
