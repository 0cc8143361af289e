/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Steps in their order: the stage that stands for a list of steps, a pipeline's own or a nested
 * one. It is written as a list and has no name in a configuration. A list of one step that needs
 * nothing of this is compiled to that step itself.
 */
#include "pipeline/stages/stage.h"

/* A step, and where its value goes. */
struct step {
	struct stage *stage;
	int32_t slot;	/* SLOT_UNBOUND: its value has no name */
	int32_t before; /* what the name stood for earlier; SLOT_UNBOUND: no step gave it */
};

struct steps {
	struct stage stage;
	struct step *steps;
	size_t count;
	const struct template_map *reply; /* what the value is, if not the last step's; NULL */
	bool nested; /* among the steps of others, whose value stands where these give none */
};

extern const struct stage_type steps_type;

/* The stages that a configuration may name: for option tables. Ends with a NULL name. */
extern const struct option_variant stage_variants[];

/* The option `steps` of a stage that runs some. */
#define STEPS_OPTION                                                                               \
	{                                                                                          \
		.key = "steps", .kind = OPTION_STEPS, .required = true, .min = 1,                  \
		.variants = stage_variants, .help = "stages, in order"                             \
	}

/* The type of that name; there is one for each variant that isn't marked as later. */
const struct stage_type *stage_type_find(struct text name);
