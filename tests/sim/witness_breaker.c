/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breakers, held against what their sources were seen to do: none opens without failures enough,
 * none is asked while it is open, one question is let through when its time is over, and how that
 * ends decides. Counted is what may have been a failure, and what must have been one.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "pipeline/async/scope.h"
#include "tests/sim/witness_parts.h"

static struct seen_source *seen_of(struct witness *witness, const struct source *source)
{
	return &witness->sources[world_source_number(&witness->harness->world, source)];
}

static uint64_t count_since(const struct seen_failures *failures, uint64_t since)
{
	uint64_t count = 0;
	uint64_t kept = failures->count < FAILURES_KEPT ? failures->count : FAILURES_KEPT;
	for (uint64_t i = 0; i < kept; i++)
		count += failures->at[i] >= since;
	return count;
}

static void add(struct seen_failures *failures, uint64_t now)
{
	failures->at[failures->count++ % FAILURES_KEPT] = now;
}

static uint64_t before(uint64_t now, uint64_t duration)
{
	return now > duration ? now - duration : 0;
}

static void note_good(struct seen_source *seen, uint64_t now, uint64_t limit)
{
	seen->good_at = now;
	seen->until = seen->in_time++ == 0 ? limit : lesser(limit, seen->until);
}

/* How many that came in time may have been told when it was over. */
static uint64_t count_late(const struct seen_source *seen, uint64_t now)
{
	return now >= seen->until ? seen->in_time : 0;
}

static void on_open(struct witness *witness, struct seen_source *seen, const struct source *source)
{
	const struct breaker *breaker = &source->breaker;
	uint64_t now = witness_now(witness);
	uint64_t least = ((uint64_t)breaker->settings.of * breaker->settings.failures + 99) / 100;
	/* The clock may move between the end of a question and what is made of it. */
	uint64_t stretch = now - witness->stretch_began;
	uint64_t longest = greater(stretch, witness->longest_stretch);
	uint64_t within = breaker->settings.within;
	uint64_t late = count_late(seen, now);
	bool reopened = breaker->opened == seen->opened; /* its trial was cancelled */
	if (least > FAILURES_KEPT)
		least = FAILURES_KEPT;
	if (seen->state == BREAKER_CLOSED &&
			late + count_since(&seen->possible, before(now, within + longest)) < least)
		witness_complain(witness, "%s is left alone with too few failures", source->name);
	if (seen->state == BREAKER_HALF_OPEN && !reopened &&
			late + count_since(&seen->possible, now - stretch) == 0)
		witness_complain(witness, "%s is left alone, and its trial did not fail",
				source->name);
	if (!reopened)
		seen->opened_at = now;
	seen->opened = breaker->opened;
	coverage_meet(witness->coverage, MET_BREAKER);
}

static void on_changed(void *user, const struct source *source)
{
	struct witness *witness = user;
	struct seen_source *seen = seen_of(witness, source);
	enum breaker_state state = source->breaker.state;
	uint64_t now = witness_now(witness);
	if (state == BREAKER_OPEN)
		on_open(witness, seen, source);
	if (state == BREAKER_HALF_OPEN && now < seen->opened_at + source->breaker.settings.open)
		witness_complain(witness, "%s is tried too early", source->name);
	if (state == BREAKER_CLOSED && seen->good_at < witness->stretch_began)
		witness_complain(witness, "%s is asked again, and has not answered", source->name);
	seen->state = state;
	seen->trials = 0;
}

void witness_breaker_begin(struct witness *witness)
{
	for (size_t i = 0; i < SOURCES; i++) {
		struct source *source = &witness->harness->world.sources[i].source;
		source->breaker_changed = on_changed;
		source->breaker_user = witness;
	}
}

void witness_breaker_asked(struct witness *witness, const struct source *source)
{
	struct seen_source *seen = seen_of(witness, source);
	if (source->breaker.state == BREAKER_OPEN)
		witness_complain(witness, "%s is asked while its breaker is open", source->name);
	if (source->breaker.state == BREAKER_HALF_OPEN && ++seen->trials > 1)
		witness_complain(witness, "%s is tried by more than one", source->name);
	seen->spared = witness_hedge_spared(witness);
}

/* An answer at the very moment of its limit is late. And who had too little time has failed where
 * the time was the fan-out's own. */
void witness_breaker_answered(
		struct witness *witness, const struct scripted_ask *ask, enum status status)
{
	struct seen_source *seen = seen_of(witness, ask->ask.source);
	uint64_t now = witness_now(witness);
	bool failed = status == STATUS_UNAVAILABLE || status == STATUS_RESOURCE_EXHAUSTED ||
		      status == STATUS_INTERNAL;
	bool gave_up = status == STATUS_DEADLINE_EXCEEDED;
	if (failed)
		add(&seen->sure, now);
	else if (!gave_up)
		note_good(seen, now, ask->ask.frame.scope->deadline);
	if (failed || gave_up || now >= ask->ask.frame.scope->deadline)
		add(&seen->possible, now);
}

/* What was never sent tells nothing of the source. */
void witness_breaker_cancelled(struct witness *witness, const struct scripted_ask *ask)
{
	if (ask->cancelled == TIMEOUT && ask->ask.sent)
		add(&seen_of(witness, ask->ask.source)->possible, witness_now(witness));
}

/* With three times as many failures as it needs, and nothing else seen for twice as long. */
void witness_breaker_check(struct witness *witness)
{
	for (size_t i = 0; i < SOURCES; i++) {
		const struct source *source = &witness->harness->world.sources[i].source;
		const struct breaker *breaker = &source->breaker;
		struct seen_source *seen = &witness->sources[i];
		uint64_t of = breaker->settings.of, within = breaker->settings.within;
		uint64_t now = witness_now(witness);
		for (uint64_t late = count_late(seen, now); late > 0; late--)
			add(&seen->possible, now);
		seen->in_time = 0;
		if (of == 0 || of * 3 > FAILURES_KEPT || breaker->state != BREAKER_CLOSED ||
				seen->good_at >= before(now, 2 * within))
			continue;
		if (count_since(&seen->sure, before(now, within / 2)) > of * 3)
			witness_complain(witness, "%s fails, and is not left alone", source->name);
	}
}
