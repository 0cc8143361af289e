/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of stages: what a step in a configuration may be. A new stage is a line here and a file
 * of its own.
 */
#include "pipeline/stages/cache.h"
#include "pipeline/stages/call.h"
#include "pipeline/stages/fanout.h"
#include "pipeline/stages/lookup.h"
#include "pipeline/stages/retry.h"
#include "pipeline/stages/steps.h"
#include "pipeline/stages/timeout.h"
#include "pipeline/stages/when.h"

#define STAGES(STAGE)                                                                              \
	STAGE(cache, "reads; on a miss runs `miss` once for all who ask at that moment")           \
	STAGE(lookup, "one query to a database, bounded")                                          \
	STAGE(fanout, "asks many sources at once")                                                 \
	STAGE(call, "runs another pipeline")                                                       \
	STAGE(timeout, "steps with a limit of their own")                                          \
	STAGE(retry, "steps that are tried again when they fail")                                  \
	STAGE(when, "steps that run only under a condition")

#define TYPE(stage, words)    &stage##_type,
#define VARIANT(stage, words) {.name = #stage, .help = (words), .table = stage##_options},

static const struct stage_type *const types[] = {STAGES(TYPE)};

const struct option_variant stage_variants[] = {STAGES(VARIANT){.name = NULL}};

const struct stage_type *stage_type_find(struct text name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (text_equal(text_of(types[i]->name), name))
			return types[i];
	}
	return NULL;
}
