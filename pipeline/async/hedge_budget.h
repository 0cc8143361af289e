/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How much may be asked beyond what had to be: each question that had to be earns a share of
 * another one, and each extra one is paid for whole. So when all is slow, and all would be asked
 * twice, only a few are. What is not used is kept up to a bound.
 */
#include <stdbool.h>
#include <stdint.h>

/* Extra ones that are kept at most, and at the start. */
#define HEDGE_BUDGET_KEPT 10

struct hedge_budget {
	uint32_t percent;
	uint32_t hundredths;
};

/* percent 0: no extra ones at all. */
void hedge_budget_init(struct hedge_budget *budget, uint32_t percent);

/* A question that had to be asked was. */
void hedge_budget_earn(struct hedge_budget *budget);

/* Pays for an extra one. False: there is not enough. */
bool hedge_budget_take(struct hedge_budget *budget);
