/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An interval ends with the first that leaves the queue after its time, for nothing is learned
 * between. If that one has not waited, the queue has been empty since, and the verdict is void.
 */
#include "pipeline/async/codel.h"

#include "pipeline/base/lesser.h"

void codel_init(struct codel *codel, uint64_t target, uint64_t interval)
{
	*codel = (struct codel){.target = target, .interval = interval};
}

bool codel_drops(struct codel *codel, uint64_t now, uint64_t waited)
{
	if (codel->target == 0)
		return false;
	if (now >= codel->ends) {
		codel->dropping = codel->shortest > codel->target && waited > codel->target;
		codel->shortest = waited;
		codel->ends = now + codel->interval;
	} else {
		codel->shortest = lesser(codel->shortest, waited);
	}
	return codel->dropping && waited > 2 * codel->target;
}
