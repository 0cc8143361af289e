/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hedging: the next source is asked when those that were asked have taken long. How long that is
 * may be told by the live latency of the source that was asked last. When all is slow the budget
 * is soon used up, so hedging stops by itself and does not make it worse.
 *
 * Invariant: a group waits, in a scope of its own, since its latest question, until it is complete,
 * has nobody left to ask, or was refused a hedge.
 */
#include <inttypes.h>

#include "pipeline/async/async.h"
#include "pipeline/async/scope.h"
#include "pipeline/async/sleep.h"
#include "pipeline/base/arena.h"
#include "pipeline/base/buffer.h"
#include "pipeline/resources/source.h"
#include "pipeline/stages/compiler.h"
#include "pipeline/stages/fanout.h"

struct hedge_wait {
	struct scope scope;
	struct sleep sleep;
};

static struct fanout *fanout_of(const struct fanout_frame *frame)
{
	return container_of(frame->base.stage, struct fanout, stage);
}

/* How long the source may take before the next is asked. */
static uint64_t delay_of(const struct hedge *hedge, const struct source *source)
{
	const struct latency *latency = &source->latency;
	if (hedge->quantile < 0)
		return hedge->after;
	if (latency->known < hedge->samples)
		return hedge->max;
	uint64_t delay = latency->quantiles[hedge->quantile];
	if (delay < hedge->min)
		return hedge->min;
	return delay > hedge->max ? hedge->max : delay;
}

void fanout_hedge_stop(struct group *group)
{
	if (!group->wait)
		return;
	scope_cancel(&group->wait->scope, LOST);
	scope_close(&group->wait->scope);
	group->wait = NULL;
}

bool fanout_hedge_wait(struct fanout_frame *self, struct group *group)
{
	const struct fanout *fanout = fanout_of(self);
	if (group->waited_for == group->started)
		return true;
	group->waited_for = group->started;
	fanout_hedge_stop(group);
	if (group->next == fanout->source_count || gather_complete(&group->gather) ||
			scope_cancelled(group->gather.scope))
		return true;
	struct hedge_wait *wait = arena_alloc(group->arena, sizeof(*wait));
	if (!wait)
		return false;
	const struct source *latest = fanout->sources[group->next - 1].question.source;
	uint64_t until = self->base.run->async->now + delay_of(&fanout->hedge, latest);
	scope_init(&wait->scope, group->gather.scope, &self->base.frame, SCOPE_FOREVER, TIMEOUT);
	sleep_init(&wait->sleep, until, &self->base.frame, &wait->scope);
	group->wait = wait;
	(void)frame_start(&wait->sleep.frame);
	return true;
}

/* With less than this left a source is not even asked: see struct ask. */
#define LEAST_NS (SOURCE_MARGIN_NS + UINT64_C(1000000))

/* Whether a source would mostly answer too late. */
static bool too_slow(const struct hedge *hedge, const struct latency *latency, uint64_t left)
{
	return latency->known >= hedge->samples && left < latency->quantiles[P50];
}

static bool affordable(struct hedge *hedge, struct source *source, uint64_t left)
{
	return !source_spared(source, too_slow(hedge, &source->latency, left)) &&
	       hedge_budget_take(&hedge->budget);
}

/* Those that are still at it have taken too long. */
static void mark_overtaken(struct group *group)
{
	for (uint32_t i = 0; i < group->next; i++)
		group->attempts[i].overtaken |= group->gather.branches[i].state == BRANCH_ASKED;
}

static void hedge(struct fanout_frame *self, struct group *group)
{
	struct fanout *fanout = fanout_of(self);
	if (gather_complete(&group->gather) || scope_cancelled(group->gather.scope))
		return;
	fanout_pass_open(self, group);
	uint64_t now = self->base.run->async->now;
	uint64_t left = group->limit > now ? group->limit - now : 0;
	if (group->next == fanout->source_count || left < LEAST_NS)
		return;
	if (!affordable(&fanout->hedge, fanout->sources[group->next].question.source, left)) {
		fanout->hedge.refused++;
		return;
	}
	mark_overtaken(group);
	fanout->hedge.sent++;
	group->hedging = true;
	group->wanted++;
}

