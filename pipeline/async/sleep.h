/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Waiting until a time, as Task.Delay with a token: a frame that ends OK when the time has come,
 * and CANCELLED at once when its scope is cancelled. The loop thread only.
 */
#include <stdint.h>

#include "pipeline/async/frame.h"
#include "pipeline/async/wheel.h"

struct sleep {
	struct frame frame;
	struct timer timer;
	uint64_t until;
};

/* To be started by frame_start(&sleep->frame). until is absolute; where it is reached already the
 * start says DONE. */
void sleep_init(struct sleep *sleep, uint64_t until, struct frame *parent, struct scope *scope);
