/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of tokens like ours, but a lenient one: it checks neither UTF-8, nor what numbers and
 * words consist of, nor names for being the same twice.
 */
#define JSMN_STATIC
#define JSMN_PARENT_LINKS /* without them it is quadratic in the width of arrays */
#include <jsmn.h>

#include "tests/bench/parsers.h"

#define TOKENS_MAX 100000

bool parse_with_jsmn(struct text document)
{
	static jsmntok_t tokens[TOKENS_MAX];
	jsmn_parser parser;
	jsmn_init(&parser);
	return jsmn_parse(&parser, document.data, document.size, tokens, TOKENS_MAX) > 0;
}