bool fanout_hedge_resume(struct group *group, const struct frame *child)
{
	if (!group->wait || child != &group->wait->sleep.frame)
		return false;
	scope_close(&group->wait->scope);
	group->wait = NULL;
	hedge(container_of(group->gather.owner, struct fanout_frame, base.frame), group);
	return true;
}

void fanout_write_stats(const struct stage *stage, struct buffer *buffer)
{
	const struct fanout *fanout = container_of(stage, struct fanout, stage);
	buffer_append_format(buffer, "\"asked\":%" PRIu64 ",\"passed_by\":%" PRIu64, fanout->asked,
			fanout->passed_by);
	if (fanout->hedge.on)
		buffer_append_format(buffer,
				",\"hedges\":%" PRIu64 ",\"hedges_won\":%" PRIu64
				",\"hedges_refused\":%" PRIu64,
				fanout->hedge.sent, fanout->hedge.won, fanout->hedge.refused);
}

static const char *const quantile_choices[] = {[P50] = "p50",
		[P75] = "p75",
		[P90] = "p90",
		[P95] = "p95",
		[P99] = "p99",
		[QUANTILES] = NULL};

const struct option fanout_hedge_options[] = {
		{.key = "after",
				.kind = OPTION_DURATION,
				.choices = quantile_choices,
				.bare = true,
				.required = true,
				.min = 1000000,
				.max = OPTION_DURATION_MAX,
				.help = "how long a source may take before the next is asked; "
					"`p95`: longer than it takes for 95 of 100"},
		{.key = "min",
				.kind = OPTION_DURATION,
				.fallback = "1ms",
				.min = 1000000,
				.max = OPTION_DURATION_MAX,
				.help = "never sooner than that, with a quantile"},
		{.key = "max",
				.kind = OPTION_DURATION,
				.fallback = "100ms",
				.min = 1000000,
				.max = OPTION_DURATION_MAX,
				.help = "never later, with a quantile; this, too, while there are "
					"too few `samples`"},
		{.key = "samples",
				.kind = OPTION_NUMBER,
				.fallback = "100",
				.min = LATENCY_EVERY,
				.max = LATENCY_WINDOW,
				.help = "answers of a source before its quantiles are believed"},
		{.key = "budget",
				.kind = OPTION_PERCENT,
				.fallback = "5%",
				.help = "how much may be asked beyond what is needed"},
		{.key = NULL},
};

static void check_limits(struct compiler *compiler, const struct hedge *hedge,
		const struct option_map *options)
{
	const struct option_value *min = option_get(options, "min");
	const struct option_value *max = option_get(options, "max");
	if (hedge->quantile < 0 && (min->given || max->given))
		diag_error(compiler->diag, min->given ? min->place : max->place,
				"\"min\" and \"max\" hold a quantile such as p95; \"after\" "
				"is a duration of its own");
	/* Where it is not given it is the least that the other may be. */
	if (hedge->min > hedge->max)
		diag_error(compiler->diag, min->place, "\"min\" is longer than \"max\"");
}

void fanout_hedge_compile(
		struct compiler *compiler, struct fanout *fanout, const struct option_value *option)
{
	struct hedge *hedge = &fanout->hedge;
	if (!option->given)
		return;
	const struct option_value *after = option_get(option->map, "after");
	*hedge = (struct hedge){
			.on = true,
			.quantile = after->choice,
			.after = after->number,
			.min = option_number(option->map, "min"),
			.max = option_number(option->map, "max"),
			.samples = (uint32_t)option_number(option->map, "samples"),
	};
	hedge_budget_init(&hedge->budget, (uint32_t)option_number(option->map, "budget"));
	check_limits(compiler, hedge, option->map);
	if (fanout->needed >= fanout->source_count)
		diag_error(compiler->diag, option->place,
				"\"hedge\" needs \"wait: any\" or a number below that of the "
				"sources: all are asked as it is");
}
