/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fan-out gives, written as its rules say, and held against what it gave: every good answer
 * in the order of `to`, nothing else, and who is missing and why; or every cause of a failure.
 */
#include <inttypes.h>
#include <string.h>

#include "pipeline/base/buffer.h"
#include "pipeline/wire/wire.h"
#include "tests/sim/witness_parts.h"

struct body {
	const struct witness *witness;
	const struct race *race;
	const struct seen_race *seen;
	uint32_t key;
	struct buffer text;
	bool partial;
};

static void write_value(struct body *body, const struct seen_branch *branch)
{
	char text[ANSWER_MAX];
	answer_write(text, &branch->answer);
	body->partial |= branch->answer.partial;
	buffer_append(&body->text, text_of(text));
}

static void write_comma(struct body *body, const char *after)
{
	if (body->text.data[body->text.size - 1] != *after)
		buffer_append_char(&body->text, ',');
}

static void write_missing(struct body *body, const struct seen_branch *branches)
{
	write_comma(body, "{");
	buffer_append(&body->text, TEXT("\"$missing\":{"));
	for (int i = 0; i < SOURCES; i++) {
		enum status status = witness_race_failure(body->seen, &branches[i]);
		if (status == STATUS_OK)
			continue;
		write_comma(body, "{");
		buffer_append_format(&body->text, "\"%s\":\"%s\"", source_names[i],
				status_text(status).data);
	}
	buffer_append_char(&body->text, '}');
}

/* Without the bracket that closes it: `$source` and `$missing` come behind its own members. */
static void write_best(struct body *body, const struct seen_branch *branches)
{
	int best = -1;
	for (int i = 0; i < SOURCES; i++) {
		bool better = best < 0 ||
			      (body->race->lowest ? branches[i].answer.run < branches[best].answer
											      .run
						  : branches[i].answer.run > branches[best].answer
											      .run);
		if (branches[i].state == BRANCH_GOOD && better)
			best = i;
	}
	write_value(body, &branches[best]);
	body->text.size--;
	buffer_append_format(&body->text, ",\"$source\":\"%s\"", source_names[best]);
}

static void write_members(struct body *body, const struct seen_branch *branches)
{
	buffer_append_char(&body->text, '{');
	for (int i = 0; i < SOURCES; i++) {
		if (branches[i].state != BRANCH_GOOD)
			continue;
		write_comma(body, "{");
		buffer_append_format(&body->text, "\"%s\":", source_names[i]);
		write_value(body, &branches[i]);
	}
}

static void write_winner(struct body *body, const struct seen_branch *branches)
{
	for (int i = 0; i < SOURCES; i++) {
		if (branches[i].state == BRANCH_GOOD)
			write_value(body, &branches[i]);
	}
}

static uint32_t count_good(const struct seen_branch *branches)
{
	uint32_t good = 0;
	for (int i = 0; i < SOURCES; i++)
		good += branches[i].state == BRANCH_GOOD;
	return good;
}

static void write_group(struct body *body, const struct seen_branch *branches)
{
	bool partial = count_good(branches) < body->race->needed;
	body->partial |= partial;
	if (body->race->any) {
		write_winner(body, branches);
		return;
	}
	if (body->race->lowest || body->race->highest)
		write_best(body, branches);
	else
		write_members(body, branches);
	if (partial)
		write_missing(body, branches);
	buffer_append_char(&body->text, '}');
}

