/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list that a configuration is refused by. An error counts even where there is no memory to
 * keep its message, so that a configuration with an error is never taken for a good one.
 */
#include "pipeline/base/diag.h"

#include <stdarg.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/lesser.h"

#define NEAREST_MAX 64

void diag_init(struct diag *diag, struct arena *arena)
{
	*diag = (struct diag){.arena = arena};
	diag->end = &diag->first;
}

/* What the file holds is told in messages too, and each is one line of a log. */
static void keep_to_one_line(char *message)
{
	for (; *message; message++) {
		if ((unsigned char)*message < ' ' || *message == 0x7f)
			*message = '?';
	}
}

static __attribute__((format(printf, 4, 0))) void add(struct diag *diag, struct place place,
		bool warning, const char *format, va_list arguments)
{
	if (warning)
		diag->warnings++;
	else
		diag->errors++;
	va_list measured;
	va_copy(measured, arguments);
	int size = vsnprintf(NULL, 0, format, measured);
	va_end(measured);
	if (size < 0)
		return;
	struct diag_item *item = arena_alloc(diag->arena, sizeof(*item));
	char *message = arena_alloc(diag->arena, (size_t)size + 1);
	if (item == NULL || message == NULL) {
		diag->lost |= !warning;
		return;
	}
	(void)vsnprintf(message, (size_t)size + 1, format, arguments);
	keep_to_one_line(message);
	*item = (struct diag_item){.place = place, .warning = warning, .message = message};
	*diag->end = item;
	diag->end = &item->next;
}

void diag_error(struct diag *diag, struct place place, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	add(diag, place, false, format, arguments);
	va_end(arguments);
}

void diag_warning(struct diag *diag, struct place place, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	add(diag, place, true, format, arguments);
	va_end(arguments);
}

static int place_compare(const struct place *a, const struct place *b)
{
	int order = text_compare(text_of(a->file), text_of(b->file));
	if (order == 0)
		order = (a->line > b->line) - (a->line < b->line);
	if (order == 0)
		order = (a->column > b->column) - (a->column < b->column);
	return order;
}

/* Joins two sorted lists; of equal places a's come first. */
static struct diag_item *merge(struct diag_item *a, struct diag_item *b)
{
	struct diag_item *first = NULL;
	struct diag_item **end = &first;
	while (a && b) {
		struct diag_item **from = place_compare(&a->place, &b->place) <= 0 ? &a : &b;
		*end = *from;
		end = &(*from)->next;
		*from = *end;
	}
	*end = a ? a : b;
	return first;
}

/* Sorts the first count items of *rest and moves *rest behind them. */
static struct diag_item *sort(struct diag_item **rest, size_t count)
{
	if (count == 0)
		return NULL;
	if (count == 1) {
		struct diag_item *item = *rest;
		*rest = item->next;
		item->next = NULL;
		return item;
	}
	struct diag_item *left = sort(rest, count / 2);
	struct diag_item *right = sort(rest, count - count / 2);
	return merge(left, right);
}

void diag_sort(struct diag *diag)
{
	size_t count = 0;
	for (const struct diag_item *item = diag->first; item; item = item->next)
		count++;
	struct diag_item *rest = diag->first;
	diag->first = sort(&rest, count);
	diag->end = &diag->first;
	while (*diag->end)
		diag->end = &(*diag->end)->next;
}

void diag_print(const struct diag *diag, FILE *stream)
{
	for (const struct diag_item *item = diag->first; item; item = item->next) {
		const struct place *place = &item->place;
		if (place->file)
			(void)fprintf(stream, "%s:", place->file);
		if (place->line)
			(void)fprintf(stream, "%u:%u:", place->line, place->column);
		(void)fprintf(stream, "%s%s: %s\n", place->file || place->line ? " " : "",
				item->warning ? "warning" : "error", item->message);
	}
	if (diag->lost)
		(void)fprintf(stream, "error: no memory to say what is wrong\n");
}

void nearest_init(struct nearest *nearest, struct text written)
{
	*nearest = (struct nearest){.written = written, .distance = SIZE_MAX};
}

/*
 * The least number of letters put in, left out, replaced, or swapped with the next, that makes b of
 * a. Three rows of the table suffice, as a swap looks back by two. Both are at most NEAREST_MAX
 * long.
 */
static size_t distance(struct text a, struct text b)
{
	size_t rows[3][NEAREST_MAX + 1] = {0};
	for (size_t j = 0; j <= b.size; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a.size; i++) {
		size_t *row = rows[i % 3];
		const size_t *above = rows[(i + 2) % 3];
		const size_t *above2 = rows[(i + 1) % 3];
		row[0] = i;
		for (size_t j = 1; j <= b.size; j++) {
			bool same = a.data[i - 1] == b.data[j - 1];
			row[j] = lesser(above[j - 1] + !same, lesser(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] &&
					a.data[i - 2] == b.data[j - 1])
				row[j] = lesser(row[j], above2[j - 2] + 1);
		}
	}
	return rows[a.size % 3][b.size];
}

void nearest_see(struct nearest *nearest, struct text name)
{
	if (name.size > NEAREST_MAX || nearest->written.size > NEAREST_MAX)
		return;
	size_t allowed = nearest->written.size < 6 ? 1 : nearest->written.size / 3;
	size_t away = distance(nearest->written, name);
	if (away > allowed || away >= nearest->distance)
		return;
	nearest->best = name;
	nearest->distance = away;
}

const char *nearest_hint(const struct nearest *nearest, struct arena *arena)
{
	if (nearest->best.data == NULL)
		return "";
	struct text hint = arena_format(arena, "; did you mean \"%.*s\"?", TEXT_ARG(nearest->best));
	return hint.data ? hint.data : "";
}
