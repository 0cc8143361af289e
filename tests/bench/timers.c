/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a deadline costs: a timer is armed and disarmed again among others that stay armed, at times
 * drawn from the next half minute, as requests do that are answered in time. A line of JSON for
 * each number of others, with the median of several rounds in nanoseconds of CPU time.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "pipeline/async/wheel.h"
#include "pipeline/base/random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NS_PER_S     UINT64_C(1000000000)
#define LATEST_NS    (30 * NS_PER_S)
#define ROUNDS	     9
#define PAIRS	     1000000 /* of a round */
#define DRAWN	     65536   /* times, drawn beforehand */

static uint64_t drawn[DRAWN];

static uint64_t cpu_ns(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* None may fire: the wheel stands still. */
static void on_fire(struct timer *timer)
{
	abort();
}

static double time_once(struct wheel *wheel, struct timer *timer)
{
	uint64_t begun = cpu_ns();
	for (size_t i = 0; i < PAIRS; i++) {
		timer_arm(wheel, timer, drawn[i % DRAWN]);
		timer_disarm(wheel, timer);
	}
	return (double)(cpu_ns() - begun) / PAIRS;
}

static int compare(const void *a, const void *b)
{
	double one = *(const double *)a, other = *(const double *)b;
	return (one > other) - (one < other);
}

static void measure(struct random *random, size_t others)
{
	struct wheel wheel;
	struct timer timer, *armed = malloc(others * sizeof(*armed));
	double ns[ROUNDS];
	if (!armed)
		abort();
	wheel_init(&wheel, 0);
	timer_init(&timer, on_fire);
	for (size_t i = 0; i < others; i++) {
		timer_init(&armed[i], on_fire);
		timer_arm(&wheel, &armed[i], random_below(random, LATEST_NS));
	}
	for (size_t round = 0; round < ROUNDS; round++)
		ns[round] = time_once(&wheel, &timer);
	qsort(ns, ROUNDS, sizeof(ns[0]), compare);
	(void)printf("{\"armed\":%zu,\"ns\":%.2f}\n", others, ns[ROUNDS / 2]);
	free(armed);
}

int main(void)
{
	static const size_t others[] = {1000, 1000000};
	struct random random;
	random_init(&random, 1);
	for (size_t i = 0; i < DRAWN; i++)
		drawn[i] = random_below(&random, LATEST_NS);
	for (size_t i = 0; i < COUNT(others); i++)
		measure(&random, others[i]);
	return 0;
}
