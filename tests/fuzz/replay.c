/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a harness over inputs that were kept: `fuzz_NAME PATH...`, where a folder stands for all of
 * its files. Each input lies in a block of just its size, so that a step past its end is seen, and
 * is named before it runs, so that a crash is known by the name that came last.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

static unsigned inputs;

static _Noreturn void give_up(const char *path)
{
	(void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
	exit(1);
}

static void run_file(const char *path, size_t size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = malloc(size ? size : 1);
	if (!file || !data || fread(data, 1, size, file) != size)
		give_up(path);
	(void)fclose(file);
	(void)printf("# %s\n", path);
	(void)fflush(stdout);
	(void)LLVMFuzzerTestOneInput(data, size);
	(void)printf("ok %u - %s\n", ++inputs, path);
	free(data);
}

static void run(const char *path);

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void run_folder(const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, is_visible, alphasort);
	if (count < 0)
		give_up(path);
	for (int i = 0; i < count; i++) {
		char *name;
		if (asprintf(&name, "%s/%s", path, entries[i]->d_name) < 0)
			give_up(path);
		run(name);
		free(name);
		free(entries[i]);
	}
	free(entries);
}

static void run(const char *path)
{
	struct stat status;
	if (stat(path, &status) != 0)
		give_up(path);
	if (S_ISDIR(status.st_mode))
		run_folder(path);
	else
		run_file(path, (size_t)status.st_size);
}

int main(int count, char **arguments)
{
	for (int i = 1; i < count; i++)
		run(arguments[i]);
	(void)printf("1..%u\n", inputs);
	if (inputs == 0)
		(void)fprintf(stderr, "there is no input\n");
	return inputs == 0;
}
