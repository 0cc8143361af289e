/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each reply answers, and what stands in it.
 */
#include "tests/sim/witness_parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/wire/wire.h"

/*
 * Of twins whose replies look alike, whether the first is more likely meant. Replies leave in the
 * order in which they were told; one that is discarded was told last; and to a client that is gone
 * the outbox says nothing before it is dropped.
 */
static bool before(const struct seen *one, const struct seen *other, enum fate fate)
{
	if (fate == FATE_GONE && one->held != other->held)
		return other->held;
	return (one->told > other->told) == (fate == FATE_DISCARDED);
}

/* The request that a reply is for: told, its reply has not left. NOBODY: there is none. */
static uint32_t awaits(const struct witness *witness, uint32_t peer, const char *envelope,
		const struct wire_reply *reply, enum fate fate)
{
	uint32_t found = NOBODY;
	uint32_t id = (uint32_t)strtoul(reply->id.data + 1, NULL, 10);
	for (uint32_t i = witness->by_id[id]; i != NOBODY; i = witness->requests[i].next_of_id) {
		const struct seen *seen = &witness->requests[i];
		bool fits = seen->state == TOLD && seen->peer == peer &&
			    seen->status == reply->status &&
			    reply->us == (seen->told_at - seen->received) / 1000 &&
			    reply->parts == seen->parts.told &&
			    reply->duplicate == (seen->foretold == FORETOLD_TWIN);
		if (!fits || (envelope && witness_planned(witness, i)->envelope !=
							     (*envelope != '\0')))
			continue;
		if (found == NOBODY || before(seen, &witness->requests[found], fate))
			found = i;
	}
	return found;
}

/* The request that a reply is for, NOBODY for what answers no request of the plan. */
static uint32_t find(struct witness *witness, uint32_t peer, const char *envelope, struct text text,
		enum fate fate, struct wire_reply *ret_reply)
{
	if (wire_parse_reply(text, ret_reply)) {
		witness_complain(witness, "what is sent is no reply");
		return NOBODY;
	}
	witness->fates[fate]++;
	if (ret_reply->id.data && ret_reply->id.data[0] == 'q' && fate != FATE_REFUSED)
		witness_ponged(witness, peer, ret_reply);
	if (!ret_reply->id.data || ret_reply->id.data[0] != 'r')
		return NOBODY;
	uint32_t number = awaits(witness, peer, envelope, ret_reply, fate);
	if (number == NOBODY)
		witness_complain(witness, "a reply %.*s that nobody awaits",
				TEXT_ARG(ret_reply->id));
	return number;
}

/* How old what was there before it came may be when it is given. What is kept begins to age when
 * all of it is there. */
static uint64_t oldest_of(const struct witness *witness, uint32_t number)
{
	const struct shape *shape = witness_shape(witness, number);
	if (shape->kind != SHAPE_TREE)
		return shape->ttl;
	return shape->ttl + shape->caches * witness->plan->configuration.max_deadline;
}

/* Each value in a body says which run gave it. */
static void check_value(struct witness *witness, uint32_t number, uint32_t run)
{
	const struct planned *planned = witness_planned(witness, number);
	const struct seen *seen = &witness->requests[number];
	const struct seen_run *from = &witness->runs[run];
	uint64_t oldest = oldest_of(witness, number);
	uint64_t at = seen->state == TOLD ? seen->told_at : witness_now(witness);
	if (run >= witness->run_count || !from->good || from->ended > at)
		witness_complain(witness, "request %" PRIu32 " got a value that nobody gave",
				number);
	else if (from->key != planned->key || (from->request != NOBODY && from->request != number))
		witness_complain(witness, "request %" PRIu32 " got the value of another", number);
	else if (from->ended < seen->since && witness_age(witness, run, at) >= oldest)
		witness_complain(
				witness, "request %" PRIu32 " got a value that is too old", number);
}

/* `null` is what some lookups make of "there is none", and of nothing else. */
static void check_null(struct witness *witness, uint32_t number)
{
	uint32_t key = witness_planned(witness, number)->key;
	uint32_t run = witness->given[key][STATUS_NOT_FOUND];
	if (!witness_shape(witness, number)->forgives || run == 0 ||
			witness_age(witness, run, witness->requests[number].received) >
					oldest_of(witness, number))
		witness_complain(witness, "request %" PRIu32 " got null for what is no lack",
				number);
}

/* What holds an answer that is partial says so itself: at once, or in the reply that ends its
 * parts.
 */
