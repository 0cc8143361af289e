/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The health of a source, alike for sources of every kind: whoever asks says how it ended.
 */
#include "pipeline/resources/source.h"

#include "pipeline/base/lesser.h"

/* So often it is spared before it is asked once; half as often after each good answer in a row to
 * that. */
#define SPARED_TIMES 50U
#define HALVED_MAX   5

const struct option source_breaker_options[] = {
		{.key = "failures",
				.kind = OPTION_PERCENT,
				.fallback = "10%",
				.min = 1,
				.help = "how much of what was asked must have failed"},
		{.key = "of",
				.kind = OPTION_NUMBER,
				.fallback = "100",
				.max = 1000000,
				.help = "so many must have ended; `0`: it never opens"},
		{.key = "within",
				.kind = OPTION_DURATION,
				.fallback = "30s",
				.min = 10000000,
				.max = OPTION_DURATION_MAX,
				.help = "what ended before is forgotten"},
		{.key = "open",
				.kind = OPTION_DURATION,
				.fallback = "5s",
				.min = 1000000,
				.max = OPTION_DURATION_MAX,
				.help = "how long it is left alone before one is let through"},
		{.key = NULL},
};

void source_configure(struct source *source, const struct option_map *options)
{
	const struct option_map *map = option_get(options, "breaker")->map;
	struct breaker_settings settings = {
			.failures = (uint32_t)option_number(map, "failures"),
			.of = (uint32_t)option_number(map, "of"),
			.within = option_number(map, "within"),
			.open = option_number(map, "open"),
	};
	breaker_init(&source->breaker, &settings);
	retry_budget_init(&source->spare, (uint32_t)option_number(options, "spare"));
}

static void tell(struct source *source, enum breaker_state before)
{
	if (source->breaker.state != before && source->breaker_changed)
		source->breaker_changed(source->breaker_user, source);
}

static bool spared_for_long(const struct source *source)
{
	return source->spared >= SPARED_TIMES >> source->good_in_a_row;
}

bool source_spared(struct source *source, bool slow)
{
	if (!slow && retry_budget_allows(&source->spare)) {
		source->good_in_a_row = 0;
		return false;
	}
	if (spared_for_long(source))
		return false;
	source->spared++;
	return true;
}

struct source_pass source_ask(struct source *source, uint64_t now)
{
	enum breaker_state before = source->breaker.state;
	struct source_pass pass = {breaker_ask(&source->breaker, now), spared_for_long(source)};
	source->spared = 0;
	tell(source, before);
	return pass;
}

/* One that was late is as slow as it was said to be; that others were quicker, or nobody wanted it
 * any more, says nothing. */
static void count_in_a_row(struct source *source, bool tries, enum breaker_end end)
{
	if (end == BREAKER_GOOD && tries)
		source->good_in_a_row = (uint32_t)lesser(source->good_in_a_row + 1, HALVED_MAX);
	else if (end == BREAKER_FAILED || (end == BREAKER_LATE && tries))
		source->good_in_a_row = 0;
}

void source_ended(
		struct source *source, uint64_t now, struct source_pass pass, enum breaker_end end)
{
	enum breaker_state before = source->breaker.state;
	if (end == BREAKER_GOOD)
		retry_budget_succeeded(&source->spare);
	else if (end == BREAKER_FAILED)
		retry_budget_failed(&source->spare);
	count_in_a_row(source, pass.tries, end);
	breaker_ended(&source->breaker, now, pass.breaker, end);
	tell(source, before);
}
