/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests are counted and not listed: nothing is ever done to those of one generation. What flies
 * for them is the scope's of the flights, which is closed, not cancelled, when no request is left
 * that could start another. Only what nobody waits for, a refresh, is not worth keeping it alive.
 */
#include "pipeline/requests/generation.h"

#include <assert.h>

#include "pipeline/stages/pipeline.h"

void generation_enter(struct generation *generation)
{
	assert(!generation->retired);
	generation->requests++;
}

static void end_if_over(struct generation *generation)
{
	if (generation->retired && generation->requests == 0)
		pipelines_retire(generation->pipelines);
}

void generation_leave(struct generation *generation)
{
	assert(generation->requests > 0);
	generation->requests--;
	end_if_over(generation);
}

void generation_retire(struct generation *generation)
{
	generation->retired = true;
	pipelines_drain(generation->pipelines);
	end_if_over(generation);
}
