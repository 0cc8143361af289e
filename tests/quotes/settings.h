/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the command line of the quote source says.
 */
#include <stdbool.h>
#include <stdint.h>

struct settings {
	const char *bind;
	const char *name;
	uint64_t latency_ms;
	uint64_t jitter_ms; /* up to this much more than the latency */
	double slow;	    /* the share of quotes, from 0 to 1, that take */
	uint64_t slower;    /* so many times as long */
	double fail;	    /* the shares of quotes, from 0 to 1 */
	double hang;
	double garbage;
	double twice;
	bool ignore_cancel;
	uint64_t seed;
};

/* Reads the command line. False: the program is to end with *ret_code, and has said why. */
bool settings_read(struct settings *settings, int argc, char **argv, int *ret_code);
