/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was written comes from a file that may hold anything, and an error is one line of a log: so
 * it is shown as JSON would, with escapes.
 */
#include "conf/names.h"

#include "conf/document.h"
#include "pipeline/base/arena.h"

/* Enough to recognise it by. */
#define SHOWN_MAX     48
#define NAME_MAX_SIZE 64

const char *names_show(struct text text, struct arena *arena)
{
	struct buffer buffer;
	buffer_init_arena(&buffer, arena);
	size_t size = text.size;
	if (size > SHOWN_MAX) {
		/* Not in the middle of a character. */
		for (size = SHOWN_MAX; size > 0 && (text.data[size] & 0xc0) == 0x80;)
			size--;
	}
	buffer_append_json_string(&buffer, (struct text){text.data, size});
	if (size < text.size)
		buffer_append(&buffer, TEXT("..."));
	buffer_append_char(&buffer, '\0');
	struct text shown = buffer_text(&buffer);
	return shown.data ? shown.data : "\"...\"";
}

const char *names_show_node(const struct node *node, struct arena *arena)
{
	switch (node->kind) {
	case NODE_SCALAR:
		return node_is_nothing(node) ? "nothing" : names_show(node->text, arena);
	case NODE_LIST:
		return "a list";
	case NODE_MAP:
		return "a map";
	case NODE_REFUSED:
		break;
	}
	return "an alias";
}

bool names_allowed(struct text t)
{
	for (size_t i = 0; i < t.size; i++) {
		char c = t.data[i];
		if (!(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
				c != '_' && c != '-')
			return false;
	}
	return t.size > 0 && t.size <= NAME_MAX_SIZE;
}

void names_init(struct names *names, struct text written, struct arena *arena)
{
	names->arena = arena;
	nearest_init(&names->nearest, written);
	buffer_init_arena(&names->list, arena);
}

void names_add(struct names *names, const char *name)
{
	nearest_see(&names->nearest, text_of(name));
	if (names->list.size > 0)
		buffer_append(&names->list, TEXT(", "));
	buffer_append(&names->list, text_of(name));
}

const char *names_list(const struct names *names)
{
	struct text list = arena_copy(names->arena, buffer_text(&names->list));
	return list.data ? list.data : "";
}

const char *names_hint(const struct names *names)
{
	return nearest_hint(&names->nearest, names->arena);
}

const char *names_hint_or_list(const struct names *names)
{
	if (names->nearest.best.data)
		return names_hint(names);
	struct text hint = arena_format(names->arena, "; expected one of %s", names_list(names));
	return hint.data ? hint.data : "";
}
