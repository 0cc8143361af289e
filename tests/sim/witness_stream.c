/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers in parts: each part is the next of a request that wanted them, none comes after the last
 * reply, which says how many there were; together they hold each good answer once. Of one request
 * no more than one waits in the outbox; and of a BOARD nothing is asked for which there would be no
 * room, if its client read nothing from now on.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/requests/record.h"
#include "tests/sim/witness_parts.h"

#define MARGIN (3 * WORLD_MS) /* before a deadline a partial answer is made of what came */

/* Its request: one that goes on, or whose last reply has not left. Twins are never both in flight;
 * where the envelope is not known, its number must tell, and that it is known to have waited. */
static uint32_t find(const struct witness *witness, uint32_t peer, const char *envelope,
		const struct wire_reply *reply)
{
	uint32_t found = NOBODY;
	uint32_t id = (uint32_t)strtoul(reply->id.data + 1, NULL, 10);
	for (uint32_t i = witness->by_id[id]; i != NOBODY; i = witness->requests[i].next_of_id) {
		const struct seen *seen = &witness->requests[i];
		const struct planned *planned = witness_planned(witness, i);
		bool fits = envelope ? planned->envelope == (*envelope != '\0')
				     : seen->parts.left + 1 == reply->seq;
		if (seen->peer != peer || seen->state == LEFT || !planned->stream || !fits)
			continue;
		if (!envelope && seen->parts.held)
			return i;
		/* Those that are not seen to be in flight start in their order; a twin is refused.
		 */
		if (found == NOBODY || seen->in_flight || !witness->requests[found].in_flight)
			found = i;
	}
	return found;
}

/* False: it is no part, or none of a request that is known. */
static bool read_part(struct witness *witness, uint32_t peer, const char *envelope,
		struct text text, struct wire_reply *ret, uint32_t *ret_number)
{
	if (wire_parse_reply(text, ret) || ret->status != STATUS_MORE)
		return false;
	*ret_number = ret->id.data && ret->id.data[0] == 'r' ? find(witness, peer, envelope, ret)
							     : NOBODY;
	if (*ret_number == NOBODY)
		witness_complain(witness, "a part of %.*s that nobody awaits", TEXT_ARG(ret->id));
	else if (ret->seq != witness->requests[*ret_number].parts.left + 1)
		witness_complain(witness, "request %" PRIu32 " has part %" PRIu64 " after %" PRIu32,
				*ret_number, ret->seq, witness->requests[*ret_number].parts.left);
	return true;
}

static void end_hold(struct witness *witness, struct seen *seen)
{
	struct seen_peer *peer = &witness->peers[seen->peer];
	if (seen->parts.held)
		peer->held--;
	seen->parts.held = false;
	peer->unread_since = witness_now(witness);
}

/* No answer is given twice. */
static void check_once(struct witness *witness, uint32_t number, struct text body)
{
	const struct text head = TEXT("\"run\":");
	const char *at = memmem(body.data, body.size, head.data, head.size);
	uint32_t run = at ? (uint32_t)strtoul(at + head.size, NULL, 10) : 0;
	if (run == 0 || run >= witness->run_count)
		return;
	if (witness->runs[run].given)
		witness_complain(witness, "request %" PRIu32 " got an answer twice", number);
	witness->runs[run].given = true;
}

bool witness_part_left(
		struct witness *witness, uint32_t peer, const char *envelope, struct text text)
{
	struct wire_reply reply;
	uint32_t number;
	if (!read_part(witness, peer, envelope, text, &reply, &number))
		return false;
	if (number == NOBODY)
		return true;
	struct seen *seen = &witness->requests[number];
	bool lacking = memmem(reply.body.data, reply.body.size, "$missing", 8);
	end_hold(witness, seen);
	seen->parts.left++;
	seen->parts.lacking |= lacking;
	seen->parts.gave += !lacking;
	check_once(witness, number, reply.body);
	witness_check_body(witness, number, &reply);
	coverage_meet(witness->coverage, MET_PART);
	return true;
}

