/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root of the option tables. What stages and drivers accept stands in their own files; here
 * they are put together.
 */
#include "daemon/config.h"

#include <string.h>

#include "conf/conf.h"
#include "pipeline/base/arena.h"
#include "pipeline/base/endpoint.h"
#include "pipeline/drivers/driver.h"
#include "pipeline/requests/record_feed.h"
#include "pipeline/stages/pipeline.h"
#include "pipeline/wire/wire.h"

static const struct option telemetry_options[] = {
		{.key = "publish",
				.kind = OPTION_TEXT,
				.required = true,
				.min = 1,
				.max = 200,
				.help = "where the feed is bound"},
		{.key = "every",
				.kind = OPTION_DURATION,
				.fallback = "1s",
				.min = 10000000,
				.help = "how often `stats` is published"},
		{.key = "feeds",
				.kind = OPTION_NAMED,
				.table = record_feed_options,
				.max = 100,
				.help = "by name: what else is told of requests"},
		{.key = NULL},
};

static const struct option adaptive_options[] = {
		{.key = "min",
				.kind = OPTION_NUMBER,
				.fallback = "20",
				.min = 1,
				.max = 100000000,
				.help = "where the limit begins, and the least it may be"},
		{.key = "max",
				.kind = OPTION_NUMBER,
				.fallback = "10000",
				.min = 1,
				.max = 100000000,
				.help = "the most"},
		{.key = NULL},
};

static const struct option limits_options[] = {
		{.key = "in_flight",
				.kind = OPTION_NUMBER,
				.fallback = "10000",
				.min = 1,
				.max = 100000000,
				.help = "requests that wait or whose work is still ending"},
		{.key = "adaptive",
				.kind = OPTION_MAP,
				.table = adaptive_options,
				.help = "in place of in_flight: a limit that follows from how long "
					"requests take"},
		{.key = "per_client",
				.kind = OPTION_NUMBER,
				.fallback = "1000",
				.min = 1,
				.max = 10000000,
				.help = "the same, of one client"},
		{.key = "message",
				.kind = OPTION_SIZE,
				.fallback = "1MiB",
				.min = 64,
				.max = WIRE_BODY_MAX,
				.help = "bytes of a body"},
		{.key = "bytes",
				.kind = OPTION_SIZE,
				.fallback = "256MiB",
				.min = 1,
				.help = "memory held for requests, in all"},
		{.key = "values",
				.kind = OPTION_NUMBER,
				.fallback = "10000",
				.min = 1,
				.max = 10000000,
				.help = "JSON values in a body"},
		{.key = "depth",
				.kind = OPTION_NUMBER,
				.fallback = "32",
				.min = 1,
				.max = 1000,
				.help = "nested arrays and objects in a body"},
		{.key = "deadline",
				.kind = OPTION_DURATION,
				.fallback = "1s",
				.min = 1000000,
				.max = OPTION_DURATION_MAX,
				.help = "for a request without a budget to a pipeline without a "
					"deadline"},
		{.key = "max_deadline",
				.kind = OPTION_DURATION,
				.fallback = "30s",
				.min = 1000000,
				.max = OPTION_DURATION_MAX,
				.help = "the longest of all"},
		{.key = "client_stall",
				.kind = OPTION_DURATION,
				.fallback = "5s",
				.min = 1000000,
				.max = OPTION_DURATION_MAX,
				.help = "a client that has not read its replies for so long is "
					"treated as gone"},
		{.key = NULL},
};

/* One entry more than drivers, for the end. */
static struct option_variant databases[] = {
		{.name = "sqlite"}, {.name = "postgres", .later = true}, {.name = NULL}};
static struct option_variant caches[] = {
		{.name = "memory"}, {.name = "redis", .later = true}, {.name = NULL}};
static struct option_variant sources[] = {
		{.name = "zmq"}, {.name = "http", .needs = "libcurl"}, {.name = NULL}};

static const struct option root_options[] = {
		{.key = "listen",
				.kind = OPTION_TEXT,
				.required = true,
				.min = 1,
				.max = 200,
				.help = "where clients connect: tcp://ADDRESS:PORT"},
		{.key = "insecure",
				.kind = OPTION_BOOLEAN,
				.fallback = "false",
				.help = "true: let doors be reached from other machines, "
					"unprotected"},
		{.key = "telemetry",
				.kind = OPTION_MAP,
				.table = telemetry_options,
				.help = "the live feed"},
		{.key = "control", .kind = OPTION_TEXT, .later = true},
		{.key = "limits",
				.kind = OPTION_MAP,
				.table = limits_options,
				.help = "what clients can make the daemon hold"},
		{.key = "drain",
				.kind = OPTION_DURATION,
				.fallback = "5s",
				.help = "how long a stop waits for requests in flight"},
		{.key = "start_timeout",
				.kind = OPTION_DURATION,
				.fallback = "10s",
				.min = 1000000,
				.help = "how long a start or a reload waits for what it opens"},
		{.key = "databases",
				.kind = OPTION_NAMED,
				.variants = databases,
				.help = "by name"},
		{.key = "caches", .kind = OPTION_NAMED, .variants = caches, .help = "by name"},
		{.key = "sources", .kind = OPTION_NAMED, .variants = sources, .help = "by name"},
		{.key = "pipelines",
				.kind = OPTION_NAMED,
				.required = true,
				.min = 1,
				.table = pipeline_options,
				.help = "by name: what requests name"},
		{.key = NULL},
};

/* The tables of drivers are known only when linked, so they are put in here. */
static void link_drivers(struct option_variant *variants)
{
	for (; variants->name; variants++) {
		const struct driver *driver = driver_find(variants->name);
		if (!driver)
			continue;
		variants->help = driver->help;
		variants->table = driver->options;
	}
}

