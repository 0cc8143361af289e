/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The stage `timeout`: see its .c.
 */
#include "pipeline/stages/stage.h"

extern const struct option timeout_options[];
extern const struct stage_type timeout_type;
