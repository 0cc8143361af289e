/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The elements of `each`. Two that have one name are one, because they would be one member of the
 * reply.
 */
#include "pipeline/stages/fanout.h"

#include "pipeline/base/arena.h"
#include "pipeline/base/buffer.h"

static bool out_of_memory(struct fanout_frame *self)
{
	self->base.frame.outcome = run_out_of_memory();
	return false;
}

static bool refuse_each(struct fanout_frame *self)
{
	(void)stage_fail(&self->base, STATUS_INVALID_ARGUMENT,
			"\"each\" needs an array of strings or numbers");
	return false;
}

/* The element's name among the members of the reply: its string, or the number as written. Absent
 * when memory is out. */
static struct text element_name(struct text raw, struct arena *arena)
{
	struct buffer buffer;
	buffer_init_arena(&buffer, arena);
	if (json_kind_of(raw) == JSON_STRING)
		json_append_normal(&buffer, raw);
	else
		buffer_append_json_string(&buffer, raw);
	return buffer_text(&buffer);
}

static bool known(const struct fanout_frame *self, struct text name)
{
	for (uint32_t i = 0; i < self->group_count; i++) {
		if (text_equal(self->groups[i].name, name))
			return true;
	}
	return false;
}

static bool add_element(struct fanout_frame *self, struct value element)
{
	const struct fanout *fanout = container_of(self->base.stage, struct fanout, stage);
	enum json_kind kind = json_kind_of(element.text);
	if (kind != JSON_STRING && kind != JSON_NUMBER)
		return refuse_each(self);
	struct text name = element_name(element.text, self->base.run->arena);
	if (!name.data)
		return out_of_memory(self);
	if (known(self, name))
		return true;
	if (self->group_count == fanout->each_max) {
		(void)stage_fail(&self->base, STATUS_INVALID_ARGUMENT,
				"\"each\" has more than %u elements", fanout->each_max);
		return false;
	}
	self->groups[self->group_count++] = (struct group){.element = element, .name = name};
	return true;
}

bool fanout_spread(struct fanout_frame *self)
{
	const struct fanout *fanout = container_of(self->base.stage, struct fanout, stage);
	struct run *run = self->base.run;
	struct names names = {run, self->base.activation, SLOT_UNBOUND, VALUE_NONE, false, NULL};
	struct value array;
	if (!names_value(&names, fanout->each, &array, &self->base.frame.outcome))
		return false;
	if (json_kind_of(array.text) != JSON_ARRAY)
		return refuse_each(self);
	if (!value_view(&array, run->arena))
		return out_of_memory(self);
	const struct json_value *whole = &array.json->values[array.index];
	uint32_t room = whole->count < fanout->each_max ? whole->count : fanout->each_max;
	self->groups = arena_zalloc(run->arena, room * sizeof(*self->groups));
	if (!self->groups)
		return out_of_memory(self);
	for (uint32_t at = array.index + 1; at < whole->next; at = array.json->values[at].next) {
		if (!add_element(self, value_at(array.json, at)))
			return false;
	}
	return true;
}
