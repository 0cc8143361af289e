/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What can be told of a request at its end, by name: the members of its event, which feeds filter
 * by and choose from. One table says how each is read and written.
 */
#include <stdint.h>

#include "pipeline/base/text.h"

struct buffer;
struct pipeline;
struct record;
struct run;

/* TOLD: it can be written, and not be compared with anything. */
enum member_kind { MEMBER_NUMBER, MEMBER_TEXT, MEMBER_TOLD };

struct record_member {
	const char *name;
	enum member_kind kind;
	uint64_t (*number)(const struct record *record);
	struct text (*text)(const struct record *record); /* absent: null */
	void (*write)(struct buffer *buffer, const struct record *record);
	/* Of a TEXT: the nth that it may be, up to an absent one. NULL: any. */
	struct text (*nth)(size_t n);
};

/* In the order in which they are written; ends with a NULL name. */
extern const struct record_member record_members[];

/* NULL: there is none of that name. */
const struct record_member *record_member_find(struct text name);

/* Appends `,"NAME":VALUE`. */
void record_member_write(const struct record_member *member, struct buffer *buffer,
		const struct record *record);

/* record_stages.c: takes into the run what has not ended of it when it is told of, because it has
 * just been cut off or is about to be, or was by a timeout on the way. A flight is told of by the
 * first who gets its answer, or by the last of those who are cut off before. */
void record_cut(const struct pipeline *pipeline, struct run *run);

/* record_stages.c: the members `stages` and `sources`, as they stand. */
void record_write_stages(struct buffer *buffer, const struct record *record);
void record_write_sources(struct buffer *buffer, const struct record *record);
