/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file knows how the engine's turns meet sd-event's iterations.
 *
 * The engine needs one timer and one defer source, however many deadlines there are. The timer is
 * only ever moved to an earlier time: where it fires too early the turn finds nothing due and sets
 * it anew, which is cheaper than to move it in every turn.
 */
#include "pipeline/loop/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

/* Late by at most this; 0 would mean 250 ms (sd_event_add_time(3)). */
#define DEADLINE_ACCURACY_US 100
#define PERIOD_ACCURACY_US   1000

uint64_t loop_now(void)
{
	struct timespec now;
	int result = clock_gettime(CLOCK_MONOTONIC, &now);
	assert(result == 0);
	(void)result;
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* Rounded up, so that nothing comes early. */
static uint64_t to_us(uint64_t ns)
{
	return ns / 1000 + (ns % 1000 != 0);
}

static int on_deadlines(sd_event_source *source, uint64_t us, void *user)
{
	struct loop *loop = user;
	loop->armed = ASYNC_NEVER;
	loop_enter(loop);
	loop_leave(loop);
	return 0;
}

static int on_again(sd_event_source *source, void *user)
{
	loop_enter(user);
	loop_leave(user);
	return 0;
}

static int add_sources(struct loop *loop)
{
	int r = sd_event_add_time(loop->event, &loop->deadlines, CLOCK_MONOTONIC, 0,
			DEADLINE_ACCURACY_US, on_deadlines, loop);
	if (r >= 0)
		r = sd_event_source_set_enabled(loop->deadlines, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_priority(loop->deadlines, LOOP_PRIORITY_DEADLINES);
	if (r >= 0)
		r = sd_event_add_defer(loop->event, &loop->again, on_again, loop);
	if (r >= 0)
		r = sd_event_source_set_enabled(loop->again, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_priority(loop->again, LOOP_PRIORITY_ANSWERS);
	return r;
}

int loop_init(struct loop *loop, struct async *async)
{
	*loop = (struct loop){.async = async, .armed = ASYNC_NEVER};
	int r = sd_event_new(&loop->event);
	if (r >= 0)
		r = add_sources(loop);
	if (r < 0)
		loop_deinit(loop);
	return r < 0 ? r : 0;
}

void loop_deinit(struct loop *loop)
{
	loop->deadlines = sd_event_source_disable_unref(loop->deadlines);
	loop->again = sd_event_source_disable_unref(loop->again);
	loop->event = sd_event_unref(loop->event);
}

int loop_run(struct loop *loop)
{
	return sd_event_loop(loop->event);
}

void loop_exit(struct loop *loop, int code)
{
	/* Fails only where the loop has already ended. */
	(void)sd_event_exit(loop->event, code);
}

void loop_enter(struct loop *loop)
{
	if (loop->depth++ > 0)
		return;
	loop->entered = loop_now();
	async_enter(loop->async, loop->entered);
}

/*
 * These calls fail only in a forked child or for what can't be (sd_event_source_set_time(3)): our
 * bugs, both.
 */
static void come_again(struct loop *loop, uint64_t next)
{
	int r = 0;
	if (next <= loop->async->now) {
		r = sd_event_source_set_enabled(loop->again, SD_EVENT_ONESHOT);
	} else if (next < loop->armed) {
		loop->armed = next;
		r = sd_event_source_set_time(loop->deadlines, to_us(next));
		if (r >= 0)
			r = sd_event_source_set_enabled(loop->deadlines, SD_EVENT_ONESHOT);
	}
	assert(r >= 0);
	(void)r;
}

void loop_leave(struct loop *loop)
{
	assert(loop->depth > 0);
	if (loop->depth > 1) {
		loop->depth--;
		return;
	}
	uint64_t next = async_leave(loop->async);
	if (sd_event_get_state(loop->event) == SD_EVENT_FINISHED) {
		/* There is no next turn. */
		while (next <= loop->async->now)
			next = async_leave(loop->async);
	} else {
		come_again(loop, next);
	}
	loop->depth = 0;
	uint64_t lag = loop_now() - loop->entered;
	if (lag > loop->lag_highest_ns)
		loop->lag_highest_ns = lag;
}

struct every {
	struct loop *loop;
	uint64_t period_us;
	loop_fn fn;
	void *user;
};

/* A beat that was missed altogether is left out. fn may free the source, and so its beat. */
static int on_beat(sd_event_source *source, uint64_t us, void *user)
{
	struct every *every = user;
	struct loop *loop = every->loop;
	uint64_t now = to_us(loop_now());
	uint64_t next = us + every->period_us;
	int r = sd_event_source_set_time(source, next > now ? next : now + every->period_us);
	loop_enter(loop);
	every->fn(every->user);
	loop_leave(loop);
	return r;
}

/* Ties the memory of a handler's state to its source. Takes state over, whatever comes of it. */
static int adopt(sd_event_source *source, void *state, int64_t priority, sd_event_source **ret)
{
	int r = sd_event_source_set_destroy_callback(source, free);
	if (r < 0) {
		free(state);
	} else {
		r = sd_event_source_set_priority(source, priority);
	}
	if (r < 0) {
		sd_event_source_disable_unref(source);
		return r;
	}
	*ret = source;
	return 0;
}

int loop_every(struct loop *loop, uint64_t period_ns, int64_t priority, loop_fn fn, void *user,
		sd_event_source **ret)
{
	struct every *every = malloc(sizeof(*every));
	if (every == NULL)
		return -ENOMEM;
	*every = (struct every){loop, to_us(period_ns), fn, user};
	sd_event_source *source = NULL;
	int r = sd_event_add_time(loop->event, &source, CLOCK_MONOTONIC,
			to_us(loop_now()) + every->period_us, PERIOD_ACCURACY_US, on_beat, every);
	if (r >= 0)
		r = sd_event_source_set_enabled(source, SD_EVENT_ON);
	if (r < 0) {
		sd_event_source_disable_unref(source);
		free(every);
		return r;
	}
	return adopt(source, every, priority, ret);
}

struct signal_handler {
	struct loop *loop;
	loop_signal_fn fn;
	void *user;
};

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *user)
{
	struct signal_handler *handler = user;
	struct loop *loop = handler->loop;
	loop_enter(loop);
	handler->fn(handler->user, (int)info->ssi_signo);
	loop_leave(loop);
	return 0;
}

int loop_signal(struct loop *loop, int signal, loop_signal_fn fn, void *user, sd_event_source **ret)
{
	struct signal_handler *handler = malloc(sizeof(*handler));
	if (handler == NULL)
		return -ENOMEM;
	*handler = (struct signal_handler){loop, fn, user};
	sd_event_source *source = NULL;
	int r = sd_event_add_signal(loop->event, &source, signal, on_signal, handler);
	if (r < 0) {
		free(handler);
		return r;
	}
	return adopt(source, handler, LOOP_PRIORITY_SIGNALS, ret);
}
