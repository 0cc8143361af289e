/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * `sluicectl call` and `sluicectl ping`: one request, one answer.
 */
#include "client/settings.h"

enum result call_run(const struct settings *settings, void *context);
