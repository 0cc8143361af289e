/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a path to a tree of option values. Reading stops one byte after the limit, so that a file
 * that is too large, or has no end, costs no more than the largest that is allowed.
 */
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf/document.h"
#include "conf/names.h"
#include "conf/walk.h"
#include "pipeline/base/arena.h"

/* Many times what a large configuration needs; libyaml's time is quadratic in some inputs. */
#define FILE_SIZE_MAX ((size_t)256 * 1024)

const struct option_map *conf_look(const char *name, struct text text, const struct option *root,
		struct arena *arena, struct diag *diag)
{
	size_t errors = diag->errors;
	struct text file = arena_copy(arena, text_of(name));
	if (!file.data) {
		diag_error(diag, (struct place){name, 0, 0}, "out of memory");
		return NULL;
	}
	if (text.size > FILE_SIZE_MAX) {
		diag_error(diag, (struct place){file.data, 0, 0}, "is over %zu KiB",
				FILE_SIZE_MAX / 1024);
		return NULL;
	}
	const struct node *node = document_read(file.data, text, arena, diag);
	bool is_whole = diag->errors == errors;
	if (!node || node->kind == NODE_REFUSED)
		return NULL;
	if (node->kind != NODE_MAP) {
		diag_error(diag, node->place, "expected a map of options, not %s",
				names_show_node(node, arena));
		return NULL;
	}
	struct walk walk = {
			.file = file.data, .arena = arena, .diag = diag, .blamed = diag->errors};
	const struct option_map *map = walk_file(&walk, root, node);
	return walk.failed || !is_whole ? NULL : map;
}

const struct option_map *conf_read(const char *name, struct text text, const struct option *root,
		struct arena *arena, struct diag *diag)
{
	size_t errors = diag->errors;
	const struct option_map *map = conf_look(name, text, root, arena, diag);
	return diag->errors > errors ? NULL : map;
}

/* Reads up to size bytes; fewer only at the end of the file. -errno on failure. */
static ssize_t read_up_to(int fd, char *data, size_t size)
{
	size_t filled = 0;
	while (filled < size) {
		ssize_t n = read(fd, data + filled, size - filled);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		filled += (size_t)n;
	}
	return (ssize_t)filled;
}

static ssize_t read_file(const char *path, char *data, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read_up_to(fd, data, size);
	(void)close(fd);
	return n;
}

const struct option_map *conf_load(
		const char *path, const struct option *root, struct arena *arena, struct diag *diag)
{
	const struct option_map *map = NULL;
	char *data = malloc(FILE_SIZE_MAX + 1);
	ssize_t n = data ? read_file(path, data, FILE_SIZE_MAX + 1) : -ENOMEM;
	if (n < 0) {
		struct text file = arena_copy(arena, text_of(path));
		diag_error(diag, (struct place){file.data ? file.data : path, 0, 0},
				"cannot be read: %s", strerror((int)-n));
	} else {
		map = conf_look(path, (struct text){data, (size_t)n}, root, arena, diag);
	}
	free(data);
	return map;
}
