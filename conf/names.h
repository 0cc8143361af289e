/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How messages speak of what was written and of what might have been. Strings live in the arena;
 * where memory is out they are shorter, never NULL.
 */
#include "pipeline/base/buffer.h"
#include "pipeline/base/diag.h"
#include "pipeline/base/text.h"

struct arena;
struct node;

/* Something from the file in quotes, on one line, cut off where it is long. */
const char *names_show(struct text text, struct arena *arena);

/* The same of a node: `"text"`, `a list`, `a map` or `nothing`. */
const char *names_show_node(const struct node *node, struct arena *arena);

/* Whether t is 1 to 64 of A-Z a-z 0-9 _ -, as every name is. */
bool names_allowed(struct text t);

/* The names that could have stood where something else was written. */
struct names {
	struct arena *arena;
	struct nearest nearest;
	struct buffer list;
};

void names_init(struct names *names, struct text written, struct arena *arena);
void names_add(struct names *names, const char *name);

/* `a, b, c`. */
const char *names_list(const struct names *names);

/* `; did you mean "b"?`, or "". */
const char *names_hint(const struct names *names);

/* The hint; where nothing is near, `; expected one of a, b, c`. */
const char *names_hint_or_list(const struct names *names);
