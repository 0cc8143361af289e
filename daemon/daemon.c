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
#include "daemon/state.h"
#include "daemon/stats.h"
#include "pipeline/base/hash.h"
#include "pipeline/base/json.h"
#include "pipeline/base/live.h"
#include "pipeline/base/log.h"
#include "pipeline/drivers/driver.h"
#include "pipeline/loop/loop.h"
#include "pipeline/stages/pipeline.h"
#include "systemd/journal.h"
#include "systemd/notify.h"

/* Between two tries to open what was not ready. */
#define RETRY_NS UINT64_C(100000000)

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

static void tell_client(struct daemon *daemon, const char *event, uint64_t number)
{
	char name[24];
	int size = snprintf(name, sizeof(name), "c%" PRIu64, number);
	struct log_field fields[] = {{"client", {name, (size_t)size}}, {NULL, {NULL, 0}}};
	log_write(&daemon->log, LOG_LEVEL_WARNING, event, fields);
	feed_daemon(daemon->feed, event, fields);
}

static void on_stalled(void *user, void *connection, uint64_t client)
{
	struct daemon *daemon = user;
	front_stalled(daemon->front, connection);
	tell_client(daemon, "client_stalled", client);
}

static void on_oversize(void *user, uint64_t client)
{
	tell_client(user, "oversize", client);
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

static void on_stats(void *user)
{
	struct daemon *daemon = user;
	struct text members = {NULL, 0};
	struct buffer buffer;
	buffer_init(&buffer);
	if (feed_wants_stats(daemon->feed)) {
		stats_write(&buffer, daemon->engine, &daemon->build.resources, &daemon->loop,
				daemon->feed);
		members = buffer_text(&buffer);
	}
	feed_stats(daemon->feed, members);
	buffer_deinit(&buffer);
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
		log_line(&daemon->log, LOG_LEVEL_WARNING, "reload: not in this version");
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

/* Everything required is there: requests are read from here on. */
static void get_ready(struct daemon *daemon)
{
	daemon->ready = true;
	front_open(daemon->front, daemon->engine);
	log_line(&daemon->log, LOG_LEVEL_NOTICE, "ready",
			{"listen", text_of(front_endpoint(daemon->front))},
			{"telemetry", text_of(daemon->feed ? feed_endpoint(daemon->feed) : "none")},
			{"version", TEXT(SLUICE_VERSION)});
	notify_ready("serving");
	feed_daemon(daemon->feed, "ready",
			(struct log_field[]){{"version", TEXT(SLUICE_VERSION)}, {NULL, {NULL, 0}}});
}

static void give_up(struct daemon *daemon)
{
	const struct resource *missing = resources_missing(&daemon->build.resources);
	fprintf(stderr,
			"%s:%u:%u: error: \"%s\" is required and is not ready: it was waited for "
			"as long as "
			"`start_timeout` says; start it, or say `required: false`\n",
			missing->place.file, missing->place.line, missing->place.column,
			missing->name);
	daemon->code = 1;
	loop_exit(&daemon->loop, 1);
}

/* What can never be opened ends a start; of a daemon that serves it is only said. */
static void refuse_resource(struct daemon *daemon, struct diag *diag)
{
	diag_print(diag, stderr);
	daemon->start_timer = sd_event_source_disable_unref(daemon->start_timer);
	if (daemon->ready)
		return;
	daemon->code = 1;
	loop_exit(&daemon->loop, 1);
}

/*
 * Opens what is not open yet, and again a little later. The daemon is ready when all that is
 * required is; a database that isn't required may come later.
 */
static void on_start(void *user)
{
	struct daemon *daemon = user;
	struct resources *resources = &daemon->build.resources;
	struct arena arena;
	struct diag diag;
	arena_init(&arena, NULL);
	diag_init(&diag, &arena);
	resources_open(resources, &diag);
	if (diag.errors > 0)
		refuse_resource(daemon, &diag);
	else if (!daemon->ready && !resources_missing(resources))
		get_ready(daemon);
	else if (!daemon->ready &&
			daemon->async.now - daemon->started >= daemon->build.config.start_timeout)
		give_up(daemon);
	if (daemon->ready && !resources_to_open(resources))
		daemon->start_timer = sd_event_source_disable_unref(daemon->start_timer);
	arena_deinit(&arena);
}

static bool bind_error(struct place place, const char *endpoint, int error)
{
	fprintf(stderr, "%s:%u:%u: error: %s can't be bound: %s%s\n", place.file, place.line,
			place.column, endpoint, zmq_strerror(-error),
			error == -EADDRINUSE
					? "; another process has it: stop that, or choose another"
					: "");
	return false;
}

static bool open_front(struct daemon *daemon)
{
	const struct config *config = &daemon->build.config;
	struct front_options options = {
			.endpoint = config->listen,
			.message_max = config->limits.json.bytes,
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
	const struct config *config = &daemon->build.config;
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
			&daemon->async, &daemon->build.config.limits, &ops, &daemon->log);
	if (!daemon->engine)
		return false;
	daemon->context = (struct driver_context){
			.loop = &daemon->loop,
			.zmq = daemon->zmq,
			.account = engine_account(daemon->engine),
			.limits = &daemon->build.config.limits.json,
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

static bool put_together(struct daemon *daemon)
{
	if (!build_compile(&daemon->build, &daemon->async, daemon->engine, &daemon->context)) {
		build_say(&daemon->build);
		return false;
	}
	build_say(&daemon->build); /* warnings */
	engine_use(daemon->engine, daemon->build.pipelines, 1);
	return feed_use(daemon->feed, daemon->build.pipelines, daemon->build.feeds) == 0 ||
	       out_of_memory();
}

static bool set_timers(struct daemon *daemon)
{
	const struct config *config = &daemon->build.config;
	uint64_t watchdog = notify_watchdog_period();
	if (watchdog > 0 && loop_every(&daemon->loop, watchdog * 1000, LOOP_PRIORITY_SIGNALS,
					    on_watchdog, daemon, &daemon->watchdog_timer) < 0)
		return false;
	if (daemon->feed && loop_every(&daemon->loop, config->publish_every, LOOP_PRIORITY_ANSWERS,
					    on_stats, daemon, &daemon->stats_timer) < 0)
		return false;
	return loop_every(&daemon->loop, RETRY_NS, LOOP_PRIORITY_ANSWERS, on_start, daemon,
			       &daemon->start_timer) >= 0;
}

static bool make_loop(struct daemon *daemon)
{
	async_init(&daemon->async, loop_now(), random_u64());
	daemon->looping = loop_init(&daemon->loop, &daemon->async) >= 0;
	return daemon->looping;
}

static bool start(struct daemon *daemon)
{
	daemon->zmq = zmq_ctx_new();
	if (!daemon->zmq || !make_loop(daemon) || !listen_to_signals(daemon))
		return out_of_memory();
	if (!open_front(daemon) || !open_feed(daemon))
		return false;
	if (!make_engine(daemon))
		return out_of_memory();
	if (!put_together(daemon))
		return false;
	if (!set_timers(daemon))
		return out_of_memory();
	daemon->started = loop_now();
	loop_enter(&daemon->loop);
	on_start(daemon);
	loop_leave(&daemon->loop);
	return daemon->code == 0;
}

static void drop_timers(struct daemon *daemon)
{
	daemon->drain_watch = sd_event_source_disable_unref(daemon->drain_watch);
	daemon->drain_timer = sd_event_source_disable_unref(daemon->drain_timer);
	daemon->start_timer = sd_event_source_disable_unref(daemon->start_timer);
	daemon->watchdog_timer = sd_event_source_disable_unref(daemon->watchdog_timer);
	daemon->stats_timer = sd_event_source_disable_unref(daemon->stats_timer);
	for (size_t i = 0; i < sizeof(daemon->signals) / sizeof(daemon->signals[0]); i++)
		daemon->signals[i] = sd_event_source_disable_unref(daemon->signals[i]);
}

/* Ends all asynchronous work: cancelled frames and flights end in the turns that this takes. */
static bool settle(struct daemon *daemon)
{
	loop_enter(&daemon->loop);
	if (daemon->build.pipelines)
		pipelines_close(daemon->build.pipelines, DRAIN);
	/* What is still queued ends while there are resources that it may look at. */
	runner_drain(&daemon->async.runner, SIZE_MAX);
	bool closed = resources_close(&daemon->build.resources, loop_now() + WORKERS_NS);
	runner_drain(&daemon->async.runner, SIZE_MAX);
	loop_leave(&daemon->loop);
	return closed && (!daemon->engine || engine_idle(daemon->engine));
}

/*
 * The reverse of start(). Where a worker is stuck in its database, what it may touch is left to the
 * end of the process, which is near.
 */
static void stop(struct daemon *daemon)
{
	if (!daemon->looping) {
		(void)zmq_ctx_term(daemon->zmq);
		build_deinit(&daemon->build);
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
	if (daemon->zmq)
		(void)zmq_ctx_term(daemon->zmq);
	if (!settled)
		return;
	front_free(daemon->front);
	build_deinit(&daemon->build);
	engine_free(daemon->engine);
	loop_deinit(&daemon->loop);
	assert(live_report() == 0);
}

int daemon_run(const char *path)
{
	struct daemon daemon = {
			.boot = random_u64(), .log = {log_to_stream, stderr, LOG_LEVEL_INFO}};
	if (journal_present())
		daemon.log.sink = journal_write;
	seed_hashes();
	if (!build_read(&daemon.build, path)) {
		build_say(&daemon.build);
		build_deinit(&daemon.build);
		return 1;
	}
	if (!start(&daemon))
		daemon.code = 1;
	else
		daemon.code |= loop_run(&daemon.loop) != 0;
	stop(&daemon);
	return daemon.code;
}
