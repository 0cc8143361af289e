/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/answer.h"

#include <inttypes.h>
#include <stdio.h>

void answer_write(char *text, const struct answer *answer)
{
	if (answer->odd)
		(void)snprintf(text, ANSWER_MAX, "{\"odd\":[]}");
	else
		(void)snprintf(text, ANSWER_MAX, "{\"k\":\"k%" PRIu32 "\",\"run\":%" PRIu32 "}",
				answer->key, answer->run);
}
