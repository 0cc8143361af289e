/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Children of heap[i] are heap[2i + 1] and heap[2i + 2], and none comes before its parent.
 */
#include "tests/sim/agenda.h"

#include <stdlib.h>

void agenda_init(struct agenda *agenda)
{
	*agenda = (struct agenda){0};
}

void agenda_deinit(struct agenda *agenda)
{
	free(agenda->heap);
}

static bool before(const struct appointment *a, const struct appointment *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void swap(struct appointment *a, struct appointment *b)
{
	struct appointment c = *a;
	*a = *b;
	*b = c;
}

bool agenda_add(struct agenda *agenda, struct appointment appointment)
{
	if (agenda->count == agenda->capacity) {
		size_t capacity = agenda->capacity ? agenda->capacity * 2 : 64;
		struct appointment *heap = realloc(agenda->heap, capacity * sizeof(*heap));
		if (!heap)
			return false;
		agenda->heap = heap;
		agenda->capacity = capacity;
	}
	struct appointment *heap = agenda->heap;
	size_t i = agenda->count++;
	heap[i] = appointment;
	heap[i].order = agenda->added++;
	for (; i > 0 && before(&heap[i], &heap[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&heap[i], &heap[(i - 1) / 2]);
	return true;
}

const struct appointment *agenda_next(const struct agenda *agenda)
{
	return agenda->count > 0 ? agenda->heap : NULL;
}

struct appointment agenda_take(struct agenda *agenda)
{
	struct appointment *heap = agenda->heap;
	struct appointment taken = heap[0];
	heap[0] = heap[--agenda->count];
	for (size_t i = 0;;) {
		size_t first = i;
		for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < agenda->count;
				child++) {
			if (before(&heap[child], &heap[first]))
				first = child;
		}
		if (first == i)
			return taken;
		swap(&heap[i], &heap[first]);
		i = first;
	}
}
