/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only threads that this program starts by itself. One lock guards the queue and what says
 * whether the threads are to go on; no call that blocks is made under it.
 *
 * That a thread has ended is counted before it is joined, so a join never waits for a call that
 * does not come back.
 */
#include "pipeline/loop/workers.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

struct worker {
	pthread_t thread;
	struct workers *workers;
	void *state;
};

struct workers {
	const struct workers_ops *ops;
	void *user;
	struct mailbox mailbox;
	pthread_mutex_t lock;
	pthread_cond_t given; /* the queue is not empty, or stopping */
	pthread_cond_t ended;
	struct link queue; /* from here on guarded by the lock */
	size_t running;	   /* threads that have not ended */
	bool stopping;
	size_t count; /* threads that were started */
	struct worker worker[];
};

/* The next job; NULL when the thread is to end. */
static struct work *next_work(struct workers *workers)
{
	struct work *work = NULL;
	pthread_mutex_lock(&workers->lock);
	while (list_empty(&workers->queue) && !workers->stopping)
		pthread_cond_wait(&workers->given, &workers->lock);
	if (workers->stopping) {
		workers->running--;
		pthread_cond_signal(&workers->ended);
	} else {
		work = container_of(workers->queue.next, struct work, link);
		link_remove(&work->link);
		work->queued = false;
	}
	pthread_mutex_unlock(&workers->lock);
	return work;
}

static void *run(void *argument)
{
	struct worker *worker = argument;
	struct work *work;
	while ((work = next_work(worker->workers))) {
		worker->workers->ops->run(worker->state, work);
		mailbox_post(&worker->workers->mailbox, &work->letter);
	}
	return NULL;
}

static void on_letter(void *user, struct letter *letter)
{
	struct workers *workers = user;
	workers->ops->done(workers->user, container_of(letter, struct work, letter));
}

static int init_locks(struct workers *workers)
{
	pthread_condattr_t monotonic;
	int error = pthread_mutex_init(&workers->lock, NULL);
	if (error)
		return -error;
	error = pthread_condattr_init(&monotonic);
	if (error == 0) {
		pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
		error = pthread_cond_init(&workers->ended, &monotonic);
		pthread_condattr_destroy(&monotonic);
	}
	if (error == 0) {
		error = pthread_cond_init(&workers->given, NULL);
		if (error)
			pthread_cond_destroy(&workers->ended);
	}
	if (error)
		pthread_mutex_destroy(&workers->lock);
	return -error;
}

static void deinit_locks(struct workers *workers)
{
	pthread_cond_destroy(&workers->given);
	pthread_cond_destroy(&workers->ended);
	pthread_mutex_destroy(&workers->lock);
}

/* Signals are the loop's: a new thread inherits this one's mask (pthread_create(3)). */
static int start(struct workers *workers, const char *name, void *const *states, size_t count)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = 0;
	for (size_t i = 0; i < count && error == 0; i++) {
		struct worker *worker = &workers->worker[i];
		*worker = (struct worker){.workers = workers, .state = states[i]};
		pthread_mutex_lock(&workers->lock);
		error = pthread_create(&worker->thread, NULL, run, worker);
		if (error == 0) {
			workers->running++;
			workers->count++;
			(void)pthread_setname_np(worker->thread, name);
		}
		pthread_mutex_unlock(&workers->lock);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

static struct workers *workers_make(struct loop *loop, const struct workers_ops *ops, void *user,
		size_t count, int *ret_error)
{
	struct workers *workers = calloc(1, sizeof(*workers) + count * sizeof(workers->worker[0]));
	*ret_error = -ENOMEM;
	if (workers == NULL)
		return NULL;
	workers->ops = ops;
	workers->user = user;
	link_init(&workers->queue);
	*ret_error = init_locks(workers);
	if (*ret_error == 0) {
		*ret_error = mailbox_init(&workers->mailbox, loop, on_letter, workers);
		if (*ret_error == 0)
			return workers;
		deinit_locks(workers);
	}
	free(workers);
	return NULL;
}

struct workers *workers_new(struct loop *loop, const char *name, const struct workers_ops *ops,
		void *user, void *const *states, size_t count, int *ret_error)
{
	struct workers *workers = workers_make(loop, ops, user, count, ret_error);
	if (workers == NULL)
		return NULL;
	*ret_error = start(workers, name, states, count);
	if (*ret_error == 0)
		return workers;
	/* Threads that have no work end at once. */
	(void)workers_free(workers, UINT64_MAX);
	return NULL;
}

void workers_give(struct workers *workers, struct work *work)
{
	link_init(&work->link);
	work->queued = true;
	pthread_mutex_lock(&workers->lock);
	assert(!workers->stopping);
	list_append(&workers->queue, &work->link);
	pthread_cond_signal(&workers->given);
	pthread_mutex_unlock(&workers->lock);
}

bool workers_take_back(struct workers *workers, struct work *work)
{
	pthread_mutex_lock(&workers->lock);
	bool queued = work->queued;
	link_remove(&work->link);
	work->queued = false;
	pthread_mutex_unlock(&workers->lock);
	return queued;
}

/* Whether all threads have ended by the time `until`. */
static bool stop(struct workers *workers, uint64_t until)
{
	const struct timespec at = loop_timespec(until);
	int error = 0;
	pthread_mutex_lock(&workers->lock);
	assert(list_empty(&workers->queue));
	workers->stopping = true;
	pthread_cond_broadcast(&workers->given);
	while (workers->running > 0 && error == 0)
		error = pthread_cond_timedwait(&workers->ended, &workers->lock, &at);
	bool ended = workers->running == 0;
	pthread_mutex_unlock(&workers->lock);
	return ended;
}

bool workers_free(struct workers *workers, uint64_t until)
{
	if (!stop(workers, until)) {
		mailbox_drain(&workers->mailbox);
		return false;
	}
	for (size_t i = 0; i < workers->count; i++)
		(void)pthread_join(workers->worker[i].thread, NULL);
	mailbox_deinit(&workers->mailbox);
	deinit_locks(workers);
	free(workers);
	return true;
}
