/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Binding. A level is an activation in the making; a miss is a level inside another, and a name
 * that it doesn't know itself becomes a captured path: evaluated outside when a flight starts,
 * copied into the flight, and read there from a slot. That is how a flight depends on nothing but
 * its key.
 */
#include "pipeline/stages/compiler.h"

#include <string.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/buffer.h"
#include "pipeline/stages/steps.h"

/* Of what all stages of a run need at once, called pipelines included: calls of calls can double
 * it. */
#define LAYOUT_MAX (1024 * 1024)

struct name *compile_names(const struct compiler *compiler)
{
	return compiler->level->names;
}

void compile_forget(struct compiler *compiler, struct name *names)
{
	compiler->level->names = names;
}

bool compile_in_miss(const struct compiler *compiler)
{
	return compiler->level->outer != NULL;
}

size_t compile_room(struct compiler *compiler, size_t size)
{
	size_t offset = compiler->level->layout.frames;
	compiler->level->layout.frames += (size + 15) & ~(size_t)15;
	return offset;
}

static void out_of_memory(struct compiler *compiler, struct place place)
{
	diag_error(compiler->diag, place, "out of memory");
}

static int32_t find_name(const struct level *level, struct text name)
{
	for (const struct name *at = level->names; at; at = at->next) {
		if (text_equal(at->name, name))
			return at->slot;
	}
	return SLOT_UNBOUND;
}

int32_t compile_name(struct compiler *compiler, struct text name)
{
	struct name *entry = arena_alloc(compiler->arena, sizeof(*entry));
	int32_t slot = (int32_t)compiler->level->layout.slots++;
	if (!entry) {
		out_of_memory(compiler, compiler->pipeline->place);
		return slot;
	}
	*entry = (struct name){compiler->level->names, name, slot};
	compiler->level->names = entry;
	return slot;
}

int32_t compile_find(const struct compiler *compiler, struct text name)
{
	return find_name(compiler->level, name);
}

static bool same_fallback(const struct path *a, const struct path *b)
{
	if (!a->fallback.data || !b->fallback.data)
		return a->fallback.data == b->fallback.data;
	return text_equal(a->fallback, b->fallback);
}

/* Whether `held` is path itself or leads to what path is below, whatever their defaults. */
static bool leads_to(const struct path *held, const struct path *path)
{
	if (!text_equal(held->name, path->name) || held->segment_count > path->segment_count)
		return false;
	for (size_t i = 0; i < held->segment_count; i++) {
		if (!text_equal(held->segments[i], path->segments[i]))
			return false;
	}
	return true;
}

enum held { HELD_NOT, HELD_WITH_OTHER_DEFAULT, HELD };

static enum held key_holds(const struct template *key, const struct path *path)
{
	enum held result = HELD_NOT;
	for (size_t i = 0; i < key->part_count; i++) {
		const struct path *held = key->parts[i].path;
		if (!held || !leads_to(held, path))
			continue;
		if (same_fallback(held, path))
			return HELD;
		result = HELD_WITH_OTHER_DEFAULT;
	}
	return result;
}

static bool is_unkeyed(struct unkeyed *unkeyed, const struct path *path)
{
	bool found = false;
	for (; unkeyed; unkeyed = unkeyed->next) {
		if (!leads_to(unkeyed->path, path))
			continue;
		unkeyed->read = true;
		found = true;
	}
	return found;
}

/* Different requests may share a flight, and so it may read nothing in which they can differ,
 * unless it is said that this is meant. */
static bool check_held(struct compiler *compiler, const struct level *level,
		const struct path *path, struct place place)
{
	enum held held = key_holds(level->key, path);
	if (held != HELD && is_unkeyed(level->unkeyed, path))
		return true;
	if (held == HELD_NOT)
		diag_error(compiler->diag, place,
				"\"miss\" reads \"%.*s\", which \"key\" does not hold: requests "
				"with other values "
				"would share its answer; put ${%.*s} into the key, or, if that is "
				"meant, %.*s into \"unkeyed\"",
				TEXT_ARG(path->whole), TEXT_ARG(path->whole),
				TEXT_ARG(path->whole));
	else if (held == HELD_WITH_OTHER_DEFAULT)
		diag_error(compiler->diag, place,
				"\"miss\" reads \"%.*s\" with another default than \"key\": they "
				"must be the same",
				TEXT_ARG(path->whole));
	return held == HELD;
}

static struct path *copy_path(
		struct compiler *compiler, const struct path *path, struct place place)
{
	struct path *copy = arena_alloc(compiler->arena, sizeof(*copy));
	if (copy)
		*copy = *path;
	else
		out_of_memory(compiler, place);
	return copy;
}

/* Takes note that, in this level, the name stands for a field of the body. */
static bool note_body_use(struct compiler *compiler, struct level *level, struct text name,
		struct place place)
{
	struct body_use *use = arena_alloc(compiler->arena, sizeof(*use));
	if (!use) {
		out_of_memory(compiler, place);
		return false;
	}
	*use = (struct body_use){level->uses, name, place};
	level->uses = use;
	return true;
}

static bool bind(struct compiler *compiler, struct level *level, struct path *path,
		struct place place);

