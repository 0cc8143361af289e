/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients come in bursts, so that bounds are met, some of them with one question so that its queue
 * grows long; between them lies time in which ttls, deadlines and stalls run out.
 */
#include "tests/sim/plan.h"

#include <stdlib.h>

#include "pipeline/base/hash.h"
#include "tests/sim/world.h"

#define RETRY	   (5 * WORLD_MS) /* outboxes are tried again that much after a client reads */
#define RELOADS	   UINT64_C(0x72656c6f6164) /* apart from all else that a seed decides */
#define WORDS	   UINT64_C(0x776f726473)
#define TURNS	   UINT64_C(0x7475726e73)
#define FLOODS	   UINT64_C(0x666c6f6f6473)
#define LAST_BURST 100 /* requests at the end come close together, for a drain to meet many */

static bool per_thousand(struct random *random, uint32_t n)
{
	return random_below(random, 1000) < n;
}

static bool add_act(struct plan *plan, uint64_t at, enum act_kind kind, uint32_t client,
		uint32_t number)
{
	if (plan->act_count == plan->act_capacity) {
		size_t capacity = plan->act_capacity ? plan->act_capacity * 2 : 256;
		struct act *acts = realloc(plan->acts, capacity * sizeof(*acts));
		if (!acts)
			return false;
		plan->acts = acts;
		plan->act_capacity = capacity;
	}
	plan->acts[plan->act_count++] =
			(struct act){.at = at, .kind = kind, .client = client, .number = number};
	return true;
}

static void plan_behaviour(struct behaviour *behaviour, struct random *random, bool answers)
{
	static const uint64_t latencies[] = {0, 1, 5, 10, 20, 50};
	static const uint32_t rates[] = {0, 0, 10, 50, 300};
	*behaviour = (struct behaviour){
			.latency = latencies[random_below(random, 6)] * WORLD_MS,
			.jitter = per_thousand(random, 500) ? random_below(random, 20 * WORLD_MS)
							    : 0,
			.slow = rates[random_below(random, 5)],
			.failing = rates[random_below(random, 5)],
			.hanging = answers ? 0 : rates[random_below(random, 4)],
			.missing = rates[random_below(random, 4)],
			.garbled = rates[random_below(random, 3)],
			.odd = rates[random_below(random, 4)],
			.large = per_thousand(random, 250) ? rates[random_below(random, 5)] : 0,
			.twice = rates[random_below(random, 4)],
	};
}

/* What sources say beside their answers, apart from all else that a seed decides. */
static void plan_words(struct plan *plan)
{
	static const uint32_t rates[] = {0, 0, 10, 100};
	static const uint32_t busy[] = {0, 0, 300, 1000};
	struct random random;
	random_init(&random, plan->seed ^ WORDS);
	for (size_t i = 2; i < PLAN_RESOURCES; i++) {
		plan->behaviours[i].partial = rates[random_below(&random, 4)];
		plan->behaviours[i].busy = busy[random_below(&random, 4)];
	}
}

/* In most histories a turn does all that there is, as the daemon's do as long as it has little to
 * do. In the others something may come between any two tasks. */
static void plan_turns(struct plan *plan)
{
	static const size_t tasks[] = {1, 3, 17};
	struct random random;
	random_init(&random, plan->seed ^ TURNS);
	if (per_thousand(&random, 300))
		plan->tasks_per_turn = tasks[random_below(&random, 3)];
}

struct ending plan_ending(const struct plan *plan, uint32_t resource, uint64_t number)
{
	const struct behaviour *behaviour = &plan->behaviours[resource];
	struct random random;
	random_init(&random, hash_u64(plan->seed ^ hash_u64(number * PLAN_RESOURCES + resource)));
	struct ending ending = {
			.after = behaviour->latency + random_below(&random, behaviour->jitter + 1),
			.status = STATUS_OK,
			.twice = per_thousand(&random, behaviour->twice),
			.never = per_thousand(&random, behaviour->hanging),
	};
	if (per_thousand(&random, behaviour->slow))
		ending.after = ending.after * 10 + 100 * WORLD_MS;
	if (per_thousand(&random, behaviour->failing)) {
		/* Only sources are told how much time they have. */
		static const enum status failures[] = {STATUS_UNAVAILABLE, STATUS_INTERNAL,
				STATUS_RESOURCE_EXHAUSTED, STATUS_DEADLINE_EXCEEDED};
		bool is_source = resource >= 2;
		ending.status = failures[random_below(&random, is_source ? 4 : 3)];
		if (per_thousand(&random, behaviour->busy))
			ending.retry_ns = (1 + random_below(&random, 40)) * WORLD_MS;
	} else if (per_thousand(&random, behaviour->missing)) {
		ending.status = STATUS_NOT_FOUND;
	} else {
		ending.garbled = per_thousand(&random, behaviour->garbled);
		ending.odd = !ending.garbled && per_thousand(&random, behaviour->odd);
		ending.large = per_thousand(&random, behaviour->large);
		ending.partial = !ending.garbled && per_thousand(&random, behaviour->partial);
	}
	return ending;
}

