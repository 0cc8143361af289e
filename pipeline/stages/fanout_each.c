/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The elements of `each`. Two that have one name are one, because they would be one member of the
 * reply.
 */
#include "pipeline/stages/fanout.h"

#include "pipeline/base/arena.h"
#include "pipeline/base/buffer.h"
#include "pipeline/base/slots.h"

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

/* Where the number of the group of that name stands, counted from 1, or would. */
static uint32_t *slot_of(
		const struct slots *known, const struct fanout_frame *self, struct text name)
{
	const struct fanout *fanout = container_of(self->base.stage, struct fanout, stage);
	uint32_t *slot = slots_at(known, hash_text(&fanout->each_key, name));
	while (*slot > 0 && !text_equal(self->groups[*slot - 1].name, name))
		slot = slots_after(known, slot);
	return slot;
}

static bool refuse_missing(struct fanout_frame *self)
{
	(void)stage_fail(&self->base, STATUS_INVALID_ARGUMENT,
			"an element of \"each\" is named $missing, where the reply has a member of "
			"that name for those that are");
	return false;
}

static bool add_element(struct fanout_frame *self, const struct slots *known, struct value element)
{
	const struct fanout *fanout = container_of(self->base.stage, struct fanout, stage);
	enum json_kind kind = json_kind_of(element.text);
	if (kind != JSON_STRING && kind != JSON_NUMBER)
		return refuse_each(self);
	struct text name = element_name(element.text, self->base.run->arena);
	if (!name.data)
		return out_of_memory(self);
	if (fanout->partial && text_equal(name, TEXT("\"$missing\"")))
		return refuse_missing(self);
	uint32_t *slot = slot_of(known, self, name);
	if (*slot > 0)
		return true;
	if (self->group_count == fanout->each_max) {
		(void)stage_fail(&self->base, STATUS_INVALID_ARGUMENT,
				"\"each\" has more than %u elements", fanout->each_max);
		return false;
	}
	self->groups[self->group_count++] = (struct group){.element = element, .name = name};
	*slot = self->group_count;
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
	void *memory = arena_alloc(run->arena, slots_size(room));
	self->groups = arena_zalloc(run->arena, room * sizeof(*self->groups));
	if (!self->groups || !memory)
		return out_of_memory(self);
	const struct slots known = slots_empty(memory, room);
	for (uint32_t at = array.index + 1; at < whole->next; at = array.json->values[at].next) {
		if (!add_element(self, &known, value_at(array.json, at)))
			return false;
	}
	return true;
}
