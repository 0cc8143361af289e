/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What jobs and asks answer: a value that says for which key it is and which run gave it; or an odd
 * one, which says neither.
 */
#include <stdbool.h>
#include <stdint.h>

#define ANSWER_MAX 6000

struct answer {
	uint32_t key;
	uint32_t run;
	bool odd;
	bool partial;	   /* its source says so */
	uint64_t retry_ns; /* its source asks to be left alone that long; 0: it does not */
	bool large;	   /* so that a reply with it is REPLY_LARGE */
};

/* As JSON, with a NUL at its end, into ANSWER_MAX bytes. */
void answer_write(char *text, const struct answer *answer);
