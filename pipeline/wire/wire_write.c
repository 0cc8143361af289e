/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers are written into room for the longest that there may be, so nothing is measured before.
 * What is written came through wire_parse_request(), wire_is_name() or wire_is_id(), or is our own,
 * so it is asserted and not checked.
 */
#include "pipeline/wire/wire.h"

#include <assert.h>

#include "pipeline/base/buffer.h"

#define BUDGET_MAX     999999999U /* 9 digits */
#define U64_DIGITS_MAX 20

#define REPLY_FIXED                                                                                \
	" RESOURCE_EXHAUSTED us= cache= partial=1 duplicate=1 retry_ms= max= seq= parts=\n"
#define REPLY_MAX (sizeof(REPLY_FIXED) - 1 + 5 * U64_DIGITS_MAX + WIRE_CACHE_MAX)

static_assert(WIRE_ID_MAX + REPLY_MAX <= WIRE_HEADER_MAX,
		"every reply's header is within the limit, its LF included");
static_assert(WIRE_TARGET_MAX + WIRE_ID_MAX + WIRE_VALUE_MAX +
						sizeof("  999999999 trace= stream=1 fresh=1") <=
				WIRE_HEADER_MAX,
		"every request's header is within the limit");

static inline char *put_number(char *at, struct text key, uint64_t number)
{
	return format_u64(text_put(at, key), number);
}

static struct text id_or_dash(struct text id)
{
	assert(id.size <= WIRE_ID_MAX);
	return id.data ? id : TEXT("-");
}

char *wire_write_reply(char *at, struct text id, enum status status,
		const struct wire_reply_keys *keys, bool has_body)
{
	assert(keys->cache.size <= WIRE_CACHE_MAX);
	at = text_put(at, id_or_dash(id));
	*at++ = ' ';
	at = text_put(at, status_text(status));
	at = put_number(at, TEXT(" us="), keys->us);
	if (keys->cache.data)
		at = text_put(text_put(at, TEXT(" cache=")), keys->cache);
	if (keys->partial)
		at = text_put(at, TEXT(" partial=1"));
	if (keys->duplicate)
		at = text_put(at, TEXT(" duplicate=1"));
	if (keys->retry_ms)
		at = put_number(at, TEXT(" retry_ms="), keys->retry_ms);
	if (keys->max)
		at = put_number(at, TEXT(" max="), keys->max);
	if (keys->seq)
		at = put_number(at, TEXT(" seq="), keys->seq);
	if (keys->parts)
		at = put_number(at, TEXT(" parts="), keys->parts);
	if (has_body)
		*at++ = '\n';
	return at;
}

char *wire_write_request(char *at, struct text target, struct text id, uint64_t budget_ms,
		const struct wire_request_keys *keys, bool has_body)
{
	assert(target.size >= 1 && target.size <= WIRE_TARGET_MAX);
	assert(keys->trace.size <= WIRE_VALUE_MAX);
	at = text_put(at, target);
	*at++ = ' ';
	at = text_put(at, id_or_dash(id));
	*at++ = ' ';
	if (budget_ms == WIRE_BUDGET_NONE)
		*at++ = '-';
	else
		at = format_u64(at, budget_ms < BUDGET_MAX ? budget_ms : BUDGET_MAX);
	if (keys->trace.data)
		at = text_put(text_put(at, TEXT(" trace=")), keys->trace);
	if (keys->stream)
		at = text_put(at, TEXT(" stream=1"));
	if (keys->fresh)
		at = text_put(at, TEXT(" fresh=1"));
	if (has_body)
		*at++ = '\n';
	return at;
}
