/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/async/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pipeline/base/live.h"
#include "pipeline/base/random.h"

#define TICK  (UINT64_C(1) << WHEEL_TICK_BITS)
#define START (UINT64_C(1000) * TICK)
#define MANY  100000

/* A timer with what a test expects of it, and what came. */
struct probe {
	struct timer timer;
	uint64_t at;
	uint64_t tick;	/* that it is expected to fire at */
	size_t armed;	/* its place in the order of arming */
	size_t fired;	/* its place in the order of firing, from 1; 0: not yet */
	uint64_t times; /* it has fired */
	struct probe *other;
};

static struct wheel wheel;
static uint64_t now;
static size_t armings;
static size_t firings;

static int set_up(void **state)
{
	now = START;
	armings = 0;
	firings = 0;
	wheel_init(&wheel, now);
	return 0;
}

static int tear_down(void **state)
{
	return wheel.armed == 0 ? live_report() : -1;
}

static void note(struct timer *timer)
{
	struct probe *probe = container_of(timer, struct probe, timer);
	assert_false(timer_armed(timer));
	assert_true(now >= probe->at);
	probe->fired = ++firings;
	probe->times++;
}

static void probe_init(struct probe *probe, timer_fn fire)
{
	*probe = (struct probe){.fired = 0};
	timer_init(&probe->timer, fire);
}

static void arm(struct probe *probe, uint64_t at)
{
	uint64_t soonest = now / TICK + 1;
	probe->at = at;
	probe->tick = at / TICK + (at % TICK != 0);
	if (probe->tick < soonest)
		probe->tick = soonest;
	probe->armed = armings++;
	timer_arm(&wheel, &probe->timer, at);
	assert_true(timer_armed(&probe->timer));
}

static void advance(uint64_t to)
{
	now = to;
	wheel_advance(&wheel, now);
}

static void test_an_empty_wheel_has_nothing_to_wait_for(void **state)
{
	assert_true(wheel_next(&wheel) == WHEEL_NEVER);
	advance(START + 1000000 * TICK);
	assert_true(wheel_next(&wheel) == WHEEL_NEVER);
}

static void test_never_early_and_at_most_a_tick_late(void **state)
{
	static const uint64_t after[] = {1, 2, TICK - 1, TICK, TICK + 1, 63 * TICK, 64 * TICK - 1,
			64 * TICK, 64 * TICK + 1, 65 * TICK, 4095 * TICK + 7, 4096 * TICK,
			4097 * TICK, 1000003 * TICK + 17};
	for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
		struct probe probe;
		probe_init(&probe, note);
		arm(&probe, now + after[i]);
		uint64_t at = probe.at;
		advance(at - 1);
		assert_int_equal(probe.times, 0);
		advance(at + TICK - 1);
		assert_int_equal(probe.times, 1);
		advance(at + 3 * TICK);
		assert_int_equal(probe.times, 1);
	}
}

static void test_on_a_tick_it_fires_at_its_very_time(void **state)
{
	struct probe probe;
	probe_init(&probe, note);
	arm(&probe, START + 7 * TICK);
	advance(START + 7 * TICK - 1);
	assert_int_equal(probe.times, 0);
	advance(START + 7 * TICK);
	assert_int_equal(probe.times, 1);
}

static void test_what_is_past_fires_with_the_next_tick(void **state)
{
	struct probe probes[3];
	static const uint64_t at[] = {0, START - TICK, START};
	for (int i = 0; i < 3; i++) {
		probe_init(&probes[i], note);
		arm(&probes[i], at[i]);
	}
	assert_true(wheel_next(&wheel) == START + TICK);
	advance(START + TICK - 1);
	assert_int_equal(firings, 0);
	advance(START + TICK);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(probes[i].fired, i + 1);
}

static void test_in_the_order_of_ticks_and_then_of_arming(void **state)
{
	static const struct {
		uint64_t at;
		size_t place;
	} cases[] = {{9 * TICK, 4}, {70 * TICK - 5, 6}, {9 * TICK - 1, 5}, {1, 1}, {5000 * TICK, 9},
			{70 * TICK - 9, 7}, {2 * TICK, 3}, {TICK, 2}, {70 * TICK, 8}};
	struct probe probes[9];
	for (int i = 0; i < 9; i++) {
		probe_init(&probes[i], note);
		arm(&probes[i], START + cases[i].at);
	}
	advance(START + 10000 * TICK);
	for (int i = 0; i < 9; i++)
		assert_int_equal(probes[i].fired, cases[i].place);
}

/* The first is armed for a tick from afar, on a higher level than the second. */
static void test_one_tick_armed_from_far_and_near(void **state)
{
	struct probe far, near;
	probe_init(&far, note);
	probe_init(&near, note);
	arm(&far, START + 5000 * TICK);
	advance(START + 4999 * TICK);
	arm(&near, START + 5000 * TICK);
	advance(START + 5000 * TICK);
	assert_int_equal(far.fired, 1);
	assert_int_equal(near.fired, 2);
}

