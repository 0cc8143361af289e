/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs scenarios, and compares what happens with what their files say. With --accept the files are
 * written anew instead: for a human to read before anyone believes them.
 *
 *   test_scenarios [--accept] FILE|DIRECTORY...
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/scenario.h"

#define SUFFIX ".trace"

struct list {
	char **paths;
	size_t count;
};

static bool add(struct list *list, const char *folder, const char *name)
{
	char **paths = realloc(list->paths, (list->count + 1) * sizeof(*paths));
	if (!paths)
		return false;
	list->paths = paths;
	if (asprintf(&paths[list->count], "%s%s%s", folder ? folder : "", folder ? "/" : "", name) <
			0)
		return false;
	list->count++;
	return true;
}

static int is_trace(const struct dirent *entry)
{
	size_t size = strlen(entry->d_name);
	size_t suffix = strlen(SUFFIX);
	return size > suffix && strcmp(entry->d_name + size - suffix, SUFFIX) == 0;
}

/* The same order everywhere, whatever the locale. */
static int compare(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static bool add_argument(struct list *list, const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, is_trace, compare);
	if (count < 0)
		return errno == ENOTDIR && add(list, NULL, path);
	bool good = count > 0;
	for (int i = 0; i < count; i++) {
		good = good && add(list, path, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return good;
}

static void print_lines(const char *mark, struct text rest, long from, long to)
{
	for (long line = 0; rest.size > 0 && line < to; line++) {
		struct text text = scenario_cut_line(&rest);
		if (line >= from)
			printf("# %s %.*s\n", mark, TEXT_ARG(text));
	}
}

static long count_lines(struct text rest)
{
	long count = 0;
	for (; rest.size > 0; count++)
		(void)scenario_cut_line(&rest);
	return count;
}

/* The line of that number, which there is. */
static struct text line_of(struct text rest, long number)
{
	while (number-- > 0)
		(void)scenario_cut_line(&rest);
	return scenario_cut_line(&rest);
}

/* What agrees; what the file says and what happened instead; and what agrees again after it. */
static void print_difference(const struct scenario *scenario, long from)
{
	struct text expected = scenario->trace;
	struct text happened = buffer_text(&scenario->happened);
	long expected_to = count_lines(expected);
	long happened_to = count_lines(happened);
	while (expected_to > from && happened_to > from &&
			text_equal(line_of(expected, expected_to - 1),
					line_of(happened, happened_to - 1))) {
		expected_to--;
		happened_to--;
	}
	print_lines(" ", expected, 0, from);
	print_lines("-", expected, from, expected_to);
	print_lines("+", happened, from, happened_to);
	print_lines(" ", expected, expected_to, LONG_MAX);
}

static bool write_anew(const struct scenario *scenario, const char *path)
{
	FILE *file = fopen(path, "we");
	if (!file)
		return false;
	struct text happened = buffer_text(&scenario->happened);
	bool good = fwrite(scenario->head.data, 1, scenario->head.size, file) ==
				    scenario->head.size &&
		    fwrite(happened.data, 1, happened.size, file) == happened.size;
	return fclose(file) == 0 && good;
}

static bool run(const char *path, bool accept)
{
	struct scenario scenario;
	bool good = scenario_read(&scenario, path) && scenario_run(&scenario);
	if (good && accept && !write_anew(&scenario, path)) {
		printf("# %s: %s\n", path, strerror(errno));
		good = false;
	} else if (good && !accept) {
		long line = scenario_differs(&scenario);
		good = line < 0;
		if (!good)
			print_difference(&scenario, line);
	} else if (!good) {
		printf("# %s: %s\n", path,
				scenario.problem.size > 0 ? scenario.problem.data
							  : "out of memory");
		print_lines("+", buffer_text(&scenario.happened), 0, LONG_MAX);
	}
	scenario_deinit(&scenario);
	return good;
}

static bool run_all(const struct list *list, bool accept)
{
	bool all = true;
	printf("1..%zu\n", list->count);
	for (size_t i = 0; i < list->count; i++) {
		const char *slash = strrchr(list->paths[i], '/');
		const char *name = slash ? slash + 1 : list->paths[i];
		size_t size = strlen(name);
		bool good = run(list->paths[i], accept);
		if (size > strlen(SUFFIX))
			size -= strlen(SUFFIX);
		printf("%s %zu - %.*s\n", good ? "ok" : "not ok", i + 1, (int)size, name);
		all = all && good;
	}
	return all;
}

int main(int argc, char **argv)
{
	struct list list = {NULL, 0};
	bool accept = argc > 1 && strcmp(argv[1], "--accept") == 0;
	bool good = true;
	/* Whatever ends the program, what it has said until then is there to read. */
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = accept ? 2 : 1; i < argc; i++) {
		if (add_argument(&list, argv[i]))
			continue;
		(void)fprintf(stderr, "%s: no scenario is there\n", argv[i]);
		good = false;
	}
	if (list.count == 0)
		good = false;
	good = good && run_all(&list, accept);
	for (size_t i = 0; i < list.count; i++)
		free(list.paths[i]);
	free(list.paths);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
