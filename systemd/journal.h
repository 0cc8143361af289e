/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Log lines to the journal, with fields, when the daemon's stderr is the journal's stream; see
 * journal_present().
 */
#include <stdbool.h>

#include "pipeline/base/log.h"

/* Whether stderr is connected to the journal (JOURNAL_STREAM, systemd.exec(5)). */
bool journal_present(void);

/* A log_sink_fn: MESSAGE, PRIORITY, and each field as SLUICE_KEY in upper case. */
void journal_write(void *user, enum log_level level, const char *message,
		const struct log_field *fields);
