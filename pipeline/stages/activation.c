/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names are bound to slots when the configuration is compiled, so following one at run time is an
 * index and, below it, a walk through the view of a value.
 */
#include "pipeline/stages/activation.h"

#include "pipeline/base/arena.h"
#include "pipeline/base/buffer.h"
#include "pipeline/stages/run.h"

static size_t round_up(size_t size)
{
	return (size + 15) & ~(size_t)15;
}

static size_t slots_size(const struct layout *layout)
{
	return round_up(layout->slots * sizeof(struct value));
}

size_t layout_size(const struct layout *layout)
{
	return round_up(sizeof(struct activation)) + slots_size(layout) + round_up(layout->frames);
}

struct activation *activation_init(void *memory, const struct layout *layout)
{
	struct activation *activation = memory;
	char *slots = (char *)memory + round_up(sizeof(*activation));
	activation->slots = (struct value *)(void *)slots;
	activation->frames = slots + slots_size(layout);
	return activation;
}

struct activation *activation_copy(
		const struct activation *activation, const struct layout *layout, struct run *run)
{
	void *memory = arena_zalloc(run->arena, layout_size(layout));
	if (!memory)
		return NULL;
	struct activation *copy = activation_init(memory, layout);
	copy->body = activation->body;
	for (uint32_t i = 0; i < layout->slots; i++)
		copy->slots[i] = activation->slots[i];
	return copy;
}

struct arena *names_arena(const struct names *names)
{
	return names->arena ? names->arena : names->run->arena;
}

/* A step into a value needs a view of it, for which there may be no memory. */
static bool follow(struct names *names, struct value *value, const struct text *segments,
		size_t count, struct value *ret)
{
	struct arena *arena = names->run->arena;
	if (!value_present(value))
		return false;
	if (count > 0 && !value_view(value, arena)) {
		names->out_of_memory = true;
		return false;
	}
	return value_follow(value, segments, count, arena, ret);
}

bool names_resolve(void *user, const struct path *path, struct value *ret)
{
	struct names *names = user;
	struct activation *activation = names->activation;
	struct value field;
	if (path->slot == names->each_slot)
		return follow(names, &names->each, path->segments, path->segment_count, ret);
	if (path->slot != SLOT_BODY)
		return follow(names, &activation->slots[path->slot], path->segments,
				path->segment_count, ret);
	return follow(names, &activation->body, &path->name, 1, &field) &&
	       follow(names, &field, path->segments, path->segment_count, ret);
}

static bool fail(struct names *names, const struct template_error *error,
		struct outcome *ret_outcome)
{
	if (names->out_of_memory || !error->path)
		*ret_outcome = run_out_of_memory();
	else
		*ret_outcome = outcome_failed(names->run->arena, STATUS_INVALID_ARGUMENT,
				(struct text){NULL, 0}, "\"%.*s\" %s", TEXT_ARG(error->path->whole),
				error->message);
	return false;
}

bool names_value(struct names *names, const struct template *template, struct value *ret,
		struct outcome *ret_outcome)
{
	struct template_error error = {NULL, NULL};
	bool made = template_value(template, names_resolve, names, names_arena(names), ret, &error);
	return (made && !names->out_of_memory) || fail(names, &error, ret_outcome);
}

bool names_value_if_any(struct names *names, const struct template *template, struct value *ret,
		struct outcome *ret_outcome)
{
	struct template_error error = {NULL, NULL};
	if (!template_value(template, names_resolve, names, names_arena(names), ret, &error)) {
		*ret = VALUE_NONE;
		if (!error.path)
			names->out_of_memory = true;
	}
	return !names->out_of_memory || fail(names, &error, ret_outcome);
}

bool names_text(struct names *names, const struct template *template, enum template_use use,
		struct text *ret, struct outcome *ret_outcome)
{
	struct template_error error = {NULL, NULL};
	struct buffer buffer;
	buffer_init_arena(&buffer, names_arena(names));
	bool made = template_render(template, use, names_resolve, names, &buffer, &error);
	*ret = buffer_text(&buffer);
	return (made && !names->out_of_memory) || fail(names, &error, ret_outcome);
}

bool names_key(struct names *names, const struct template *template, struct text *ret,
		struct outcome *ret_outcome)
{
	return names_text(names, template, TEMPLATE_KEY, ret, ret_outcome);
}

bool names_object(struct names *names, const struct template_map *map, struct value *ret,
		struct outcome *ret_outcome)
{
	struct buffer buffer;
	buffer_init_arena(&buffer, names_arena(names));
	buffer_append_char(&buffer, '{');
	for (size_t i = 0; i < map->count; i++) {
		struct value value;
		if (!names_value(names, map->entries[i].template, &value, ret_outcome))
			return false;
		if (i > 0)
			buffer_append_char(&buffer, ',');
		buffer_append(&buffer, map->entries[i].member);
		buffer_append(&buffer, value.text);
	}
	buffer_append_char(&buffer, '}');
	*ret = value_of(buffer_text(&buffer));
	if (value_present(ret))
		return true;
	*ret_outcome = run_out_of_memory();
	return false;
}

static bool refuse(struct run *run, const struct field_type *type, bool missing,
		struct outcome *ret_outcome)
{
	*ret_outcome = outcome_failed(run->arena, STATUS_INVALID_ARGUMENT, (struct text){NULL, 0},
			missing ? "\"%.*s\" is missing (%s)" : "\"%.*s\" must be of type %s",
			TEXT_ARG(type->name), field_type_name(type));
	return false;
}

bool activation_take(struct activation *activation, const struct field_type *types, size_t count,
		struct value body, struct run *run, struct outcome *ret_outcome)
{
	if (!value_view(&body, run->arena)) {
		*ret_outcome = run_out_of_memory();
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		const struct field_type *type = &types[i];
		uint32_t at = json_member(body.json, body.index, type->name);
		if (at != JSON_NONE) {
			if (!field_type_accepts(type, body.json, at))
				return refuse(run, type, false, ret_outcome);
			activation->slots[i] = value_at(body.json, at);
		} else if (type->fallback.data) {
			activation->slots[i] = value_of(type->fallback);
		} else {
			return refuse(run, type, true, ret_outcome);
		}
	}
	return true;
}
