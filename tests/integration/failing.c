/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linked into sluiced beside tests/unit/allocations.c: the environment says which of its own
 * allocations fail, and at its end it says in the file `allocations` how many it has asked for. So
 * the daemon itself is tested, as it is, and under any sanitizer; a preloaded library would also
 * fail what libzmq and SQLite ask for, and could not stand beside a sanitizer's own malloc().
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/allocations.h"

static __attribute__((constructor)) void begin(void)
{
	const char *one = getenv("SLUICE_FAIL_ONE"), *all = getenv("SLUICE_FAIL_ALL_FROM");
	if (one)
		allocations_fail_once_after((unsigned)strtoul(one, NULL, 10));
	else
		allocations_fail_after(all ? (unsigned)strtoul(all, NULL, 10) : UINT_MAX);
}

/* What still runs after it, as gcov's writing of its counts does, is not the daemon. */
static __attribute__((destructor)) void end(void)
{
	allocations_heal();
	FILE *file = fopen("allocations", "w");
	if (!file)
		return;
	(void)fprintf(file, "%u\n", allocations_asked());
	(void)fclose(file);
}
