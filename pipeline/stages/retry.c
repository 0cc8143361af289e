/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stage `retry`: steps that are tried again when they fail. Each attempt has a scope and an
 * activation of its own, because what an earlier one has given up may still be ending.
 *
 * Only what was not processed is tried again: UNAVAILABLE and RESOURCE_EXHAUSTED. The wait before
 * it doubles up to its maximum, and a random part of that is waited, so that many who failed
 * together do not come back together; but never less than a source has asked for. A budget that all
 * runs share stops retries where much fails, and none is begun that could not begin before the
 * deadline.
 */
#include "pipeline/stages/retry.h"

#include <inttypes.h>

#include "pipeline/async/async.h"
#include "pipeline/async/causes.h"
#include "pipeline/async/retry_budget.h"
#include "pipeline/async/scope.h"
#include "pipeline/async/sleep.h"
#include "pipeline/base/arena.h"
#include "pipeline/base/buffer.h"
#include "pipeline/base/lesser.h"
#include "pipeline/stages/compiler.h"
#include "pipeline/stages/steps.h"

struct retry {
	struct stage stage;
	uint32_t attempts_max;
	uint64_t initial;
	uint64_t max;
	struct block block;
	struct retry_budget budget;
	uint64_t attempts;
	uint64_t retries; /* of them */
	uint64_t refused; /* by the budget */
};

struct attempt {
	struct attempt *next;
	struct scope scope;
	struct activation *activation;
};

struct retry_frame {
	struct stage_frame base;
	struct attempt *first;
	struct attempt *latest;
	struct sleep *sleep; /* before the next; NULL: an attempt goes on */
	uint32_t begun;
	struct causes causes;
};

static struct retry *retry_of(const struct stage_frame *frame)
{
	return container_of(frame->stage, struct retry, stage);
}

/* False when memory is out. */
static bool new_attempt(struct retry_frame *self)
{
	struct retry *retry = retry_of(&self->base);
	struct run *run = self->base.run;
	struct attempt *attempt = arena_alloc(run->arena, sizeof(*attempt));
	if (!attempt)
		return false;
	attempt->next = NULL;
	attempt->activation = activation_copy(self->base.activation, &retry->block.layout, run);
	if (!attempt->activation)
		return false;
	scope_init(&attempt->scope, self->base.frame.scope, &self->base.frame, SCOPE_FOREVER,
			TIMEOUT);
	if (self->latest)
		self->latest->next = attempt;
	else
		self->first = attempt;
	self->latest = attempt;
	self->begun++;
	retry->attempts++;
	retry->retries += self->begun > 1;
	return true;
}

static bool was_processed(enum status status)
{
	return status != STATUS_UNAVAILABLE && status != STATUS_RESOURCE_EXHAUSTED;
}

/* How long to wait before the next attempt. */
static uint64_t draw_backoff(const struct retry_frame *self)
{
	const struct retry *retry = retry_of(&self->base);
	uint64_t most = retry->initial;
	for (uint32_t i = 1; i < self->begun && most < retry->max; i++)
		most *= 2;
	if (most > retry->max)
		most = retry->max;
	return random_below(&self->base.run->async->random, most + 1);
}

/* Whether to try again after that failure, at *ret_at. */
static bool may_retry(struct retry_frame *self, const struct outcome *failure, uint64_t *ret_at)
{
	struct retry *retry = retry_of(&self->base);
	const struct run *run = self->base.run;
	if (self->begun == retry->attempts_max || run->used_up)
		return false;
	if (!retry_budget_allows(&retry->budget)) {
		retry->refused++;
		return false;
	}
	uint64_t asked_for = failure->fault ? failure->fault->retry_ns : 0;
	*ret_at = run->async->now + greater(draw_backoff(self), asked_for);
	return *ret_at < self->base.frame.scope->deadline;
}

static void count(struct retry *retry, enum status status)
{
	if (!was_processed(status))
		retry_budget_failed(&retry->budget);
	else if (status == STATUS_OK || status == STATUS_NOT_FOUND)
		retry_budget_succeeded(&retry->budget);
}

/* Of several attempts the causes are kept; what a lone one said is said as it is. */
static struct outcome give_up(const struct retry_frame *self, struct outcome latest)
{
	if (self->begun == 1 || latest.status == STATUS_CANCELLED)
		return latest;
	enum status status =
			was_processed(latest.status) ? latest.status : causes_status(&self->causes);
	return causes_outcome(&self->causes, status, self->base.stage->path,
			TEXT("every attempt failed"));
}

/* What is to be done after an attempt. */
enum next { END, WAIT, AGAIN };

static enum next end(struct retry_frame *self, struct outcome outcome)
{
	self->base.frame.outcome = outcome;
	return END;
}

static enum next begin_sleep(struct retry_frame *self, uint64_t until)
{
	struct sleep *sleep = arena_alloc(self->base.run->arena, sizeof(*sleep));
	if (!sleep)
		return end(self, run_out_of_memory());
	self->sleep = sleep;
	sleep_init(sleep, until, &self->base.frame, self->base.frame.scope);
	return frame_start(&sleep->frame) == DONE ? AGAIN : WAIT;
}