/* Whole milliseconds, as latencies and timeouts are: things happen at one moment. */
static uint32_t some_budget(struct random *random)
{
	static const uint32_t budgets[] = {1, 2, 5, 10, 20, 50, 100};
	if (per_thousand(random, 750))
		return NO_BUDGET;
	return per_thousand(random, 200) ? 0 : budgets[random_below(random, 7)];
}

/* Mostly none; or as much as makes it one that is started at once, or that fills a small limit. */
static uint32_t some_padding(struct random *random)
{
	static const uint32_t sizes[] = {100, 3000, 9000, 40000};
	return per_thousand(random, 950) ? 0 : sizes[random_below(random, 4)];
}

/* A request like most, or a twin of a recent one: the same id, mostly by the same connection. */
static struct planned some_request(const struct plan *plan, uint32_t number, struct random *random)
{
	struct planned request = {
			.client = (uint32_t)random_below(random, PLAN_CLIENTS),
			.id = number,
			.envelope = per_thousand(random, 200) ? 1 : 0,
			.shape = (uint32_t)random_below(random, plan->configuration.shape_count),
			.key = (uint32_t)random_below(random, plan->keys),
			.budget_ms = some_budget(random),
			.stream = per_thousand(random, 500),
			.fresh = per_thousand(random, 40),
			.padding = some_padding(random),
	};
	if (per_thousand(random, 200))
		request.shape = (uint32_t)random_below(random, SHAPES_SIMPLE);
	if (per_thousand(random, 90)) /* so that many wait for one flight */
		request.shape = SHAPE_CACHE;
	if (per_thousand(random, 5))
		request.shape = (uint32_t)plan->configuration.shape_count;
	if (number > 0 && per_thousand(random, 60)) {
		uint64_t back = 1 + random_below(random, number < 20 ? number : 20);
		const struct planned *twin = &plan->requests[number - back];
		request.client = twin->client;
		request.id = twin->id;
		request.envelope = per_thousand(random, 800) ? twin->envelope : 1;
		if (per_thousand(random, 200))
			request.client = (uint32_t)random_below(random, PLAN_CLIENTS);
	}
	return request;
}

/* flood: it is one of many for the same queue. */
static bool plan_send(
		struct plan *plan, uint64_t at, uint32_t number, struct random *random, bool flood)
{
	struct planned *request = &plan->requests[number];
	*request = some_request(plan, number, random);
	if (flood)
		request->shape = SHAPE_LOOKUP;
	if (!add_act(plan, at, ACT_SEND, request->client, number))
		return false;
	if (!per_thousand(random, 250))
		return true;
	uint64_t later = at + random_below(random, 60 * WORLD_MS);
	if (per_thousand(random, 200))
		later = at;
	return add_act(plan, later, ACT_CANCEL, request->client, number);
}

/* What a client does beside asking: it goes, or it stops reading for a while. */
static bool plan_trouble(struct plan *plan, uint64_t at, struct random *random)
{
	uint32_t client = (uint32_t)random_below(random, PLAN_CLIENTS);
	uint64_t later = at + random_below(random, 200 * WORLD_MS);
	if (per_thousand(random, 60))
		return add_act(plan, at, ACT_PURGE, client, (uint32_t)random_next(random));
	switch (random_below(random, 8)) {
	case 0:
		return add_act(plan, at, ACT_LEAVE, client, 0);
	case 1:
	case 2:
		return add_act(plan, at, ACT_VANISH, client, 0) &&
		       add_act(plan, later, ACT_LEAVE, client, 0);
	case 3:
	case 4:
		return add_act(plan, at, ACT_STOP, client, 0) &&
		       add_act(plan, later, ACT_READ, client, (uint32_t)random_below(random, 5)) &&
		       add_act(plan, later + RETRY, ACT_FLUSH, client, 0) &&
		       add_act(plan, later * 2 - at, ACT_RESUME, client, 0) &&
		       add_act(plan, later * 2 - at + RETRY, ACT_FLUSH, client, 0);
	case 5:
		return add_act(plan, at, ACT_GARBAGE, client, (uint32_t)random_next(random));
	case 6:
		return add_act(plan, at, ACT_PING, client, 0);
	default:
		return add_act(plan, at, ACT_FLUSH, client, 0);
	}
}

