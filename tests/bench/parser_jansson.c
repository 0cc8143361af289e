/* SPDX-License-Identifier: Apache-2.0 */
/* A tree of values; it refuses what ours refuses. */
#include <jansson.h>

#include "tests/bench/parsers.h"

bool parse_with_jansson(struct text document)
{
	json_error_t error;
	json_t *whole = json_loadb(document.data, document.size,
			JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	json_decref(whole);
	return whole != NULL;
}
