/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call, one line, one write: lines of several processes that share a stderr do not mix. Values
 * come from anywhere, so what could be mistaken for another field or another line is quoted as a
 * JSON string.
 */
#include "pipeline/base/log.h"

#include <stdio.h>

#include "pipeline/base/buffer.h"

/* Between two lines of a log_rate. */
#define RATE_NS UINT64_C(1000000000)

static const char *level_name(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error";
	case LOG_LEVEL_WARNING:
		return "warning";
	case LOG_LEVEL_NOTICE:
		return "notice";
	case LOG_LEVEL_INFO:
		return "info";
	case LOG_LEVEL_DEBUG:
		return "debug";
	}
	return "unknown";
}

/* Visible ASCII may stand bare, but for what has a meaning in the line; an empty value could be
 * overlooked. */
static bool stands_bare(struct text value)
{
	for (size_t i = 0; i < value.size; i++) {
		char c = value.data[i];
		if (c <= ' ' || c > '~' || c == '"' || c == '=' || c == '\\')
			return false;
	}
	return value.size > 0;
}

void log_to_stream(void *user, enum log_level level, const char *message,
		const struct log_field *fields)
{
	FILE *stream = user;
	struct buffer line;
	buffer_init(&line);
	buffer_append_format(&line, "level=%s msg=", level_name(level));
	buffer_append_json_string(&line, text_of(message));
	for (; fields->key; fields++) {
		buffer_append_format(&line, " %s=", fields->key);
		if (stands_bare(fields->value))
			buffer_append(&line, fields->value);
		else
			buffer_append_json_string(&line, fields->value);
	}
	buffer_append_char(&line, '\n');
	struct text text = buffer_text(&line);
	if (text.data == NULL)
		text = TEXT("level=error msg=\"no memory for a log line\"\n");
	(void)fwrite(text.data, 1, text.size, stream);
	(void)fflush(stream);
	buffer_deinit(&line);
}

void log_write(const struct log *log, enum log_level level, const char *message,
		const struct log_field *fields)
{
	if (log->sink && level <= log->level)
		log->sink(log->user, level, message, fields);
}

bool log_rate_pass(struct log_rate *rate, uint64_t now_ns, uint64_t *ret_left_out)
{
	if (now_ns < rate->next_ns) {
		rate->left_out++;
		return false;
	}
	*ret_left_out = rate->left_out;
	*rate = (struct log_rate){.next_ns = now_ns + RATE_NS};
	return true;
}
