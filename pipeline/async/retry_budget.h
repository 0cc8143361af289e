/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Whether trying again is still wise. When much fails, retries only add to what is too much
 * already: tokens start at their maximum, a failure takes one, a success gives back a tenth of one,
 * and nothing is tried again while there are no more than half of them left (as gRPC's retry
 * throttling does it).
 */
#include <stdbool.h>
#include <stdint.h>

struct retry_budget {
	uint32_t tenths_max; /* 0: there is no bound */
	uint32_t tenths;
};

/* tokens 0: trying again is always allowed. At most RETRY_BUDGET_MAX. */
#define RETRY_BUDGET_MAX 1000000
void retry_budget_init(struct retry_budget *budget, uint32_t tokens);

/* Whole tokens that are left. */
uint32_t retry_budget_tokens(const struct retry_budget *budget);

void retry_budget_failed(struct retry_budget *budget);
void retry_budget_succeeded(struct retry_budget *budget);

static inline bool retry_budget_allows(const struct retry_budget *budget)
{
	return budget->tenths_max == 0 || budget->tenths > budget->tenths_max / 2;
}
