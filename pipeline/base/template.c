/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that can be wrong with the writing of a template is found when it is compiled; a run fails
 * only by what values there are. Literal text and paths alternate: between two paths there is at
 * most one literal, and none is empty.
 */
#include "pipeline/base/template.h"

#include <string.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/buffer.h"
#include "pipeline/base/json.h"

/* What a text is in JSON: itself if it is a scalar there already (a string only with `strings`),
 * else a string. Absent when memory is out. */
static struct text scalar_or_string(struct text text, bool strings, struct arena *arena)
{
	static const struct json_limits one_scalar = {.bytes = UINT32_MAX, .depth = 0, .values = 1};
	struct json json;
	struct json_error error;
	bool scalar = json_parse(&json, arena, text, &one_scalar, &error);
	if (scalar && (strings || json_kind(&json, 0) != JSON_STRING))
		return json_raw(&json, 0);
	if (!scalar && error.message == json_out_of_memory)
		return (struct text){NULL, 0};
	struct buffer buffer;
	buffer_init_arena(&buffer, arena);
	buffer_append_json_string(&buffer, text);
	return buffer_text(&buffer);
}

static struct text trim(struct text t)
{
	while (t.size > 0 && t.data[0] == ' ')
		t = (struct text){t.data + 1, t.size - 1};
	while (t.size > 0 && t.data[t.size - 1] == ' ')
		t.size--;
	return t;
}

/* Spaces and brackets in a name are slips of the pen more often than names. */
static bool is_segment(struct text t)
{
	for (size_t i = 0; i < t.size; i++)
		if ((unsigned char)t.data[i] <= ' ' || t.data[i] == 0x7f ||
				strchr("{}[]\"'", t.data[i]))
			return false;
	return t.size > 0;
}

static bool split_path(struct path *path, struct arena *arena)
{
	size_t dots = 0;
	for (size_t i = 0; i < path->whole.size; i++)
		dots += path->whole.data[i] == '.';
	struct text *segments = arena_alloc(arena, dots * sizeof(*segments));
	if (segments == NULL)
		return false;
	struct text rest = path->whole;
	path->name = text_take(&rest, '.');
	for (size_t i = 0; i < dots; i++)
		segments[i] = text_take(&rest, '.');
	path->segments = segments;
	path->segment_count = dots;
	return true;
}

static bool path_is_named(const struct path *path)
{
	bool named = is_segment(path->name);
	for (size_t i = 0; i < path->segment_count; i++)
		named = named && is_segment(path->segments[i]);
	return named;
}

struct path *path_compile(
		struct text written, struct place place, struct arena *arena, struct diag *diag)
{
	struct path *path = arena_zalloc(arena, sizeof(*path));
	struct text rest = arena_copy(arena, written);
	if (path == NULL || rest.data == NULL)
		goto out_of_memory;
	path->slot = -1;
	path->whole = trim(text_take(&rest, '|'));
	if (rest.data) {
		path->fallback = scalar_or_string(trim(rest), true, arena);
		if (path->fallback.data == NULL)
			goto out_of_memory;
	}
	if (!split_path(path, arena))
		goto out_of_memory;
	if (path_is_named(path))
		return path;
	diag_error(diag, place,
			"expected names and indexes with dots between them in \"${%.*s}\", such as "
			"${a.b.0} or ${a.b | default}",
			TEXT_ARG(written));
	return NULL;
out_of_memory:
	diag_error(diag, place, "out of memory");
	return NULL;
}

struct compilation {
	struct template *template;
	struct buffer literal; /* since the last path */
	struct arena *arena;
	struct diag *diag;
};

static bool out_of_memory(struct compilation *c)
{
	diag_error(c->diag, c->template->place, "out of memory");
	return false;
}

static bool end_literal(struct compilation *c)
{
	struct text literal = buffer_text(&c->literal);
	if (literal.size > 0)
		literal = arena_copy(c->arena, literal);
	if (literal.data == NULL)
		return out_of_memory(c);
	if (literal.size > 0)
		c->template->parts[c->template->part_count++] =
				(struct template_part){.literal = literal};
	buffer_clear(&c->literal);
	return true;
}

/* Compiles the `${…}` that rest begins with and returns its end. NULL after an error. */
static const char *compile_path(struct compilation *c, struct text rest)
{
	const char *first = rest.data + 2;
	const char *bracket = memchr(first, '}', rest.size - 2);
	if (bracket == NULL) {
		diag_error(c->diag, c->template->place,
				"expected '}' at the end of \"%.*s\" (a literal ${ is written $${)",
				TEXT_ARG(rest));
		return NULL;
	}
	struct text written = {first, (size_t)(bracket - first)};
	struct path *path = path_compile(written, c->template->place, c->arena, c->diag);
	if (path == NULL || !end_literal(c))
		return NULL;
	c->template->parts[c->template->part_count++] = (struct template_part){.path = path};
	return bracket + 1;
}

static bool compile_parts(struct compilation *c, struct text rest)
{
	const char *end = rest.data + rest.size;
	while (rest.size > 0) {
		const char *at = rest.data;
		if (text_begins_with(rest, TEXT("$${"))) {
			buffer_append(&c->literal, TEXT("${"));
			at += 3;
		} else if (text_begins_with(rest, TEXT("${"))) {
			at = compile_path(c, rest);
			if (at == NULL)
				return false;
		} else {
			buffer_append_char(&c->literal, *at++);
		}
		rest = (struct text){at, (size_t)(end - at)};
	}
	return end_literal(c);
}