static void test_disarming(void **state)
{
	struct probe probe, stays;
	probe_init(&probe, note);
	probe_init(&stays, note);
	timer_disarm(&wheel, &probe.timer);
	arm(&probe, START + 3 * TICK);
	arm(&stays, START + 3 * TICK);
	timer_disarm(&wheel, &probe.timer);
	timer_disarm(&wheel, &probe.timer);
	assert_false(timer_armed(&probe.timer));
	assert_true(wheel_next(&wheel) == START + 3 * TICK);
	advance(START + 4 * TICK);
	assert_int_equal(probe.times, 0);
	assert_int_equal(stays.times, 1);
	arm(&probe, START + 9 * TICK);
	timer_disarm(&wheel, &probe.timer);
	assert_true(wheel_next(&wheel) == WHEEL_NEVER);
}

static void disarm_other(struct timer *timer)
{
	struct probe *probe = container_of(timer, struct probe, timer);
	note(timer);
	timer_disarm(&wheel, &probe->other->timer);
}

static void test_a_callback_disarms_its_neighbours(void **state)
{
	struct probe probes[4];
	for (int i = 0; i < 4; i++) {
		probe_init(&probes[i], i == 0 ? disarm_other : note);
		arm(&probes[i], START + TICK + (i == 3 ? 100 * TICK : 0));
	}
	probes[0].other = &probes[1];
	advance(START + TICK);
	assert_int_equal(probes[1].times, 0);
	assert_int_equal(probes[2].times, 1);
	probe_init(&probes[0], disarm_other);
	arm(&probes[0], now + TICK);
	probes[0].other = &probes[3];
	advance(START + 200 * TICK);
	assert_int_equal(probes[3].times, 0);
}

static void arm_again(struct timer *timer)
{
	struct probe *probe = container_of(timer, struct probe, timer);
	note(timer);
	timer_arm(&wheel, timer, probe->at);
}

/* Each time for a moment that has been: it comes once a tick, and the wheel gets to its end. */
static void test_a_callback_arms_itself_for_the_past(void **state)
{
	struct probe probe;
	probe_init(&probe, arm_again);
	arm(&probe, START);
	advance(START + TICK);
	assert_int_equal(probe.times, 1);
	advance(START + TICK);
	assert_int_equal(probe.times, 1);
	advance(START + 200 * TICK);
	assert_int_equal(probe.times, 200);
	timer_disarm(&wheel, &probe.timer);
}

static void arm_other(struct timer *timer)
{
	struct probe *probe = container_of(timer, struct probe, timer);
	note(timer);
	timer_arm(&wheel, &probe->other->timer, probe->other->at);
}

static void test_a_callback_arms_what_is_due_in_the_same_advance(void **state)
{
	struct probe first, later, between;
	probe_init(&first, arm_other);
	probe_init(&later, note);
	probe_init(&between, note);
	first.other = &between;
	between.at = START + 90 * TICK;
	arm(&first, START + 80 * TICK);
	arm(&later, START + 100 * TICK);
	advance(START + 100 * TICK);
	assert_int_equal(between.fired, 2);
	assert_int_equal(later.fired, 3);
}

static void test_every_level(void **state)
{
	for (int level = 0; level < WHEEL_LEVELS; level++) {
		uint64_t distance = TICK << (level * WHEEL_SLOT_BITS);
		(void)set_up(state);
		struct probe probe, given_up;
		probe_init(&probe, note);
		probe_init(&given_up, note);
		arm(&probe, START + distance + TICK / 2);
		arm(&given_up, START + distance);
		timer_disarm(&wheel, &given_up.timer);
		advance(probe.at - 1);
		assert_int_equal(probe.times, 0);
		advance(probe.at + TICK - 1);
		assert_int_equal(probe.times, 1);
		assert_int_equal(given_up.times, 0);
		assert_true(wheel_next(&wheel) == WHEEL_NEVER);
		for (int i = 0; i < WHEEL_LEVELS; i++)
			assert_true(wheel.occupied[i] == 0);
	}
}

/* What is disarmed leaves no slot marked behind, whatever level it was on. */
static void test_disarming_on_every_level(void **state)
{
	struct probe probe;
	for (unsigned level = 0; level < WHEEL_LEVELS - 1; level++) {
		probe_init(&probe, note);
		arm(&probe, now + (TICK << (level * WHEEL_SLOT_BITS)));
		assert_true(wheel_next(&wheel) != WHEEL_NEVER);
		timer_disarm(&wheel, &probe.timer);
		assert_true(wheel_next(&wheel) == WHEEL_NEVER);
	}
}

static void test_the_end_of_time(void **state)
{
	struct probe probe;
	probe_init(&probe, note);
	arm(&probe, WHEEL_NEVER - 1);
	assert_true(wheel_next(&wheel) > now);
	advance(WHEEL_NEVER - 2);
	assert_int_equal(probe.times, 0);
	assert_true(wheel_next(&wheel) > now);
	timer_disarm(&wheel, &probe.timer);
	assert_true(wheel_next(&wheel) == WHEEL_NEVER);
	/* The last tick itself can be said. */
	uint64_t last = WHEEL_NEVER >> WHEEL_TICK_BITS << WHEEL_TICK_BITS;
	wheel_init(&wheel, last - 10 * TICK);
	arm(&probe, last);
	assert_true(wheel_next(&wheel) == last);
	advance(last);
	assert_int_equal(probe.times, 1);
}