/* libzmq binds to addresses and to interfaces, never to the name of a host. */
static bool on_loopback(struct text host)
{
	return text_begins_with(host, TEXT("127.")) || text_equal(host, TEXT("[::1]"));
}

/* libzmq chooses the port. */
static bool is_any(struct text port)
{
	return text_equal(port, TEXT("*")) || text_equal(port, TEXT("0"));
}

/* A door that other machines can reach is a decision, never a default. */
static void check_door(const char *endpoint, struct place place, bool insecure, struct diag *diag)
{
	struct text host, port;
	if (!endpoint_split(text_of(endpoint), &host, &port)) {
		diag_error(diag, place,
				"expected tcp://ADDRESS:PORT, such as tcp://127.0.0.1:5555");
		return;
	}
	if (!is_any(port) && !endpoint_is_port(port))
		diag_error(diag, place, "\"%.*s\" is no port: expected 1 to 65535, or `*` for any",
				TEXT_ARG(port));
	if (text_equal(host, TEXT("localhost")))
		diag_error(diag, place, "expected an address, such as 127.0.0.1, not a name");
	else if (!on_loopback(host) && !insecure)
		diag_error(diag, place,
				"%s can be reached from other machines, and there is no "
				"protection: bind it to 127.0.0.1, or "
				"say `insecure: true`",
				endpoint);
}

static bool ends_with(const char *text, const char *end)
{
	size_t size = strlen(text), end_size = strlen(end);
	return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

/* Where libzmq chooses the port it chooses another one each time. */
static void check_apart(const struct config *config, struct diag *diag)
{
	if (strcmp(config->publish, config->listen) == 0 && !ends_with(config->listen, ":*") &&
			!ends_with(config->listen, ":0"))
		diag_error(diag, config->publish_place,
				"%s is the address of \"listen\" (line %u): each door needs one "
				"of its own",
				config->publish, config->listen_place.line);
}

static void read_limits(struct engine_limits *limits, const struct option_map *map)
{
	*limits = (struct engine_limits){
			.in_flight = option_number(map, "in_flight"),
			.per_client = option_number(map, "per_client"),
			.bytes = option_number(map, "bytes"),
			.deadline = option_number(map, "deadline"),
			.max_deadline = option_number(map, "max_deadline"),
			.client_stall = option_number(map, "client_stall"),
			.json =
					{
							.bytes = (uint32_t)option_number(
									map, "message"),
							.depth = (uint32_t)option_number(
									map, "depth"),
							.values = (uint32_t)option_number(
									map, "values"),
					},
	};
}

/* The default is nobody's choice, and so not warned of. */
static void check_deadline(const struct option_map *map, struct diag *diag)
{
	const struct option_value *deadline = option_get(map, "deadline");
	if (deadline->given && deadline->number > option_number(map, "max_deadline"))
		diag_warning(diag, deadline->place,
				"\"deadline\" is longer than \"max_deadline\", which comes first: "
				"shorten it, or raise that");
}

static void read_adaptive(
		struct engine_limits *limits, const struct option_map *map, struct diag *diag)
{
	const struct option_value *adaptive = option_get(map, "adaptive");
	const struct option_value *in_flight = option_get(map, "in_flight");
	if (!adaptive->given)
		return;
	limits->in_flight_min = option_number(adaptive->map, "min");
	limits->in_flight = option_number(adaptive->map, "max");
	if (in_flight->given)
		diag_error(diag, in_flight->place,
				"\"in_flight\" and \"adaptive\" exclude each other");
	if (limits->in_flight_min > limits->in_flight)
		diag_error(diag, adaptive->place, "\"max\" is less than \"min\"");
}

static void read_telemetry(struct config *config, const struct option_value *telemetry)
{
	if (!telemetry->given)
		return;
	const struct option_value *publish = option_get(telemetry->map, "publish");
	config->publish = publish->text.data;
	config->publish_place = publish->place;
	config->publish_every = option_number(telemetry->map, "every");
	config->feeds = option_get(telemetry->map, "feeds")->map;
}

/* A resource that is not known to be there is not missing either. */
static const struct option_map *read_pipelines(const struct option_map *root)
{
	static const char *const kinds[] = {"databases", "caches", "sources", "pipelines"};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (option_get(root, kinds[i])->wrong)
			return NULL;
	}
	return option_get(root, "pipelines")->map;
}

void config_read(struct config *config, const char *path, struct arena *arena, struct diag *diag)
{
	link_drivers(databases);
	link_drivers(caches);
	link_drivers(sources);
	const struct option_map *root = conf_load(path, root_options, arena, diag);
	if (!root)
		return;
	const struct option_value *listen = option_get(root, "listen");
	const struct option_value *said = option_get(root, "insecure");
	bool insecure = said->number != 0 || said->wrong;
	*config = (struct config){
			.listen = listen->text.data,
			.listen_place = listen->place,
			.limits_place = option_get(root, "limits")->place,
			.drain = option_number(root, "drain"),
			.start_timeout = option_number(root, "start_timeout"),
			.databases = option_get(root, "databases")->map,
			.caches = option_get(root, "caches")->map,
			.sources = option_get(root, "sources")->map,
			.pipelines = read_pipelines(root),
	};
	read_limits(&config->limits, option_get(root, "limits")->map);
	check_deadline(option_get(root, "limits")->map, diag);
	read_adaptive(&config->limits, option_get(root, "limits")->map, diag);
	read_telemetry(config, option_get(root, "telemetry"));
	if (config->listen)
		check_door(config->listen, config->listen_place, insecure, diag);
	if (config->publish)
		check_door(config->publish, config->publish_place, insecure, diag);
	if (config->listen && config->publish)
		check_apart(config, diag);
}
