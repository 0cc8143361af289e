/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Tells when another file may stand at a path: something of that name was put into its directory,
 * by a rename or otherwise, or was written there and closed. What is so told of need not be another
 * file: look at it. Nothing is told of a directory on the way to it that is exchanged.
 */
#include "pipeline/loop/loop.h"

struct file_watch;

/* Borrows path. fn is called in a turn of its own. NULL and *ret_error (-errno) when it can't. */
struct file_watch *file_watch_new(
		struct loop *loop, const char *path, loop_fn fn, void *user, int *ret_error);

/* Takes NULL, and returns NULL. */
struct file_watch *file_watch_free(struct file_watch *watch);
