/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends are counted by steps of time in a ring, so that memory is bounded however many there are.
 * Only a CLOSED one counts.
 */
#include "pipeline/resources/breaker.h"

#include <assert.h>
#include <string.h>

const char *breaker_state_name(enum breaker_state state)
{
	static const char *const names[] = {[BREAKER_CLOSED] = "closed",
			[BREAKER_OPEN] = "open",
			[BREAKER_HALF_OPEN] = "half_open"};
	return names[state];
}

void breaker_init(struct breaker *breaker, const struct breaker_settings *settings)
{
	assert(settings->of == 0 || settings->within >= BREAKER_STEPS);
	*breaker = (struct breaker){.settings = *settings};
}

bool breaker_passes(const struct breaker *breaker, uint64_t now)
{
	return breaker->state == BREAKER_CLOSED ||
	       (breaker->state == BREAKER_OPEN && now >= breaker->until);
}

enum breaker_pass breaker_ask(struct breaker *breaker, uint64_t now)
{
	if (breaker->state == BREAKER_CLOSED)
		return BREAKER_PASSED;
	if (!breaker_passes(breaker, now))
		return BREAKER_REFUSED;
	breaker->state = BREAKER_HALF_OPEN;
	breaker->trials += breaker->trials < UINT32_MAX;
	return BREAKER_TRIAL;
}

bool breaker_is_news(const struct breaker *breaker)
{
	switch (breaker->state) {
	case BREAKER_OPEN:
		return breaker->trials == 0;
	case BREAKER_HALF_OPEN:
		return breaker->trials == 1;
	case BREAKER_CLOSED:
		return true;
	}
	return true;
}

static void open(struct breaker *breaker, uint64_t now)
{
	breaker->state = BREAKER_OPEN;
	breaker->until = now + breaker->settings.open;
	breaker->opened++;
	breaker->trials = 0;
}

static void forget_all(struct breaker *breaker)
{
	memset(breaker->steps, 0, sizeof(breaker->steps));
}

/* Goes on to the step of now; those that are passed over are new. */
static struct breaker_step *step_of(struct breaker *breaker, uint64_t now)
{
	uint64_t step = now / (breaker->settings.within / BREAKER_STEPS);
	if (step - breaker->step > BREAKER_STEPS)
		breaker->step = step - BREAKER_STEPS;
	for (; breaker->step < step; breaker->step++)
		breaker->steps[(breaker->step + 1) % BREAKER_STEPS] = (struct breaker_step){0};
	return &breaker->steps[step % BREAKER_STEPS];
}

static bool fails_too_often(const struct breaker *breaker)
{
	uint64_t ended = 0, failed = 0;
	for (int i = 0; i < BREAKER_STEPS; i++) {
		ended += breaker->steps[i].ended;
		failed += breaker->steps[i].failed;
	}
	return ended >= breaker->settings.of && failed * 100 >= ended * breaker->settings.failures;
}

static void count(struct breaker *breaker, uint64_t now, bool failed)
{
	if (breaker->settings.of == 0)
		return;
	struct breaker_step *step = step_of(breaker, now);
	step->ended++;
	step->failed += failed;
	if (fails_too_often(breaker))
		open(breaker, now);
}

static void end_trial(struct breaker *breaker, uint64_t now, enum breaker_end end)
{
	if (end == BREAKER_GOOD) {
		breaker->state = BREAKER_CLOSED;
		forget_all(breaker);
	} else if (end == BREAKER_FAILED) {
		open(breaker, now);
	} else {
		breaker->state = BREAKER_OPEN;
	}
}

void breaker_ended(
		struct breaker *breaker, uint64_t now, enum breaker_pass pass, enum breaker_end end)
{
	if (pass == BREAKER_TRIAL)
		end_trial(breaker, now, end);
	else if (breaker->state == BREAKER_CLOSED && (end == BREAKER_GOOD || end == BREAKER_FAILED))
		count(breaker, now, end == BREAKER_FAILED);
}
