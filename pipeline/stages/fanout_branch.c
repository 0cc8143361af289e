/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking, in the order of `to`. Without `hedge` all sources of a group are wanted at once. With it
 * as many as must answer, and one more for each that failed and for each hedge.
 *
 * Each question passes the breaker of its source, and its end is told to the source, whatever
 * becomes of the fan-out; a source that may not be asked is passed by, as one that has failed.
 */
#include "pipeline/async/async.h"
#include "pipeline/async/scope.h"
#include "pipeline/base/arena.h"
#include "pipeline/resources/source.h"
#include "pipeline/stages/fanout.h"

static struct fanout *fanout_of(const struct fanout_frame *frame)
{
	return container_of(frame->base.stage, struct fanout, stage);
}

static bool out_of_memory(struct fanout_frame *self)
{
	self->base.frame.outcome = run_out_of_memory();
	return false;
}

static const struct ask *ask_of(const struct branch *branch)
{
	return container_of(branch->frame, struct ask, frame);
}

/* Whether it was cut off because the time of more than the fan-out was over. */
static bool cut_for_time(const struct branch *branch)
{
	enum reason reason = branch->scope.reason;
	return branch->state == BRANCH_CUT && (reason == DEADLINE || reason == TIMEOUT);
}

/*
 * What an end tells of the source. Nothing, where it was never sent: the source was not there, or
 * our own queue for it was long. What ran into the time of the request itself was given too little
 * of it; and the source may say NOT_FOUND and the like in good health.
 */
static enum breaker_end told_by(const struct branch *branch, const struct attempt *attempt)
{
	static const enum breaker_end ends[STATUS_COUNT] = {
			[STATUS_UNAVAILABLE] = BREAKER_FAILED,
			[STATUS_RESOURCE_EXHAUSTED] = BREAKER_FAILED,
			[STATUS_INTERNAL] = BREAKER_FAILED,
			[STATUS_CANCELLED] = BREAKER_CANCELLED,
	};
	enum breaker_end ran_out = attempt->timed ? BREAKER_FAILED : BREAKER_LATE;
	if (!ask_of(branch)->sent)
		return BREAKER_CANCELLED;
	if (branch->state == BRANCH_EXPIRED)
		return ran_out;
	if (cut_for_time(branch))
		return BREAKER_LATE;
	if (branch->state != BRANCH_ENDED)
		return BREAKER_CANCELLED;
	const struct outcome *outcome = &branch->frame->outcome;
	if (outcome->status == STATUS_DEADLINE_EXCEEDED)
		return ran_out;
	if (outcome->status == STATUS_RESOURCE_EXHAUSTED && !outcome->fault)
		return BREAKER_CANCELLED; /* no memory for its answer */
	return ends[outcome->status];
}

/* Whether it tells how long the source takes: one that was given up for taking long took at least
 * so long, and would leave only the fast ones to be seen if it did not count. */
static bool tells_time(
		const struct branch *branch, const struct attempt *attempt, enum breaker_end end)
{
	if (!ask_of(branch)->sent)
		return false;
	return end == BREAKER_GOOD || (branch->state == BRANCH_EXPIRED && attempt->timed) ||
	       (branch->state == BRANCH_LOST && attempt->overtaken);
}

/* What was cancelled before it had answered: others had, or nobody wanted any of it any more. */
static void count_loser(struct run *run, const struct branch *branch)
{
	bool unwanted = branch->state == BRANCH_LOST || branch->state == BRANCH_CUT;
	if (!unwanted || fanout_heard(branch))
		return;
	run->losers++;
	run->wasted_ns += branch->ended - branch->asked;
}

/* A gather_ended_fn. */
static void on_ended(struct gather *gather, const struct branch *branch)
{
	struct group *group = container_of(gather, struct group, gather);
	struct fanout_frame *self = container_of(gather->owner, struct fanout_frame, base.frame);
	struct fanout *fanout = fanout_of(self);
	size_t i = (size_t)(branch - gather->branches);
	const struct attempt *attempt = &group->attempts[i];
	struct source *source = fanout->sources[i].question.source;
	enum breaker_end end = told_by(branch, attempt);
	source_ended(source, branch->ended, attempt->pass, end);
	if (tells_time(branch, attempt, end))
		latency_record(&source->latency, branch->ended - ask_of(branch)->sent_at);
	count_loser(self->base.run, branch);
	if (branch_good(branch))
		fanout->hedge.won += attempt->hedge;
	else if (branch->state == BRANCH_ENDED || branch->state == BRANCH_EXPIRED)
		group->wanted++;
}

