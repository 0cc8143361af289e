/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients do, and the end of the daemon.
 */
#include "tests/sim/history_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CUT_ANSWERS 200 /* that come in the turn of a cut */

/* The client's connection, a new one if it has none. NULL: there were too many already. */
static struct peer *peer_of(struct history *history, uint32_t client)
{
	struct peer *peer = history->peers[client];
	if (!peer || !peer->client)
		history->peers[client] = peer = harness_connect(&history->harness);
	return peer;
}

static void write_padding(struct buffer *buffer, uint32_t bytes)
{
	buffer_append(buffer, TEXT(",\"pad\":\""));
	while (bytes-- > 0)
		buffer_append_char(buffer, 'x');
	buffer_append_char(buffer, '"');
}

static void write_request(struct buffer *buffer, const struct plan *plan, uint32_t number)
{
	const struct planned *planned = &plan->requests[number];
	buffer_append_format(buffer, "p%" PRIu32 " r%" PRIu32 " ", planned->shape, planned->id);
	if (planned->budget_ms == NO_BUDGET)
		buffer_append_char(buffer, '-');
	else
		buffer_append_u64(buffer, planned->budget_ms);
	buffer_append_format(buffer, "%s%s trace=t%" PRIu32 "\n{\"k\":\"k%" PRIu32 "\",\"l\":[",
			planned->stream ? " stream=1" : "", planned->fresh ? " fresh=1" : "",
			number, planned->key);
	for (uint32_t i = 0; i < planned->key % 4; i++)
		buffer_append_format(buffer, "%s\"k%" PRIu32 ".%" PRIu32 "\"", i > 0 ? "," : "",
				planned->key, i);
	buffer_append_format(buffer, "],\"n\":%" PRIu32, number + 1);
	if (planned->padding > 0)
		write_padding(buffer, planned->padding);
	buffer_append_char(buffer, '}');
}

static struct text envelope_of(const struct planned *planned)
{
	return planned->envelope ? TEXT("e") : (struct text){"", 0};
}

static void send(struct history *history, struct peer *peer, uint32_t number)
{
	struct witness *witness = &history->witness;
	const struct planned *planned = &history->plan->requests[number];
	uint64_t received = history_async(history)->now;
	struct buffer message;
	buffer_init(&message);
	write_request(&message, history->plan, number);
	if (history->plan->lagging)
		received -= random_below(&history->random, WORLD_MS);
	history_tell(history, peer, ": %s%.*s", planned->envelope ? "[e] " : "",
			TEXT_ARG(buffer_text(&message)));
	witness_before_send(witness, number, history_index(history, peer), received);
	peer_send_text(peer, envelope_of(planned), buffer_text(&message), received);
	buffer_deinit(&message);
	witness_after_send(witness, number);
}

void history_cancel(struct history *history, struct peer *peer, uint32_t number)
{
	const struct planned *planned = &history->plan->requests[number];
	char message[64];
	int size = snprintf(message, sizeof(message), "$cancel r%" PRIu32 " -", planned->id);
	history_tell(history, peer, ": %s%s", planned->envelope ? "[e] " : "", message);
	witness_before_cancel(&history->witness, number, history_index(history, peer));
	peer_send_text(peer, envelope_of(planned), (struct text){message, (size_t)size},
			history_async(history)->now);
	witness_after_cancel(&history->witness);
}

void history_leave(struct history *history, struct peer *peer)
{
	history_tell(history, peer, " leaves");
	witness_before_leave(&history->witness, history_index(history, peer));
	peer_leave(peer);
	witness_after_leave(&history->witness, history_index(history, peer));
}

static void ping(struct history *history, struct peer *peer)
{
	history_tell(history, peer, ": $ping q1 -");
	witness_before_ping(&history->witness, history_index(history, peer));
	peer_send(peer, "$ping q1 -");
	witness_after_ping(&history->witness);
}

static void send_garbage(struct peer *peer, uint32_t number)
{
	static const char *const garbage[] = {"", " ", "p0", "p0 g1", "p0 - -", "p0 g -\n[]",
			"p0 g -\n{\"k\":", "p0 g 1x", "$what g -", "p0  g -", "p0 g - stream=1",
			"$cancel", "$cancel g", "p0 g -\n{}"};
	peer_send(peer, garbage[number % (sizeof(garbage) / sizeof(garbage[0]))]);
}

static void reload(struct history *history)
{
	history_tell(history, NULL, "reload");
	if (!harness_reload(&history->harness, history->plan->configuration.yaml.data))
		witness_complain(&history->witness, "the same configuration is refused");
	if (history->traced)
		trace_event(&history->trace, "  taken");
	witness_reloaded(&history->witness);
}

static void act(struct history *history, const struct act *act)
{
	struct peer *peer = peer_of(history, act->client);
	if (!peer)
		return;
	switch (act->kind) {
	case ACT_SEND:
		send(history, peer, act->number);
		break;
	case ACT_CANCEL:
		history_cancel(history, peer, act->number);
		break;
	case ACT_LEAVE:
		history_leave(history, peer);
		break;
	case ACT_VANISH:
		history_tell(history, peer, " vanishes");
		peer->gone = true;
		break;
	case ACT_STOP:
		history_tell(history, peer, " stops reading");
		peer->room = 0;
		break;
	case ACT_READ:
		history_tell(history, peer, " reads %" PRIu32, act->number);
		peer->room += peer->room == ROOM_FOR_ALL ? 0 : act->number;
		if (history_one_in(history, 2))
			harness_flush(&history->harness);
		break;
	case ACT_RESUME:
		history_tell(history, peer, " reads");
		peer->room = ROOM_FOR_ALL;
		if (history_one_in(history, 2))
			harness_flush(&history->harness);
		break;
	case ACT_FLUSH:
		harness_flush(&history->harness);
		break;
	case ACT_GARBAGE:
		send_garbage(peer, act->number);
		break;
	case ACT_PING:
		ping(history, peer);
		break;
	case ACT_PURGE:
		history_purge(history, act->number);
		break;
	case ACT_DRAIN:
		history_tell(history, NULL, "drain");
		history->witness.draining = true;
		engine_drain(history->harness.engine);
		break;
	case ACT_CUT:
		for (int i = 0; i < CUT_ANSWERS && history_keep_next(history); i++)
			;
		history_tell(history, NULL, "cut");
		history->witness.cutting = true;
		engine_cut(history->harness.engine);
		witness_after_cut(&history->witness);
		break;
	case ACT_RELOAD:
		reload(history);
		break;
	}
}

bool history_act_is_due(const struct history *history, uint64_t at)
{
	return history->next_act < history->plan->act_count &&
	       WORLD_START + history->plan->acts[history->next_act].at <= at;
}

bool history_reloads_next(const struct history *history)
{
	return history->next_act < history->plan->act_count &&
	       history->plan->acts[history->next_act].kind == ACT_RELOAD;
}

void history_act_next(struct history *history)
{
	const struct act *next = &history->plan->acts[history->next_act++];
	if (!next->left_out)
		act(history, next);
}
