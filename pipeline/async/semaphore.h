/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Permits for bounded concurrency, handed out first come, first served; as SemaphoreSlim.WaitAsync
 * with a token.
 *
 * A permit is a frame. Starting it takes one now (DONE, OK), waits (PENDING), or is refused when
 * the queue is full (DONE, RESOURCE_EXHAUSTED). Cancelled, it leaves the queue. Where the queue's
 * delay is controlled, who has waited too long is shed when its turn comes (RESOURCE_EXHAUSTED, and
 * `shed`). Whoever holds one gives it back when the work has really ended, and it goes straight to
 * the next in the queue. A waiter that is granted and cancelled at once still has the permit, and
 * gives it back. The loop thread only.
 */
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/async/codel.h"
#include "pipeline/async/frame.h"
#include "pipeline/base/list.h"

struct async;

struct semaphore {
	struct async *async;
	struct codel codel; /* of the queue; off unless it is initialised again */
	struct link waiters;
	uint32_t permits;
	uint32_t held;
	uint32_t queue_max;
	uint32_t waiting;
	uint32_t held_highest; /* ever */
	uint32_t waiting_highest;
	uint64_t granted;
	uint64_t refused;
	uint64_t shed;
	uint64_t waited_ns; /* of all that were granted after a wait */
};

struct permit {
	struct frame frame;
	struct semaphore *semaphore;
	struct link link;
	uint64_t since;
	uint64_t waited_ns; /* until it was granted or gave up */
	bool held;
	bool shed;
};

/* permits at least 1; queue_max 0 refuses what can't run now. */
void semaphore_init(struct semaphore *semaphore, struct async *async, uint32_t permits,
		uint32_t queue_max);

/* A permit to be asked for by frame_start(&permit->frame). */
void permit_init(struct permit *permit, struct semaphore *semaphore, struct frame *parent,
		struct scope *scope);

/* Gives the permit back if it is held; harmless otherwise. */
void permit_release(struct permit *permit);
