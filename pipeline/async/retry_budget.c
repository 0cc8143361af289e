/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counted in tenths, so that no fraction is lost.
 */
#include "pipeline/async/retry_budget.h"

#include <assert.h>

#include "pipeline/base/lesser.h"

#define TENTHS 10 /* of a token */

void retry_budget_init(struct retry_budget *budget, uint32_t tokens)
{
	assert(tokens <= RETRY_BUDGET_MAX);
	*budget = (struct retry_budget){tokens * TENTHS, tokens * TENTHS};
}

uint32_t retry_budget_tokens(const struct retry_budget *budget)
{
	return budget->tenths / TENTHS;
}

void retry_budget_failed(struct retry_budget *budget)
{
	budget->tenths -= (uint32_t)lesser(budget->tenths, TENTHS);
}

void retry_budget_succeeded(struct retry_budget *budget)
{
	budget->tenths = (uint32_t)lesser(budget->tenths + 1, budget->tenths_max);
}
