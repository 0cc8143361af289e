/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists and what each kind is handed to: with keys.c the part that recurses. How deep it goes is
 * bounded by the document's depth and by the tables, of which none may hold itself by way of maps
 * alone.
 */
#include "conf/walk.h"

#include <inttypes.h>
#include <stdio.h>

#include "conf/document.h"
#include "conf/names.h"
#include "conf/scalar.h"
#include "pipeline/base/arena.h"

void walk_out_of_memory(struct walk *walk)
{
	if (!walk->failed)
		diag_error(walk->diag, (struct place){walk->file, 0, 0}, "out of memory");
	walk->failed = true;
}

void walk_blame(struct walk *walk, struct option_value *value, size_t before)
{
	size_t found = walk_unblamed(walk) - before;
	value->wrong |= found > 0;
	walk->blamed += found;
}

void *walk_alloc(struct walk *walk, size_t count, size_t size)
{
	void *block = arena_zalloc(walk->arena, count * size);
	if (!block)
		walk_out_of_memory(walk);
	return block;
}

void walk_expected(struct walk *walk, struct text key, const struct node *node,
		const char *expected, const char *hint)
{
	diag_error(walk->diag, node->place, "%s: expected %s, not %s%s",
			names_show(key, walk->arena), expected, names_show_node(node, walk->arena),
			hint);
}

bool walk_name(struct walk *walk, struct text name, struct place place)
{
	if (names_allowed(name))
		return true;
	diag_error(walk->diag, place, "expected a name of 1 to 64 of A-Z a-z 0-9 _ -, not %s",
			names_show(name, walk->arena));
	return false;
}

static bool is_counted(const struct option *option)
{
	return option->list || option->kind == OPTION_TEMPLATES || option->kind == OPTION_TYPES ||
	       option->kind == OPTION_NAMED || option->kind == OPTION_STEPS;
}

/* A bound as it would be written. */
static void show_bound(const struct option *option, uint64_t number, char ret[static 24])
{
	bool bytes = option->kind == OPTION_SIZE || option->kind == OPTION_TEXT ||
		     option->kind == OPTION_QUERY;
	if (option->kind == OPTION_DURATION && !option->list)
		scalar_show_duration(number, ret);
	else if (bytes && !option->list)
		scalar_show_size(number, ret);
	else if (option->kind == OPTION_PERCENT && !option->list)
		scalar_show_percent(number, ret);
	else
		(void)snprintf(ret, 24, "%" PRIu64, number);
}

void walk_bounds(struct walk *walk, const struct option *option, const struct option_value *value,
		uint64_t number)
{
	if (number >= option->min && (option->max == 0 || number <= option->max))
		return;
	const char *key = names_show(value->name, walk->arena);
	const char *of_them = is_counted(option) ? " of them" : "";
	char min[24], max[24], found[24];
	show_bound(option, option->min, min);
	show_bound(option, option->max, max);
	show_bound(option, number, found);
	if (option->max == 0)
		diag_error(walk->diag, value->place, "%s: expected at least %s%s, not %s", key, min,
				of_them, found);
	else if (option->min == 0)
		diag_error(walk->diag, value->place, "%s: expected at most %s%s, not %s", key, max,
				of_them, found);
	else
		diag_error(walk->diag, value->place, "%s: expected %s to %s%s, not %s", key, min,
				max, of_them, found);
}

/* One value, or one element of a list. */
static void walk_one(struct walk *walk, const struct option *option, const struct node *node,
		struct option_value *value)
{
	value->place = node->place;
	if (node->kind == NODE_REFUSED)
		return;
	switch (option->kind) {
	case OPTION_DURATION:
	case OPTION_SIZE:
	case OPTION_NUMBER:
	case OPTION_PERCENT:
	case OPTION_BOOLEAN:
	case OPTION_WORD:
	case OPTION_CHOICE:
	case OPTION_TEXT:
	case OPTION_TEMPLATE:
	case OPTION_QUERY:
	case OPTION_RESOURCE:
		walk_scalar(walk, option, node, value);
		break;
	case OPTION_TEMPLATES:
		walk_templates(walk, option, node, value);
		break;
	case OPTION_TYPES:
		walk_types(walk, option, node, value);
		break;
	case OPTION_MAP:
		value->map = walk_body(walk, option->table, value->name, node);
		break;
	case OPTION_NAMED:
		walk_named(walk, option, node, value);
		break;
	case OPTION_STEPS:
		walk_steps(walk, option, node, value);
		break;
	}
}

static void walk_list(struct walk *walk, const struct option *option, const struct node *node,
		struct option_value *value)
{
	value->place = node->place;
	if (node->kind == NODE_REFUSED)
		return;
	if (node->kind == NODE_MAP || node_is_nothing(node)) {
		walk_expected(walk, value->name, node, "a list", "");
		return;
	}
	bool lone = node->kind == NODE_SCALAR;
	size_t count = lone ? 1 : node->count;
	struct option_list *list = walk_alloc(walk, 1, sizeof(*list));
	struct option_value *elements = walk_alloc(walk, count, sizeof(*elements));
	if (!list || !elements)
		return;
	*list = (struct option_list){node->place, elements, count};
	value->list = list;
	walk_bounds(walk, option, value, count);
	const struct node *element = lone ? node : node->first;
	for (size_t i = 0; i < count; i++, element = element->next) {
		elements[i].option = option;
		elements[i].name = value->name;
		elements[i].given = value->given;
		walk_one(walk, option, element, &elements[i]);
	}
}

void walk_value(struct walk *walk, const struct option *option, const struct node *node,
		struct option_value *value)
{
	/* Steps are a list by themselves. */
	if (option->list && option->kind != OPTION_STEPS)
		walk_list(walk, option, node, value);
	else
		walk_one(walk, option, node, value);
}