/* Takes what an attempt gave. */
static enum next take(struct retry_frame *self, struct outcome outcome)
{
	uint64_t at;
	scope_close(&self->latest->scope);
	count(retry_of(&self->base), outcome.status);
	if (outcome.status == STATUS_OK)
		return end(self, outcome);
	causes_add(&self->causes, &outcome);
	if (was_processed(outcome.status) || !may_retry(self, &outcome, &at))
		return end(self, give_up(self, outcome));
	return begin_sleep(self, at);
}

/* Attempts, as long as they end at once. */
static enum progress go_on(struct retry_frame *self, enum next next)
{
	const struct stage *steps = retry_of(&self->base)->block.steps;
	struct frame *frame = &self->base.frame;
	while (next == AGAIN) {
		self->sleep = NULL;
		if (!new_attempt(self))
			return frame_done(frame, run_out_of_memory());
		struct activation *activation = self->latest->activation;
		/* Parts of an attempt that fails later could not be taken back: none go ahead. */
		if (stage_start(steps, self->base.run, activation, frame, &self->latest->scope) ==
				PENDING)
			return PENDING;
		next = take(self, stage_outcome(&stage_frame_of(activation, steps)->frame));
	}
	return next == WAIT ? PENDING : DONE;
}

static enum progress retry_start(struct frame *frame)
{
	struct retry_frame *self = container_of(frame, struct retry_frame, base.frame);
	causes_init(&self->causes, self->base.run->arena);
	return go_on(self, AGAIN);
}

static enum progress retry_resume(struct frame *frame, struct frame *child)
{
	struct retry_frame *self = container_of(frame, struct retry_frame, base.frame);
	if (scope_cancelled(frame->scope)) {
		scope_close(&self->latest->scope);
		return frame_done(frame, outcome_status(STATUS_CANCELLED));
	}
	if (self->sleep)
		return go_on(self, AGAIN);
	return go_on(self, take(self, stage_outcome(child)));
}

static struct stage_below retry_below(const struct stage_frame *frame, unsigned nth)
{
	const struct retry_frame *self = container_of(frame, struct retry_frame, base);
	const struct attempt *attempt = self->first;
	while (attempt && nth-- > 0)
		attempt = attempt->next;
	if (!attempt)
		return (struct stage_below){0};
	return (struct stage_below){
			.steps = retry_of(frame)->block.steps, .activation = attempt->activation};
}

static void retry_compile(
		struct compiler *compiler, struct stage *stage, const struct option_map *options)
{
	struct retry *retry = container_of(stage, struct retry, stage);
	const struct option_value *max = option_get(options, "max");
	retry->attempts_max = (uint32_t)option_number(options, "attempts");
	retry->initial = option_number(options, "initial");
	retry->max = max->number;
	if (retry->initial > retry->max)
		diag_error(compiler->diag, max->given ? max->place : options->place,
				"\"max\" is shorter than \"initial\"");
	retry_budget_init(&retry->budget, (uint32_t)option_number(options, "budget"));
	retry->block = compile_block(compiler, option_get(options, "steps"));
}

static void retry_write_stats(const struct stage *stage, struct buffer *buffer)
{
	const struct retry *retry = container_of(stage, struct retry, stage);
	buffer_append_format(buffer,
			"\"attempts\":%" PRIu64 ",\"retries\":%" PRIu64 ",\"refused\":%" PRIu64
			",\"tokens\":%" PRIu32,
			retry->attempts, retry->retries, retry->refused,
			retry_budget_tokens(&retry->budget));
}

const struct option retry_options[] = {
		{.key = "attempts",
				.kind = OPTION_NUMBER,
				.fallback = "3",
				.min = 2,
				.max = 10,
				.help = "how many at most, the first included"},
		{.key = "initial",
				.kind = OPTION_DURATION,
				.fallback = "10ms",
				.max = OPTION_DURATION_MAX,
				.help = "the longest wait before the second; it doubles with each"},
		{.key = "max",
				.kind = OPTION_DURATION,
				.fallback = "200ms",
				.max = OPTION_DURATION_MAX,
				.help = "the longest wait before any"},
		{.key = "budget",
				.kind = OPTION_NUMBER,
				.fallback = "10",
				.max = RETRY_BUDGET_MAX,
				.help = "tokens: a failure takes one, a success gives back a "
					"tenth; none is retried at half or below; 0: no bound"},
		STEPS_OPTION,
		{.key = NULL},
};

const struct stage_type retry_type = {
		.name = "retry",
		.stage_size = sizeof(struct retry),
		.frame_size = sizeof(struct retry_frame),
		.may_stand = true,
		.ops = {.start = retry_start, .resume = retry_resume},
		.compile = retry_compile,
		.below = retry_below,
		.write_stats = retry_write_stats,
};
