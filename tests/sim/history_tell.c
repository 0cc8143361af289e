/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trace of a history, told as in the scenarios.
 */
#include "tests/sim/history_parts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void history_tell(struct history *history, const struct peer *peer, const char *format, ...)
{
	char name[16] = "";
	char text[768];
	va_list arguments;
	if (!history->traced)
		return;
	if (peer)
		(void)snprintf(name, sizeof(name), "c%" PRIu32, history_index(history, peer) + 1);
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	trace_input(&history->trace, "%s%s", name, text);
}

void history_write_trace(struct history *history)
{
	struct text text = buffer_text(&history->trace.text);
	(void)fwrite(text.data, 1, text.size, stdout);
	(void)fflush(stdout);
	buffer_clear(&history->trace.text);
}
