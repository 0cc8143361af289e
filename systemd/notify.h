/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the service tells its manager (sd_notify(3)). Without NOTIFY_SOCKET in the environment all
 * of it does nothing.
 */
#include <stdint.h>

/* READY=1 with a status in words, at the end of a start or of a reload, also one that was refused.
 */
void notify_ready(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* RELOADING=1, with the time that it begins, in microseconds, monotonic; notify_ready() ends it. */
void notify_reloading(uint64_t now_us);

/* What a start or a reload waits for, and EXTEND_TIMEOUT_USEC for as long as it still may. */
void notify_waiting(uint64_t extend_us, const char *format, ...)
		__attribute__((format(printf, 2, 3)));

/* STOPPING=1, with a status that is one short line, and EXTEND_TIMEOUT_USEC for as long as the
 * drain may take. */
void notify_stopping(uint64_t extend_us, const char *status);

/* WATCHDOG=1 */
void notify_watchdog(void);

/* How often to call notify_watchdog(), in microseconds: half of what is asked; 0: not at all. */
uint64_t notify_watchdog_period(void);
