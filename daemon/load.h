/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * From a configuration file to a generation that serves. A start is the load of the first; a reload
 * loads the next beside the one that serves, and takes it whole or refuses it whole, with a receipt
 * in the log, in STATUS= and on the feed.
 */
#include <stdbool.h>

struct daemon;

/*
 * Compiles what daemon->next has read, for the first time, and begins to open it: the daemon is
 * ready when all that is required is. False: what is wrong has been printed.
 */
bool load_first(struct daemon *daemon);

/* Reads the file again: once it is ready, and in place of what is being loaded then. */
void load_again(struct daemon *daemon);

/* Gives up what is being loaded, with a receipt, and tries to open nothing more. */
void load_stop(struct daemon *daemon);
