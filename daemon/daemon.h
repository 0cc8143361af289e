/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The daemon as a whole: from a configuration file to an exit code.
 */

/*
 * Reads and compiles the file and opens nothing. Prints what is wrong with it to stderr, or that it
 * is right to stdout. 0 or 1.
 */
int daemon_check(const char *path);

/* The same of what was read at path; takes build. */
struct build;
int daemon_check_build(struct build *build, const char *path);

/*
 * Serves until SIGTERM or SIGINT. SIGTERM, SIGINT and SIGHUP must be blocked, and no thread be
 * started yet. Returns the exit code: 0, or 1 when it could not start.
 */
int daemon_run(const char *path);
