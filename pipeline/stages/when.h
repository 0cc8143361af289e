/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The stage `when`: see its .c.
 */
#include "pipeline/stages/stage.h"

extern const struct option when_options[];
extern const struct stage_type when_type;