static uint64_t random_distance(struct random *random)
{
	return random_next(random) >> (20 + random_below(random, 44));
}

/* As the loop does: each advance is at the time that wheel_next() named. It gets there in a few
 * steps, never too late. */
static void test_next_is_never_later_than_the_first(void **state)
{
	struct random random;
	random_init(&random, 7);
	for (int round = 0; round < 2000; round++) {
		struct probe probe;
		probe_init(&probe, note);
		advance(now + random_distance(&random) % (1000 * TICK));
		arm(&probe, now + random_distance(&random));
		for (int steps = 0; probe.times == 0; steps++) {
			uint64_t next = wheel_next(&wheel);
			assert_true(next > now && next <= probe.tick * TICK);
			assert_true(steps <= WHEEL_LEVELS);
			advance(next);
		}
		assert_true(now == probe.tick * TICK);
	}
}

static int by_tick(const void *a, const void *b)
{
	const struct probe *const *left = a, *const *right = b;
	if ((*left)->tick != (*right)->tick)
		return (*left)->tick < (*right)->tick ? -1 : 1;
	return (*left)->armed < (*right)->armed ? -1 : 1;
}

/* None that should have fired is still armed, and none fired that should not have. */
static void check_fired(struct probe **expected, size_t count, size_t *done)
{
	while (*done < count && expected[*done]->tick <= now / TICK) {
		assert_int_equal(expected[*done]->fired, *done + 1);
		(*done)++;
	}
	assert_int_equal(firings, *done);
}

static void test_many_against_a_sorted_list(void **state)
{
	struct random random;
	random_init(&random, 42);
	struct probe *probes = calloc(MANY, sizeof(*probes));
	struct probe **expected = calloc(MANY, sizeof(struct probe *));
	assert_true(probes && expected);
	size_t count = 0;
	for (size_t i = 0; i < MANY; i++) {
		probe_init(&probes[i], note);
		arm(&probes[i], now + random_distance(&random));
	}
	for (size_t i = 0; i < MANY; i++) {
		if (random_below(&random, 10) == 0)
			timer_disarm(&wheel, &probes[i].timer);
		else
			expected[count++] = &probes[i];
	}
	qsort(expected, count, sizeof(struct probe *), by_tick);
	assert_int_equal(wheel.armed, count);
	for (size_t done = 0; done < count;) {
		bool leaps = random_below(&random, 4) == 0;
		uint64_t step = random_distance(&random) >> random_below(&random, 20);
		advance(leaps ? now + step : wheel_next(&wheel));
		check_fired(expected, count, &done);
	}
	free(expected);
	free(probes);
}

/* Arming, disarming and advancing in any order; the model looks at all timers every time. */
static void test_any_order_against_a_slow_model(void **state)
{
	struct random random;
	random_init(&random, 43);
	struct probe probes[64];
	for (int i = 0; i < 64; i++)
		probe_init(&probes[i], note);
	for (int round = 0; round < 20000; round++) {
		struct probe *probe = &probes[random_below(&random, 64)];
		if (timer_armed(&probe->timer))
			timer_disarm(&wheel, &probe->timer);
		else
			arm(probe, now + random_distance(&random) % (300000 * TICK));
		if (random_below(&random, 3) > 0)
			continue;
		advance(now + random_distance(&random) % (10000 * TICK));
		uint64_t first = WHEEL_NEVER;
		for (int i = 0; i < 64; i++) {
			if (!timer_armed(&probes[i].timer))
				continue;
			assert_true(probes[i].tick > now / TICK);
			if (probes[i].tick * TICK < first)
				first = probes[i].tick * TICK;
		}
		assert_true(wheel_next(&wheel) <= first);
	}
	for (int i = 0; i < 64; i++)
		timer_disarm(&wheel, &probes[i].timer);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_an_empty_wheel_has_nothing_to_wait_for),
			TEST(test_never_early_and_at_most_a_tick_late),
			TEST(test_on_a_tick_it_fires_at_its_very_time),
			TEST(test_what_is_past_fires_with_the_next_tick),
			TEST(test_in_the_order_of_ticks_and_then_of_arming),
			TEST(test_one_tick_armed_from_far_and_near),
			TEST(test_disarming),
			TEST(test_a_callback_disarms_its_neighbours),
			TEST(test_a_callback_arms_itself_for_the_past),
			TEST(test_a_callback_arms_what_is_due_in_the_same_advance),
			TEST(test_every_level),
			TEST(test_disarming_on_every_level),
			TEST(test_the_end_of_time),
			TEST(test_next_is_never_later_than_the_first),
			TEST(test_many_against_a_sorted_list),
			TEST(test_any_order_against_a_slow_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
