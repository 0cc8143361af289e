/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A real loop, run until something has happened. The only time is the one after which a test has
 * failed.
 */
#include <stdbool.h>

#include "pipeline/loop/loop.h"

struct loop_fixture {
	struct async async;
	struct loop loop;
};

void loop_fixture_init(struct loop_fixture *f);
void loop_fixture_deinit(struct loop_fixture *f);

/* Runs the loop until holds(user). */
void loop_fixture_run_until(struct loop_fixture *f, bool (*holds)(void *user), void *user);

/*
 * Runs the loop as long as it has something to do at once. More than a few hundred iterations is a
 * loop that spins.
 */
void loop_fixture_run_idle(struct loop_fixture *f);

/* Waits until the descriptor can be read, without the loop. */
void wait_readable(int fd);

/* Whether it can be read now. */
bool is_readable(int fd);
