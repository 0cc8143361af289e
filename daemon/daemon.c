/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From start to stop. Start: read, compile, bind, open what is needed, say READY. Stop: say so,
 * refuse what is new, wait for what is in flight or for `drain`, answer the rest, read the door
 * empty once more, close.
 *
 * Whatever is torn down here is torn down in the reverse order of its making, from any point of the
 * start that was reached.
 */
#include "daemon/daemon.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <zmq.h>

#include "daemon/drain.h"
#include "daemon/feed.h"
#include "daemon/front.h"
#include "daemon/load.h"
#include "daemon/state.h"
#include "pipeline/base/hash.h"
#include "pipeline/base/json.h"
#include "pipeline/base/live.h"
#include "pipeline/base/log.h"
#include "pipeline/drivers/driver.h"
#include "pipeline/loop/loop.h"
#include "pipeline/loop/network.h"
#include "pipeline/stages/pipeline.h"
#include "systemd/journal.h"
#include "systemd/notify.h"

static uint64_t random_u64(void)
{
	uint64_t number = 0;
	while (getrandom(&number, sizeof(number), 0) != sizeof(number))
		;
	return number;
}

/* The generator of automatic routing ids is never seeded by libzmq, and would be foreseen; so would
 * our own hash of names. */
static void seed_hashes(void)
{
	struct hash_key key;
	struct random random;
	random_init(&random, random_u64());
	random_hash_key(&random, &key);
	json_seed(&key);
	srand((unsigned)random_u64());
}

static void on_observe(void *user, const struct record *record)
{
	struct daemon *daemon = user;
	feed_request(daemon->feed, record);
}

/* Clients bring it about: the log has it now and then, the feed each time. */
static void tell_client(
		struct daemon *daemon, const char *event, struct log_rate *rate, uint64_t number)
{
	char name[24], count[24];
	uint64_t left_out;
	int size = snprintf(name, sizeof(name), "c%" PRIu64, number);
	struct log_field fields[] = {
			{"client", {name, (size_t)size}}, {NULL, {NULL, 0}}, {NULL, {NULL, 0}}};
	feed_daemon(daemon->feed, event, fields);
	if (!log_rate_pass(rate, daemon->async.now, &left_out))
		return;
	if (left_out > 0)
		fields[1] = (struct log_field){
				"left_out", {count, (size_t)(format_u64(count, left_out) - count)}};
	log_write(&daemon->log, LOG_LEVEL_WARNING, event, fields);
}

static void on_stalled(void *user, void *connection, uint64_t client)
{
	struct daemon *daemon = user;
	front_stalled(daemon->front, connection);
	tell_client(daemon, "client_stalled", &daemon->stalled_rate, client);
}

static void on_oversize(void *user, uint64_t client)
{
	struct daemon *daemon = user;
	tell_client(daemon, "oversize", &daemon->oversize_rate, client);
}

static void on_resource(void *user, const char *event, struct text name, const char *reason)
{
	struct daemon *daemon = user;
	struct log_field fields[] = {{"name", name}, {"reason", text_of(reason ? reason : "")},
			{NULL, {NULL, 0}}};
	if (!reason)
		fields[1].key = NULL;
	log_write(&daemon->log, LOG_LEVEL_NOTICE, event, fields);
	feed_daemon(daemon->feed, event, fields);
}

static void on_watchdog(void *user)
{
	(void)user;
	notify_watchdog();
}

static void on_signal(void *user, int signal)
{
	struct daemon *daemon = user;
	if (signal == SIGHUP) {
		if (!daemon->draining)
			load_again(daemon);
		return;
	}
	/* What came too early is answered like what comes too late. */
	if (!daemon->ready)
		front_open(daemon->front, daemon->engine);
	if (daemon->draining)
		drain_finish(daemon);
	else
		drain_begin(daemon);
}

static bool listen_to_signals(struct daemon *daemon)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (loop_signal(&daemon->loop, numbers[i], on_signal, daemon, &daemon->signals[i]) <
				0)
			return false;
	}
	return true;
}

static const char *bind_remedy(int error)
{
	switch (-error) {
	case EADDRINUSE:
		return "; another process has it: stop that, or choose another";
	case EADDRNOTAVAIL:
	case ENODEV:
		return "; this machine has no such address: say one of its own, or * for all";
	case EACCES:
		return "; ports below 1024 are the system's: choose another";
	default:
		return "";
	}
}

static bool bind_error(struct place place, const char *endpoint, int error)
{
	fprintf(stderr, "%s:%u:%u: error: %s can't be bound: %s%s\n", place.file, place.line,
			place.column, endpoint, zmq_strerror(-error), bind_remedy(error));
	return false;
}

static bool open_front(struct daemon *daemon)
{
	const struct config *config = &daemon->next->config;
	struct front_options options = {
			.endpoint = config->listen,
			.message_max = config->limits.json.bytes,
			.bytes = config->limits.bytes,
			.per_client = config->limits.per_client,
			.on_oversize = on_oversize,
			.user = daemon,
	};
	int error = 0;
	daemon->front = front_new(&daemon->loop, daemon->zmq, &options, &error);
	return daemon->front || bind_error(config->listen_place, config->listen, error);
}

static bool open_feed(struct daemon *daemon)
{
	const struct config *config = &daemon->next->config;
	int error = 0;
	if (!config->publish)
		return true;
	daemon->feed = feed_new(&daemon->loop, daemon->zmq, config->publish, daemon->boot, &error);
	return daemon->feed || bind_error(config->publish_place, config->publish, error);
}