static void write_each(struct body *body, uint32_t groups)
{
	bool lacks = false;
	buffer_append_char(&body->text, '{');
	for (uint32_t i = 0; i < groups; i++) {
		if (count_good(body->seen->branches[i]) == 0)
			continue;
		write_comma(body, "{");
		buffer_append_format(&body->text, "\"k%" PRIu32 ".%" PRIu32 "\":", body->key, i);
		write_group(body, body->seen->branches[i]);
	}
	for (uint32_t i = 0; i < groups; i++) {
		enum status status =
				witness_race_group_status(body->race, body->seen, i, STATUS_OK);
		if (count_good(body->seen->branches[i]) > 0)
			continue;
		write_comma(body, "{");
		if (!lacks)
			buffer_append(&body->text, TEXT("\"$missing\":{"));
		lacks = true;
		buffer_append_format(&body->text, "\"k%" PRIu32 ".%" PRIu32 "\":\"%s\"", body->key,
				i, status_text(status).data);
	}
	body->partial |= lacks;
	buffer_append(&body->text, lacks ? TEXT("}}") : TEXT("}"));
}

/* Nothing else may refuse what has been won. */
static void check_large(struct witness *witness, uint32_t number, struct text due,
		const struct wire_reply *reply)
{
	static const char why[] = "so large a reply";
	bool whole = witness->requests[number].parts.told == 0;
	if (!whole || due.size < REPLY_LARGE ||
			!memmem(reply->body.data, reply->body.size, why, sizeof(why) - 1))
		witness_complain(witness,
				"request %" PRIu32 " has won %zu bytes, and is refused: %.*s",
				number, due.size, TEXT_ARG(reply->body));
}

static void check_value(struct witness *witness, uint32_t number, const struct wire_reply *reply)
{
	struct body body = {
			.witness = witness,
			.race = witness_race_of(witness, number),
			.seen = &witness->requests[number].race,
			.key = witness_planned(witness, number)->key,
	};
	buffer_init(&body.text);
	if (body.race->each)
		write_each(&body, witness_race_groups(witness, number));
	else
		write_group(&body, body.seen->branches[0]);
	struct text due = buffer_text(&body.text);
	bool whole = witness->requests[number].parts.told == 0;
	if (reply->status != STATUS_OK)
		check_large(witness, number, due, reply);
	else if (whole && !text_equal(due, reply->body))
		witness_complain(witness, "request %" PRIu32 " got %.*s and not %.*s", number,
				TEXT_ARG(reply->body), TEXT_ARG(due));
	if (reply->status == STATUS_OK && reply->partial != body.partial)
		witness_complain(witness, "request %" PRIu32 " is said to be %s", number,
				reply->partial ? "partial" : "whole");
	buffer_deinit(&body.text);
}

static uint32_t count(struct text text, const char *what)
{
	uint32_t count = 0;
	const char *end = text.data + text.size;
	for (const char *at = text.data; at; count += at != NULL) {
		at = memmem(at, (size_t)(end - at), what, strlen(what));
		at = at ? at + 1 : NULL;
	}
	return count;
}

/* Each source that failed stands among the causes, as often as it did. */
static void check_causes(struct witness *witness, uint32_t number, const struct wire_reply *reply)
{
	const struct race *race = witness_race_of(witness, number);
	const struct seen_race *seen = &witness->requests[number].race;
	for (int i = 0; i < SOURCES; i++) {
		char stage[32];
		uint32_t failed = 0;
		for (uint32_t group = 0; group < witness_race_groups(witness, number); group++)
			failed += count_good(seen->branches[group]) < race->needed &&
				  witness_race_failure(seen, &seen->branches[group][i]) !=
						  STATUS_OK;
		(void)snprintf(stage, sizeof(stage), "/%s\"", source_names[i]);
		uint32_t named = count(reply->body, stage);
		/* The first whose time is over may have ended it for those with the same limit. */
		bool cut = race->fail_fast && seen->expired;
		if (named > failed || (named < failed && !cut))
			witness_complain(witness,
					"request %" PRIu32 " names %s not %" PRIu32 " times: %.*s",
					number, source_names[i], failed, TEXT_ARG(reply->body));
	}
}

void witness_race_replied(struct witness *witness, uint32_t number, const struct wire_reply *reply)
{
	const struct seen_race *race = &witness->requests[number].race;
	if (!race->known)
		return;
	if (race->won)
		check_value(witness, number, reply);
	else
		check_causes(witness, number, reply);
}
