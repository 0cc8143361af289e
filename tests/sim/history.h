/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One run of a plan: the engine in virtual time, what its clients and resources do to it, and a
 * witness that looks on after every step. The same plan gives the same history.
 */
#include "tests/sim/coverage.h"
#include "tests/sim/plan.h"

struct watch;

struct verdict {
	bool failed;
	uint64_t step; /* at which it failed */
	double ms;     /* virtual time since the start */
	char complaint[256];
};

/* traced: what happens is written to stdout, as in the scenarios. */
struct verdict history_run(const struct plan *plan, struct coverage *coverage, bool traced);
