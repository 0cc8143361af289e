/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers, both directions. A second reading, token by token and slow, says whether a message is
 * well formed; and what was read is the same after it was written and read again.
 */
#include "pipeline/wire/wire.h"

#include "tests/fuzz/fuzz.h"

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define NAME   LOWER UPPER DIGITS "_-"
#define ID     NAME ".:"

static bool consists_of(struct text t, const char *characters, size_t min, size_t max)
{
	for (size_t i = 0; i < t.size; i++) {
		if (t.data[i] == '\0' || !strchr(characters, t.data[i]))
			return false;
	}
	return t.size >= min && t.size <= max;
}

/* Cuts what stands before the first mark off *rest; all of it where there is none, and then *rest
 * is absent. */
static struct text cut(struct text *rest, char mark)
{
	struct text t = *rest;
	const char *at = t.size ? memchr(t.data, mark, t.size) : NULL;
	*rest = (struct text){NULL, 0};
	if (!at)
		return t;
	*rest = (struct text){at + 1, t.size - (size_t)(at + 1 - t.data)};
	t.size = (size_t)(at - t.data);
	return t;
}

static bool is_pair(struct text pair)
{
	struct text value = pair;
	struct text key = cut(&value, '=');
	for (size_t i = 0; i < value.size; i++) {
		if (value.data[i] <= ' ' || value.data[i] > '~')
			return false;
	}
	return value.data && value.size <= WIRE_VALUE_MAX &&
	       consists_of(key, LOWER "_", 1, WIRE_KEY_MAX);
}

static bool are_pairs(struct text rest)
{
	while (rest.data) {
		if (!is_pair(cut(&rest, ' ')))
			return false;
	}
	return true;
}

static struct text header_of(struct text message)
{
	return cut(&message, '\n');
}

static bool is_id(struct text t)
{
	return consists_of(t, ID, 1, WIRE_ID_MAX) && !text_equal(t, TEXT("-"));
}

static bool is_request(struct text message)
{
	struct text rest = header_of(message);
	bool fits = rest.size <= WIRE_HEADER_MAX;
	struct text target = cut(&rest, ' ');
	struct text id = cut(&rest, ' ');
	struct text budget = cut(&rest, ' ');
	bool command = target.size > 0 && target.data[0] == '$';
	struct text name = {target.data + command, target.size - command};
	return fits && consists_of(name, NAME, 1, WIRE_TARGET_MAX - command) && is_id(id) &&
	       (consists_of(budget, DIGITS, 1, 9) || text_equal(budget, TEXT("-"))) &&
	       are_pairs(rest);
}

static bool is_reply(struct text message)
{
	struct text rest = header_of(message);
	bool fits = rest.size <= WIRE_HEADER_MAX;
	struct text id = cut(&rest, ' ');
	enum status status;
	return fits && (is_id(id) || text_equal(id, TEXT("-"))) && rest.data &&
	       status_from_text(cut(&rest, ' '), &status) && are_pairs(rest);
}

static bool same(struct text a, struct text b)
{
	return text_equal(a, b) && (a.data == NULL) == (b.data == NULL);
}

static struct text written(char *bytes, char *end, size_t max, struct text body)
{
	must((size_t)(end - bytes) <= max);
	if (body.size > 0)
		memcpy(end, body.data, body.size);
	return (struct text){bytes, (size_t)(end - bytes) + body.size};
}

static void check_request(struct text message)
{
	struct wire_request request, again;
	const char *problem = wire_parse_request(message, &request);
	must(!problem == is_request(message));
	must(request.id.data == NULL || (is_id(request.id) && wire_is_id(request.id)));
	if (problem) {
		must(!request.target.data && !request.body.data && !request.trace.data);
		return;
	}
	must(request.target.data[0] == '$' || wire_is_name(request.target));
	char *bytes = malloc(WIRE_HEADER_MAX + 1 + request.body.size);
	must(bytes != NULL);
	const struct wire_request_keys keys = {request.trace, request.stream, request.fresh};
	char *end = wire_write_request(bytes, request.target, request.id, request.budget_ms, &keys,
			request.body.data != NULL);
	struct text text = written(bytes, end, WIRE_HEADER_MAX + 1, request.body);
	must(wire_parse_request(text, &again) == NULL);
	must(same(again.target, request.target) && same(again.id, request.id));
	must(again.budget_ms == request.budget_ms);
	must(same(again.trace, request.trace) && same(again.body, request.body));
	must(again.stream == request.stream && again.fresh == request.fresh);
	free(bytes);
}

static void check_reply(struct text message)
{
	struct wire_reply reply, again;
	const char *problem = wire_parse_reply(message, &reply);
	must(!problem == is_reply(message));
	must(reply.id.data == NULL || is_id(reply.id));
	if (problem) {
		must(!reply.body.data && !reply.cache.data && !reply.seq && !reply.parts);
		return;
	}
	if (reply.cache.size > WIRE_CACHE_MAX)
		reply.cache.size = WIRE_CACHE_MAX;
	struct wire_reply_keys keys = {
			.us = reply.us,
			.cache = reply.cache,
			.partial = reply.partial,
			.duplicate = reply.duplicate,
			.retry_ms = reply.retry_ms,
			.max = UINT64_MAX - reply.us,
			.seq = reply.seq,
			.parts = reply.parts,
	};
	size_t room = WIRE_HEADER_MAX;
	char *bytes = malloc(room + reply.body.size);
	must(bytes != NULL);
	char *end = wire_write_reply(bytes, reply.id, reply.status, &keys, reply.body.data);
	struct text text = written(bytes, end, room, reply.body);
	must(wire_parse_reply(text, &again) == NULL);
	must(same(again.id, reply.id) && again.status == reply.status);
	must(same(again.cache, reply.cache) && again.partial == reply.partial);
	must(again.duplicate == reply.duplicate && again.retry_ms == reply.retry_ms);
	must(again.seq == reply.seq && again.parts == reply.parts);
	must(again.us == reply.us && same(again.body, reply.body));
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = input_of(data, size);
	struct text message = input_rest(&input);
	must(wire_is_id(message) == is_id(message));
	must(wire_is_name(message) == consists_of(message, NAME, 1, WIRE_TARGET_MAX));
	check_request(message);
	check_reply(message);
	return 0;
}
