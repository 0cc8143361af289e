/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What an HTTP status means here: docs/resources.md has the table for users.
 */
#include <stdbool.h>

#include "pipeline/wire/status.h"

struct http_meaning {
	enum status status;
	bool timeout; /* somebody on the way had a shorter limit than ours */
};

struct http_meaning http_meaning(long code);
