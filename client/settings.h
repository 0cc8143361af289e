/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the command line of sluicectl says.
 */
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/base/text.h"

/* How sluicectl ends. */
enum result {
	RESULT_OK = 0,
	RESULT_STATUS = 1, /* another status than OK, or output that cannot be written */
	RESULT_USAGE = 2,
	RESULT_NO_ANSWER = 3, /* in the time that there was */
};

enum command { COMMAND_CALL, COMMAND_PING, COMMAND_WATCH };

struct settings {
	enum command command;
	const char *endpoint;  /* the front door's */
	const char *telemetry; /* the feed's */
	struct text target;
	struct text body;   /* absent: none */
	bool body_on_stdin; /* and not in `body` */
	struct text id;	    /* absent: one is made up */
	uint64_t budget_ms; /* WIRE_BUDGET_NONE: none */
	bool stream;	    /* parts are to come as they are ready */
	bool fresh;	    /* caches are not to be read */
	bool raw;
	char **topics;
	int topic_count;
	uint64_t count;	  /* of events; 0: no end */
	uint64_t seconds; /* 0: no end */
};

/* Reads the command line. False: sluicectl is to end with *ret_result, and has said why. */
bool settings_read(struct settings *settings, int argc, char **argv, enum result *ret_result);