bool fanout_lay_branches(struct fanout_frame *self, struct group *group, struct arena *arena)
{
	const struct fanout *fanout = fanout_of(self);
	struct gather *gather = &group->gather;
	struct branch *branches = arena_alloc(arena, fanout->source_count * sizeof(*branches));
	struct attempt *attempts =
			arena_zalloc(arena, fanout->source_count * sizeof(*group->attempts));
	if (!branches || !attempts)
		return out_of_memory(self);
	group->arena = arena;
	group->attempts = attempts;
	gather_init(gather, &self->base.frame, branches, fanout->source_count, fanout->needed);
	gather->fail_fast = fanout->fail_fast;
	gather->judge = fanout->best.path ? fanout_best_judge : NULL;
	gather->ended = on_ended;
	return true;
}

/* A branch may take its own timeout. */
static uint64_t limit_of(
		const struct fanout_frame *self, const struct group *group, struct attempt *attempt)
{
	uint64_t timeout = fanout_of(self)->timeout;
	uint64_t now = self->base.run->async->now;
	attempt->timed = timeout && now + timeout < group->limit;
	return attempt->timed ? now + timeout : group->limit;
}

static bool ask(struct fanout_frame *self, struct group *group, uint32_t i)
{
	struct fanout *fanout = fanout_of(self);
	const struct question *question = &fanout->sources[i].question;
	struct source *source = question->source;
	struct attempt *attempt = &group->attempts[i];
	struct run *run = self->base.run;
	struct names names = {run, self->base.activation,
			fanout->each ? fanout->each_slot : SLOT_UNBOUND, group->element, false,
			group->arena};
	struct ask *ask = arena_zalloc(group->arena, source->ask_size);
	if (!ask)
		return out_of_memory(self);
	struct filled filled;
	if (!question_fill(question, &names, &group->body, &filled, &self->base.frame.outcome))
		return false;
	struct scope *scope = gather_scope(&group->gather, i, limit_of(self, group, attempt));
	source->ops->ask_init(ask, source, group->arena, &self->base.frame, scope);
	ask->target = question->target;
	ask->body = filled.body;
	ask->texts = filled.texts;
	ask->trace = run->trace;
	attempt->pass = source_ask(source, run->async->now);
	attempt->hedge = group->hedging;
	group->hedging = false;
	group->started++;
	fanout->asked++;
	gather_start(&group->gather, i, &ask->frame);
	return true;
}

static void pass_by(struct fanout_frame *self, struct group *group, struct text why)
{
	fanout_of(self)->passed_by++;
	gather_refuse(&group->gather, group->next++,
			outcome_fault(group->arena, STATUS_UNAVAILABLE, (struct text){NULL, 0},
					why));
}

void fanout_pass_open(struct fanout_frame *self, struct group *group)
{
	const struct fanout *fanout = fanout_of(self);
	while (group->next < fanout->source_count &&
			!breaker_passes(&fanout->sources[group->next].question.source->breaker,
					self->base.run->async->now))
		pass_by(self, group, TEXT("left alone for a while, because it failed too often"));
}

/* Whether a source that is asked only because another has failed can do with it. */
static bool spared(const struct fanout *fanout, const struct group *group)
{
	return fanout->hedge.on && group->started >= fanout->needed && !group->hedging &&
	       source_spared(fanout->sources[group->next].question.source, false);
}

static bool more_wanted(const struct fanout *fanout, const struct group *group)
{
	return group->next < fanout->source_count && group->started < group->wanted &&
	       !gather_complete(&group->gather) && !scope_cancelled(group->gather.scope);
}

bool fanout_ask_more(struct fanout_frame *self, struct group *group)
{
	const struct fanout *fanout = fanout_of(self);
	while (more_wanted(fanout, group)) {
		fanout_pass_open(self, group);
		if (!more_wanted(fanout, group))
			break;
		if (spared(fanout, group))
			pass_by(self, group, TEXT("spared, because too much of it fails"));
		else if (!ask(self, group, group->next++))
			return false;
	}
	return !fanout->hedge.on || fanout_hedge_wait(self, group) || out_of_memory(self);
}

bool fanout_ask_group(struct fanout_frame *self, struct group *group)
{
	struct fanout *fanout = fanout_of(self);
	/* Where a partial answer will do, all end early enough for that to be sent. */
	group->limit = scope_before_deadline(
			self->base.frame.scope, fanout->partial ? SOURCE_MARGIN_NS : 0);
	group->wanted = fanout->hedge.on ? fanout->needed : fanout->source_count;
	for (uint32_t i = 0; fanout->hedge.on && i < fanout->needed; i++)
		hedge_budget_earn(&fanout->hedge.budget);
	return fanout_ask_more(self, group);
}

bool fanout_resume_group(struct group *group, struct frame *child)
{
	return (child && fanout_hedge_resume(group, child)) || gather_resume(&group->gather, child);
}

bool fanout_timed(const struct group *group, const struct branch *branch)
{
	return group->attempts[branch - group->gather.branches].timed;
}
