/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds whose keys are names that the file chooses. Such an entry has no option; its place is
 * that of its name, which is what later errors are about.
 */
#include "conf/document.h"
#include "conf/names.h"
#include "conf/walk.h"
#include "pipeline/base/arena.h"

/* One entry a child of node, each with its name and place; NULL after an error. */
static struct option_value *begin_entries(struct walk *walk, const struct option *option,
		const struct node *node, struct option_value *value)
{
	if (node->kind != NODE_MAP) {
		walk_expected(walk, value->name, node, "a map of names", "");
		return NULL;
	}
	walk_bounds(walk, option, value, node->count);
	struct option_map *map = walk_alloc(walk, 1, sizeof(*map));
	struct option_value *entries = walk_alloc(walk, node->count, sizeof(*entries));
	if (!map || !entries)
		return NULL;
	*map = (struct option_map){node->place, entries, node->count};
	value->map = map;
	struct option_value *entry = entries;
	for (const struct node *child = node->first; child; child = child->next, entry++) {
		(void)walk_name(walk, child->key, child->key_place);
		entry->name = child->key;
		entry->place = child->key_place;
		entry->given = true;
	}
	return entries;
}

void walk_templates(struct walk *walk, const struct option *option, const struct node *node,
		struct option_value *value)
{
	struct option_value *entry = begin_entries(walk, option, node, value);
	if (!entry)
		return;
	for (const struct node *child = node->first; child; child = child->next, entry++) {
		if (child->kind != NODE_REFUSED)
			entry->template = walk_template(walk, entry->name, child);
	}
}

/* No key names a variant: the one that nearly does is the error, else that there is none. */
static void refuse_entry(struct walk *walk, const struct option_variant *variants, struct text name,
		const struct node *node)
{
	struct names names;
	names_init(&names, (struct text){NULL, 0}, walk->arena);
	for (const struct node *child = node->first; child; child = child->next) {
		walk_variant_names(walk, variants, child->key, &names);
		if (names.nearest.best.data) {
			diag_error(walk->diag, child->key_place, "unknown key %s%s",
					names_show(child->key, walk->arena), names_hint(&names));
			return;
		}
	}
	walk_variant_names(walk, variants, name, &names);
	diag_error(walk->diag, node->place, "%s: expected one of the keys %s",
			names_show(name, walk->arena), names_list(&names));
}

static const struct option_map *walk_picked(struct walk *walk,
		const struct option_variant *variants, const struct option_variant *variant,
		const struct node *node)
{
	walk->picked = variant;
	walk->variants = variants;
	const struct option_map *map = walk_table(walk, variant->table, node);
	walk->picked = NULL;
	return map;
}

/* The first key that names a variant decides; to that variant's table a second one is unknown. */
static void walk_entry(struct walk *walk, const struct option_variant *variants,
		const struct node *node, struct option_value *entry)
{
	if (node->kind != NODE_MAP) {
		walk_expected(walk, entry->name, node, "a map", "");
		return;
	}
	const struct node *child = node->first;
	while (child && !walk_variant(variants, child->key))
		child = child->next;
	if (!child) {
		refuse_entry(walk, variants, entry->name, node);
		return;
	}
	entry->variant = walk_variant(variants, child->key);
	if (entry->variant->later)
		diag_error(walk->diag, child->key_place, "\"%s\" is not in this version",
				entry->variant->name);
	else if (entry->variant->needs && !entry->variant->table)
		diag_error(walk->diag, child->key_place,
				"\"%s\" is not in this build of sluiced, which was made without %s",
				entry->variant->name, entry->variant->needs);
	else
		entry->map = walk_picked(walk, variants, entry->variant, node);
}

void walk_named(struct walk *walk, const struct option *option, const struct node *node,
		struct option_value *value)
{
	struct option_value *entry = begin_entries(walk, option, node, value);
	if (!entry)
		return;
	for (const struct node *child = node->first; child; child = child->next, entry++) {
		size_t before = walk_unblamed(walk);
		if (child->kind == NODE_REFUSED)
			continue;
		if (option->variants)
			walk_entry(walk, option->variants, child, entry);
		else
			entry->map = walk_body(walk, option->table, entry->name, child);
		walk_blame(walk, entry, before);
	}
}