static int by_time(const void *a, const void *b)
{
	const struct act *one = a;
	const struct act *other = b;
	if (one->at != other->at)
		return one->at < other->at ? -1 : 1;
	/* A request stands before its cancel, and qsort() is not stable. */
	if (one->number != other->number)
		return one->number < other->number ? -1 : 1;
	return (one->kind > other->kind) - (one->kind < other->kind);
}

/* Most histories end in a drain. *ret_drain: when it begins. */
static bool plan_end(struct plan *plan, uint64_t at, struct random *random, uint64_t *ret_drain)
{
	*ret_drain = UINT64_MAX;
	if (!per_thousand(random, 800))
		return true;
	uint64_t drain = at + random_below(random, 10 * WORLD_MS);
	if (per_thousand(random, 500) && drain > 20 * WORLD_MS)
		drain -= random_below(random, 20 * WORLD_MS);
	uint64_t cut = drain + (per_thousand(random, 800) ? random_below(random, 5 * WORLD_MS)
							  : random_below(random, 300 * WORLD_MS));
	*ret_drain = drain;
	return add_act(plan, drain, ACT_DRAIN, 0, 0) && add_act(plan, cut, ACT_CUT, 0, 0);
}

/* Each right after another act, so that there are many where much goes on; none in a drain. */
static bool plan_reloads(struct plan *plan, uint64_t drain)
{
	struct random random;
	size_t acts = plan->act_count;
	random_init(&random, plan->seed ^ RELOADS);
	if (!per_thousand(&random, 400))
		return true;
	for (uint64_t left = 1 + random_below(&random, PLAN_RELOADS); left > 0; left--) {
		const struct act act = plan->acts[random_below(&random, acts)];
		if (act.at < drain && !add_act(plan, act.at, ACT_RELOAD, 0, act.number))
			return false;
	}
	return true;
}

static bool plan_acts(struct plan *plan, struct random *random)
{
	uint64_t at = 0;
	uint64_t burst = 0;
	uint64_t drain;
	uint32_t trouble = (uint32_t)random_below(random, 150);
	uint64_t pace = 1 + random_below(random, 10 * WORLD_MS);
	struct random floods;
	bool flood = false;
	random_init(&floods, plan->seed ^ FLOODS);
	for (uint32_t number = 0; number < plan->request_count; number++) {
		if (burst > 0)
			burst--;
		else
			at += random_below(random, pace);
		if (burst == 0 && per_thousand(random, 10)) {
			burst = random_below(random, 100);
			flood = per_thousand(&floods, 250);
		}
		if (per_thousand(random, 2))
			at += random_below(random, 3000 * WORLD_MS);
		if (number + LAST_BURST == plan->request_count)
			burst = LAST_BURST;
		if (!plan_send(plan, at, number, random, flood && burst > 0) ||
				(per_thousand(random, trouble) && !plan_trouble(plan, at, random)))
			return false;
	}
	if (!plan_end(plan, at, random, &drain) || !plan_reloads(plan, drain))
		return false;
	qsort(plan->acts, plan->act_count, sizeof(*plan->acts), by_time);
	return true;
}

bool plan_init(struct plan *plan, uint64_t seed, size_t requests)
{
	static const uint32_t rates[] = {0, 0, 100, 700};
	struct random random;
	random_init(&random, seed);
	*plan = (struct plan){.seed = seed, .request_count = requests};
	configuration_init(&plan->configuration, &random);
	plan->answers = per_thousand(&random, 500);
	for (size_t i = 0; i < PLAN_RESOURCES; i++)
		plan_behaviour(&plan->behaviours[i], &random, plan->answers);
	plan_words(plan);
	plan_turns(plan);
	/* One source is so bad at times that whoever asks it again asks for the last time, too. */
	if (per_thousand(&random, 250))
		plan->behaviours[2].failing = 800;
	uint64_t keys = per_thousand(&random, 250) ? PLAN_KEYS : 48;
	plan->keys = (uint32_t)(1 + random_below(&random, 1 + random_below(&random, keys)));
	plan->batching = rates[random_below(&random, 4)];
	plan->lagging = rates[random_below(&random, 3)];
	plan->requests = calloc(requests, sizeof(*plan->requests));
	return plan->requests && !plan->configuration.yaml.failed && plan_acts(plan, &random);
}

void plan_deinit(struct plan *plan)
{
	configuration_deinit(&plan->configuration);
	free(plan->requests);
	free(plan->acts);
}
