/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Latencies hardly differ from one question to the next, so a sorted list that is searched from its
 * end is as good as a heap.
 */
#include "tests/quotes/answers.h"

#include <stdlib.h>

void answers_init(struct answers *answers)
{
	link_init(&answers->timed);
	link_init(&answers->never);
}

static struct answer *answer_of(struct link *link)
{
	return container_of(link, struct answer, link);
}

static void free_all(struct link *list)
{
	for (struct link *at = list->next, *next; at != list; at = next) {
		next = at->next;
		answer_free(answer_of(at));
	}
}

void answers_deinit(struct answers *answers)
{
	free_all(&answers->timed);
	free_all(&answers->never);
}

struct answer *answer_new(struct envelope *envelope, struct text id)
{
	struct answer *answer = calloc(1, sizeof(*answer));
	if (!answer)
		return NULL;
	link_init(&answer->link);
	for (size_t i = 0; i < envelope->count; i++) {
		(void)zmq_msg_init(&answer->envelope.frames[i]);
		(void)zmq_msg_move(&answer->envelope.frames[i], &envelope->frames[i]);
	}
	answer->envelope.count = envelope->count;
	if (id.size > 0)
		memcpy(answer->id, id.data, id.size);
	answer->id_size = id.size;
	answer->status = STATUS_OK;
	answer->times = 1;
	buffer_init(&answer->body);
	return answer;
}

struct answer *answer_free(struct answer *answer)
{
	if (!answer)
		return NULL;
	link_remove(&answer->link);
	for (size_t i = 0; i < answer->envelope.count; i++)
		(void)zmq_msg_close(&answer->envelope.frames[i]);
	buffer_deinit(&answer->body);
	free(answer);
	return NULL;
}

void answers_add(struct answers *answers, struct answer *answer)
{
	if (answer->due_ns == ANSWER_NEVER) {
		list_append(&answers->never, &answer->link);
		return;
	}
	struct link *at = &answers->timed;
	while (at->prev != &answers->timed && answer_of(at->prev)->due_ns > answer->due_ns)
		at = at->prev;
	link_before(at, &answer->link);
}

struct answer *answers_take_due(struct answers *answers, uint64_t now_ns)
{
	if (list_empty(&answers->timed))
		return NULL;
	struct answer *answer = answer_of(answers->timed.next);
	if (answer->due_ns > now_ns)
		return NULL;
	link_remove(&answer->link);
	return answer;
}

static struct text frame_text(const zmq_msg_t *frame)
{
	/* libzmq only reads here, though it asks for a message that it may write. */
	zmq_msg_t *message = (zmq_msg_t *)(uintptr_t)frame;
	return (struct text){zmq_msg_data(message), zmq_msg_size(message)};
}

static bool same_envelope(const struct envelope *a, const struct envelope *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!text_equal(frame_text(&a->frames[i]), frame_text(&b->frames[i])))
			return false;
	return true;
}

static struct answer *take_from(struct link *list, const struct envelope *envelope, struct text id)
{
	for (struct link *at = list->next; at != list; at = at->next) {
		struct answer *answer = answer_of(at);
		if (text_equal((struct text){answer->id, answer->id_size}, id) &&
				same_envelope(&answer->envelope, envelope)) {
			link_remove(&answer->link);
			return answer;
		}
	}
	return NULL;
}

struct answer *answers_take(
		struct answers *answers, const struct envelope *envelope, struct text id)
{
	struct answer *answer = take_from(&answers->timed, envelope, id);
	return answer ? answer : take_from(&answers->never, envelope, id);
}

long answers_wait_ms(const struct answers *answers, uint64_t now_ns)
{
	if (list_empty(&answers->timed))
		return -1;
	uint64_t due_ns = answer_of(answers->timed.next)->due_ns;
	return due_ns > now_ns ? (long)((due_ns - now_ns + 999999) / 1000000) : 0;
}

static bool send_envelope(const struct envelope *envelope, void *socket)
{
	for (size_t i = 0; i < envelope->count; i++) {
		struct text frame = frame_text(&envelope->frames[i]);
		if (zmq_send(socket, frame.data, frame.size, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0)
			return false;
	}
	return true;
}

bool answer_send(struct answer *answer, void *socket, uint64_t now_ns)
{
	char header[WIRE_HEADER_MAX + 1];
	struct text id = {answer->id, answer->id_size};
	struct wire_reply_keys keys = {.us = (now_ns - answer->asked_ns) / 1000};
	struct text body = buffer_text(&answer->body);
	char *end = wire_write_reply(header, id.size > 0 ? id : (struct text){NULL, 0},
			answer->status, &keys, body.size > 0);
	size_t size = (size_t)(end - header);
	zmq_msg_t message;
	if (zmq_msg_init_size(&message, size + body.size) != 0)
		return false;
	memcpy(zmq_msg_data(&message), header, size);
	if (body.size > 0)
		memcpy((char *)zmq_msg_data(&message) + size, body.data, body.size);
	bool sent = send_envelope(&answer->envelope, socket) &&
		    zmq_msg_send(&message, socket, ZMQ_DONTWAIT) >= 0;
	if (!sent)
		(void)zmq_msg_close(&message);
	return sent;
}
