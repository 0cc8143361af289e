/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of an object's members: found by the characters they stand for, and refused when two are
 * the same. Few names are compared each with each, which for a usual body costs less than one hash.
 * For many, or for long ones that must be read character by character, that would cost many times
 * what reading them does, and a stranger writes them: a hash table with a key that he doesn't know
 * keeps it linear.
 */
#include "pipeline/base/json_internal.h"

#include "pipeline/base/arena.h"
#include "pipeline/base/hash.h"
#include "pipeline/base/json.h"
#include "pipeline/base/slots.h"

static struct hash_key name_key;

void json_seed(const struct hash_key *key)
{
	name_key = *key;
}

static bool same_name(const struct json *json, uint32_t a, uint32_t b)
{
	const struct json_value *one = &json->values[a], *other = &json->values[b];
	if (one->size != other->size && !one->escaped && !other->escaped)
		return false; /* without a call, as for nearly all pairs of names */
	return json_has_characters(json, a, json_inside(json, b), other->escaped);
}

static bool fail_twice(const struct json *json, uint32_t name, struct json_error *ret_error)
{
	*ret_error = (struct json_error){json->values[name].at, "duplicate name"};
	return false;
}

bool json_names_few(const struct json *json, uint32_t index, struct json_error *ret_error)
{
	uint32_t names[JSON_NAMES_FEW];
	uint32_t count = json->values[index].count;
	uint32_t name = index + 1;
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t k = 0; k < i; k++)
			if (same_name(json, names[k], name))
				return fail_twice(json, name, ret_error);
		names[i] = name;
		name = json->values[name + 1].next;
	}
	return true;
}

/* What each object is checked with, after the other. */
struct room {
	void *slots;	  /* for the indices of names */
	char *characters; /* for those of any name that is escaped */
};

static uint64_t hash_name(const struct json *json, uint32_t name, char *characters)
{
	struct text inside = json_inside(json, name);
	if (!json->values[name].escaped)
		return hash_text(&name_key, inside);
	struct spelling spelling = spelling_of(inside, true);
	size_t size = spelling_write(&spelling, characters);
	return hash_text(&name_key, (struct text){characters, size});
}

static bool names_differ(const struct json *json, uint32_t index, const struct room *room,
		struct json_error *ret_error)
{
	uint32_t count = json->values[index].count;
	const struct slots known = slots_empty(room->slots, count);
	uint32_t name = index + 1;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t *slot = slots_at(&known, hash_name(json, name, room->characters));
		for (; *slot > 0; slot = slots_after(&known, slot))
			if (same_name(json, *slot, name))
				return fail_twice(json, name, ret_error);
		*slot = name;
		name = json->values[name + 1].next;
	}
	return true;
}

bool json_names_many(const struct json *json, struct arena *arena, struct json_error *ret_error)
{
	uint32_t most = 0, longest = 0;
	for (uint32_t i = 0; i < json->count; i++) {
		const struct json_value *value = &json->values[i];
		if (json_is_crowded(value) && value->count > most)
			most = value->count;
		if (value->kind == JSON_STRING && value->escaped && value->size > longest)
			longest = value->size;
	}
	size_t slots = slots_size(most);
	void *block = arena_alloc(arena, slots + longest);
	if (block == NULL) {
		*ret_error = (struct json_error){0, json_out_of_memory};
		return false;
	}
	const struct room room = {block, (char *)block + slots};
	bool differ = true;
	for (uint32_t i = 0; differ && i < json->count; i++)
		if (json_is_crowded(&json->values[i]))
			differ = names_differ(json, i, &room, ret_error);
	(void)arena_resize(arena, block, slots + longest, 0);
	return differ;
}
