/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A HEDGE asks its sources one after another: so many as must answer, and then one more for each
 * that fails and for each wait that is over, which the budget must pay. It is foretold when the
 * next may be asked, and, where nothing stands in the way, when it must. One of which too much has
 * failed, or which is too slow for what time remains, must have been spared often enough since it
 * was last asked.
 */
#include <inttypes.h>

#include "pipeline/async/hedge_budget.h"
#include "pipeline/resources/source.h"
#include "tests/sim/witness_parts.h"

#define HUNDREDTHS 100
#define NOT_SURE   300		  /* of the budget: so much may have been earned in one step */
#define SOON_NS	   (4 * WORLD_MS) /* a source is not asked when less than that remains */
#define SPARED	   50U		  /* times, before it is asked once */

/* NULL: the request is for another shape. */
static const struct hedging *hedging_of(const struct witness *witness, uint32_t number)
{
	const struct shape *shape = witness_shape(witness, number);
	return shape && shape->kind == SHAPE_HEDGE ? &shape->hedging : NULL;
}

static const struct source *source_at(
		const struct witness *witness, const struct hedging *hedging, uint32_t place)
{
	return &witness->harness->world.sources[hedging->to[place]].source;
}

/* The live latency is the engine's own: what is made of it is not. */
static uint64_t delay_of(const struct hedging *hedging, const struct latency *latency)
{
	uint64_t quantile = hedging->fixed ? 0 : latency->quantiles[hedging->quantile];
	if (hedging->fixed)
		return hedging->after;
	if (latency->known < hedging->samples || quantile > hedging->max)
		return hedging->max;
	return quantile < hedging->min ? hedging->min : quantile;
}

/* How many there may have been, with all that was ever earned; and how much is there for sure. */
static void pay(struct witness *witness, uint32_t number, const struct hedging *hedging)
{
	struct seen_hedging *all = &witness_generation_of(witness, number)->hedging;
	all->sent++;
	all->sure = all->sure > HUNDREDTHS ? all->sure - HUNDREDTHS : 0;
	if (all->sent * HUNDREDTHS >
			HEDGE_BUDGET_KEPT * HUNDREDTHS +
					all->requests * hedging->needed * hedging->budget)
		witness_complain(witness, "%" PRIu64 " hedges for %" PRIu64 " requests", all->sent,
				all->requests);
	coverage_meet(witness->coverage, MET_HEDGE);
}

/* How many good answers it has given in a row is the engine's own: what is made of it is not. */
static bool was_spared(const struct witness *witness, const struct source *source)
{
	size_t number = world_source_number(&witness->harness->world, source);
	return witness->plan->configuration.unseen_hedges ||
	       witness->sources[number].spared >= SPARED >> source->good_in_a_row;
}

static void check_hedge(struct witness *witness, uint32_t number, const struct hedging *hedging,
		const struct source *source)
{
	struct seen *seen = &witness->requests[number];
	uint64_t now = witness_now(witness);
	uint64_t left = seen->deadline - now;
	bool early = now < seen->hedge.due;
	if (early && seen->hedge.both_in == witness->stretch_began && seen->hedge.both > 0)
		seen->hedge.both--;
	else if (early)
		witness_complain(witness, "request %" PRIu32 " is hedged too early", number);
	if (source->latency.known >= hedging->samples && left < source->latency.quantiles[P50] &&
			!was_spared(witness, source))
		witness_complain(witness, "request %" PRIu32 " is hedged in vain", number);
	pay(witness, number, hedging);
}

/* Each that asks in turn spares a source twice at most: as a hedge, and when another has failed. */
uint64_t witness_hedge_spared(const struct witness *witness)
{
	return 2 * (witness->in_flight + witness->sent_count + 1);
}

static void check_spared(struct witness *witness, const struct source *source)
{
	if (!retry_budget_allows(&source->spare) && !was_spared(witness, source))
		witness_complain(witness, "%s is asked though it is to be spared", source->name);
}

/* It may be that this was the hedge, and that there was nobody left to ask for the error. */
static void note_both(struct witness *witness, uint32_t number)
{
	struct seen_hedging *all = &witness_generation_of(witness, number)->hedging;
	struct seen_hedge *seen = &witness->requests[number].hedge;
	all->sure = all->sure > HUNDREDTHS ? all->sure - HUNDREDTHS : 0;
	seen->both = seen->both_in == witness->stretch_began ? seen->both + 1 : 1;
	seen->both_in = witness->stretch_began;
}

