/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Answers that are to be given later, or never, and the addresses they go to.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

#include "pipeline/base/buffer.h"
#include "pipeline/base/list.h"
#include "pipeline/base/text.h"
#include "pipeline/wire/wire.h"

#define ENVELOPE_MAX (WIRE_ENVELOPE_FRAMES_MAX + 1)

/*
 * The frames before the one that holds the request: the routing id, and what REQ sockets and
 * proxies add.
 */
struct envelope {
	zmq_msg_t frames[ENVELOPE_MAX];
	size_t count;
};

struct answer {
	struct link link;
	uint64_t due_ns; /* ANSWER_NEVER: it waits for a cancel only */
	uint64_t asked_ns;
	struct envelope envelope;
	char id[WIRE_ID_MAX];
	size_t id_size;
	enum status status;
	struct buffer body; /* empty: none */
	unsigned times;	    /* how often it is sent */
};

#define ANSWER_NEVER UINT64_MAX

struct answers {
	struct link timed; /* soonest first; those of one time as they were asked */
	struct link never;
};

void answers_init(struct answers *answers);
void answers_deinit(struct answers *answers);

/*
 * An answer to id (absent: none could be read), which takes over the envelope's frames. NULL when
 * memory is out.
 */
struct answer *answer_new(struct envelope *envelope, struct text id);
struct answer *answer_free(struct answer *answer);

/* Keeps answer until its time. */
void answers_add(struct answers *answers, struct answer *answer);

/* Takes out the soonest answer that is due at now, or NULL. */
struct answer *answers_take_due(struct answers *answers, uint64_t now_ns);

/* Takes out the answer for an id that came with that envelope, or NULL. */
struct answer *answers_take(
		struct answers *answers, const struct envelope *envelope, struct text id);

/* Milliseconds until the soonest is due, rounded up; -1: nothing is. */
long answers_wait_ms(const struct answers *answers, uint64_t now_ns);

/* Sends it, and keeps it: it may be sent again. False: libzmq does not take it. */
bool answer_send(struct answer *answer, void *socket, uint64_t now_ns);
