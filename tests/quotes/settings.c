/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options are strict: a test that slips in one of them would test something else.
 */
#include "tests/quotes/settings.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/base/text.h"

#define MS_MAX	   3600000
#define SLOWER_MAX 1000

static const char help[] =
		"quotes: a quote source to try sluice with\n"
		"\n"
		"  --bind ENDPOINT   where it listens (tcp://127.0.0.1:6001); tcp://127.0.0.1:* "
		"takes a free port\n"
		"  --name NAME       what it calls itself (quotes)\n"
		"  --latency MS      how long an answer takes (0)\n"
		"  --jitter MS       and up to how much longer (0)\n"
		"  --slow SHARE      of quotes, from 0 to 1, that take longer\n"
		"  --slower N        so many times (10)\n"
		"  --fail SHARE      of quotes, from 0 to 1, that are answered UNAVAILABLE\n"
		"  --hang SHARE      that are never answered\n"
		"  --garbage SHARE   whose body is no JSON\n"
		"  --twice SHARE     that are answered twice\n"
		"  --ignore-cancel   answer what was cancelled all the same, and so too late\n"
		"  --seed N          fixes its prices and its moods (1)\n"
		"  --help\n";

enum {
	BIND = 1,
	NAME,
	LATENCY,
	JITTER,
	SLOW,
	SLOWER,
	FAIL,
	HANG,
	GARBAGE,
	TWICE,
	IGNORE_CANCEL,
	SEED,
	HELP
};

static const struct option options[] = {
		{"bind", required_argument, NULL, BIND},
		{"name", required_argument, NULL, NAME},
		{"latency", required_argument, NULL, LATENCY},
		{"jitter", required_argument, NULL, JITTER},
		{"slow", required_argument, NULL, SLOW},
		{"slower", required_argument, NULL, SLOWER},
		{"fail", required_argument, NULL, FAIL},
		{"hang", required_argument, NULL, HANG},
		{"garbage", required_argument, NULL, GARBAGE},
		{"twice", required_argument, NULL, TWICE},
		{"ignore-cancel", no_argument, NULL, IGNORE_CANCEL},
		{"seed", required_argument, NULL, SEED},
		{"help", no_argument, NULL, HELP},
		{0},
};

static bool read_ms(const char *argument, uint64_t *ret)
{
	return text_to_u64(text_of(argument), ret) && *ret <= MS_MAX;
}

static bool read_share(const char *argument, double *ret)
{
	char *end;
	errno = 0;
	*ret = strtod(argument, &end);
	return end != argument && *end == '\0' && errno == 0 && *ret >= 0 && *ret <= 1;
}

static bool read_option(struct settings *settings, int option, const char *argument)
{
	switch (option) {
	case BIND:
		settings->bind = argument;
		return true;
	case NAME:
		settings->name = argument;
		return true;
	case LATENCY:
		return read_ms(argument, &settings->latency_ms);
	case JITTER:
		return read_ms(argument, &settings->jitter_ms);
	case SLOW:
		return read_share(argument, &settings->slow);
	case SLOWER:
		return text_to_u64(text_of(argument), &settings->slower) &&
		       settings->slower <= SLOWER_MAX;
	case FAIL:
		return read_share(argument, &settings->fail);
	case HANG:
		return read_share(argument, &settings->hang);
	case GARBAGE:
		return read_share(argument, &settings->garbage);
	case TWICE:
		return read_share(argument, &settings->twice);
	case IGNORE_CANCEL:
		settings->ignore_cancel = true;
		return true;
	default:
		return text_to_u64(text_of(argument), &settings->seed);
	}
}

bool settings_read(struct settings *settings, int argc, char **argv, int *ret_code)
{
	*settings = (struct settings){
			.bind = "tcp://127.0.0.1:6001", .name = "quotes", .slower = 10, .seed = 1};
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
			(void)fprintf(stderr, "quotes: --%s cannot be \"%s\"; see --help\n",
					options[index].name, optarg);
			return false;
		}
	}
	if (optind < argc) {
		(void)fprintf(stderr, "quotes: \"%s\" is no option; see --help\n", argv[optind]);
		return false;
	}
	return true;
}
