/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inotify(7) watches files, and one that is renamed away takes its watch along. So what is watched
 * is the directory, and what is told of other names there is passed over. Where events were lost
 * (IN_Q_OVERFLOW) there may have been one of ours.
 */
#include "pipeline/loop/file_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

struct file_watch {
	struct loop *loop;
	loop_fn fn;
	void *user;
	sd_event_source *source;
	const char *name; /* in the directory */
	char directory[];
};

static int on_event(sd_event_source *source, const struct inotify_event *event, void *user)
{
	struct file_watch *watch = user;
	bool ours = event->len > 0 && strcmp(event->name, watch->name) == 0;
	if (!ours && !(event->mask & IN_Q_OVERFLOW))
		return 0;
	loop_enter(watch->loop);
	watch->fn(watch->user);
	loop_leave(watch->loop);
	return 0;
}

static struct file_watch *split(const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t size = slash ? (size_t)(slash - path) + 1 : 0;
	struct file_watch *watch = calloc(1, sizeof(*watch) + size + 2);
	if (watch == NULL)
		return NULL;
	memcpy(watch->directory, slash ? path : ".", slash ? size : 1);
	watch->name = slash ? slash + 1 : path;
	return watch;
}

struct file_watch *file_watch_new(
		struct loop *loop, const char *path, loop_fn fn, void *user, int *ret_error)
{
	struct file_watch *watch = split(path);
	if (watch == NULL) {
		*ret_error = -ENOMEM;
		return NULL;
	}
	watch->loop = loop;
	watch->fn = fn;
	watch->user = user;
	int r = sd_event_add_inotify(loop->event, &watch->source, watch->directory,
			IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR, on_event, watch);
	if (r >= 0)
		r = sd_event_source_set_priority(watch->source, LOOP_PRIORITY_ANSWERS);
	if (r >= 0)
		return watch;
	*ret_error = r;
	return file_watch_free(watch);
}

struct file_watch *file_watch_free(struct file_watch *watch)
{
	if (watch)
		sd_event_source_disable_unref(watch->source);
	free(watch);
	return NULL;
}
