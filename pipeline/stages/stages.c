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

static const struct stage_type *const types[] = {&cache_type, &lookup_type, &fanout_type,
		&call_type, &retry_type, &timeout_type, &when_type};

const struct option_variant stage_variants[] = {
		{.name = "cache",
				.help = "reads; on a miss runs `miss` once for all who ask at that "
					"moment",
				.table = cache_options},
		{.name = "lookup",
				.help = "one query to a database, bounded",
				.table = lookup_options},
		{.name = "fanout", .help = "asks many sources at once", .table = fanout_options},
		{.name = "call", .help = "runs another pipeline", .table = call_options},
		{.name = "timeout",
				.help = "steps with a limit of their own",
				.table = timeout_options},
		{.name = "retry",
				.help = "steps that are tried again when they fail",
				.table = retry_options},
		{.name = "when",
				.help = "steps that run only under a condition",
				.table = when_options},
		{.name = NULL},
};

const struct stage_type *stage_type_find(struct text name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (text_equal(text_of(types[i]->name), name))
			return types[i];
	}
	return NULL;
}
