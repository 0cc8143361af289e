/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fault may stand in several lists at once, that of a flight's outcome in each waiter's, so what
 * is listed here is a copy of it.
 */
#include "pipeline/async/causes.h"

#include "pipeline/base/arena.h"
#include "pipeline/base/lesser.h"

void causes_init(struct causes *causes, struct arena *arena)
{
	*causes = (struct causes){.arena = arena, .room = UINT32_MAX, .common = STATUS_OK};
	causes->end = &causes->first;
}

void causes_add(struct causes *causes, const struct outcome *outcome)
{
	causes->mixed |= causes->common != STATUS_OK && causes->common != outcome->status;
	causes->common = outcome->status;
	if (outcome->fault)
		causes->retry_ns = greater(causes->retry_ns, outcome->fault->retry_ns);
	struct fault *copy = causes->room > 0 ? arena_alloc(causes->arena, sizeof(*copy)) : NULL;
	if (!copy)
		return;
	*copy = outcome->fault ? *outcome->fault : (struct fault){.status = outcome->status};
	copy->next = NULL;
	if (causes->copies) {
		copy->cause = NULL;
		if (copy->message.data)
			copy->message = arena_copy(causes->arena, copy->message);
	}
	causes->room--;
	*causes->end = copy;
	causes->end = &copy->next;
}

enum status causes_status(const struct causes *causes)
{
	return causes->mixed ? STATUS_UNAVAILABLE : causes->common;
}

struct outcome causes_outcome(const struct causes *causes, enum status status, struct text stage,
		struct text message)
{
	struct fault *fault = arena_alloc(causes->arena, sizeof(*fault));
	if (fault)
		*fault = (struct fault){.status = status,
				.stage = stage,
				.message = message,
				.cause = causes->first,
				.retry_ns = causes->retry_ns};
	return (struct outcome){.status = status, .fault = fault};
}
