/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and compiling is done at once, on the loop: a file is bounded, and it takes milliseconds.
 * What has to be waited for is opening, which is tried again and again until all that is required
 * is there, or `start_timeout` has passed (waiting.c). Until then the generation that serves knows
 * nothing of the next, but for what it shares with it.
 */
#include "daemon/load.h"

#include <stdio.h>
#include <string.h>

#include "daemon/feed.h"
#include "daemon/front.h"
#include "daemon/load_tell.h"
#include "daemon/state.h"
#include "daemon/stats.h"
#include "daemon/waiting.h"
#include "pipeline/requests/engine.h"
#include "pipeline/requests/record_feed.h"
#include "pipeline/stages/pipeline.h"
#include "systemd/notify.h"

/* Between two tries to open what was not ready. */
#define RETRY_NS UINT64_C(100000000)

static void try(void *user);

/* ---- the end of a load */

static bool retry_later(struct daemon *daemon)
{
	return daemon->open_timer || loop_every(&daemon->loop, RETRY_NS, LOOP_PRIORITY_ANSWERS, try,
						     daemon, &daemon->open_timer) >= 0;
}

static void stop_trying(struct daemon *daemon)
{
	daemon->open_timer = sd_event_source_disable_unref(daemon->open_timer);
}

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
	if (daemon->reload_wanted)
		load_again(daemon);
}

/* The first could not be loaded, and nothing serves. */
static void fail_start(struct daemon *daemon, struct diag *diag)
{
	diag_sort(diag);
	diag_print(diag, stderr);
	stop_trying(daemon);
	daemon->code = 1;
	loop_exit(&daemon->loop, 1);
}

/* Nothing has changed. */
static void refuse(struct daemon *daemon, struct diag *diag)
{
	struct build *build = daemon->next;
	diag_sort(diag);
	load_tell_refused(daemon, diag);
	daemon->next = NULL;
	if (build)
		build_drop(build, DRAIN);
}

/* All that is required of the next is there: requests run in it from here on. */
static void take(struct daemon *daemon)
{
	struct build *before = daemon->current, *build = daemon->next;
	if (feed_use(daemon->feed, build->generation.pipelines, build->feeds) < 0) {
		diag_error(&build->diag, (struct place){0}, "out of memory");
		refuse(daemon, &build->diag);
		return;
	}
	pipelines_inherit(build->generation.pipelines, before->generation.pipelines);
	record_feeds_inherit(build->feeds, before->feeds);
	resources_take(build);
	engine_limit(daemon->engine, &build->config.limits);
	engine_use(daemon->engine, &build->generation);
	daemon->current = build;
	daemon->next = NULL;
	if (before->config.publish_every != build->config.publish_every)
		(void)stats_every(daemon, build->config.publish_every); /* or the old one goes on */
	load_tell_taken(daemon, before);
}

/* ---- opening */

/* What can't be opened ends a load; of what serves it is only said. */
static void on_error(struct daemon *daemon, struct diag *diag)
{
	if (daemon->next)
		refuse(daemon, diag);
	else if (!daemon->ready)
		fail_start(daemon, diag);
	else
		load_tell_failed(daemon, diag);
}

/* All that is required is there. */
static void finish(struct daemon *daemon)
{
	if (daemon->next)
		take(daemon);
	else if (!daemon->ready)
		get_ready(daemon);
}

/*
 * Opens what is not open yet, and again a little later. A database that isn't required may come
 * later.
 */
