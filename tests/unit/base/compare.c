/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wilful differences from jansson, all of them:
 *
 * - A number that is larger than a double: jansson refuses it. We never convert a number, and hand
 *   it on as it was written (RFC 8259, 6: an implementation may set limits on the range).
 * - Arrays and objects more than 2048 deep: jansson refuses them, whatever one would like. Ours is
 * a limit that can be set, and costs no stack.
 * - A NUL byte: we refuse it wherever it stands, as the grammar does. Jansson loses one that stands
 *   right behind a number or a word (stream_get() takes the one that it had put back for an empty
 *   buffer). So jansson isn't asked, but ours must refuse.
 *
 * In the rest of what RFC 8259 leaves open we have decided as jansson does, asked with
 * JSON_REJECT_DUPLICATES and JSON_DECODE_ANY: duplicate names, U+0000, lone surrogates and a byte
 * order mark are refused, and a scalar is a text.
 */
#include "tests/unit/base/compare.h"

#include <stdlib.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/json.h"
#include "tests/unit/base/oracle.h"

struct comparing {
	const struct json *json;
	struct arena arena;
	const char *difference;
};

static bool differs(struct comparing *c, const char *difference)
{
	c->difference = difference;
	return false;
}

static bool same(struct comparing *c, uint32_t index, const struct oracle *other);

/* The child of an array or object that stands at *at; for a member, *at moves from its name to its
 * value. */
static const struct oracle *other_child(struct comparing *c, uint32_t index, uint32_t n,
		const struct oracle *other, uint32_t *at)
{
	if (c->json->values[index].kind == JSON_ARRAY) {
		const struct oracle *element = oracle_element(other, n);
		return json_element(c->json, index, n) == *at ? element : NULL;
	}
	struct text name = json_string(c->json, *at, &c->arena);
	++*at;
	return json_member(c->json, index, name) == *at ? oracle_member(other, name) : NULL;
}

static bool same_inside(struct comparing *c, uint32_t index, const struct oracle *other)
{
	const struct json_value *value = &c->json->values[index];
	if (value->count != oracle_count(other))
		return differs(c, "how many there are inside");
	uint32_t at = index + 1;
	for (uint32_t i = 0; i < value->count; i++) {
		const struct oracle *child = other_child(c, index, i, other, &at);
		if (!child)
			return differs(c, "what is inside");
		if (!same(c, at, child))
			return false;
		at = c->json->values[at].next;
	}
	return at == value->next || differs(c, "where it ends");
}

static bool same(struct comparing *c, uint32_t index, const struct oracle *other)
{
	enum json_kind kind = json_kind(c->json, index);
	if ("nft0\"[{"[kind] != oracle_kind(other) ||
			json_kind_of(json_raw(c->json, index)) != kind)
		return differs(c, "a kind");
	if (kind == JSON_ARRAY || kind == JSON_OBJECT)
		return same_inside(c, index, other);
	if (kind == JSON_STRING) {
		struct text characters = json_string(c->json, index, &c->arena);
		return text_equal(characters, oracle_string(other)) || differs(c, "a string");
	}
	if (kind == JSON_NUMBER) {
		struct text digits = arena_copy(&c->arena, json_raw(c->json, index));
		return strtod(digits.data, NULL) == oracle_number(other) || differs(c, "a number");
	}
	return true;
}

static enum comparison compare(struct comparing *c, bool accepted, const struct oracle *other)
{
	if (accepted != (other != NULL)) {
		(void)differs(c, accepted ? "only jansson refuses it" : "only we refuse it");
		return DIFFERENT;
	}
	if (!accepted)
		return BOTH_REFUSE;
	return same(c, 0, other) ? BOTH_ACCEPT : DIFFERENT;
}

static bool has_nul(struct text t)
{
	return t.size > 0 && memchr(t.data, '\0', t.size);
}

enum comparison compare_with_oracle(struct text t, const char **ret_difference)
{
	static const struct json_limits limits = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
	struct json json;
	struct json_error error;
	struct comparing c = {.json = &json};
	bool own_limit = false;
	arena_init(&c.arena, NULL);
	bool accepted = json_parse(&json, &c.arena, t, &limits, &error);
	const struct oracle *other = has_nul(t) ? NULL : oracle_parse(t, &own_limit);
	enum comparison comparison = own_limit ? NOT_COMPARED : compare(&c, accepted, other);
	if (comparison == DIFFERENT)
		*ret_difference = c.difference;
	oracle_free(other);
	arena_deinit(&c.arena);
	return comparison;
}
