/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A scenario: a file that holds a configuration, what is put in at what time, and the trace of all
 * that then happened. It documents a rule, and running it again shows that the rule still holds.
 * tests/sim/scenarios/README.md has the format.
 */
#include <stdbool.h>
#include <stddef.h>

#include "pipeline/base/buffer.h"
#include "pipeline/base/text.h"

struct scenario {
	struct buffer file;
	struct text head;   /* up to the line `---` and with it */
	struct text trace;  /* the rest of the file: what should happen */
	struct buffer yaml; /* terminated; of as many lines as the head */
	struct buffer happened;
	struct buffer problem; /* terminated; why it could not be run to its end */
	bool observe;	       /* `observe: yes` */
	bool unfinished;       /* `unfinished: yes` */
};

/* Reads a scenario. False: scenario->problem says why. To be deinited in any case. */
bool scenario_read(struct scenario *scenario, const char *path);

/* Takes the first line, without its LF, off rest. */
struct text scenario_cut_line(struct text *rest);

/*
 * Runs it. False: scenario->problem says what in the file is wrong, or what was not given back at
 * the end; scenario->happened is the trace until then.
 */
bool scenario_run(struct scenario *scenario);

/* The number of the first line of the two traces that differs, from 0; -1: none does. */
long scenario_differs(const struct scenario *scenario);

void scenario_deinit(struct scenario *scenario);
