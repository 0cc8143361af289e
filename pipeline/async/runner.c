/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A singly linked queue. The last task points at itself, so that being queued can be asked of the
 * task alone; a task is out of the queue before it runs, because it may queue itself again or be
 * freed.
 */
#include "pipeline/async/runner.h"

#include <assert.h>

void runner_add(struct runner *runner, struct task *task)
{
	assert(!task_queued(task));
	task->next = task;
	if (runner->first)
		runner->last->next = task;
	else
		runner->first = task;
	runner->last = task;
}

static struct task *take(struct runner *runner)
{
	struct task *task = runner->first;
	runner->first = task->next == task ? NULL : task->next;
	task->next = NULL;
	return task;
}

void runner_drain(struct runner *runner, size_t max)
{
	for (; max > 0 && !runner_idle(runner); max--) {
		struct task *task = take(runner);
		task->run(task);
	}
}