static bool capture(struct compiler *compiler, struct level *level, struct path *path,
		struct place place)
{
	if (!check_held(compiler, level, path, place))
		return false;
	struct capture *at = level->captures;
	while (at && !(text_equal(at->outer->whole, path->whole) && same_fallback(at->outer, path)))
		at = at->next;
	if (!at) {
		const struct body_use *before = level->outer->uses;
		struct path *outer = copy_path(compiler, path, place);
		if (!outer || !bind(compiler, level->outer, outer, place))
			return false;
		/* What is a field of the body there is one here. */
		if (level->outer->uses != before &&
				!note_body_use(compiler, level, path->name, place))
			return false;
		at = arena_alloc(compiler->arena, sizeof(*at));
		if (!at) {
			out_of_memory(compiler, place);
			return false;
		}
		*at = (struct capture){level->captures, outer, (int32_t)level->layout.slots++};
		level->captures = at;
	}
	path->slot = at->slot;
	path->segment_count = 0;
	return true;
}

static bool take_from_body(struct compiler *compiler, struct level *level, struct path *path,
		struct place place)
{
	if (level->pipeline->takes) {
		struct nearest nearest;
		nearest_init(&nearest, path->name);
		for (const struct name *name = level->names; name; name = name->next)
			nearest_see(&nearest, name->name);
		diag_error(compiler->diag, place, "nothing gives the name \"%.*s\"%s",
				TEXT_ARG(path->name), nearest_hint(&nearest, compiler->arena));
		return false;
	}
	path->slot = SLOT_BODY;
	return note_body_use(compiler, level, path->name, place);
}

static bool bind(struct compiler *compiler, struct level *level, struct path *path,
		struct place place)
{
	path->slot = find_name(level, path->name);
	if (path->slot != SLOT_UNBOUND)
		return true;
	if (level->outer)
		return capture(compiler, level, path, place);
	return take_from_body(compiler, level, path, place);
}

struct template *compile_template(struct compiler *compiler, const struct template *written)
{
	struct template *template = arena_alloc(compiler->arena, sizeof(*template));
	struct template_part *parts =
			arena_alloc(compiler->arena, written->part_count * sizeof(*parts));
	if (!template || !parts) {
		out_of_memory(compiler, written->place);
		return NULL;
	}
	*template = *written;
	template->parts = parts;
	bool bound = true;
	for (size_t i = 0; i < written->part_count; i++) {
		parts[i] = written->parts[i];
		if (!parts[i].path)
			continue;
		parts[i].path = copy_path(compiler, parts[i].path, written->place);
		bound = parts[i].path &&
			bind(compiler, compiler->level, parts[i].path, written->place) && bound;
	}
	return bound ? template : NULL;
}

struct text compile_member(struct compiler *compiler, struct text name, struct place place)
{
	struct buffer buffer;
	buffer_init_arena(&buffer, compiler->arena);
	buffer_append_json_string(&buffer, name);
	buffer_append_char(&buffer, ':');
	if (buffer.failed)
		out_of_memory(compiler, place);
	return buffer_text(&buffer);
}

struct template_map compile_templates(struct compiler *compiler, const struct option_map *map)
{
	struct template_map compiled = {NULL, 0};
	if (!map)
		return compiled;
	struct template_entry *entries =
			arena_zalloc(compiler->arena, map->count * sizeof(*entries));
	if (!entries) {
		out_of_memory(compiler, map->place);
		return compiled;
	}
	for (size_t i = 0; i < map->count; i++) {
		const struct option_value *value = &map->values[i];
		entries[i].member = compile_member(compiler, value->name, value->place);
		entries[i].template = compile_template(compiler, value->template);
	}
	compiled.entries = entries;
	compiled.count = map->count;
	return compiled;
}

void compile_check_timeout(const struct compiler *compiler, const struct option_value *timeout)
{
	uint64_t deadline = compiler->pipeline->deadline;
	if (deadline > 0 && timeout->number > deadline)
		diag_warning(compiler->diag, timeout->place,
				"\"%.*s\" is longer than the \"deadline\" of its pipeline, "
				"which comes first: shorten it, or raise that",
				TEXT_ARG(timeout->name));
}

void compile_check_layout(
		struct compiler *compiler, const struct layout *layout, struct place place)
{
	if (layout_size(layout) > LAYOUT_MAX)
		diag_error(compiler->diag, place,
				"a request to \"%.*s\" would need more than 1 MiB: it calls too "
				"many others",
				TEXT_ARG(compiler->pipeline->name));
}

struct block compile_block(struct compiler *compiler, const struct option_value *steps)
{
	struct layout *layout = &compiler->level->layout;
	size_t frames = layout->frames;
	layout->frames = 0;
	const struct stage *stage = compile_steps(compiler, steps, NULL);
	struct block block = {stage, *layout};
	layout->frames = frames;
	compile_check_layout(compiler, &block.layout, steps->place);
	return block;
}

struct miss compile_miss(struct compiler *compiler, const struct option_value *steps,
		const struct template *key, struct unkeyed *unkeyed)
{
	struct level level = {.outer = compiler->level,
			.key = key,
			.unkeyed = unkeyed,
			.pipeline = compiler->level->pipeline};
	compiler->level = &level;
	const struct stage *stage = compile_steps(compiler, steps, NULL);
	compiler->level = level.outer;
	compile_check_layout(compiler, &level.layout, steps->place);
	return (struct miss){stage, level.layout, level.captures};
}
