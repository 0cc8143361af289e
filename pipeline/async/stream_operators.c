/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An operator pulls upstream until it has something to give, and passes LATER and END on as they
 * come.
 */
#include "pipeline/async/stream_operators.h"

#include <assert.h>

#include "pipeline/base/random.h"

/* Where */

static enum pulled where_pull(struct stream *stream, void **ret)
{
	struct stream_where *where = container_of(stream, struct stream_where, stream);
	return stream_pull_kept(stream, where->keep, where->user, ret);
}

static const struct stream_ops where_ops = {.pull = where_pull};

void stream_where_init(struct stream_where *where, struct stream *upstream, stream_keep_fn keep,
		void *user)
{
	stream_init_operator(&where->stream, &where_ops, upstream);
	where->keep = keep;
	where->user = user;
}

/* Select */

static enum pulled select_pull(struct stream *stream, void **ret)
{
	struct stream_select *select = container_of(stream, struct stream_select, stream);
	void *element;
	enum pulled pulled = stream_pull(stream->upstream, &element);
	if (pulled == STREAM_END)
		return stream_ends_too(stream);
	if (pulled == STREAM_ITEM)
		*ret = select->map(select->user, element);
	return pulled;
}

static const struct stream_ops select_ops = {.pull = select_pull};

void stream_select_init(struct stream_select *select, struct stream *upstream, stream_map_fn map,
		void *user)
{
	stream_init_operator(&select->stream, &select_ops, upstream);
	select->map = map;
	select->user = user;
}

/* Take */

static enum pulled take_pull(struct stream *stream, void **ret)
{
	struct stream_take *take = container_of(stream, struct stream_take, stream);
	if (take->left == 0) {
		stream_close(stream->upstream, LOST);
		return stream_ends(stream, outcome_ok(VALUE_NONE));
	}
	enum pulled pulled = stream_pull(stream->upstream, ret);
	if (pulled == STREAM_END)
		return stream_ends_too(stream);
	if (pulled == STREAM_ITEM)
		take->left--;
	return pulled;
}

static const struct stream_ops take_ops = {.pull = take_pull};

void stream_take_init(struct stream_take *take, struct stream *upstream, uint64_t count)
{
	stream_init_operator(&take->stream, &take_ops, upstream);
	take->left = count;
}

/* Sample */

static bool pick(void *user, const void *element)
{
	struct stream_sample *sample = user;
	if (sample->seen == 0)
		sample->picked = random_below(sample->random, sample->every);
	bool picked = sample->seen == sample->picked;
	sample->seen = (sample->seen + 1) % sample->every;
	return picked;
}

static enum pulled sample_pull(struct stream *stream, void **ret)
{
	struct stream_sample *sample = container_of(stream, struct stream_sample, stream);
	return stream_pull_kept(stream, pick, sample, ret);
}

static const struct stream_ops sample_ops = {.pull = sample_pull};

void stream_sample_init(struct stream_sample *sample, struct stream *upstream, uint64_t every,
		struct random *random)
{
	assert(every > 0);
	stream_init_operator(&sample->stream, &sample_ops, upstream);
	sample->random = random;
	sample->every = every;
	sample->seen = 0;
}
