/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file's head and its trace. What is read from a file may be wrong in any way, and is then named
 * with its line.
 */
#include "tests/sim/scenario.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool fail(struct scenario *scenario, const char *what)
{
	buffer_append(&scenario->problem, text_of(what));
	buffer_append_char(&scenario->problem, '\0');
	return false;
}

static bool read_file(struct buffer *buffer, const char *path)
{
	char bytes[4096];
	FILE *file = fopen(path, "re");
	if (!file)
		return false;
	for (size_t size; (size = fread(bytes, 1, sizeof(bytes), file)) > 0;)
		buffer_append(buffer, (struct text){bytes, size});
	bool good = !ferror(file) && !buffer->failed;
	(void)fclose(file);
	return good;
}

struct text scenario_cut_line(struct text *rest)
{
	const char *lf = memchr(rest->data, '\n', rest->size);
	size_t size = lf ? (size_t)(lf - rest->data) : rest->size;
	struct text line = {rest->data, size};
	size_t with_lf = size + (lf ? 1 : 0);
	*rest = (struct text){rest->data + with_lf, rest->size - with_lf};
	return line;
}

/* Lines that are for the scenario and not for the configuration leave it empty lines, so that the
 * numbers of all others stay. */
static bool read_head(struct scenario *scenario)
{
	struct text rest = buffer_text(&scenario->file);
	while (rest.size > 0) {
		struct text line = scenario_cut_line(&rest);
		if (text_equal(line, TEXT("---"))) {
			buffer_append_char(&scenario->yaml, '\0');
			size_t size = (size_t)(rest.data - scenario->file.data);
			scenario->head = (struct text){scenario->file.data, size};
			scenario->trace = rest;
			return !scenario->yaml.failed;
		}
		if (text_equal(line, TEXT("observe: yes")))
			scenario->observe = true;
		else if (text_equal(line, TEXT("unfinished: yes")))
			scenario->unfinished = true;
		else
			buffer_append(&scenario->yaml, line);
		buffer_append_char(&scenario->yaml, '\n');
	}
	return false;
}

bool scenario_read(struct scenario *scenario, const char *path)
{
	*scenario = (struct scenario){.observe = false};
	buffer_init(&scenario->file);
	buffer_init(&scenario->yaml);
	buffer_init(&scenario->happened);
	buffer_init(&scenario->problem);
	if (!read_file(&scenario->file, path))
		return fail(scenario, strerror(errno));
	return read_head(scenario) || fail(scenario, "there is no line `---` in it");
}

long scenario_differs(const struct scenario *scenario)
{
	struct text expected = scenario->trace;
	struct text happened = buffer_text(&scenario->happened);
	for (long line = 0; expected.size > 0 || happened.size > 0; line++) {
		if (expected.size == 0 || happened.size == 0 ||
				!text_equal(scenario_cut_line(&expected),
						scenario_cut_line(&happened)))
			return line;
	}
	return -1;
}

void scenario_deinit(struct scenario *scenario)
{
	buffer_deinit(&scenario->file);
	buffer_deinit(&scenario->yaml);
	buffer_deinit(&scenario->happened);
	buffer_deinit(&scenario->problem);
}
