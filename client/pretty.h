/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * JSON for people: an element or member a line.
 */
#include <stdio.h>

#include "pipeline/base/text.h"

/* Writes text indented, with a LF at its end; as it is where it is no JSON. */
void pretty_write(FILE *stream, struct text text);
