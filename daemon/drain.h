/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The end of a daemon: what is new is refused, what is in flight runs on, and when none of it is
 * left or `drain` is over the rest is answered, and counted.
 */
#include <stdbool.h>

struct daemon;

/*
 * At the start, so that a drain needs no memory: without its timer it would cut off at once what is
 * in flight. False: out of memory or descriptors.
 */
bool drain_prepare(struct daemon *daemon);

/* Begins; the loop ends when it is over. In a turn. */
void drain_begin(struct daemon *daemon);

/* Goes straight to the last step: whoever still waits is answered, and what has come meanwhile too.
 */
void drain_finish(struct daemon *daemon);

/* The counts, where it came to that: the last line of the log. */
void drain_log(struct daemon *daemon);
