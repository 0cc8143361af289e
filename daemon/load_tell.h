/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What came of a load, in the log and on the feed, and of a reload in STATUS= too.
 */
struct build;
struct daemon;
struct diag;

/* A reload was refused: the errors say why. */
void load_tell_refused(struct daemon *daemon, const struct diag *diag);

/* The next serves in place of the one before: what has changed, and what it is warned of. */
void load_tell_taken(struct daemon *daemon, const struct build *before);

/* Something of what serves cannot be opened. */
void load_tell_failed(struct daemon *daemon, const struct diag *diag);
