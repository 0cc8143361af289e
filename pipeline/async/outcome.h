/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How a frame ended: a status and a value, or a status and a fault that keeps every cause.
 *
 * Values and faults are borrowed from whoever keeps them (the arena of the run, a blob or a flight
 * that the run holds); an outcome is copied freely while that lives.
 */
#include <stdbool.h>

#include "pipeline/base/text.h"
#include "pipeline/base/value.h"
#include "pipeline/wire/status.h"

struct arena;
struct blob;
struct buffer;

struct fault {
	enum status status;
	bool timeout;		   /* a limit shorter than the request's own deadline ran out */
	struct text stage;	   /* the path of the stage that failed; absent: none did */
	struct text message;	   /* names the cause; never SQL, a file or an address */
	const struct fault *cause; /* the first; more by their `next` */
	const struct fault *next;
	uint64_t retry_ns; /* who failed asks to be left alone that long; 0: nothing was said */
};

struct outcome {
	enum status status;
	bool partial; /* OK, but not all that was asked for: a fan-out's, or a source's own word */
	bool stands;  /* OK without a value of its own: the one before it stands */
	struct value value; /* with STATUS_OK; may be absent */
	struct blob *blob; /* whose bytes are exactly the value's text, if there is one; borrowed */
	const struct fault *fault; /* otherwise; NULL: nothing is known but the status */
};

static inline struct outcome outcome_ok(struct value value)
{
	return (struct outcome){.status = STATUS_OK, .value = value};
}

/* Nothing was to be done. */
static inline struct outcome outcome_stands(void)
{
	return (struct outcome){.status = STATUS_OK, .stands = true};
}

/* A bare status, for where no memory is to be had and nothing more is known. */
static inline struct outcome outcome_status(enum status status)
{
	return (struct outcome){.status = status};
}

/* An outcome with a fault in arena; without one where memory is out. message is borrowed and must
 * live as long. */
struct outcome outcome_fault(
		struct arena *arena, enum status status, struct text stage, struct text message);

/* The same of one that asks to be left alone for a while. */
struct outcome outcome_retry(
		struct arena *arena, enum status status, struct text message, uint64_t retry_ns);

/* The same as outcome_fault() with a formatted message, made in arena. */
struct outcome outcome_failed(struct arena *arena, enum status status, struct text stage,
		const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The same as outcome_fault() with `timeout` set. */
struct outcome outcome_timeout(struct arena *arena, struct text stage, struct text message);

/* An OK outcome passes; a fault without a stage gets this one. Copies the fault into arena where it
 * must change it. */
struct outcome outcome_at_stage(struct arena *arena, struct outcome outcome, struct text stage);

/* Appends `{"error":…,"stage":…,"timeout":…,"causes":[…]}`. fault may be NULL: the text for the
 * status alone. */
void outcome_append_error(struct buffer *buffer, const struct outcome *outcome);
