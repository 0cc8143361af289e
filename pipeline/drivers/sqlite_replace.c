/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A database file that was replaced: another file stands at its path, put there by rename(2), as a
 * new catalog should be. It is tried on a connection of the loop's with every query, and only if
 * all can be prepared it is taken: each worker then opens it before its next job, and what runs
 * ends on the old one. Otherwise the old one stays open, and it is looked at again when something
 * happens to the path, or, where another process holds the new file's lock or a query is gone that
 * it may have been refused for, a little later. A file that could not be opened when its turn came
 * is tried again when something happens to the path, too.
 *
 * Files are told apart by device and inode. A worker that finds yet another one at the path stays
 * with what it has, until that one was tried.
 */
#include <errno.h>
#include <sys/stat.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/log.h"
#include "pipeline/drivers/sqlite.h"
#include "pipeline/loop/file_watch.h"

/* Who lets go of a lock tells nobody; and where queries end, many do. */
#define RETRY_NS 100000000U

bool sqlite_file_read(const char *path, struct sqlite_file *ret)
{
	struct stat status;
	if (stat(path, &status) != 0)
		return false;
	*ret = (struct sqlite_file){status.st_dev, status.st_ino, status.st_size, status.st_ctim};
	return true;
}

static bool same_file(const struct sqlite_file *a, const struct sqlite_file *b)
{
	return a->device == b->device && a->inode == b->inode;
}

bool sqlite_file_is_current(struct sqlite *sqlite)
{
	struct sqlite_file file;
	if (!sqlite_file_read(sqlite->path, &file))
		return false;
	pthread_mutex_lock(&sqlite->lock);
	bool same = same_file(&file, &sqlite->file);
	pthread_mutex_unlock(&sqlite->lock);
	return same;
}

static void tell(struct sqlite *sqlite, const char *event, const char *reason)
{
	const struct driver_context *context = sqlite->context;
	if (context->event)
		context->event(context->user, event, text_of(sqlite->resource.name), reason);
}

static void take(struct sqlite *sqlite, const struct sqlite_file *file)
{
	pthread_mutex_lock(&sqlite->lock);
	sqlite->file = *file;
	pthread_mutex_unlock(&sqlite->lock);
	atomic_fetch_add(&sqlite->files, 1);
	sqlite->refused = (struct sqlite_file){0};
	sqlite->database.replaced++;
	log_line(sqlite->context->log, LOG_LEVEL_NOTICE, "a replaced database is used",
			{"database", text_of(sqlite->resource.name)},
			{"file", text_of(sqlite->path)});
	tell(sqlite, "database_replaced", "another file stands at its path");
}

/* Nothing of ours has a file open that was refused. */
static bool unchanged(const struct sqlite_file *a, const struct sqlite_file *b)
{
	return same_file(a, b) && a->size == b->size && a->changed.tv_sec == b->changed.tv_sec &&
	       a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Said once of each file, however often it is looked at. */
static void refuse(struct sqlite *sqlite, const struct sqlite_file *file, const struct diag *diag)
{
	if (unchanged(file, &sqlite->refused))
		return;
	sqlite->refused = *file;
	log_line(sqlite->context->log, LOG_LEVEL_WARNING,
			sqlite->resource.ready ? "a replaced database cannot be used, and the one "
						 "before stays open"
					       : "a replaced database cannot be used either",
			{"database", text_of(sqlite->resource.name)},
			{"file", text_of(sqlite->path)},
			{"error", text_of(diag->first ? diag->first->message : "out of memory")});
	tell(sqlite, "database_refused", "the file that now stands at its path cannot be used");
}

static void on_look(void *user)
{
	(void)sqlite_look(user);
}

static void look_again_later(struct sqlite *sqlite)
{
	if (sqlite->retry == NULL)
		(void)loop_every(sqlite->context->loop, RETRY_NS, LOOP_PRIORITY_ANSWERS, on_look,
				sqlite, &sqlite->retry);
}

void sqlite_look_later(struct sqlite *sqlite)
{
	if (sqlite->resource.ready && sqlite->refused.inode != 0)
		look_again_later(sqlite);
}

/* What was found in a file is only of that file if it still stands there. */
static void try_file(struct sqlite *sqlite, const struct sqlite_file *file)
{
	struct arena arena;
	struct diag diag;
	struct sqlite_file after;
	arena_init(&arena, NULL);
	diag_init(&diag, &arena);
	enum sqlite_open opened = sqlite_prove(sqlite, QUERIES_ALL, &diag);
	bool stayed = sqlite_file_read(sqlite->path, &after) && same_file(file, &after);
	if (stayed && opened == OPEN_DONE)
		take(sqlite, file);
	else if (stayed && opened == OPEN_FAILED)
		refuse(sqlite, file, &diag);
	else if (stayed)
		look_again_later(sqlite);
	arena_deinit(&arena);
}

/* Whether what stands at the path now can be opened, where what stood there could not. */
static void open_after_all(struct sqlite *sqlite)
{
	struct arena arena;
	struct diag diag;
	arena_init(&arena, NULL);
	diag_init(&diag, &arena);
	enum sqlite_open opened = sqlite_open_all(sqlite, &diag);
	sqlite->resource.failed = opened != OPEN_DONE;
	if (opened == OPEN_DONE)
		tell(sqlite, "database_ready", "opened");
	else if (opened == OPEN_FAILED)
		refuse(sqlite, &sqlite->file, &diag);
	else
		look_again_later(sqlite);
	arena_deinit(&arena);
}

bool sqlite_look(struct sqlite *sqlite)
{
	struct sqlite_file file;
	sqlite->retry = sd_event_source_disable_unref(sqlite->retry);
	if (!sqlite_file_read(sqlite->path, &file))
		return true;
	if (sqlite->resource.failed)
		open_after_all(sqlite);
	else if (sqlite->resource.ready && !same_file(&file, &sqlite->file))
		try_file(sqlite, &file);
	return same_file(&file, &sqlite->file);
}

/* Of a directory that is not there the opening complains. */
static void tell_unwatched(struct sqlite *sqlite, int error)
{
	if (error == -ENOENT || error == -ENOTDIR || sqlite->told_unwatched)
		return;
	sqlite->told_unwatched = true;
	log_line(sqlite->context->log, LOG_LEVEL_WARNING,
			"it will not be noticed when this database is replaced",
			{"database", text_of(sqlite->resource.name)},
			{"file", text_of(sqlite->path)}, {"error", text_of(strerror(-error))});
}

bool sqlite_watch(struct sqlite *sqlite)
{
	int error = 0;
	if (sqlite->watch == NULL)
		sqlite->watch = file_watch_new(
				sqlite->context->loop, sqlite->path, on_look, sqlite, &error);
	/* Whatever is put there from here on is noticed. */
	(void)sqlite_file_read(sqlite->path, &sqlite->file);
	if (error != 0 && error != -ENOMEM)
		tell_unwatched(sqlite, error);
	return error != -ENOMEM;
}

void sqlite_unwatch(struct sqlite *sqlite)
{
	sqlite->watch = file_watch_free(sqlite->watch);
	sqlite->retry = sd_event_source_disable_unref(sqlite->retry);
}
