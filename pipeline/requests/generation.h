/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One loaded configuration while requests run in it. A request ends in the generation in which it
 * was read, with its pipelines, flights and semaphores, whatever is loaded meanwhile; a generation
 * whose place another has taken lives until its last request and its last flight have ended.
 *
 * What the pipelines were compiled from and against must stay until the scope of their flights says
 * that it is idle (pipelines_compile(), on_idle). The loop thread only.
 */
#include <stdbool.h>
#include <stdint.h>

struct pipelines;

struct generation {
	struct pipelines *pipelines;
	uint64_t number;   /* from 1 */
	uint64_t requests; /* that were read in it and still hold memory */
	bool retired;	   /* another has taken its place */
};

/* For the engine: a request begins, and has given everything back. */
void generation_enter(struct generation *generation);
void generation_leave(struct generation *generation);

/* Another has taken its place. It may be over at once. */
void generation_retire(struct generation *generation);
