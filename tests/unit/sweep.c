/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sweep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/allocations.h"

static unsigned turn;
static void (*fail_after)(unsigned successes);

void sweep_fail(void)
{
	fail_after(turn);
}

static void each_turn(bool (*attempt)(void))
{
	bool good;
	turn = 0;
	do {
		good = attempt();
		turn++;
	} while (allocations_failed() > 0);
	assert_true(good);
}

unsigned sweep_allocations(bool (*attempt)(void))
{
	fail_after = allocations_fail_after;
	each_turn(attempt);
	fail_after = allocations_fail_once_after;
	each_turn(attempt);
	return turn - 1;
}
