/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps: `- NAME: BODY`, with `as: WORD` beside it where its value has a name, or `- NAME` where
 * its table requires nothing. A body may hold steps again.
 */
#include "conf/document.h"
#include "conf/names.h"
#include "conf/walk.h"
#include "pipeline/base/arena.h"

const struct option_variant *walk_variant(const struct option_variant *variants, struct text name)
{
	for (; variants->name; variants++) {
		if (text_equal(text_of(variants->name), name))
			return variants;
	}
	return NULL;
}

void walk_variant_names(struct walk *walk, const struct option_variant *variants,
		struct text written, struct names *ret)
{
	names_init(ret, written, walk->arena);
	for (; variants->name; variants++) {
		if (!variants->later && (variants->table || !variants->needs))
			names_add(ret, variants->name);
	}
}

static void refuse_step(struct walk *walk, const struct option_variant *variants, struct text name,
		struct place place)
{
	struct names names;
	walk_variant_names(walk, variants, name, &names);
	diag_error(walk->diag, place, "unknown step %s%s", names_show(name, walk->arena),
			names_hint_or_list(&names));
}

static void walk_as(struct walk *walk, const struct node *node, struct option_value *step)
{
	if (node->kind == NODE_REFUSED)
		return;
	if (!names_allowed(node->text)) {
		walk_expected(walk, node->key, node, "a name of 1 to 64 of A-Z a-z 0-9 _ -", "");
		return;
	}
	step->as = node->text;
	step->as_place = node->place;
}

/* A key beside a step's name is most likely a second step, or an option that lacks its indent. */
static void refuse_beside(struct walk *walk, const struct option_variant *variants,
		const struct option_variant *variant, const struct node *node)
{
	if (walk_variant(variants, node->key)) {
		diag_error(walk->diag, node->key_place,
				"\"%s\" stands beside \"%s\"; each step has a \"- \" of its own",
				walk_variant(variants, node->key)->name, variant->name);
		return;
	}
	/* What is not in this version may have no table. */
	const struct option *option = variant->table;
	for (; option && option->key; option++) {
		if (text_equal(text_of(option->key), node->key)) {
			diag_error(walk->diag, node->key_place,
					"\"%s\" belongs inside \"%s\"; indent it further",
					option->key, variant->name);
			return;
		}
	}
	diag_error(walk->diag, node->key_place,
			"unknown key %s beside \"%s\"; expected only \"as\"",
			names_show(node->key, walk->arena), variant->name);
}

static const struct node *find_step(const struct option_variant *variants, const struct node *map)
{
	for (const struct node *child = map->first; child; child = child->next) {
		if (walk_variant(variants, child->key))
			return child;
	}
	return NULL;
}

/* body is NULL where the name stands alone. */
static void walk_step_body(struct walk *walk, const struct node *body, struct option_value *step)
{
	const struct option_variant *variant = step->variant;
	const struct node none = {.kind = NODE_MAP, .place = step->place};
	if (variant->later)
		diag_error(walk->diag, step->place, "\"%s\" is not in this version", variant->name);
	else if (!body || node_is_nothing(body))
		step->map = walk_table(walk, variant->table, &none);
	else if (body->kind != NODE_REFUSED)
		step->map = walk_body(walk, variant->table, step->name, body);
}

/* Every key that is none is reported; without any key but `as`, the step itself. */
static void refuse_map(
		struct walk *walk, const struct option_variant *variants, const struct node *node)
{
	bool told = false;
	for (const struct node *child = node->first; child; child = child->next) {
		if (text_equal(child->key, TEXT("as")))
			continue;
		refuse_step(walk, variants, child->key, child->key_place);
		told = true;
	}
	if (told)
		return;
	struct names names;
	walk_variant_names(walk, variants, TEXT(""), &names);
	diag_error(walk->diag, node->place, "expected a step, one of %s", names_list(&names));
}

static void walk_step_map(struct walk *walk, const struct option_variant *variants,
		const struct node *node, struct option_value *step)
{
	const struct node *body = find_step(variants, node);
	if (!body) {
		refuse_map(walk, variants, node);
		return;
	}
	step->variant = walk_variant(variants, body->key);
	step->name = body->key;
	step->place = body->key_place;
	for (const struct node *child = node->first; child; child = child->next) {
		if (text_equal(child->key, TEXT("as")))
			walk_as(walk, child, step);
		else if (child != body)
			refuse_beside(walk, variants, step->variant, child);
	}
	walk_step_body(walk, body, step);
}

static void walk_step(struct walk *walk, const struct option *option, const struct node *node,
		struct option_value *step)
{
	step->option = option;
	step->place = node->place;
	step->given = true;
	if (node->kind == NODE_MAP) {
		walk_step_map(walk, option->variants, node, step);
	} else if (node->kind == NODE_LIST || node_is_nothing(node)) {
		walk_expected(walk, text_of(option->key), node, "a step", "");
	} else if (node->kind == NODE_SCALAR) {
		step->variant = walk_variant(option->variants, node->text);
		step->name = node->text;
		if (step->variant)
			walk_step_body(walk, NULL, step);
		else
			refuse_step(walk, option->variants, node->text, node->place);
	}
}

void walk_steps(struct walk *walk, const struct option *option, const struct node *node,
		struct option_value *value)
{
	if (node->kind != NODE_LIST) {
		walk_expected(walk, value->name, node, "a list of steps", "");
		return;
	}
	walk_bounds(walk, option, value, node->count);
	struct option_list *list = walk_alloc(walk, 1, sizeof(*list));
	struct option_value *steps = walk_alloc(walk, node->count, sizeof(*steps));
	if (!list || !steps)
		return;
	*list = (struct option_list){node->place, steps, node->count};
	value->list = list;
	for (const struct node *child = node->first; child; child = child->next, steps++) {
		size_t before = walk_unblamed(walk);
		walk_step(walk, option, child, steps);
		walk_blame(walk, steps, before);
	}
}
