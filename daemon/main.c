/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of sluiced.
 */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/daemon.h"

static const char usage[] = "Usage: sluiced --config FILE [--check]\n"
			    "\n"
			    "Answers requests over ZeroMQ by running each through a pipeline that "
			    "FILE describes.\n"
			    "\n"
			    "  -c, --config FILE   the configuration\n"
			    "      --check         only say what is wrong with it; 0: nothing\n"
			    "      --version       print the version\n"
			    "  -h, --help          print this\n"
			    "\n"
			    "Exit status: 0 after SIGTERM or SIGINT, 1 when it can't start, 2 for "
			    "a wrong command line.\n";

enum { OPTION_CHECK = 256, OPTION_VERSION };

static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"check", no_argument, NULL, OPTION_CHECK},
		{"version", no_argument, NULL, OPTION_VERSION},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
};

/* Blocked before any thread is started, so that only the loop sees them; a closed pipe is an error
 * to its writer and no end. */
static void prepare_signals(void)
{
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

/* What is closed here would be the number of something of ours, and the log would go into that. */
static void fill_standard_descriptors(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		(void)close(fd);
}

int main(int argc, char **argv)
{
	fill_standard_descriptors();
	const char *path = NULL;
	bool check = false;
	for (int option; (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
		switch (option) {
		case 'c':
			path = optarg;
			break;
		case OPTION_CHECK:
			check = true;
			break;
		case OPTION_VERSION:
			(void)puts("sluiced " SLUICE_VERSION);
			return 0;
		case 'h':
			(void)fputs(usage, stdout);
			return 0;
		default:
			(void)fputs("Try: sluiced --help\n", stderr);
			return 2;
		}
	}
	if (!path || optind < argc) {
		(void)fprintf(stderr, "sluiced: %s\nTry: sluiced --help\n",
				path ? "there are words too many" : "--config FILE is missing");
		return 2;
	}
	if (check)
		return daemon_check(path);
	prepare_signals();
	return daemon_run(path);
}