static void earn(struct witness *witness, uint32_t number, const struct hedging *hedging)
{
	struct seen_hedging *all = &witness_generation_of(witness, number)->hedging;
	uint64_t most = HEDGE_BUDGET_KEPT * HUNDREDTHS;
	all->sure += (uint64_t)hedging->needed * hedging->budget;
	all->sure = all->sure < most ? all->sure : most;
}

void witness_hedge_begins(struct witness *witness, uint32_t number)
{
	const struct hedging *hedging = hedging_of(witness, number);
	if (!hedging)
		return;
	struct seen_hedging *all = &witness_generation_of(witness, number)->hedging;
	if (all->requests++ == 0)
		all->sure = hedging->budget ? HEDGE_BUDGET_KEPT * HUNDREDTHS : 0;
	for (uint32_t i = 0; i < SOURCES; i++)
		witness->sources[i].spared += 2;
}

void witness_hedge_asked(struct witness *witness, uint32_t number, const struct source *source)
{
	const struct hedging *hedging = hedging_of(witness, number);
	struct seen_hedge *seen = &witness->requests[number].hedge;
	if (!hedging)
		return;
	uint32_t place = seen->next;
	while (place < hedging->sources && source_at(witness, hedging, place) != source)
		place++;
	if (place == hedging->sources)
		witness_complain(witness, "request %" PRIu32 " asks out of its order", number);
	if (seen->asked == 0)
		earn(witness, number, hedging);
	if (seen->asked >= hedging->needed)
		check_spared(witness, source);
	if (seen->asked >= hedging->needed && seen->failed > 0) {
		seen->failed--;
		if (witness_now(witness) >= seen->due)
			note_both(witness, number);
	} else if (seen->asked >= hedging->needed) {
		check_hedge(witness, number, hedging, source);
	}
	seen->asked++;
	seen->next = place + 1;
	seen->due = witness_now(witness) + delay_of(hedging, &source->latency);
	seen->met = false;
}

void witness_hedge_answered(struct witness *witness, uint32_t number, bool good)
{
	struct seen_hedge *seen = &witness->requests[number].hedge;
	if (!hedging_of(witness, number))
		return;
	seen->good += good;
	seen->failed += !good;
	if (!good)
		seen->failed_at = witness_now(witness);
}

/* Whether some source is left that nothing has ever kept from being asked. */
static bool is_any_left(const struct witness *witness, const struct hedging *hedging,
		const struct seen *seen)
{
	for (uint32_t place = seen->hedge.next; place < hedging->sources; place++) {
		const struct source *source = source_at(witness, hedging, place);
		if (source->spare.tenths_max == 0 && source->breaker.opened == 0)
			return true;
	}
	return false;
}

/* The first that is left must be as willing as any: it would stand for all. */
static bool must_hedge(
		const struct witness *witness, uint32_t number, const struct hedging *hedging)
{
	const struct seen *seen = &witness->requests[number];
	if (seen->hedge.next == hedging->sources ||
			witness_generation_of(witness, number)->hedging.sure < NOT_SURE)
		return false;
	const struct source *source = source_at(witness, hedging, seen->hedge.next);
	uint64_t left = seen->deadline - witness_now(witness);
	return source->spare.tenths_max == 0 && source->breaker.opened == 0 &&
	       (source->latency.known < hedging->samples ||
			       left > source->latency.quantiles[P50] + TICK_NS);
}

void witness_hedge_waits(struct witness *witness, uint32_t number)
{
	const struct hedging *hedging = hedging_of(witness, number);
	struct seen *seen = &witness->requests[number];
	uint64_t now = witness_now(witness);
	if (!hedging || seen->hedge.good >= hedging->needed || now + SOON_NS >= seen->deadline)
		return;
	if (seen->hedge.asked == 0)
		witness_complain(witness, "request %" PRIu32 " waits, and asks nobody", number);
	if (seen->hedge.failed > 0 && seen->hedge.failed_at == now &&
			is_any_left(witness, hedging, seen))
		witness_complain(witness, "request %" PRIu32 " does not ask the next at once",
				number);
	if (seen->hedge.failed > 0 || seen->hedge.met || now < seen->hedge.due + TICK_NS)
		return;
	seen->hedge.met = true;
	if (must_hedge(witness, number, hedging))
		witness_complain(witness, "request %" PRIu32 " is not hedged", number);
}
