/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How a scripted job or ask ends, where that is known before it starts.
 */
#include "pipeline/wire/status.h"

struct scripted_end {
	enum status status;
	const char *text; /* with OK the value's JSON, or NULL: no value; else what went wrong */
};