static void try(void *user)
{
	struct daemon *daemon = user;
	struct build *build = daemon->next ? daemon->next : daemon->current;
	bool loading = daemon->next || !daemon->ready;
	enum waiting waiting = WAITING_ON;
	struct arena arena;
	struct diag diag;
	arena_init(&arena, NULL);
	diag_init(&diag, &arena);
	resources_open(build, &diag);
	if (diag.errors == 0 && loading)
		waiting = waiting_look(daemon, build, &diag);
	if (diag.errors > 0)
		on_error(daemon, &diag);
	else if (waiting == WAITING_OVER)
		finish(daemon);
	loading = daemon->next || !daemon->ready;
	if (daemon->code != 0 || (!loading && !resources_to_open(&daemon->current->resources))) {
		stop_trying(daemon);
	} else if (!retry_later(daemon)) {
		diag_error(&diag, (struct place){0}, "out of memory or descriptors");
		on_error(daemon, &diag);
	}
	arena_deinit(&arena);
}

/* ---- the beginning of a load */

bool load_first(struct daemon *daemon)
{
	struct build *build = daemon->next;
	bool good = build_compile(build, &daemon->async, daemon->engine, &daemon->context, NULL);
	build_say(build);
	if (!good)
		return false;
	if (feed_use(daemon->feed, build->generation.pipelines, build->feeds) < 0 ||
			stats_every(daemon, build->config.publish_every) < 0) {
		fprintf(stderr, "sluiced: error: out of memory or descriptors at the start\n");
		return false;
	}
	engine_use(daemon->engine, &build->generation);
	daemon->current = build;
	daemon->next = NULL;
	daemon->doors = build;
	build_ref(build);
	daemon->load_began = loop_now();
	daemon->waiting_for = NULL;
	loop_enter(&daemon->loop);
	try(daemon);
	loop_leave(&daemon->loop);
	return daemon->code == 0;
}

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void needs_restart(
		struct build *build, struct place place, const char *key, const char *what)
{
	diag_error(&build->diag, place, "%s \"%s\" needs a restart", what, key);
}

/* What is built into the doors. */
static void check_doors(struct build *build, const struct config *before)
{
	const struct config *config = &build->config;
	if (!same(config->listen, before->listen))
		needs_restart(build, config->listen_place, "listen", "another");
	if (!same(config->publish, before->publish))
		needs_restart(build, config->publish ? config->publish_place : config->listen_place,
				"telemetry.publish", "another");
	if (config->limits.json.bytes > before->limits.json.bytes)
		needs_restart(build, config->limits_place, "limits.message", "a higher");
	if (config->limits.per_client > before->limits.per_client)
		needs_restart(build, config->limits_place, "limits.per_client", "a higher");
}

static bool compile_next(struct daemon *daemon, struct build *build)
{
	if (!build->config.pipelines)
		return false;
	if (build->diag.errors == 0)
		check_doors(build, &daemon->doors->config);
	return build_compile(
			build, &daemon->async, daemon->engine, &daemon->context, daemon->current);
}

static void begin(struct daemon *daemon)
{
	struct arena arena;
	struct diag diag;
	daemon->next = build_read(daemon->path, &daemon->builds);
	if (daemon->next && compile_next(daemon, daemon->next)) {
		daemon->load_began = daemon->async.now;
		daemon->waiting_for = NULL;
		try(daemon);
		return;
	}
	arena_init(&arena, NULL);
	diag_init(&diag, &arena);
	refuse(daemon, daemon->next ? &daemon->next->diag : &diag);
	arena_deinit(&arena);
}

/* Gives up what is being loaded, and says why. */
static void abandon(struct daemon *daemon, const char *why)
{
	struct diag *diag = &daemon->next->diag;
	diag_error(diag, (struct place){0}, "%s", why);
	refuse(daemon, diag);
}

void load_again(struct daemon *daemon)
{
	if (!daemon->ready) {
		daemon->reload_wanted = true;
		return;
	}
	if (daemon->next)
		abandon(daemon, "the next reload has begun");
	notify_reloading(daemon->async.now / 1000);
	log_line(&daemon->log, LOG_LEVEL_NOTICE, "reloading");
	begin(daemon);
}

void load_stop(struct daemon *daemon)
{
	stop_trying(daemon);
	if (daemon->next)
		abandon(daemon, "the daemon is being stopped");
}