static bool make_engine(struct daemon *daemon)
{
	struct engine_ops ops = front_engine_ops(daemon->front);
	ops.observe = on_observe;
	ops.stalled = on_stalled;
	ops.user = daemon;
	daemon->engine = engine_new(
			&daemon->async, &daemon->next->config.limits, &ops, &daemon->log);
	if (!daemon->engine)
		return false;
	daemon->context = (struct driver_context){
			.loop = &daemon->loop,
			.zmq = daemon->zmq,
			.account = engine_account(daemon->engine),
			.limits = &daemon->next->config.limits.json,
			.log = &daemon->log,
			.event = on_resource,
			.user = daemon,
	};
	return true;
}

static bool out_of_memory(void)
{
	fprintf(stderr, "sluiced: error: out of memory or descriptors at the start\n");
	return false;
}

static bool watch(struct daemon *daemon)
{
	uint64_t watchdog = notify_watchdog_period();
	return watchdog == 0 || loop_every(&daemon->loop, watchdog * 1000, LOOP_PRIORITY_SIGNALS,
						on_watchdog, daemon, &daemon->watchdog_timer) >= 0;
}

static bool make_loop(struct daemon *daemon)
{
	async_init(&daemon->async, loop_now(), random_u64());
	random_init(&daemon->async.keys, random_u64());
	daemon->looping = loop_init(&daemon->loop, &daemon->async) >= 0;
	return daemon->looping;
}

static bool start(struct daemon *daemon)
{
	daemon->zmq = network_new();
	if (!daemon->zmq || !make_loop(daemon) || !listen_to_signals(daemon))
		return out_of_memory();
	if (!open_front(daemon) || !open_feed(daemon))
		return false;
	if (!make_engine(daemon) || !watch(daemon) || !drain_prepare(daemon))
		return out_of_memory();
	return load_first(daemon);
}

static void drop_timers(struct daemon *daemon)
{
	daemon->drain_watch = sd_event_source_disable_unref(daemon->drain_watch);
	daemon->drain_timer = sd_event_source_disable_unref(daemon->drain_timer);
	daemon->open_timer = sd_event_source_disable_unref(daemon->open_timer);
	daemon->watchdog_timer = sd_event_source_disable_unref(daemon->watchdog_timer);
	daemon->stats_timer = sd_event_source_disable_unref(daemon->stats_timer);
	for (size_t i = 0; i < sizeof(daemon->signals) / sizeof(daemon->signals[0]); i++)
		daemon->signals[i] = sd_event_source_disable_unref(daemon->signals[i]);
}

/* Each says by itself when it is over, and is off the list then. */
static void end_builds(struct daemon *daemon)
{
	for (struct link *at = daemon->builds.next, *next; at != &daemon->builds; at = next) {
		next = at->next;
		build_drop(container_of(at, struct build, link), DRAIN);
	}
}

static bool close_resources(struct daemon *daemon, uint64_t until)
{
	bool closed = true;
	for (struct link *at = daemon->builds.next; at != &daemon->builds; at = at->next)
		closed = resources_close(&container_of(at, struct build, link)->resources, until) &&
			 closed;
	return closed;
}

/* Ends all asynchronous work: cancelled frames and flights end in the turns that this takes. */
static bool settle(struct daemon *daemon)
{
	loop_enter(&daemon->loop);
	end_builds(daemon);
	/* What is still queued ends while there are resources that it may look at. */
	runner_drain(&daemon->async.runner, SIZE_MAX);
	bool closed = close_resources(daemon, loop_now() + WORKERS_NS);
	runner_drain(&daemon->async.runner, SIZE_MAX);
	loop_leave(&daemon->loop);
	return closed && list_empty(&daemon->builds) &&
	       (!daemon->engine || engine_idle(daemon->engine));
}

/*
 * The reverse of start(). Where a worker is stuck in its database, or libzmq in the look-up of a
 * name, what they may touch is left to the end of the process, which is near.
 */
static void stop(struct daemon *daemon)
{
	if (!daemon->looping) {
		(void)network_end(daemon->zmq, loop_now());
		end_builds(daemon);
		return;
	}
	drop_timers(daemon);
	bool settled = settle(daemon);
	if (!settled)
		log_line(&daemon->log, LOG_LEVEL_WARNING,
				"a worker has not come back from its database, and is left");
	if (daemon->front)
		front_close(daemon->front, LINGER_MS);
	feed_free(daemon->feed);
	bool ended = network_end(daemon->zmq, loop_now() + NETWORK_NS);
	if (!ended)
		log_line(&daemon->log, LOG_LEVEL_WARNING,
				"libzmq has not ended, and is left: it may be looking up the name "
				"of a source");
	drain_log(daemon);
	if (!settled || !ended)
		return;
	front_free(daemon->front);
	if (daemon->doors)
		build_unref(daemon->doors);
	engine_free(daemon->engine);
	loop_deinit(&daemon->loop);
	assert(live_report() == 0);
}

int daemon_run(const char *path)
{
	struct daemon daemon = {.boot = random_u64(),
			.path = path,
			.log = {log_to_stream, stderr, LOG_LEVEL_INFO}};
	if (journal_present())
		daemon.log.sink = journal_write;
	seed_hashes();
	link_init(&daemon.builds);
	daemon.next = build_read(path, &daemon.builds);
	if (!daemon.next) {
		(void)out_of_memory();
		return 1;
	}
	if (daemon.next->diag.errors > 0)
		return daemon_check_build(daemon.next, path);
	if (!start(&daemon))
		daemon.code = 1;
	else
		daemon.code |= loop_run(&daemon.loop) != 0;
	stop(&daemon);
	return daemon.code;
}
