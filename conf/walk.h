/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * From nodes to option values, by the tables. Nothing here stops at an error: it is reported, and
 * the walk goes on beside it, so that one run shows all of them. What was wrong stays zero in a
 * tree that nobody will see.
 */
#include <stdbool.h>
#include <stddef.h>

#include "pipeline/base/diag.h"
#include "pipeline/base/options.h"
#include "pipeline/base/text.h"

struct arena;
struct names;
struct node;

struct walk {
	const char *file;
	struct arena *arena;
	struct diag *diag;
	bool failed;   /* memory ran out */
	size_t blamed; /* errors that are held against some value already */
	/* The variant that a resource's first key has picked, and all that it was picked from; NULL
	 * outside of one. */
	const struct option_variant *picked;
	const struct option_variant *variants;
};

/* Errors that are held against no value yet. */
static inline size_t walk_unblamed(const struct walk *walk)
{
	return walk->diag->errors - walk->blamed;
}

/* Holds against value what was found since there were so many of these. */
void walk_blame(struct walk *walk, struct option_value *value, size_t before);

/* Reports it, once. */
void walk_out_of_memory(struct walk *walk);

/* Cleared memory in the walk's arena for count things of size. NULL, reported, when it is out. */
void *walk_alloc(struct walk *walk, size_t count, size_t size);

/* Reports `"KEY": expected EXPECTED, not NODE` and the hint. */
void walk_expected(struct walk *walk, struct text key, const struct node *node,
		const char *expected, const char *hint);

/* Whether node may be a name; reports it where not. */
bool walk_name(struct walk *walk, struct text name, struct place place);

/* Holds a number, a text's size or a list's or map's count against the option's bounds. */
void walk_bounds(struct walk *walk, const struct option *option, const struct option_value *value,
		uint64_t number);

/* A map by a table: one value for each entry of the table. NULL when memory is out. */
const struct option_map *walk_table(
		struct walk *walk, const struct option *table, const struct node *map);

/* The same for the whole file: each key is blamed for what is wrong with it, and then as if it had
 * not been given. */
const struct option_map *walk_file(
		struct walk *walk, const struct option *table, const struct node *map);

/* The same as walk_table(), or the scalar or list that stands for the table's bare key. NULL after
 * an error. */
const struct option_map *walk_body(struct walk *walk, const struct option *table, struct text key,
		const struct node *node);

/* Fills value, whose name is set, from node by its option. */
void walk_value(struct walk *walk, const struct option *option, const struct node *node,
		struct option_value *value);

/* A template, for what goes by key. NULL after an error. */
struct template *walk_template(struct walk *walk, struct text key, const struct node *node);

/* The variant of that name, or NULL. */
const struct option_variant *walk_variant(const struct option_variant *variants, struct text name);

/* Begins names with those of the variants, for a written one that is none of them. */
void walk_variant_names(struct walk *walk, const struct option_variant *variants,
		struct text written, struct names *ret);

/* The kinds that have files of their own. node is of any kind but REFUSED. */
void walk_scalar(struct walk *walk, const struct option *option, const struct node *node,
		struct option_value *value);
void walk_types(struct walk *walk, const struct option *option, const struct node *node,
		struct option_value *value);
void walk_templates(struct walk *walk, const struct option *option, const struct node *node,
		struct option_value *value);
void walk_named(struct walk *walk, const struct option *option, const struct node *node,
		struct option_value *value);
void walk_steps(struct walk *walk, const struct option *option, const struct node *node,
		struct option_value *value);
