/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The stage `retry`: see its .c.
 */
#include "pipeline/stages/stage.h"

extern const struct option retry_options[];
extern const struct stage_type retry_type;
