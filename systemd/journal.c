/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line that the journal does not take goes to stderr, which is the journal's stream, without
 * fields of its own; so it is not lost where memory is out or a field is too large.
 */
#define SD_JOURNAL_SUPPRESS_LOCATION /* it would always be this file */
#include "systemd/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "pipeline/base/arena.h"

#define PREFIX "SLUICE_"

bool journal_present(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat stat;
	char expected[48];
	if (!stream || fstat(STDERR_FILENO, &stat) < 0)
		return false;
	(void)snprintf(expected, sizeof(expected), "%ju:%ju", (uintmax_t)stat.st_dev,
			(uintmax_t)stat.st_ino);
	return strcmp(stream, expected) == 0;
}

static char to_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* NAME=value; a value may hold any byte. An empty vector when memory is out. */
static struct iovec write_field(
		struct arena *arena, struct text prefix, struct text key, struct text value)
{
	size_t size = prefix.size + key.size + 1 + value.size;
	char *field = arena_alloc(arena, size);
	if (!field)
		return (struct iovec){0};
	char *at = mempcpy(field, prefix.data, prefix.size);
	for (size_t i = 0; i < key.size; i++)
		*at++ = to_upper(key.data[i]);
	*at++ = '=';
	if (value.size > 0)
		memcpy(at, value.data, value.size);
	return (struct iovec){field, size};
}

static bool send_line(struct arena *arena, enum log_level level, const char *message,
		const struct log_field *fields)
{
	size_t count = 0;
	while (fields[count].key)
		count++;
	struct iovec *vector = arena_alloc(arena, (count + 2) * sizeof(*vector));
	if (!vector)
		return false;
	char priority = (char)('0' + level);
	vector[0] = write_field(arena, TEXT(""), TEXT("MESSAGE"), text_of(message));
	vector[1] = write_field(arena, TEXT(""), TEXT("PRIORITY"), (struct text){&priority, 1});
	for (size_t i = 0; i < count; i++)
		vector[i + 2] = write_field(
				arena, TEXT(PREFIX), text_of(fields[i].key), fields[i].value);
	for (size_t i = 0; i < count + 2; i++) {
		if (!vector[i].iov_base)
			return false;
	}
	return sd_journal_sendv(vector, (int)(count + 2)) >= 0;
}

void journal_write(void *user, enum log_level level, const char *message,
		const struct log_field *fields)
{
	struct arena arena;
	arena_init(&arena, NULL);
	if (!send_line(&arena, level, message, fields))
		log_to_stream(stderr, level, message, fields);
	arena_deinit(&arena);
}
