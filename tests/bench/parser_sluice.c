/* SPDX-License-Identifier: Apache-2.0 */
/* Ours, as a request is read: the check and the table, in an arena out of a pool. */
#include "pipeline/base/arena.h"
#include "pipeline/base/json.h"
#include "tests/bench/parsers.h"

bool parse_with_sluice(struct text document)
{
	static const struct json_limits limits = {.bytes = 1 << 20, .depth = 32, .values = 100000};
	static struct arena_pool pool = {.spares_max = 1};
	struct arena arena;
	struct json json;
	struct json_error error;
	if (!arena_pool_take(&pool, &arena))
		return false;
	bool accepted = json_parse(&json, &arena, document, &limits, &error);
	arena_pool_give(&pool, &arena);
	return accepted;
}
