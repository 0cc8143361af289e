/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A YAML document as a tree of nodes, each with its place; scalars stay the text that was written.
 * Keys of a map are scalars, and all different where no error is reported.
 */
#include <stdbool.h>
#include <stddef.h>

#include "pipeline/base/diag.h"
#include "pipeline/base/text.h"

struct arena;

enum node_kind {
	NODE_SCALAR,
	NODE_LIST,
	NODE_MAP,
	NODE_REFUSED, /* an alias or a NUL: reported, and nothing is known of the value */
};

struct node {
	enum node_kind kind;
	bool plain; /* of a SCALAR: it stood without quotes */
	struct place place;
	struct text text; /* of a SCALAR, without NUL; of all else empty */
	struct text key;  /* of what stands in a MAP */
	struct place key_place;
	struct node *first; /* of a LIST or MAP: what stands in it, in the file's order */
	struct node *next;
	size_t count;
};

/* Whether nothing was written where a value should stand: `key:`. */
static inline bool node_is_nothing(const struct node *node)
{
	return node->kind == NODE_SCALAR && node->plain && node->text.size == 0;
}

/*
 * Reads the one document of text, which goes by `file` in places (kept, not copied). All else is
 * kept in arena. NULL after an error that ends reading; errors that do not (an anchor, a tag, a
 * duplicate key) only go to diag.
 */
const struct node *document_read(
		const char *file, struct text text, struct arena *arena, struct diag *diag);
