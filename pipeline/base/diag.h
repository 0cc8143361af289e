/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What is wrong in a configuration: a list of errors and warnings, each with its place. All of them
 * are collected, not only the first. Everything is kept in the arena that the list was made with.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "pipeline/base/text.h"

struct arena;

/* Lines and columns count from 1; line 0: the file as a whole. */
struct place {
	const char *file;
	unsigned line;
	unsigned column;
};

struct diag_item {
	struct diag_item *next;
	struct place place;
	bool warning;
	const char *message;
};

struct diag {
	struct arena *arena;
	struct diag_item *first;
	struct diag_item **end;
	size_t errors;
	size_t warnings;
	bool lost; /* there was no memory to keep an error */
};

/* An empty list; borrows arena, which must outlive it. */
void diag_init(struct diag *diag, struct arena *arena);

/* In the message, control characters become `?`. */
void diag_error(struct diag *diag, struct place place, const char *format, ...)
		__attribute__((format(printf, 3, 4)));
void diag_warning(struct diag *diag, struct place place, const char *format, ...)
		__attribute__((format(printf, 3, 4)));

/* Sorts the list by file, line and column; equal places keep their order. */
void diag_sort(struct diag *diag);

/* Prints a line an item: `FILE:LINE:COLUMN: error: MESSAGE`; one more if an error was lost. */
void diag_print(const struct diag *diag, FILE *stream);

/*
 * Picks, among names seen one by one, the nearest to what was written (Damerau-Levenshtein, at most
 * a third of its length away, at least 1), for "did you mean". O(n*m) a name; names over 64 bytes
 * are passed over.
 */
struct nearest {
	struct text written;
	struct text best; /* absent: none is near */
	size_t distance;
};

void nearest_init(struct nearest *nearest, struct text written);
void nearest_see(struct nearest *nearest, struct text name);

/* `; did you mean "NAME"?` in arena, or "" if none is near. */
const char *nearest_hint(const struct nearest *nearest, struct arena *arena);
