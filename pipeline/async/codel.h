/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Whether what has waited in a queue is still worth doing: controlled delay (Nichols and Jacobson
 * 2012), as folly applies it to requests. A queue that empties now and then is good, however long
 * it gets; one whose shortest wait of a whole interval is too long only adds to the delay. In the
 * interval after such a one, who has waited for more than twice the target is dropped.
 *
 * Asked whenever something leaves the queue. It never asks the clock.
 */
#include <stdbool.h>
#include <stdint.h>

struct codel {
	uint64_t target; /* 0: nothing is ever dropped */
	uint64_t interval;
	uint64_t ends;	   /* of this interval */
	uint64_t shortest; /* wait in it so far */
	bool dropping;	   /* in it */
};

/* Both are durations. */
void codel_init(struct codel *codel, uint64_t target, uint64_t interval);

/* Takes note, at now, of one that leaves the queue after it has waited for so long. True: it is to
 * be dropped. */
bool codel_drops(struct codel *codel, uint64_t now, uint64_t waited);
