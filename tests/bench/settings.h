/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a load is told on its command line.
 */
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/base/text.h"

struct settings {
	const char *endpoint;
	struct text request;	/* whose run of @ is the id, and whose run of # the key */
	struct text reply;	/* how each reply begins; its run of @ is the id */
	struct text header_end; /* how the first line of each reply ends */
	uint64_t pid;		/* the server's process */
	uint64_t clients;
	uint64_t window;
	uint64_t keys;
	uint64_t count; /* of replies that end it early */
	uint64_t seed;
	double zipf;
	double warm_up; /* seconds, as the next */
	double seconds;
	bool each; /* the keys in turn, not by Zipf's law */
};

/* False: what is wrong was said; or --help was, and *ret_code is 0. */
bool settings_read(struct settings *settings, int argc, char **argv, int *ret_code);
