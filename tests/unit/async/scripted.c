/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All state of a test is here and is made anew by its set-up, so that tests do not know of each
 * other.
 */
#include "tests/unit/async/scripted.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pipeline/base/live.h"

struct async async;
int roots_freed;
static int cancels;

int scripted_set_up(void **state)
{
	async_init(&async, START, 1);
	roots_freed = 0;
	cancels = 0;
	return 0;
}

int scripted_tear_down(void **state)
{
	if (!runner_idle(&async.runner) || async.wheel.armed > 0)
		return -1;
	return live_report();
}

static enum progress start(struct frame *frame)
{
	struct scripted *scripted = container_of(frame, struct scripted, frame);
	scripted->starts++;
	if (scripted->on_start)
		scripted->on_start(scripted);
	if (!scripted->at_once)
		return PENDING;
	return frame_done(frame, outcome_status(scripted->status));
}

static enum progress resume(struct frame *frame, struct frame *child)
{
	struct scripted *scripted = container_of(frame, struct scripted, frame);
	scripted->resumes++;
	scripted->resumes_alone += child == NULL;
	scripted->child = child;
	if (scripted->on_resume)
		return scripted->on_resume(scripted, child);
	if (scripted->children == 0 || --scripted->children > 0)
		return PENDING;
	return frame_done(frame, outcome_status(scripted->status));
}

static void cancel(struct frame *frame, enum reason reason)
{
	struct scripted *scripted = container_of(frame, struct scripted, frame);
	scripted->cancels++;
	scripted->reason = reason;
	scripted->turn_of_cancel = ++cancels;
	if (!scripted->unstoppable)
		scripted_finish(scripted, STATUS_CANCELLED);
}

static const struct frame_ops work_ops = {.start = start, .resume = resume, .cancel = cancel};
static const struct frame_ops parent_ops = {.start = start, .resume = resume};

void scripted_work(struct scripted *scripted, struct frame *parent, struct scope *scope)
{
	*scripted = (struct scripted){.status = STATUS_OK};
	frame_init(&scripted->frame, &work_ops, parent, scope);
}

void scripted_parent(struct scripted *scripted, struct frame *parent, struct scope *scope,
		unsigned children)
{
	*scripted = (struct scripted){.status = STATUS_OK, .children = children};
	frame_init(&scripted->frame, &parent_ops, parent, scope);
}

void scripted_finish(struct scripted *scripted, enum status status)
{
	scripted->frame.outcome = outcome_status(status);
	frame_finish(&scripted->frame);
}

static void on_idle(struct scope *scope)
{
	roots_freed++;
	free(container_of(scope, struct root, scope));
}

struct root *root_new(struct scope *parent, uint64_t deadline)
{
	struct root *root = calloc(1, sizeof(*root));
	assert(root);
	frame_init_root(&root->owner.frame, &parent_ops);
	scope_init_root(&root->scope, &async, parent, &root->owner.frame, deadline, on_idle);
	return root;
}

uint64_t turn(uint64_t now)
{
	async_enter(&async, now);
	return async_leave(&async);
}

void run(void)
{
	while (!runner_idle(&async.runner))
		(void)turn(async.now);
}

bool asserts(void (*call)(void))
{
	pid_t child = fork();
	assert(child >= 0);
	if (child == 0) {
		(void)close(STDERR_FILENO); /* the message is expected, and would look like a
					       failure */
		(void)signal(SIGABRT, SIG_DFL);
		call();
		_exit(0);
	}
	int status;
	pid_t ended = waitpid(child, &status, 0);
	assert(ended == child);
	(void)ended;
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}