bool witness_part_refused(
		struct witness *witness, uint32_t peer, const char *envelope, struct text text)
{
	struct wire_reply reply;
	uint32_t number;
	if (!read_part(witness, peer, envelope, text, &reply, &number))
		return false;
	if (number == NOBODY || witness->requests[number].parts.held)
		return true;
	witness->requests[number].parts.held = true;
	if (witness->peers[peer].held++ == 0)
		witness->peers[peer].unread_since = witness_now(witness);
	coverage_meet(witness->coverage, MET_PART_HELD);
	return true;
}

bool witness_part_discarded(struct witness *witness, uint32_t peer, struct text text)
{
	struct wire_reply reply;
	uint32_t number;
	if (!read_part(witness, peer, NULL, text, &reply, &number))
		return false;
	if (number == NOBODY)
		return true;
	if (!witness_is_going(witness, peer))
		witness_complain(witness, "a part of %" PRIu32 " was dropped without need", number);
	end_hold(witness, &witness->requests[number]);
	return true;
}

/* NULL: it is for no BOARD. */
static const struct race *board_of(const struct witness *witness, uint32_t number)
{
	const struct shape *shape = witness_shape(witness, number);
	return shape && shape->kind == SHAPE_BOARD ? &shape->race : NULL;
}

void witness_stream_asked(struct witness *witness, uint32_t number)
{
	const struct race *board = board_of(witness, number);
	struct seen_parts *parts = &witness->requests[number].parts;
	parts->asked++;
	if (!board || !witness_planned(witness, number)->stream)
		return;
	/* One may wait in the outbox behind others, and then nobody has seen it. */
	uint32_t most = 1 + (board->ahead > board->sources ? board->ahead : board->sources);
	uint32_t unread = parts->came - parts->gave;
	if (parts->asked + unread > most)
		witness_complain(witness,
				"request %" PRIu32 " has asked for %" PRIu32
				" answers while %" PRIu32 " are not read",
				number, parts->asked, unread);
}

void witness_stream_answered(struct witness *witness, uint32_t number, bool good)
{
	struct seen_parts *parts = &witness->requests[number].parts;
	parts->asked--;
	parts->came += good;
}

void witness_stream_told(struct witness *witness, uint32_t number, const struct record *record)
{
	struct seen *seen = &witness->requests[number];
	struct seen_parts *parts = &seen->parts;
	parts->told = (uint32_t)record->parts;
	if (parts->told < parts->left || parts->told > parts->left + 1)
		witness_complain(witness,
				"request %" PRIu32 " says that it had %" PRIu32 " parts, %" PRIu32
				" have left",
				number, parts->told, parts->left);
	if (board_of(witness, number))
		parts->exact = witness_now(witness) + MARGIN < seen->deadline;
	if (record->reason != REASON_NONE && parts->told > 0)
		coverage_meet(witness->coverage, MET_PARTS_CUT);
}

void witness_stream_ended(struct witness *witness, uint32_t number, const struct wire_reply *reply)
{
	const struct seen_parts *parts = &witness->requests[number].parts;
	if (reply->parts != parts->left || parts->held)
		witness_complain(witness,
				"request %" PRIu32 " ends after %" PRIu64 " parts, but %" PRIu32
				" have left",
				number, reply->parts, parts->left);
	if (reply->status != STATUS_OK || parts->left == 0)
		return;
	if (!text_equal(reply->body, TEXT("{}")))
		witness_complain(witness, "request %" PRIu32 " ends its parts with more", number);
	if (parts->lacking && !reply->partial)
		witness_complain(witness, "request %" PRIu32 " got parts for the whole", number);
	if (parts->exact && parts->gave != parts->came)
		witness_complain(witness,
				"request %" PRIu32 " got %" PRIu32 " of %" PRIu32 " good answers",
				number, parts->gave, parts->came);
}

bool witness_stream_waits(const struct witness *witness, uint32_t number)
{
	return witness_planned(witness, number)->stream &&
	       witness->peers[witness->requests[number].peer].held > 0;
}
