/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Log lines of `key=value` fields. Libraries don't log; they are handed a log where they must say
 * what no return value can carry (a peer cut off, a query that failed for one request). The loop
 * thread only; where lines go is the sink's matter.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/base/text.h"

/* The numbers of syslog(3). */
enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

struct log_field {
	const char *key; /* lower case; NULL ends a list */
	struct text value;
};

/* Where lines go. fields ends with a NULL key; all is borrowed for the call. */
typedef void (*log_sink_fn)(void *user, enum log_level level, const char *message,
		const struct log_field *fields);

struct log {
	log_sink_fn sink; /* NULL: nowhere */
	void *user;
	enum log_level level; /* what is less urgent is dropped */
};

/*
 * Of a line that others can bring about as often as they like: who could write lines without end
 * could fill a disk. All zero at first.
 */
struct log_rate {
	uint64_t next_ns; /* when the next may be written */
	uint64_t left_out;
};

/* Whether one may be written now: one a second. *ret_left_out: how many there were since the last.
 * False: it counts as left out. */
bool log_rate_pass(struct log_rate *rate, uint64_t now_ns, uint64_t *ret_left_out);

/* A sink that writes a line to the FILE* in user: `level=info msg="…" key=value`, values quoted
 * where they need it. */
void log_to_stream(void *user, enum log_level level, const char *message,
		const struct log_field *fields);

void log_write(const struct log *log, enum log_level level, const char *message,
		const struct log_field *fields);

/* log_line(log, LOG_LEVEL_INFO, "source up", {"source", name}, {"after_ms", ms}); the fields may be
 * left out. */
#define log_line(log, level, ...) log_line_ended(log, level, __VA_ARGS__, {NULL, {NULL, 0}})
#define log_line_ended(log, level, message, ...)                                                   \
	log_write((log), (level), (message), (const struct log_field[]){__VA_ARGS__})
