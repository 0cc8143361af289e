/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/loop/loop_fixture.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define FAILED_MS  30000
#define FAILED_NS  (FAILED_MS * UINT64_C(1000000))
#define IDLE_TURNS 500

void loop_fixture_init(struct loop_fixture *f)
{
	async_init(&f->async, loop_now(), 1);
	assert_int_equal(loop_init(&f->loop, &f->async), 0);
}

void loop_fixture_deinit(struct loop_fixture *f)
{
	loop_deinit(&f->loop);
}

void loop_fixture_run_until(struct loop_fixture *f, bool (*holds)(void *user), void *user)
{
	uint64_t until = loop_now() + FAILED_NS;
	while (!holds(user)) {
		uint64_t now = loop_now();
		assert_true(now < until);
		assert_true(sd_event_run(f->loop.event, (until - now) / 1000) >= 0);
	}
}

void loop_fixture_run_idle(struct loop_fixture *f)
{
	int turns = 0;
	while (sd_event_run(f->loop.event, 0) > 0)
		assert_true(++turns < IDLE_TURNS);
}

void wait_readable(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	assert_int_equal(poll(&poll_fd, 1, FAILED_MS), 1);
}

bool is_readable(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	return poll(&poll_fd, 1, 0) == 1;
}
