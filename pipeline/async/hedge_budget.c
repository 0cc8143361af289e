/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counted in hundredths, so that a percentage earns whole numbers and no fraction is lost.
 *
 * Invariant: at most what is kept lies in it.
 */
#include "pipeline/async/hedge_budget.h"

#include "pipeline/base/lesser.h"

#define WHOLE 100 /* hundredths */
#define KEPT  (HEDGE_BUDGET_KEPT * WHOLE)

void hedge_budget_init(struct hedge_budget *budget, uint32_t percent)
{
	*budget = (struct hedge_budget){percent, percent > 0 ? KEPT : 0};
}

void hedge_budget_earn(struct hedge_budget *budget)
{
	budget->hundredths = (uint32_t)lesser(budget->hundredths + budget->percent, KEPT);
}

bool hedge_budget_take(struct hedge_budget *budget)
{
	if (budget->hundredths < WHOLE)
		return false;
	budget->hundredths -= WHOLE;
	return true;
}
