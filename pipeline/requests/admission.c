/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request is given: how long it may take, whether it may wait, and, where it may not, how
 * long to stay away. A limit refuses only what would wait; what needn't is served, so a hanging
 * database is no outage of the cache.
 */
#include "pipeline/base/lesser.h"
#include "pipeline/requests/internal.h"

#define NS_PER_MS    UINT64_C(1000000)
#define RETRY_MIN_MS 10

uint64_t admission_deadline(const struct engine *engine, const struct pipeline *pipeline,
		uint64_t budget_ms, uint64_t received)
{
	uint64_t limit = engine->limits.max_deadline;
	if (pipeline->deadline)
		limit = lesser(limit, pipeline->deadline);
	if (budget_ms != WIRE_BUDGET_NONE)
		limit = lesser(limit, budget_ms * NS_PER_MS);
	else if (!pipeline->deadline)
		limit = lesser(limit, engine->limits.deadline);
	return received + limit;
}

const char *admission_used_up(const struct client *client)
{
	const struct engine *engine = client->engine;
	if (client->in_flight >= engine->limits.per_client)
		return "too many requests in flight from this client";
	if (engine->counts.in_flight + engine->counts.reaping >= engine->counts.in_flight_max)
		return "too many requests in flight";
	return admission_memory_used_up(engine) ? "too much memory in use" : NULL;
}

void admission_learn(
		struct engine *engine, const struct request *request, const struct outcome *outcome)
{
	/* How long it takes to give an answer in parts is up to the client as well. */
	bool in_parts = request->delivery && request->delivery->sent > 0;
	if (engine->limits.in_flight_min == 0 || outcome->status == STATUS_RESOURCE_EXHAUSTED ||
			in_parts)
		return;
	bool done = outcome->status == STATUS_OK || outcome->status == STATUS_NOT_FOUND;
	uint64_t now = engine->async->now;
	uint64_t took_ns = now - request->received;
	uint64_t in_flight = engine->counts.in_flight + engine->counts.reaping;
	engine->counts.in_flight_max =
			done ? adaptive_sample(&engine->adaptive, now, took_ns, in_flight)
			     : adaptive_failed(&engine->adaptive, now, took_ns, in_flight);
}

bool admission_memory_used_up(const struct engine *engine)
{
	const struct account *account = &engine->account;
	return account_full(account) && account->used - group_bytes(engine) >= account->max;
}

uint64_t admission_retry_ms(struct engine *engine, struct pipeline *pipeline)
{
	uint64_t quarter = pipeline ? pipeline_median_us(pipeline) / 4000 : 0;
	uint64_t base = greater(quarter, RETRY_MIN_MS);
	return base / 2 + random_below(&engine->async->random, base + 1);
}
