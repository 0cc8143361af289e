/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/answer.h"

#include <inttypes.h>
#include <stdio.h>

#define PADDING 5000

void answer_write(char *text, const struct answer *answer)
{
	int size;
	if (answer->odd)
		size = snprintf(text, ANSWER_MAX, "{\"odd\":[]}");
	else
		size = snprintf(text, ANSWER_MAX, "{\"k\":\"k%" PRIu32 "\",\"run\":%" PRIu32 "}",
				answer->key, answer->run);
	if (answer->large && !answer->odd)
		(void)snprintf(text + size - 1, PADDING + 16, ",\"pad\":\"%0*d\"}", PADDING, 0);
}
