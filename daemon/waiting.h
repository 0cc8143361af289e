/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a load waits for while it opens, and what is said of that meanwhile: in the log, and to the
 * manager, which is also asked for the time that it may take.
 */
struct build;
struct daemon;
struct diag;

enum waiting {
	WAITING_OVER,	/* all is there, or what may be gone without was waited for long enough */
	WAITING_ON,	/* for what has been said */
	WAITING_IN_VAIN /* diag says for what */
};

/* At each try to open what build is made of, which is what is being loaded. */
enum waiting waiting_look(struct daemon *daemon, const struct build *build, struct diag *diag);
