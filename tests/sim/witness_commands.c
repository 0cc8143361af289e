/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands: a $cancel ends whom it names at once and nobody else, and a $ping has one answer, which
 * says whether the daemon still lets anybody in.
 */
#include "tests/sim/witness_parts.h"

#include <inttypes.h>

#include "pipeline/wire/wire.h"

void witness_before_cancel(struct witness *witness, uint32_t number, uint32_t peer)
{
	witness->cancelling = number;
	witness->commanding = peer;
}

bool witness_is_asked(const struct witness *witness, uint32_t number)
{
	if (witness->cancelling == NOBODY)
		return false;
	const struct planned *named = witness_planned(witness, witness->cancelling);
	const struct planned *planned = witness_planned(witness, number);
	return planned->id == named->id && planned->envelope == named->envelope &&
	       witness->requests[number].peer == witness->commanding;
}

void witness_after_cancel(struct witness *witness)
{
	const struct planned *named = witness_planned(witness, witness->cancelling);
	/* Whoever was read before it has been started by now. */
	witness_catch_up(witness, NOBODY);
	for (uint32_t i = witness->by_id[named->id]; i != NOBODY;
			i = witness->requests[i].next_of_id) {
		if (witness->requests[i].state == WAITING && witness_is_asked(witness, i))
			witness_complain(
					witness, "request %" PRIu32 " goes on though cancelled", i);
	}
	witness->cancelling = NOBODY;
}

void witness_before_ping(struct witness *witness, uint32_t peer)
{
	witness->commanding = peer;
	witness->pongs = 0;
}

void witness_ponged(struct witness *witness, uint32_t peer, const struct wire_reply *reply)
{
	enum status due = witness->draining ? STATUS_UNAVAILABLE : STATUS_OK;
	witness->pongs++;
	if (reply->status != due)
		witness_complain(witness, "a ping is answered %s", status_text(reply->status).data);
	if (peer != witness->commanding)
		witness_complain(witness, "a ping is answered to another client");
}

void witness_after_ping(struct witness *witness)
{
	if (witness->pongs != 1)
		witness_complain(witness, "a ping has %" PRIu32 " answers", witness->pongs);
}
