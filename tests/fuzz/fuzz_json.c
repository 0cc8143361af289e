/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON view beside jansson's (tests/unit/base/compare.c has where they differ wilfully), and
 * what must hold of it by itself: limits are met exactly, and strings keep their characters however
 * they are written.
 */
#include "pipeline/base/json.h"

#include "pipeline/base/arena.h"
#include "pipeline/base/buffer.h"
#include "pipeline/base/live.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/base/compare.h"

static struct arena arena;

static bool parse(struct text t, struct json_limits limits, struct json *ret)
{
	struct json_error error;
	if (json_parse(ret, &arena, t, &limits, &error))
		return true;
	must(error.at <= t.size && error.message != json_out_of_memory);
	return false;
}

static uint32_t depth_of(const struct json *json, uint32_t index)
{
	const struct json_value *value = &json->values[index];
	uint32_t deepest = 0;
	for (uint32_t at = index + 1; at < value->next; at = json->values[at].next) {
		uint32_t depth = depth_of(json, at);
		deepest = depth > deepest ? depth : deepest;
	}
	return deepest + (value->kind == JSON_ARRAY || value->kind == JSON_OBJECT);
}

static void check_limits(struct text t, const struct json *json)
{
	struct json again;
	struct json_limits limits = {(uint32_t)t.size, depth_of(json, 0), json->count};
	must(parse(t, limits, &again));
	must(again.count == json->count);
	must(memcmp(again.values, json->values, json->count * sizeof(*json->values)) == 0);
	limits.values--;
	must(!parse(t, limits, &again));
	limits.values++;
	limits.bytes--;
	must(!parse(t, limits, &again));
	limits.bytes++;
	if (limits.depth-- > 0)
		must(!parse(t, limits, &again));
}

static struct text normal(struct text raw)
{
	struct buffer buffer;
	buffer_init_arena(&buffer, &arena);
	json_append_normal(&buffer, raw);
	return buffer_text(&buffer);
}

static void check_string(const struct json *json, uint32_t index)
{
	static const struct json_limits one = {UINT32_MAX, 0, 1};
	struct json again;
	struct buffer unescaped, written;
	struct text characters = json_string(json, index, &arena);
	buffer_init_arena(&unescaped, &arena);
	json_append_unescaped(&unescaped, json_raw(json, index));
	must(text_equal(buffer_text(&unescaped), characters));
	struct text spelled = normal(json_raw(json, index));
	must(parse(spelled, one, &again) && json_kind(&again, 0) == JSON_STRING);
	must(text_equal(json_string(&again, 0, &arena), characters));
	must(text_equal(normal(spelled), spelled));
	buffer_init_arena(&written, &arena);
	buffer_append_json_string(&written, characters);
	must(text_equal(buffer_text(&written), spelled));
}

static void check_view(struct text t)
{
	static const struct json_limits none = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
	struct json json;
	if (!parse(t, none, &json))
		return;
	check_limits(t, &json);
	for (uint32_t i = 0; i < json.count; i++) {
		if (json_kind(&json, i) == JSON_STRING)
			check_string(&json, i);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *difference;
	struct input input = input_of(data, size);
	struct text t = input_rest(&input);
	if (compare_with_oracle(t, &difference) == DIFFERENT)
		fuzz_fail(__FILE__, __LINE__, difference);
	arena_init(&arena, NULL);
	check_view(t);
	arena_deinit(&arena);
	must(live_report() == 0);
	return 0;
}
