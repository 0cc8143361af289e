/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The stage `call`: see its .c.
 */
#include "pipeline/stages/stage.h"

extern const struct option call_options[];
extern const struct stage_type call_type;
