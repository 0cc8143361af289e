/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Intrusive doubly linked lists: a ring through a head. A link that is in no list points at itself,
 * so removing it is harmless and list membership can be asked of the link alone.
 */
#include <stdbool.h>
#include <stddef.h>

struct link {
	struct link *next;
	struct link *prev;
};

#define container_of(pointer, type, member)                                                        \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void link_init(struct link *link)
{
	link->next = link;
	link->prev = link;
}

static inline bool link_in_list(const struct link *link)
{
	return link->next != link;
}

static inline bool list_empty(const struct link *head)
{
	return head->next == head;
}

/* Puts link, which must be in no list, before `at`: at the end of the list if `at` is its head. */
static inline void link_before(struct link *at, struct link *link)
{
	link->next = at;
	link->prev = at->prev;
	at->prev->next = link;
	at->prev = link;
}

static inline void list_append(struct link *head, struct link *link)
{
	link_before(head, link);
}

/* Takes link out of its list, if it is in one. */
static inline void link_remove(struct link *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	link_init(link);
}

/* Moves all of from to the end of to. */
static inline void list_splice(struct link *to, struct link *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	link_init(from);
}