/* Room for a path at each dollar, a literal before each and one at the end. */
static bool make_parts(struct compilation *c, struct text text)
{
	size_t dollars = 0;
	for (size_t i = 0; i < text.size; i++)
		dollars += text.data[i] == '$';
	c->template->parts =
			arena_zalloc(c->arena, (2 * dollars + 1) * sizeof(struct template_part));
	return c->template->parts || out_of_memory(c);
}

static bool make_constant(struct compilation *c, bool plain)
{
	struct template *t = c->template;
	for (size_t i = 0; i < t->part_count; i++)
		if (t->parts[i].path)
			return true;
	struct text literal = t->part_count ? t->parts[0].literal : TEXT("");
	if (plain) {
		t->constant = scalar_or_string(literal, false, c->arena);
	} else {
		struct buffer buffer;
		buffer_init_arena(&buffer, c->arena);
		buffer_append_json_string(&buffer, literal);
		t->constant = buffer_text(&buffer);
	}
	return t->constant.data || out_of_memory(c);
}

struct template *template_compile(struct text text, bool plain, struct place place,
		struct arena *arena, struct diag *diag)
{
	struct template *template = arena_zalloc(arena, sizeof(*template));
	if (template == NULL) {
		diag_error(diag, place, "out of memory");
		return NULL;
	}
	template->place = place;
	if (text.data == NULL)
		text = TEXT("");
	if (memchr(text.data, '\0', text.size)) {
		diag_error(diag, place,
				"expected no U+0000 in a text"); /* no JSON string may hold it */
		return NULL;
	}
	struct compilation c = {.template = template, .arena = arena, .diag = diag};
	buffer_init_arena(&c.literal, arena);
	bool done = make_parts(&c, text) && compile_parts(&c, text) && make_constant(&c, plain);
	return done ? template : NULL;
}

bool template_is_path(const struct template *template)
{
	return template->part_count == 1 && template->parts[0].path;
}

/* Whether the literal has a character that no number, boolean or null is written with. */
static bool separates(struct text literal)
{
	for (size_t i = 0; i < literal.size; i++) {
		char c = literal.data[i];
		bool digit = c >= '0' && c <= '9';
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!digit && !letter && c != '+' && c != '-' && c != '.')
			return true;
	}
	return false;
}

bool template_is_separated(const struct template *template)
{
	bool open = false; /* a path without a separating literal behind it */
	for (size_t i = 0; i < template->part_count; i++) {
		const struct template_part *part = &template->parts[i];
		if (part->path && open)
			return false;
		open = part->path || (open && !separates(part->literal));
	}
	return true;
}

static bool fail(struct template_error *ret_error, const struct path *path, const char *message)
{
	*ret_error = (struct template_error){path, message};
	return false;
}

static bool find(const struct path *path, template_resolve_fn resolve, void *user,
		struct value *ret, struct template_error *ret_error)
{
	if (resolve(user, path, ret))
		return true;
	if (path->fallback.data == NULL)
		return fail(ret_error, path, "is missing");
	*ret = value_of(path->fallback);
	return true;
}

static bool is_scalar(enum json_kind kind)
{
	return kind == JSON_STRING || kind == JSON_NUMBER || kind == JSON_TRUE ||
	       kind == JSON_FALSE;
}

/* False if such a value may not stand there. */
static bool append_value(struct buffer *buffer, struct text raw, enum template_use use)
{
	static void (*const append_string[])(struct buffer *, struct text) = {
			[TEMPLATE_TEXT] = json_append_unescaped,
			[TEMPLATE_URL] = json_append_percent,
			[TEMPLATE_KEY] = json_append_normal,
	};
	enum json_kind kind = json_kind_of(raw);
	if (use != TEMPLATE_KEY && !is_scalar(kind))
		return false;
	if (kind == JSON_STRING)
		append_string[use](buffer, raw);
	else if (use == TEMPLATE_URL)
		buffer_append_percent(buffer, raw); /* 1e+5 has a plus */
	else
		buffer_append(buffer, raw);
	return true;
}

bool template_render(const struct template *template, enum template_use use,
		template_resolve_fn resolve, void *user, struct buffer *buffer,
		struct template_error *ret_error)
{
	for (size_t i = 0; i < template->part_count; i++) {
		const struct template_part *part = &template->parts[i];
		if (part->path == NULL) {
			buffer_append(buffer, part->literal);
			continue;
		}
		struct value value;
		if (!find(part->path, resolve, user, &value, ret_error))
			return false;
		if (!append_value(buffer, value.text, use))
			return fail(ret_error, part->path,
					"must be a string, a number or a boolean");
	}
	return !buffer->failed || fail(ret_error, NULL, "out of memory");
}

bool template_value(const struct template *template, template_resolve_fn resolve, void *user,
		struct arena *arena, struct value *ret, struct template_error *ret_error)
{
	if (template_is_path(template))
		return find(template->parts[0].path, resolve, user, ret, ret_error);
	if (template->constant.data) {
		*ret = value_of(template->constant);
		return true;
	}
	struct buffer text, string;
	buffer_init_arena(&text, arena);
	buffer_init_arena(&string, arena);
	if (!template_render(template, TEMPLATE_TEXT, resolve, user, &text, ret_error))
		return false;
	buffer_append_json_string(&string, buffer_text(&text));
	*ret = value_of(buffer_text(&string));
	return value_present(ret) || fail(ret_error, NULL, "out of memory");
}
