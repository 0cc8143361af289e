/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options are strict: one that was misread would make a number that looks right.
 */
#include "tests/bench/settings.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/hole.h"

#define CLIENTS_MAX 1000
#define WINDOW_MAX  100000
#define KEYS_MAX    10000000
#define SECONDS_MAX 3600

static const char help[] =
		"load: asks a server as fast as it answers, and prints as JSON how it did\n"
		"\n"
		"  --connect ENDPOINT  the server\n"
		"  --request TEXT      what is sent; @@@@ stands for the id, #### for the key\n"
		"  --reply TEXT        how each reply must begin; @@@@ stands for the id\n"
		"  --header-end TEXT   how the first line of each must end\n"
		"  --pid PID           the server's process, whose CPU time is measured\n"
		"  --clients N         connections (1)\n"
		"  --window N          requests that each has in flight (1)\n"
		"  --keys N            how many keys there are (100000)\n"
		"  --zipf EXPONENT     of the law that they are drawn by (0.99)\n"
		"  --each              ask for each key in turn instead\n"
		"  --seed N            fixes what is drawn (1)\n"
		"  --warm-up SECONDS   before anything is measured (0.5)\n"
		"  --seconds SECONDS   how long is measured (3)\n"
		"  --count N           or until so many replies have come\n"
		"  --help\n";

enum {
	CONNECT = 1,
	REQUEST,
	REPLY,
	HEADER_END,
	PID,
	CLIENTS,
	WINDOW,
	KEYS,
	ZIPF,
	EACH,
	SEED,
	WARM_UP,
	SECONDS,
	COUNT,
	HELP
};

static const struct option options[] = {
		{"connect", required_argument, NULL, CONNECT},
		{"request", required_argument, NULL, REQUEST},
		{"reply", required_argument, NULL, REPLY},
		{"header-end", required_argument, NULL, HEADER_END},
		{"pid", required_argument, NULL, PID},
		{"clients", required_argument, NULL, CLIENTS},
		{"window", required_argument, NULL, WINDOW},
		{"keys", required_argument, NULL, KEYS},
		{"zipf", required_argument, NULL, ZIPF},
		{"each", no_argument, NULL, EACH},
		{"seed", required_argument, NULL, SEED},
		{"warm-up", required_argument, NULL, WARM_UP},
		{"seconds", required_argument, NULL, SECONDS},
		{"count", required_argument, NULL, COUNT},
		{"help", no_argument, NULL, HELP},
		{0},
};

static bool read_count(const char *argument, uint64_t max, uint64_t *ret)
{
	return text_to_u64(text_of(argument), ret) && *ret >= 1 && *ret <= max;
}

static bool read_real(const char *argument, double max, double *ret)
{
	char *end;
	errno = 0;
	*ret = strtod(argument, &end);
	return end != argument && *end == '\0' && errno == 0 && *ret >= 0 && *ret <= max;
}

static bool read_text(const char *argument, struct text *ret)
{
	*ret = text_of(argument);
	return ret->size > 0;
}

static bool read_option(struct settings *settings, int option, const char *argument)
{
	switch (option) {
	case CONNECT:
		settings->endpoint = argument;
		return true;
	case REQUEST:
		return read_text(argument, &settings->request) &&
		       hole_find(settings->request, '@').width > 0;
	case REPLY:
		return read_text(argument, &settings->reply) &&
		       hole_find(settings->reply, '@').width > 0;
	case HEADER_END:
		return read_text(argument, &settings->header_end);
	case PID:
		return read_count(argument, INT32_MAX, &settings->pid);
	case CLIENTS:
		return read_count(argument, CLIENTS_MAX, &settings->clients);
	case WINDOW:
		return read_count(argument, WINDOW_MAX, &settings->window);
	case KEYS:
		return read_count(argument, KEYS_MAX, &settings->keys);
	case ZIPF:
		return read_real(argument, 10, &settings->zipf);
	case EACH:
		settings->each = true;
		return true;
	case SEED:
		return text_to_u64(text_of(argument), &settings->seed);
	case WARM_UP:
		return read_real(argument, SECONDS_MAX, &settings->warm_up);
	case SECONDS:
		return read_real(argument, SECONDS_MAX, &settings->seconds);
	default:
		return read_count(argument, UINT64_MAX, &settings->count);
	}
}

static bool are_complete(const struct settings *settings)
{
	if (settings->endpoint && settings->request.data && settings->reply.data &&
			settings->pid > 0)
		return true;
	(void)fprintf(stderr, "load: --connect, --request, --reply and --pid must be given; see "
			      "--help\n");
	return false;
}

bool settings_read(struct settings *settings, int argc, char **argv, int *ret_code)
{
	*settings = (struct settings){
			.clients = 1,
			.window = 1,
			.keys = 100000,
			.count = UINT64_MAX,
			.seed = 1,
			.zipf = 0.99,
			.warm_up = 0.5,
			.seconds = 3,
	};
	*ret_code = 2;
	int option, index;
	while ((option = getopt_long(argc, argv, "", options, &index)) != -1) {
		if (option == '?')
			return false;
		if (option == HELP) {
			(void)fputs(help, stdout);
			*ret_code = 0;
			return false;
		}
		if (!read_option(settings, option, optarg)) {
			(void)fprintf(stderr, "load: --%s cannot be \"%s\"; see --help\n",
					options[index].name, optarg);
			return false;
		}
	}
	if (optind < argc) {
		(void)fprintf(stderr, "load: \"%s\" is no option; see --help\n", argv[optind]);
		return false;
	}
	return are_complete(settings);
}
