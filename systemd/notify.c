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

#include "pipeline/base/text.h"

/* A status is one line for a person; what is longer is cut. */
#define STATUS_MAX 512

/* A manager leaves out what is no UTF-8 (sd_notify(3)), so a character that is cut goes whole. */
static void cut_back(char *status)
{
	struct text text = text_of(status);
	size_t left = text.size;
	while (left > 0 && text.size - left < 3 && ((unsigned char)status[left - 1] & 0xc0) == 0x80)
		left--;
	/* At left - 1 stands what begins the last character. */
	if (left > 0 && text_utf8_size((struct text){status + left - 1, text.size - left + 1}) == 0)
		status[left - 1] = '\0';
}

/* Assignments are lines (sd_notify(3)), so a status that comes from anywhere must not begin
 * another. */
static __attribute__((format(printf, 2, 0))) void write_status(
		char *status, const char *format, va_list arguments)
{
	if (vsnprintf(status, STATUS_MAX, format, arguments) >= STATUS_MAX)
		cut_back(status);
	for (; *status; status++) {
		if ((unsigned char)*status < ' ')
			*status = ' ';
	}
}

void notify_ready(const char *format, ...)
{
	char status[STATUS_MAX];
	va_list arguments;
	va_start(arguments, format);
	write_status(status, format, arguments);
	va_end(arguments);
	(void)sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void notify_reloading(uint64_t now_us)
{
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=reloading", now_us);
}

void notify_waiting(uint64_t extend_us, const char *format, ...)
{
	char status[STATUS_MAX];
	va_list arguments;
	va_start(arguments, format);
	write_status(status, format, arguments);
	va_end(arguments);
	(void)sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRIu64 "\nSTATUS=%s", extend_us, status);
}

void notify_stopping(uint64_t extend_us, const char *status)
{
	(void)sd_notifyf(0, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64 "\nSTATUS=%s", extend_us,
			status);
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
