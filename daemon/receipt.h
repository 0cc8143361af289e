/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a reload changes, for those who asked for it: told from two configurations.
 */
#include "pipeline/base/buffer.h"

struct config;

/* Appends `pipeline offer added`, `source north changed`, `limits changed`, … each as a JSON
 * string, with commas between; nothing where the two say the same. */
void receipt_append_json(
		struct buffer *buffer, const struct config *before, const struct config *after);

/* The same as words, with commas between; `nothing`. */
void receipt_append_words(
		struct buffer *buffer, const struct config *before, const struct config *after);
