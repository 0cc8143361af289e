/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the names in a lookup's query are bound to.
 */
#include "pipeline/stages/stage.h"

struct compiler;
struct query_spec;
struct sql_value;
struct template;

/*
 * Finds the names in the SQL of spec, and what each is bound to: `params` (NULL: none) says, or
 * else `:name` is ${name}. Errors go to the compiler's diag.
 */
struct template **lookup_bind_compile(struct compiler *compiler, struct query_spec *spec,
		const struct option_map *params);

/* The values for them in this run, in its arena. NULL: the frame's outcome says why not. */
struct sql_value *lookup_bind(
		const struct query_spec *spec, struct template **bound, struct stage_frame *frame);
