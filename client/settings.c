/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every slip is found before anything is sent, and said in one line with what would be right.
 */
#include "client/settings.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>

#include "pipeline/wire/wire.h"

#define BUDGET_MAX  999999999
#define SECONDS_MAX 999999999

#define ID_WRONG "--id must be 1 to 64 of A-Z a-z 0-9 _ . : -, and not - alone, not \"%s\""

static const char help[] =
		"sluicectl: asks sluiced, and watches it\n"
		"\n"
		"  sluicectl call PIPELINE [JSON]   sends one request and prints the answer;\n"
		"                                   -: the JSON is read from stdin\n"
		"  sluicectl ping                   asks whether the daemon answers\n"
		"  sluicectl watch [TOPIC…]         prints events, one a line, until Ctrl-C\n"
		"\n"
		"call and ping:\n"
		"  --endpoint ENDPOINT   where sluiced listens (tcp://127.0.0.1:5555)\n"
		"  --budget MS           how long the answer may take (the pipeline decides)\n"
		"  --id ID               the request's id\n"
		"call:\n"
		"  --fresh               has the answer made anew, and no cache read\n"
		"  --stream              prints the parts of the answer as they come\n"
		"  --raw                 prints the answer's body as it came\n"
		"watch:\n"
		"  --telemetry ENDPOINT  where sluiced publishes (tcp://127.0.0.1:5556)\n"
		"  --count N             ends after N events\n"
		"  --for SECONDS         ends after that time\n"
		"\n"
		"  --help, --version\n"
		"\n"
		"Ends with 0 if the answer is OK, 1 if it has another status, 2 if the command\n"
		"line is wrong, 3 if no answer, or fewer events than --count says, came in time.\n";

enum { ENDPOINT, BUDGET, ID, FRESH, STREAM, RAW, TELEMETRY, COUNT, FOR, HELP, VERSION };

static const struct option options[] = {
		{"endpoint", required_argument, NULL, ENDPOINT},
		{"budget", required_argument, NULL, BUDGET},
		{"id", required_argument, NULL, ID},
		{"fresh", no_argument, NULL, FRESH},
		{"stream", no_argument, NULL, STREAM},
		{"raw", no_argument, NULL, RAW},
		{"telemetry", required_argument, NULL, TELEMETRY},
		{"count", required_argument, NULL, COUNT},
		{"for", required_argument, NULL, FOR},
		{"help", no_argument, NULL, HELP},
		{"version", no_argument, NULL, VERSION},
		{0},
};

/* The commands, and a bit for each option that they know. */
static const struct {
	const char *name;
	unsigned options;
} commands[] = {
		[COMMAND_CALL] = {"call", 1U << ENDPOINT | 1U << BUDGET | 1U << ID | 1U << FRESH |
							  1U << STREAM | 1U << RAW},
		[COMMAND_PING] = {"ping", 1U << ENDPOINT | 1U << BUDGET | 1U << ID},
		[COMMAND_WATCH] = {"watch", 1U << TELEMETRY | 1U << COUNT | 1U << FOR},
};

#define COMMANDS (sizeof(commands) / sizeof(*commands))

__attribute__((format(printf, 1, 2))) static bool wrong(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	(void)fputs("sluicectl: ", stderr);
	(void)vfprintf(stderr, format, arguments);
	(void)fputs("; see sluicectl --help\n", stderr);
	va_end(arguments);
	return false;
}

static bool read_number(
		const char *name, const char *argument, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t number;
	if (!text_to_u64(text_of(argument), &number) || number < min || number > max)
		return wrong("--%s must be a whole number from %llu to %llu, not \"%s\"", name,
				(unsigned long long)min, (unsigned long long)max, argument);
	*ret = number;
	return true;
}

static bool read_option(struct settings *settings, int option, const char *argument)
{
	switch (option) {
	case ENDPOINT:
		settings->endpoint = argument;
		return true;
	case TELEMETRY:
		settings->telemetry = argument;
		return true;
	case BUDGET:
		return read_number("budget", argument, 0, BUDGET_MAX, &settings->budget_ms);
	case COUNT:
		return read_number("count", argument, 1, UINT32_MAX, &settings->count);
	case FOR:
		return read_number("for", argument, 1, SECONDS_MAX, &settings->seconds);
	case FRESH:
		settings->fresh = true;
		return true;
	case STREAM:
		settings->stream = true;
		return true;
	case RAW:
		settings->raw = true;
		return true;
	default:
		settings->id = text_of(argument);
		if (wire_is_id(settings->id))
			return true;
		return wrong(ID_WRONG, argument);
	}
}

/* Reads what begins with dashes, and moves the rest to argv[optind]. */
static bool read_options(struct settings *settings, int argc, char **argv, unsigned *ret_given,
		enum result *ret_result)
{
	int option;
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (option == ':')
			return wrong("%s needs a value", argv[optind - 1]);
		if (option == '?' && optopt > ' ')
			return wrong("there is no option -%c", optopt); /* in a cluster, maybe */
		if (option == '?' && optopt > 0)
			return wrong("--%s takes no value", options[optopt].name);
		if (option == '?')
			return wrong("there is no option %s", argv[optind - 1]);
		if (option == HELP || option == VERSION) {
			(void)fputs(option == HELP ? help : "sluicectl " SLUICE_VERSION "\n",
					stdout);
			*ret_result = RESULT_OK;
			return false;
		}
		if (!read_option(settings, option, optarg))
			return false;
		*ret_given |= 1U << option;
	}
	return true;
}

static bool read_command(struct settings *settings, const char *name, unsigned given)
{
	size_t command = 0;
	while (command < COMMANDS && strcmp(commands[command].name, name) != 0)
		command++;
	if (command == COMMANDS)
		return wrong("there is no command \"%s\"", name);
	settings->command = (enum command)command;
	for (int option = 0; options[option].name; option++)
		if (given & ~commands[command].options & 1U << option)
			return wrong("--%s is not for %s", options[option].name, name);
	return true;
}

static bool read_operands(struct settings *settings, int count, char **operands)
{
	if (settings->command == COMMAND_WATCH) {
		settings->topics = operands;
		settings->topic_count = count;
		return true;
	}
	if (settings->command == COMMAND_PING) {
		settings->target = TEXT("$ping");
		return count == 0 || wrong("ping takes nothing, not \"%s\"", operands[0]);
	}
	if (count == 0)
		return wrong("call needs the name of a pipeline");
	if (count > 2)
		return wrong("call takes one pipeline and one JSON body, in quotes, and not \"%s\"",
				operands[2]);
	settings->target = text_of(operands[0]);
	if (!wire_is_name(settings->target))
		return wrong("the name of a pipeline is 1 to 64 of A-Z a-z 0-9 _ -, not \"%s\"",
				operands[0]);
	settings->body_on_stdin = count == 2 && strcmp(operands[1], "-") == 0;
	if (!settings->body_on_stdin)
		settings->body = text_of(operands[1]);
	return true;
}

bool settings_read(struct settings *settings, int argc, char **argv, enum result *ret_result)
{
	unsigned given = 0;
	*settings = (struct settings){
			.endpoint = "tcp://127.0.0.1:5555",
			.telemetry = "tcp://127.0.0.1:5556",
			.budget_ms = WIRE_BUDGET_NONE,
	};
	*ret_result = RESULT_USAGE;
	if (!read_options(settings, argc, argv, &given, ret_result))
		return false;
	if (optind == argc)
		return wrong("what is to be done? call, ping or watch");
	if (!read_command(settings, argv[optind], given))
		return false;
	return read_operands(settings, argc - optind - 1, argv + optind + 1);
}
