/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * JSON parsers to compare. Their names clash, so each is behind one function in a file of its own,
 * which says whether it accepts a document and keeps nothing.
 */
#include <stdbool.h>

#include "pipeline/base/text.h"

bool parse_with_sluice(struct text document);
bool parse_with_jansson(struct text document);
bool parse_with_jsmn(struct text document);
