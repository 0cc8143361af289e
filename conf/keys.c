/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps by their tables: each key is known or refused, and what is not given has its default. A
 * default is walked as if it had been written there, so that it is held against the same rules.
 */
#include "conf/document.h"
#include "conf/names.h"
#include "conf/walk.h"
#include "pipeline/base/arena.h"

static size_t table_size(const struct option *table)
{
	size_t count = 0;
	while (table[count].key)
		count++;
	return count;
}

static bool table_requires(const struct option *table)
{
	for (; table->key; table++) {
		if (table->required && !table->later)
			return true;
	}
	return false;
}

static const struct option *find_option(const struct option *table, struct text key)
{
	for (; table->key; table++) {
		if (text_equal(text_of(table->key), key))
			return table;
	}
	return NULL;
}

/* What is unknown to the variant that was picked may well be known to another. */
static bool refuse_others_key(
		struct walk *walk, const struct option *table, const struct node *node)
{
	const struct option_variant *picked = walk->picked;
	const char *key = names_show(node->key, walk->arena);
	if (!picked || picked->table != table)
		return false;
	if (walk_variant(walk->variants, node->key)) {
		diag_error(walk->diag, node->key_place, "%s and \"%s\" exclude each other", key,
				picked->name);
		return true;
	}
	for (const struct option_variant *other = walk->variants; other->name; other++) {
		if (!other->table || !find_option(other->table, node->key))
			continue;
		diag_error(walk->diag, node->key_place,
				"unknown key %s: it goes with \"%s\", not with \"%s\"", key,
				other->name, picked->name);
		return true;
	}
	return false;
}

static void refuse_key(struct walk *walk, const struct option *table, const struct node *node)
{
	struct names names;
	if (refuse_others_key(walk, table, node))
		return;
	names_init(&names, node->key, walk->arena);
	for (; table->key; table++) {
		if (!table->later)
			names_add(&names, table->key);
	}
	diag_error(walk->diag, node->key_place, "unknown key %s%s",
			names_show(node->key, walk->arena), names_hint_or_list(&names));
}

static void walk_given(struct walk *walk, const struct option *option, const struct node *node,
		struct option_value *value)
{
	value->given = true;
	if (option->later)
		diag_error(walk->diag, node->key_place, "\"%s\" is not in this version",
				option->key);
	else
		walk_value(walk, option, node, value);
}

/* Where nothing is given: an error, the default, or the defaults of a map's own table. */
static void walk_absent(struct walk *walk, const struct option *option, struct option_value *value)
{
	const struct place place = value->place;
	if (option->later)
		return;
	if (option->required) {
		diag_error(walk->diag, place, "\"%s\" is missing: %s", option->key, option->help);
	} else if (option->fallback) {
		const struct node node = {.kind = NODE_SCALAR,
				.plain = option->fallback[0] != '\0',
				.place = place,
				.text = text_of(option->fallback)};
		walk_value(walk, option, &node, value);
	} else if (option->kind == OPTION_MAP && !option->list && !table_requires(option->table)) {
		const struct node node = {.kind = NODE_MAP, .place = place};
		walk_value(walk, option, &node, value);
	}
}

/* One value for each entry of the table, none of them given. */
static struct option_value *lay_table(struct walk *walk, const struct option *table,
		const struct node *node, const struct option_map **ret)
{
	size_t count = table_size(table);
	struct option_map *map = walk_alloc(walk, 1, sizeof(*map));
	struct option_value *values = walk_alloc(walk, count, sizeof(*values));
	if (!map || !values)
		return NULL;
	*map = (struct option_map){node->place, values, count};
	for (size_t i = 0; i < count; i++) {
		values[i].option = &table[i];
		values[i].name = text_of(table[i].key);
		values[i].place = node->place;
	}
	*ret = map;
	return values;
}

/* As if it had not been given, but for being wrong. */
static void forgive(struct walk *walk, struct option_value *value, struct place place)
{
	const struct option *option = value->option;
	*value = (struct option_value){
			.option = option, .name = value->name, .place = place, .wrong = true};
	if (!option->required)
		walk_absent(walk, option, value);
}

/* topmost: what is wrong is held against the key in which it is, and the others stand. */
static const struct option_map *walk_keys(struct walk *walk, const struct option *table,
		const struct node *node, bool topmost)
{
	const struct option_map *map = NULL;
	struct option_value *values = lay_table(walk, table, node, &map);
	if (!values)
		return NULL;
	for (const struct node *child = node->first; child; child = child->next) {
		const struct option *option = find_option(table, child->key);
		size_t before = walk_unblamed(walk);
		if (!option)
			refuse_key(walk, table, child);
		else
			walk_given(walk, option, child, &values[option - table]);
		if (option && topmost)
			walk_blame(walk, &values[option - table], before);
	}
	for (size_t i = 0; i < map->count; i++) {
		size_t before = walk_unblamed(walk);
		if (!values[i].given)
			walk_absent(walk, &table[i], &values[i]);
		if (topmost)
			walk_blame(walk, &values[i], before);
		if (values[i].wrong && topmost)
			forgive(walk, &values[i], node->place);
	}
	return map;
}

const struct option_map *walk_table(
		struct walk *walk, const struct option *table, const struct node *node)
{
	return walk_keys(walk, table, node, false);
}

const struct option_map *walk_file(
		struct walk *walk, const struct option *table, const struct node *node)
{
	return walk_keys(walk, table, node, true);
}

static const struct option *find_bare(const struct option *table)
{
	for (; table->key; table++) {
		if (table->bare)
			return table;
	}
	return NULL;
}

const struct option_map *walk_body(struct walk *walk, const struct option *table, struct text key,
		const struct node *node)
{
	if (node->kind == NODE_MAP)
		return walk_table(walk, table, node);
	const struct option *bare = find_bare(table);
	bool stands = bare && (node->kind == NODE_LIST ? bare->list || bare->kind == OPTION_STEPS
						       : !node_is_nothing(node));
	if (!stands) {
		struct text expected = TEXT("a map");
		if (bare)
			expected = arena_format(walk->arena, "a map or \"%s\" alone", bare->key);
		walk_expected(walk, key, node, expected.data ? expected.data : "a map", "");
		return NULL;
	}
	struct node entry = *node;
	entry.key = text_of(bare->key);
	entry.key_place = node->place;
	entry.next = NULL;
	const struct node map = {
			.kind = NODE_MAP, .place = node->place, .first = &entry, .count = 1};
	return walk_table(walk, table, &map);
}
