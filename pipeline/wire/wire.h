/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The text protocol of all request doors and towards ZeroMQ sources, both directions
 * (docs/protocol.md):
 *
 *   request   target SP id SP budget *( SP key=value ) [ LF body ]
 *   reply     id SP status *( SP key=value ) [ LF body ]
 *
 * Pure text: nothing here allocates, knows a socket or reads a clock. Parsed parts are slices of
 * the message.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/base/text.h"
#include "pipeline/wire/status.h"

#define WIRE_HEADER_MAX		 512		   /* bytes before the LF */
#define WIRE_BODY_MAX		 ((size_t)1 << 30) /* that limits.message may be */
#define WIRE_TARGET_MAX		 64
#define WIRE_ID_MAX		 64
#define WIRE_KEY_MAX		 32
#define WIRE_VALUE_MAX		 128
#define WIRE_CACHE_MAX		 16 /* of the value of `cache` in replies that we write */
#define WIRE_BUDGET_NONE	 UINT64_MAX
#define WIRE_ENVELOPE_FRAMES_MAX 8
#define WIRE_ENVELOPE_BYTES_MAX	 512

struct wire_request {
	struct text target; /* begins with `$`: a command */
	struct text id;
	uint64_t budget_ms; /* WIRE_BUDGET_NONE: `-` */
	struct text trace;  /* absent where not given */
	bool stream;	    /* stream=1 */
	bool fresh;	    /* fresh=1 */
	struct text body;   /* what follows the LF; absent where nothing does */
};

struct wire_reply {
	struct text id;
	enum status status;
	struct text body;  /* absent: no value */
	struct text cache; /* the keys, each absent where not given */
	bool partial;
	bool duplicate;
	uint64_t retry_ms; /* 0: not given */
	uint64_t us;
	uint64_t seq;	/* of a part, from 1 */
	uint64_t parts; /* how many came before a last reply */
};

/*
 * Reads a request. NULL: *ret is whole. Else what is wrong (static); ret->id is then still set if
 * an id could be read (well formed, and it stands second), and absent otherwise.
 */
const char *wire_parse_request(struct text message, struct wire_request *ret);

/*
 * Reads a reply, as from a source. NULL, or what is wrong (static); ret->id as above, but that it
 * stands first. An id `-` reads as absent. Here as in requests, a key that is known and has a value
 * that it can't have (`us=x`, `fresh=2`) counts as not given.
 */
const char *wire_parse_reply(struct text message, struct wire_reply *ret);

/* Whether a name may be a pipeline's: 1 to 64 of A-Z a-z 0-9 _ -. */
bool wire_is_name(struct text name);

/* Whether an id is well formed: 1 to 64 of A-Z a-z 0-9 _ . : -, and not `-` alone. */
bool wire_is_id(struct text id);

/*
 * What a reply's header says beside id and status. `cache` absent, numbers 0 and flags false: the
 * key isn't written; us is always.
 */
struct wire_reply_keys {
	uint64_t us;
	struct text cache;
	bool partial;
	bool duplicate;
	uint64_t retry_ms;
	uint64_t max;
	uint64_t seq;
	uint64_t parts;
};

/*
 * Writes a reply's header, with the LF if has_body, at `at`, which has room for WIRE_HEADER_MAX
 * bytes; returns the end. An absent id is written as `-`.
 */
char *wire_write_reply(char *at, struct text id, enum status status,
		const struct wire_reply_keys *keys, bool has_body);

/* What a request's header says beside target, id and budget; a key that is absent or false isn't
 * written. */
struct wire_request_keys {
	struct text trace;
	bool stream;
	bool fresh;
};

/* The same for a request; budget WIRE_BUDGET_NONE is `-`, and one over 9 digits is written as the
 * largest. Room: WIRE_HEADER_MAX + 1. */
char *wire_write_request(char *at, struct text target, struct text id, uint64_t budget_ms,
		const struct wire_request_keys *keys, bool has_body);
