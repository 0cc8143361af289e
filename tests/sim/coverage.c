/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must be met how often. A thousand of each ending is what a bug that shows once in a hundred
 * needs to show for sure; each state in which a cancel can find a frame, a hundred times, and as
 * many histories in which something comes between two tasks.
 */
#include "tests/sim/coverage.h"

#include <inttypes.h>
#include <stdio.h>

#define ENDINGS_LEAST	1000
#define CELLS_LEAST	100
#define HISTORIES_LEAST 100

static const char *const names[] = {
		[MET_REQUEST] = "requests",
		[MET_WAITED] = "that waited",
		[MET_STEP] = "steps",
		[MET_LEFT_OVER] = "histories in which turns left work over",
		[MET_CANCEL] = "ended by a cancel",
		[MET_DISCONNECT] = "ended by a disconnect",
		[MET_DEADLINE] = "ended by their deadline",
		[MET_DUPLICATE] = "duplicate ids",
		[MET_QUEUE_FULL] = "full queues",
		[MET_FIRST_WAITER_LEFT] = "flights left by their first waiter",
		[MET_ALL_WAITERS_LEFT] = "flights left by all",
		[MET_DRAIN] = "ended by a drain",
		[MET_STALL] = "clients that stalled",
		[MET_HELD] = "replies that had to wait",
		[MET_HIT] = "cache hits",
		[MET_JOINED] = "flights joined",
		[MET_PARTIAL] = "partial answers",
		[MET_LIMIT] = "refused at a limit",
		[MET_LATE_ANSWER] = "late answers",
		[MET_OUTLIER] = "outliers",
		[MET_PART] = "parts of answers",
		[MET_PART_HELD] = "parts that had to wait",
		[MET_PARTS_CUT] = "cut off after some of their parts",
		[MET_SHED] = "shed by a slow queue",
		[MET_STALE] = "stale values",
		[MET_FALLEN_BACK] = "old values after a wait in vain",
		[MET_REFRESH] = "jobs that nobody waited for",
		[MET_FRESH] = "fresh values for who wanted one",
		[MET_PURGE] = "purges",
		[MET_HEDGE] = "hedges",
		[MET_BREAKER] = "breakers that opened",
		[MET_OUTLIVED] = "requests that outlived their generation",
		[MET_INHERITED] = "values that did",
};

static const enum met endings[] = {
		MET_CANCEL,
		MET_DISCONNECT,
		MET_DEADLINE,
		MET_DUPLICATE,
		MET_QUEUE_FULL,
		MET_FIRST_WAITER_LEFT,
		MET_ALL_WAITERS_LEFT,
		MET_DRAIN,
		MET_STALL,
		MET_HELD,
		MET_HIT,
		MET_JOINED,
		MET_PARTIAL,
		MET_LIMIT,
		MET_LATE_ANSWER,
		MET_OUTLIER,
		MET_PART,
		MET_PARTS_CUT,
		MET_SHED,
		MET_STALE,
		MET_FALLEN_BACK,
		MET_REFRESH,
		MET_FRESH,
		MET_PURGE,
		MET_HEDGE,
		MET_BREAKER,
		MET_OUTLIVED,
		MET_INHERITED,
};

#define ENDING_COUNT ((int)(sizeof(endings) / sizeof(endings[0])))

/* What a cancel can find a frame doing. */
enum state { STATE_NEW, STATE_OUTSIDE, STATE_CHILDREN, STATE_QUEUED, STATE_COUNT };

static const char *const state_names[] = {
		[STATE_NEW] = "about to start",
		[STATE_OUTSIDE] = "waiting for something outside",
		[STATE_CHILDREN] = "waiting for children",
		[STATE_QUEUED] = "finished, not yet told",
};

/* In how many frames of that state a cancel for that reason was found. */
static uint64_t cell(const struct coverage *coverage, enum state state, enum reason reason)
{
	static const enum census events[] = {
			[STATE_NEW] = CENSUS_START,
			[STATE_OUTSIDE] = CENSUS_CANCEL,
			[STATE_CHILDREN] = CENSUS_RESUME,
			[STATE_QUEUED] = CENSUS_DELIVER,
	};
	uint64_t count = coverage->census[events[state]][reason];
	/* Those that finished after the cancel were not queued when it came. */
	if (state == STATE_QUEUED)
		count -= coverage->census[CENSUS_FINISH][reason];
	return count;
}

/* Only the branches of a fan-out are ever LOST, and a branch is one ask: it has no children. */
static bool can_occur(enum state state, enum reason reason)
{
	return reason != LOST || state == STATE_OUTSIDE || state == STATE_QUEUED;
}

void coverage_add_census(struct coverage *coverage)
{
	for (int event = 0; event < CENSUS_EVENTS; event++) {
		for (int reason = 0; reason < CENSUS_REASONS; reason++)
			coverage->census[event][reason] += census_counts[event][reason];
	}
}

static void print_census(const struct coverage *coverage)
{
	printf("# %-32s", "cancelled while");
	for (enum reason reason = ASKED; reason <= DRAIN; reason++)
		printf("%10s", reason_name(reason));
	printf("\n");
	for (enum state state = 0; state < STATE_COUNT; state++) {
		printf("# %-32s", state_names[state]);
		for (enum reason reason = ASKED; reason <= DRAIN; reason++)
			printf("%10" PRIu64, cell(coverage, state, reason));
		printf("\n");
	}
}

void coverage_print(const struct coverage *coverage)
{
	for (int met = 0; met < MET_KINDS; met++)
		printf("# %10" PRIu64 "  %s\n", coverage->met[met], names[met]);
	for (int status = 0; status < STATUS_COUNT; status++)
		printf("# %10" PRIu64 "  %s\n", coverage->statuses[status],
				status_text((enum status)status).data);
	print_census(coverage);
	nesting_print(&coverage->nesting);
}

static bool check(int number, bool enough, uint64_t count, const char *what)
{
	printf("%sok %d - %" PRIu64 " %s\n", enough ? "" : "not ", number, count, what);
	return enough;
}

int coverage_check(const struct coverage *coverage, int first, bool *ret_enough)
{
	const uint64_t *met = coverage->met;
	int number = first;
	bool enough = check(number++, met[MET_WAITED] * 2 >= met[MET_REQUEST], met[MET_WAITED],
			"requests waited, at least half of all");
	for (int i = 0; i < ENDING_COUNT; i++)
		enough &= check(number++, met[endings[i]] >= ENDINGS_LEAST, met[endings[i]],
				names[endings[i]]);
	for (enum state state = 0; state < STATE_COUNT; state++) {
		uint64_t least = UINT64_MAX;
		for (enum reason reason = ASKED; reason <= DRAIN; reason++) {
			uint64_t count = cell(coverage, state, reason);
			if (can_occur(state, reason))
				least = count < least ? count : least;
		}
		enough &= check(number++, least >= CELLS_LEAST, least, state_names[state]);
	}
	enough &= check(number++, met[MET_LEFT_OVER] >= HISTORIES_LEAST, met[MET_LEFT_OVER],
			names[MET_LEFT_OVER]);
	uint64_t least = nesting_least(&coverage->nesting);
	enough &= check(number++, least > 0, least, "runs at least of each stage in each other");
	*ret_enough = enough;
	return number - first;
}

int coverage_check_count(void)
{
	return 1 + ENDING_COUNT + STATE_COUNT + 2;
}
