/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A branch ends in one of four ways: its frame ended, its scope ran out, it was not needed any
 * more, or everything was cut off from above. Only the last waits until its scope is empty; the
 * others are the owner's to decide at once.
 */
#include "pipeline/async/gather.h"

#include <assert.h>
#include <string.h>

#include "pipeline/async/async.h"

void gather_init(struct gather *gather, struct frame *owner, struct branch *branches,
		uint32_t count, uint32_t needed)
{
	*gather = (struct gather){.owner = owner,
			.scope = owner->scope,
			.branches = branches,
			.count = count,
			.needed = needed,
			.idle = count};
	memset(branches, 0, count * sizeof(*branches));
}

struct scope *gather_scope(struct gather *gather, uint32_t i, uint64_t deadline)
{
	struct branch *branch = &gather->branches[i];
	assert(branch->state == BRANCH_IDLE);
	scope_init(&branch->scope, gather->scope, gather->owner, deadline, TIMEOUT);
	return &branch->scope;
}

static void end(struct gather *gather, struct branch *branch, enum branch_state state)
{
	branch->state = state;
	branch->ended = branch->scope.async->now;
	gather->pending--;
	if (gather->ended)
		gather->ended(gather, branch);
	scope_close(&branch->scope);
}

static void set_outcome(struct branch *branch, const struct outcome *outcome)
{
	branch->status = outcome->status;
	branch->fault = outcome->fault;
}

static void answered(struct gather *gather, struct branch *branch)
{
	struct outcome outcome = branch->frame->outcome;
	if (outcome.status == STATUS_OK && gather->judge)
		outcome = gather->judge(gather, &branch->frame->outcome);
	set_outcome(branch, &outcome);
	if (outcome.status == STATUS_OK)
		gather->good++;
	end(gather, branch, BRANCH_ENDED);
}

void gather_start(struct gather *gather, uint32_t i, struct frame *frame)
{
	struct branch *branch = &gather->branches[i];
	branch->frame = frame;
	branch->asked = branch->scope.async->now;
	branch->state = BRANCH_ASKED;
	gather->idle--;
	gather->pending++;
	if (frame_start(frame) == DONE)
		answered(gather, branch);
}

void gather_refuse(struct gather *gather, uint32_t i, struct outcome outcome)
{
	struct branch *branch = &gather->branches[i];
	assert(branch->state == BRANCH_IDLE && outcome.status != STATUS_OK);
	set_outcome(branch, &outcome);
	branch->state = BRANCH_ENDED;
	gather->idle--;
}

static struct branch *branch_of(struct gather *gather, const struct frame *child)
{
	struct branch *branch = container_of(child->scope, struct branch, scope);
	bool own = branch >= gather->branches && branch < gather->branches + gather->count;
	return own && branch->frame == child ? branch : NULL;
}

/* Scopes that ran out are told of one by one, so all that have are taken note of at once. */
static bool note_ended_scopes(struct gather *gather)
{
	bool any = false;
	for (uint32_t i = 0; i < gather->count; i++) {
		struct branch *branch = &gather->branches[i];
		if (branch->state != BRANCH_ASKED || !scope_cancelled(&branch->scope))
			continue;
		if (!scope_cancelled(gather->scope))
			end(gather, branch, BRANCH_EXPIRED);
		else if (branch->scope.count == 0)
			end(gather, branch, BRANCH_CUT);
		else
			continue;
		any = true;
	}
	return any;
}

bool gather_resume(struct gather *gather, struct frame *child)
{
	if (!child)
		return note_ended_scopes(gather);
	struct branch *branch = branch_of(gather, child);
	if (!branch)
		return false;
	if (branch->state == BRANCH_ASKED)
		answered(gather, branch);
	return true;
}

void gather_close(struct gather *gather)
{
	bool cut = scope_cancelled(gather->scope);
	for (uint32_t i = 0; i < gather->count; i++) {
		struct branch *branch = &gather->branches[i];
		if (branch->state != BRANCH_ASKED)
			continue;
		scope_cancel(&branch->scope, LOST);
		end(gather, branch, cut ? BRANCH_CUT : BRANCH_LOST);
	}
}
