/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values in a run are slices; holds are what keeps the bytes behind them. They are let go together,
 * when nobody can follow a slice any more.
 */
#include "pipeline/stages/run.h"

#include "pipeline/base/blob.h"
#include "pipeline/base/list.h"

void run_hold(struct run *run, struct hold *hold)
{
	hold->next = run->holds;
	run->holds = hold;
}

static void release_blob(struct hold *hold)
{
	blob_unref(container_of(hold, struct blob_hold, hold)->blob);
}

void run_hold_blob(struct run *run, struct blob_hold *hold, struct blob *blob)
{
	hold->blob = blob;
	hold->hold.release = release_blob;
	run_hold(run, &hold->hold);
}

void run_deinit(struct run *run)
{
	while (run->holds) {
		struct hold *hold = run->holds;
		run->holds = hold->next;
		hold->release(hold);
	}
}

void run_take_costs(struct run *run, struct run *from)
{
	run->losers += from->losers;
	run->wasted_ns += from->wasted_ns;
	run->queue_ns += from->queue_ns;
	from->losers = 0;
	from->wasted_ns = 0;
	from->queue_ns = 0;
}

struct outcome run_out_of_memory(void)
{
	static const struct fault fault = {
			.status = STATUS_RESOURCE_EXHAUSTED,
			.message = {"out of memory", sizeof("out of memory") - 1},
	};
	return (struct outcome){.status = STATUS_RESOURCE_EXHAUSTED, .fault = &fault};
}
