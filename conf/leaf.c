/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds that are written as one scalar. Text of any other kind than these is left as it stands:
 * whether an address is one, or SQL prepares, is for those to say who use it.
 */
#include <assert.h>

#include "conf/document.h"
#include "conf/names.h"
#include "conf/scalar.h"
#include "conf/walk.h"
#include "pipeline/base/arena.h"
#include "pipeline/base/template.h"

/* A list's bounds are those of its count, and walk_list() has held it against them. */
static void check_bounds(struct walk *walk, const struct option *option,
		const struct option_value *value, uint64_t number)
{
	if (!option->list)
		walk_bounds(walk, option, value, number);
}

/* Which of an option's choices it is, or -1: then names has them. */
static int find_choice(struct walk *walk, const struct option *option, const struct node *node,
		struct names *names)
{
	names_init(names, node->text, walk->arena);
	for (int i = 0; option->choices && option->choices[i]; i++) {
		if (text_equal(text_of(option->choices[i]), node->text))
			return i;
		names_add(names, option->choices[i]);
	}
	return -1;
}

/* A duration, or one of the words that may stand in its place. */
static void walk_duration(struct walk *walk, const struct option *option, const struct node *node,
		struct option_value *value)
{
	struct names names;
	value->choice = find_choice(walk, option, node, &names);
	if (value->choice >= 0)
		return;
	const char *expected = scalar_duration(node->text, &value->number);
	if (!expected) {
		check_bounds(walk, option, value, value->number);
		return;
	}
	if (!option->choices) {
		walk_expected(walk, value->name, node, expected, "");
		return;
	}
	struct text either =
			arena_format(walk->arena, "%s, or one of %s", expected, names_list(&names));
	walk_expected(walk, value->name, node, either.data ? either.data : expected,
			names_hint(&names));
}

static void walk_choice(struct walk *walk, const struct option *option, const struct node *node,
		struct option_value *value)
{
	struct names names;
	value->choice = find_choice(walk, option, node, &names);
	if (value->choice >= 0)
		return;
	if (option->numeric && !scalar_number(node->text, &value->number)) {
		check_bounds(walk, option, value, value->number);
		return;
	}
	struct text expected = arena_format(walk->arena, "one of %s%s", names_list(&names),
			option->numeric ? ", or a whole number" : "");
	walk_expected(walk, value->name, node, expected.data ? expected.data : "a choice",
			names_hint(&names));
}

static void walk_word(struct walk *walk, const struct option *option, const struct node *node,
		struct option_value *value)
{
	if (names_allowed(node->text)) {
		value->text = node->text;
		return;
	}
	struct text expected = TEXT("a word of 1 to 64 of A-Z a-z 0-9 _ -");
	if (option->kind == OPTION_RESOURCE)
		expected = arena_format(walk->arena, "the name of a %s", option->resource);
	walk_expected(walk, value->name, node, expected.data ? expected.data : "a name", "");
}

static bool is_text(struct walk *walk, struct text key, const struct node *node)
{
	if (node->kind == NODE_SCALAR && !node_is_nothing(node))
		return true;
	walk_expected(walk, key, node, "a text", "");
	return false;
}

struct template *walk_template(struct walk *walk, struct text key, const struct node *node)
{
	if (!is_text(walk, key, node))
		return NULL;
	return template_compile(node->text, node->plain, node->place, walk->arena, walk->diag);
}

void walk_scalar(struct walk *walk, const struct option *option, const struct node *node,
		struct option_value *value)
{
	/* A list or map has the empty text, no number and no word: each kind refuses it itself. */
	const char *expected = NULL;
	switch (option->kind) {
	case OPTION_DURATION:
		walk_duration(walk, option, node, value);
		return;
	case OPTION_SIZE:
		expected = scalar_size(node->text, &value->number);
		break;
	case OPTION_NUMBER:
		expected = scalar_number(node->text, &value->number);
		break;
	case OPTION_PERCENT:
		expected = scalar_percent(node->text, &value->number);
		break;
	case OPTION_BOOLEAN:
		expected = scalar_boolean(node->text, node->plain, &value->number);
		break;
	case OPTION_CHOICE:
		walk_choice(walk, option, node, value);
		return;
	case OPTION_WORD:
	case OPTION_RESOURCE:
		walk_word(walk, option, node, value);
		return;
	case OPTION_TEMPLATE:
		value->template = walk_template(walk, value->name, node);
		return;
	case OPTION_TEXT:
	case OPTION_QUERY:
		if (!is_text(walk, value->name, node))
			return;
		value->text = node->text;
		check_bounds(walk, option, value, value->text.size);
		return;
	case OPTION_TEMPLATES:
	case OPTION_TYPES:
	case OPTION_MAP:
	case OPTION_NAMED:
	case OPTION_STEPS:
		assert(!"a kind that is no scalar");
		return;
	}
	if (expected)
		walk_expected(walk, value->name, node, expected, "");
	else
		check_bounds(walk, option, value, value->number);
}
