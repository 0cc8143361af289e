/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line client: asks the front door one thing, or watches the telemetry feed.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <zmq.h>

#include "client/call.h"
#include "client/settings.h"
#include "client/watch.h"

/*
 * Signals that end a watch, from a descriptor; blocked before libzmq starts its threads, so that
 * none of them takes one.
 */
static int open_signals(void)
{
	sigset_t mask;
	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGINT);
	(void)sigaddset(&mask, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &mask, NULL);
	return signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

static enum result watch(const struct settings *settings, void *context)
{
	int signals = open_signals();
	if (signals < 0) {
		perror("sluicectl: signalfd");
		return RESULT_USAGE;
	}
	enum result result = watch_run(settings, context, signals);
	(void)close(signals);
	return result;
}

int main(int argc, char **argv)
{
	struct settings settings;
	enum result result;
	if (!settings_read(&settings, argc, argv, &result))
		return (int)result;
	/* Its threads start with its first socket. */
	void *context = zmq_ctx_new();
	if (!context) {
		(void)fprintf(stderr, "sluicectl: cannot begin: %s\n", zmq_strerror(errno));
		return RESULT_USAGE;
	}
	result = settings.command == COMMAND_WATCH ? watch(&settings, context)
						   : call_run(&settings, context);
	(void)zmq_ctx_term(context);
	if ((fflush(stdout) != 0 || ferror(stdout)) && result == RESULT_OK) {
		perror("sluicectl: cannot write the answer");
		result = RESULT_STATUS;
	}
	return (int)result;
}