static void check_whole(struct witness *witness, uint32_t number, uint32_t run,
		const struct wire_reply *reply)
{
	if (run >= witness->run_count || !witness->runs[run].partial)
		return;
	if (reply->status == STATUS_MORE)
		witness->requests[number].parts.lacking = true;
	else if (!reply->partial)
		witness_complain(witness, "request %" PRIu32 " got a source's part for the whole",
				number);
}

void witness_check_body(struct witness *witness, uint32_t number, const struct wire_reply *reply)
{
	static const char head[] = "\"run\":";
	const char *at = reply->body.data;
	const char *end = at ? at + reply->body.size : NULL; /* a condition may leave no value */
	if (reply->partial)
		coverage_meet(witness->coverage, MET_PARTIAL);
	else if (at && reply->status == STATUS_OK && memmem(at, reply->body.size, "$missing", 8))
		witness_complain(witness, "request %" PRIu32 " got a part for the whole", number);
	if (!at)
		witness_gate_gave(witness, number, 0);
	else if (text_equal(reply->body, TEXT("null")))
		check_null(witness, number);
	while (at && (at = memmem(at, (size_t)(end - at), head, sizeof(head) - 1)) != NULL) {
		at += sizeof(head) - 1;
		uint32_t run = (uint32_t)strtoul(at, NULL, 10);
		check_value(witness, number, run);
		check_whole(witness, number, run, reply);
		witness_cache_gave(witness, number, run, reply);
		witness_generation_gave(witness, number, run, reply);
		witness_gate_gave(witness, number, run);
	}
}

/* As a plan has them: `e`, or none. */
static const char *name_of(struct text envelope)
{
	return envelope.size > 0 ? "e" : "";
}

void witness_replied(struct witness *witness, uint32_t peer, struct text envelope, struct text text)
{
	struct wire_reply reply;
	if (witness_part_left(witness, peer, name_of(envelope), text))
		return;
	uint32_t number = find(witness, peer, name_of(envelope), text, FATE_TAKEN, &reply);
	if (number == NOBODY)
		return;
	struct seen *seen = &witness->requests[number];
	if (seen->in_flight || !witness_is_refusal(seen)) {
		if (seen->told < witness->peers[peer].latest)
			witness_complain(witness, "reply %" PRIu32 " overtook another", number);
		witness->peers[peer].latest = seen->told;
	}
	if (reply.status == STATUS_OK)
		witness_check_body(witness, number, &reply);
	else if (reply.partial)
		witness_complain(witness, "request %" PRIu32 " got an error that is partial",
				number);
	witness_stream_ended(witness, number, &reply);
	witness_race_replied(witness, number, &reply);
	if (reply.status == STATUS_RESOURCE_EXHAUSTED)
		witness_shed_refused(witness, number, reply.body);
	witness_check_retry(witness, number, &reply);
	witness_check_cache(witness, number, &reply);
	witness_leave(witness, seen);
}

void witness_refused(struct witness *witness, uint32_t peer, struct text envelope, struct text text)
{
	struct wire_reply reply;
	if (witness_part_refused(witness, peer, name_of(envelope), text))
		return;
	uint32_t number = find(witness, peer, name_of(envelope), text, FATE_REFUSED, &reply);
	if (number == NOBODY)
		return;
	const struct seen *seen = &witness->requests[number];
	bool is_full = witness->peers[peer].in_flight >= witness->plan->configuration.per_client;
	if (!seen->held && (seen->in_flight || !(is_full || witness_is_refusal(seen))))
		witness_hold(witness, number);
	if (witness->batching)
		witness_hold_behind(witness, number);
}

void witness_gone(struct witness *witness, uint32_t peer, struct text envelope, struct text text)
{
	struct wire_reply reply;
	if (witness_part_left(witness, peer, name_of(envelope), text))
		return;
	uint32_t number = find(witness, peer, name_of(envelope), text, FATE_GONE, &reply);
	if (number != NOBODY)
		witness_leave(witness, &witness->requests[number]);
}

void witness_discarded(struct witness *witness, uint32_t peer, struct text text)
{
	struct wire_reply reply;
	if (witness_part_discarded(witness, peer, text))
		return;
	uint32_t number = find(witness, peer, NULL, text, FATE_DISCARDED, &reply);
	if (number == NOBODY)
		return;
	struct seen *seen = &witness->requests[number];
	bool going = witness_is_going(witness, seen->peer);
	witness->dropped += seen->held;
	if (!going && !witness_is_refusal(seen) &&
			witness_count_in_flight(witness, seen->peer) <=
					witness->plan->configuration.per_client)
		witness_complain(witness, "reply %" PRIu32 " was dropped without need", number);
	witness_leave(witness, seen);
}
