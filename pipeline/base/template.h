/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Text with `${path}` in it, compiled once when the configuration is read and run by splicing
 * slices.
 *
 *   ${a.b.0}       a path: a name, then members or array indexes
 *   ${a.b | text}  the text where the path leads nowhere: JSON if it is a JSON scalar, or a string
 *   $${            a literal `${`
 *
 * Names are not known here: each path carries the slot that its first name was bound to by whoever
 * compiled the pipeline, and running a template asks a function for the value at a path.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/base/diag.h"
#include "pipeline/base/text.h"
#include "pipeline/base/value.h"

struct arena;
struct buffer;

struct path {
	struct text whole; /* `a.b.0`, as written */
	struct text name;  /* `a` */
	const struct text *segments;
	size_t segment_count;
	struct text fallback; /* JSON text; absent: none */
	int32_t slot;	      /* for whoever binds names; -1 when compiled */
};

struct template_part {
	struct text literal; /* when path is NULL */
	struct path *path;
};

struct template
{
	struct place place;
	struct template_part *parts;
	size_t part_count;
	struct text constant; /* JSON text, if the template has no path */
};

/* Where a rendered value lands, which says how it is escaped. */
enum template_use {
	TEMPLATE_TEXT, /* a string stands bare, a number or boolean as written, nothing else may */
	TEMPLATE_URL,  /* the same, percent-encoded */
	TEMPLATE_KEY,  /* every value as its JSON text, strings in their normal spelling */
};

/* Reads the path of one `${…}` (without the brackets), default included. NULL after an error in
 * diag. */
struct path *path_compile(
		struct text written, struct place place, struct arena *arena, struct diag *diag);

/*
 * Compiles text; all is kept in arena. `plain`: the scalar stood without quotes in the file, and if
 * it is a JSON number, true, false or null it is that value and not a string. NULL after an error
 * in diag.
 */
struct template *template_compile(struct text text, bool plain, struct place place,
		struct arena *arena, struct diag *diag);

/* Whether the template is one path and nothing else, and so gives the value itself. */
bool template_is_path(const struct template *template);

/* Whether between any two paths there is a character other than a letter, a digit, `+`, `-` and `.`
 * (needed in a key). */
bool template_is_separated(const struct template *template);

/* Finds what a path's name and segments stand for. False: the path leads nowhere (the default is
 * not its matter). */
typedef bool (*template_resolve_fn)(void *user, const struct path *path, struct value *ret);

/* A run that failed: the path that led nowhere or whose value may not stand there. */
struct template_error {
	const struct path *path; /* NULL: out of memory */
	const char *message; /* static: "is missing", "must be a string, a number or a boolean" */
};

/* Appends the template's text to buffer. */
bool template_render(const struct template *template, enum template_use use,
		template_resolve_fn resolve, void *user, struct buffer *buffer,
		struct template_error *ret_error);

/* The template as one JSON value: what its only path leads to, its constant, or a string built in
 * arena. */
bool template_value(const struct template *template, template_resolve_fn resolve, void *user,
		struct arena *arena, struct value *ret, struct template_error *ret_error);
