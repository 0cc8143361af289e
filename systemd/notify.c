/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nothing here can fail in a way that a service could do something about, so what sd_notify()
 * returns is dropped: without a manager there is nobody to tell, and a manager that misses READY=1
 * or WATCHDOG=1 acts by itself.
 */
#include "systemd/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

/* A status is one line for a person; what is longer is cut. */
#define STATUS_MAX 512

/* Assignments are lines (sd_notify(3)), so a status that comes from anywhere must not begin
 * another. */
static void make_one_line(char *status)
{
	for (; *status; status++) {
		if ((unsigned char)*status < ' ')
			*status = ' ';
	}
}

void notify_ready(const char *status)
{
	char line[STATUS_MAX];
	(void)snprintf(line, sizeof(line), "%s", status);
	make_one_line(line);
	(void)sd_notifyf(0, "READY=1\nSTATUS=%s", line);
}

void notify_reloading(uint64_t now_us)
{
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=reloading", now_us);
}

void notify_reloaded(const char *format, ...)
{
	char line[STATUS_MAX];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	notify_ready(line);
}

void notify_status(const char *format, ...)
{
	char line[STATUS_MAX];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	make_one_line(line);
	(void)sd_notifyf(0, "STATUS=%s", line);
}

void notify_stopping(uint64_t extend_us, const char *status)
{
	char line[STATUS_MAX];
	(void)snprintf(line, sizeof(line), "%s", status);
	make_one_line(line);
	(void)sd_notifyf(0, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64 "\nSTATUS=%s", extend_us,
			line);
}

void notify_watchdog(void)
{
	(void)sd_notify(0, "WATCHDOG=1");
}

uint64_t notify_watchdog_period(void)
{
	uint64_t us = 0;
	return sd_watchdog_enabled(0, &us) > 0 ? us / 2 : 0;
}
