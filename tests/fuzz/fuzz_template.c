/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates, over two bodies: a template, NUL, a body, NUL, another body. A `!` in front of the
 * template says that it stood without quotes.
 *
 * What a template gives is JSON wherever it should be, and a key that has its paths separated is
 * the same for both bodies only if all of its paths stand for the same values.
 */
#include "pipeline/base/template.h"

#include "pipeline/base/arena.h"
#include "pipeline/base/buffer.h"
#include "pipeline/base/live.h"
#include "tests/fuzz/fuzz.h"

static const struct json_limits limits = {.bytes = 1 << 20, .depth = 32, .values = 10000};

static struct arena arena;

static bool is_json(struct text t)
{
	struct json json;
	struct json_error error;
	return json_parse(&json, &arena, t, &limits, &error);
}

/* A path's name is a member of the body. */
static bool resolve(void *user, const struct path *path, struct value *ret)
{
	struct value *body = user;
	struct value named;
	return value_follow(body, &path->name, 1, &arena, &named) &&
	       value_follow(&named, path->segments, path->segment_count, &arena, ret);
}

static struct text render(
		const struct template *template, enum template_use use, struct value *body)
{
	struct buffer buffer;
	struct template_error error;
	buffer_init_arena(&buffer, &arena);
	if (template_render(template, use, resolve, body, &buffer, &error))
		return (struct text){buffer.data ? buffer.data : "", buffer.size};
	must(error.path != NULL && error.message != NULL);
	return (struct text){NULL, 0};
}

static void check_value(const struct template *template, struct value *body)
{
	struct value value;
	struct template_error error;
	struct text text = render(template, TEMPLATE_TEXT, body);
	bool done = template_value(template, resolve, body, &arena, &value, &error);
	must(!done || is_json(value.text));
	must(template_is_path(template) || done == (text.data != NULL));
	/* Where text may stand, a key may. */
	must(render(template, TEMPLATE_KEY, body).data || !text.data);
}

/* In a URL a value stands where a text may, and adds nothing that means something there. */
static void check_url(const struct template *template, struct value *body)
{
	struct text text = render(template, TEMPLATE_TEXT, body);
	struct text url = render(template, TEMPLATE_URL, body);
	must(!text.data == !url.data);
	if (!url.data || !template_is_path(template))
		return;
	for (size_t i = 0; i < url.size; i++)
		must(memchr("%-._~", url.data[i], 5) ||
				(url.data[i] >= '0' && url.data[i] <= '9') ||
				(url.data[i] >= 'A' && url.data[i] <= 'Z') ||
				(url.data[i] >= 'a' && url.data[i] <= 'z'));
}

/* What a value is, apart from how its strings are spelled. Absent where there is none. */
static struct text meaning(const struct template *path, struct value *body)
{
	struct value value;
	struct template_error error;
	struct buffer buffer;
	if (!template_value(path, resolve, body, &arena, &value, &error))
		return (struct text){NULL, 0};
	if (json_kind_of(value.text) != JSON_STRING)
		return value.text;
	buffer_init_arena(&buffer, &arena);
	buffer_append(&buffer, TEXT("the string "));
	json_append_unescaped(&buffer, value.text);
	return buffer_text(&buffer);
}

/* Whether each path stands for the same value in both. */
static bool all_same(const struct template *template, struct value *one, struct value *other)
{
	for (size_t i = 0; i < template->part_count; i++) {
		struct template path = {.parts = &template->parts[i], .part_count = 1};
		if (template_is_path(&path) &&
				!text_equal(meaning(&path, one), meaning(&path, other)))
			return false;
	}
	return true;
}

static void check_key(const struct template *template, struct value *one, struct value *other)
{
	struct text key = render(template, TEMPLATE_KEY, one);
	struct text other_key = render(template, TEMPLATE_KEY, other);
	if (key.data && other_key.data && template_is_separated(template))
		must(text_equal(key, other_key) == all_same(template, one, other));
}

static struct value body_of(struct text t)
{
	return is_json(t) ? value_of(t) : value_of(TEXT("{}"));
}

static void check(struct input input)
{
	struct diag diag;
	diag_init(&diag, &arena);
	struct text text = input_text(&input);
	bool plain = text.size > 0 && text.data[0] == '!';
	if (plain)
		text = (struct text){text.data + 1, text.size - 1};
	struct value one = body_of(input_text(&input));
	struct value other = body_of(input_rest(&input));
	const struct place place = {"fuzz", 1, 1};
	struct template *template = template_compile(text, plain, place, &arena, &diag);
	must((template == NULL) == (diag.errors > 0));
	if (!template)
		return;
	must(!template->constant.data || is_json(template->constant));
	check_value(template, &one);
	check_value(template, &other);
	check_url(template, &one);
	check_key(template, &one, &other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	arena_init(&arena, NULL);
	check(input_of(data, size));
	arena_deinit(&arena);
	must(live_report() == 0);
	return 0;
}
