/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The stage `lookup`: see its .c.
 */
#include "pipeline/stages/stage.h"

extern const struct option lookup_options[];
extern const struct stage_type lookup_type;
