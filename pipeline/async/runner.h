/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The queue of what is to be done in this turn, first in, first out. Whoever would call back puts a
 * task here instead, so no callback is ever re-entered.
 */
#include <stdbool.h>
#include <stddef.h>

struct task;
typedef void (*task_fn)(struct task *task);

struct task {
	struct task *next; /* itself when it is the last of the queue; NULL when it is in none */
	task_fn run;
};

struct runner {
	struct task *first;
	struct task *last;
};

/* Queues a task that is not queued. The task may be freed from the moment its function is called.
 */
void runner_add(struct runner *runner, struct task *task);

static inline bool task_queued(const struct task *task)
{
	return task->next != NULL;
}

static inline bool runner_idle(const struct runner *runner)
{
	return runner->first == NULL;
}

/* Runs at most max tasks, those included that are added meanwhile. */
void runner_drain(struct runner *runner, size_t max);
