/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in flight, and replies that wait for clients who do not read.
 */
#include "tests/sim/witness_parts.h"

#include <inttypes.h>

void witness_enter_flight(struct witness *witness, struct seen *seen)
{
	struct seen_generation *generation = &witness->generations[seen->generation - 1];
	seen->in_flight = true;
	witness->in_flight++;
	witness->peers[seen->peer].in_flight++;
	generation->in_flight++;
	generation->waited += seen->waited;
}

void witness_leave(struct witness *witness, struct seen *seen)
{
	struct seen_peer *peer = &witness->peers[seen->peer];
	struct seen_generation *generation = &witness->generations[seen->generation - 1];
	/* What empties an outbox has started all that were read before. */
	if (seen->held && witness->batching)
		witness_catch_up(witness, NOBODY);
	seen->state = LEFT;
	if (seen->in_flight) {
		witness->in_flight--;
		peer->in_flight--;
		generation->in_flight--;
		generation->waited -= seen->waited;
		seen->in_flight = false;
	}
	if (seen->held) {
		seen->held = false;
		peer->held--;
		peer->unread_since = witness_now(witness);
	}
}

bool witness_is_refusal(const struct seen *seen)
{
	return seen->foretold != FORETOLD_NOTHING || seen->status == STATUS_RESOURCE_EXHAUSTED ||
	       seen->status == STATUS_INVALID_ARGUMENT;
}

bool witness_is_kept(const struct witness *witness, const struct seen *seen)
{
	return seen->in_flight ||
	       (!witness_is_refusal(seen) &&
			       witness->peers[seen->peer].in_flight <
					       witness->plan->configuration.per_client);
}

/* Whose turn has not been seen may have had it before what happens now. */
static void doubt(struct witness *witness)
{
	for (size_t i = witness->sent_known; i < witness->sent_count; i++)
		witness->requests[witness->sent[i]].unsure = true;
}

void witness_hold(struct witness *witness, uint32_t number)
{
	struct seen *seen = &witness->requests[number];
	struct seen_peer *peer = &witness->peers[seen->peer];
	seen->held = true;
	if (!seen->in_flight && witness_is_refusal(seen))
		witness_complain(witness, "the refusal of %" PRIu32 " is kept", number);
	if (!seen->in_flight) {
		witness_enter_flight(witness, seen);
		doubt(witness);
	}
	if (peer->held++ == 0)
		peer->unread_since = witness_now(witness);
	coverage_meet(witness->coverage, MET_HELD);
}

void witness_hold_behind(struct witness *witness, uint32_t number)
{
	uint32_t peer = witness->requests[number].peer;
	for (size_t i = 0; i < witness->unsettled_count; i++) {
		uint32_t other = witness->unsettled[i];
		const struct seen *seen = &witness->requests[other];
		if (seen->peer == peer && seen->state == TOLD && !seen->held &&
				witness_is_kept(witness, seen))
			witness_hold(witness, other);
	}
}

void witness_settle(struct witness *witness)
{
	for (size_t i = 0; i < witness->unsettled_count; i++) {
		const struct seen *seen = &witness->requests[witness->unsettled[i]];
		if (seen->state == TOLD && !seen->held)
			witness_hold(witness, witness->unsettled[i]);
	}
	witness->told_in_stretch += witness->unsettled_count;
	witness->unsettled_count = 0;
}

uint64_t witness_count_in_flight(const struct witness *witness, uint32_t peer)
{
	uint64_t count = witness->peers[peer].in_flight;
	for (size_t i = 0; i < witness->unsettled_count; i++) {
		const struct seen *seen = &witness->requests[witness->unsettled[i]];
		count += seen->peer == peer && seen->state == TOLD && !seen->in_flight;
	}
	for (size_t i = witness->sent_known; i < witness->sent_count; i++) {
		const struct seen *seen = &witness->requests[witness->sent[i]];
		count += seen->peer == peer && seen->state == UNSEEN;
	}
	return count;
}

bool witness_is_going(struct witness *witness, uint32_t number)
{
	struct seen_peer *peer = &witness->peers[number];
	uint64_t patience = witness->plan->configuration.client_stall;
	if (peer->held > 0 && peer->unread_since + patience <= witness_now(witness))
		peer->leaving = true;
	return peer->leaving || witness->dropping;
}

/* However little it reads, it has not stalled. */
void witness_read(struct witness *witness, uint32_t peer)
{
	witness->peers[peer].unread_since = witness_now(witness);
}

void witness_stalled(struct witness *witness, uint32_t peer)
{
	if (!witness->peers[peer].leaving)
		witness_complain(witness, "a client is let go of that has not stalled");
	coverage_meet(witness->coverage, MET_STALL);
	witness_after_leave(witness, peer);
}

void witness_before_leave(struct witness *witness, uint32_t peer)
{
	/* It may have been cancelled in this turn, and its reply waits behind others. */
	if (!witness->batching)
		witness_settle(witness);
	witness->peers[peer].leaving = true;
}

void witness_after_leave(struct witness *witness, uint32_t peer)
{
	witness->peers[peer].leaving = false;
	if (witness->peers[peer].in_flight > 0)
		witness_complain(witness, "a request outlived its client");
}

void witness_check_outboxes(struct witness *witness)
{
	uint64_t patience = witness->plan->configuration.client_stall + TICK_NS;
	for (uint32_t i = 0; i < witness->harness->peer_count; i++) {
		const struct seen_peer *peer = &witness->peers[i];
		if (peer->held > 0 && peer->unread_since + patience <= witness_now(witness))
			witness_complain(witness, "a client that does not read is kept");
	}
}
