/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door is read to the end, so that every message that was read has one of three ends: answered,
 * gone, undelivered.
 */
#include "daemon/drain.h"

#include <inttypes.h>
#include <stdio.h>

#include "daemon/feed.h"
#include "daemon/front.h"
#include "daemon/load.h"
#include "daemon/state.h"
#include "pipeline/base/buffer.h"
#include "pipeline/requests/engine.h"
#include "systemd/notify.h"

/* The period of a timer that is off. */
#define NEVER_NS (UINT64_C(365) * 86400 * 1000000000)

static struct text number(char room[24], uint64_t value)
{
	return (struct text){room, (size_t)(format_u64(room, value) - room)};
}

/* What the counts were at the end, while there is still a feed. */
static void publish_stopped(struct daemon *daemon)
{
	const struct engine_counts *counts = engine_counts(daemon->engine);
	char members[160];
	int size = snprintf(members, sizeof(members),
			"\"read\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"gone\":%" PRIu64
			",\"undelivered\":%" PRIu64,
			counts->read, counts->answered, counts->gone, counts->undelivered);
	feed_daemon_members(daemon->feed, "stopped", (struct text){members, (size_t)size});
}

void drain_log(struct daemon *daemon)
{
	if (!daemon->drained)
		return;
	const struct engine_counts *counts = engine_counts(daemon->engine);
	char read[24], answered[24], gone[24], undelivered[24];
	log_line(&daemon->log, LOG_LEVEL_NOTICE, "stopped", {"read", number(read, counts->read)},
			{"answered", number(answered, counts->answered)},
			{"gone", number(gone, counts->gone)},
			{"undelivered", number(undelivered, counts->undelivered)});
}

void drain_finish(struct daemon *daemon)
{
	if (!daemon->engine || !daemon->draining)
		return;
	engine_cut(daemon->engine);
	front_read_rest(daemon->front);
	engine_drop(daemon->engine);
	publish_stopped(daemon);
	daemon->draining = false;
	daemon->drained = true;
	loop_exit(&daemon->loop, 0);
}

static int on_drain_turn(sd_event_source *source, void *user)
{
	struct daemon *daemon = user;
	if (!engine_answered(daemon->engine))
		return 0;
	loop_enter(&daemon->loop);
	drain_finish(daemon);
	loop_leave(&daemon->loop);
	return 0;
}

static void on_drain_over(void *user)
{
	drain_finish(user);
}

bool drain_prepare(struct daemon *daemon)
{
	return sd_event_add_post(daemon->loop.event, &daemon->drain_watch, on_drain_turn, daemon) >=
			       0 &&
	       sd_event_source_set_enabled(daemon->drain_watch, SD_EVENT_OFF) >= 0 &&
	       loop_every(&daemon->loop, NEVER_NS, LOOP_PRIORITY_ANSWERS, on_drain_over, daemon,
			       &daemon->drain_timer) >= 0 &&
	       sd_event_source_set_enabled(daemon->drain_timer, SD_EVENT_OFF) >= 0;
}

static bool begin_watching(struct daemon *daemon, uint64_t patience_ns)
{
	return patience_ns > 0 &&
	       sd_event_source_set_time_relative(daemon->drain_timer, patience_ns / 1000) >= 0 &&
	       sd_event_source_set_enabled(daemon->drain_timer, SD_EVENT_ONESHOT) >= 0 &&
	       sd_event_source_set_enabled(daemon->drain_watch, SD_EVENT_ON) >= 0;
}

void drain_begin(struct daemon *daemon)
{
	daemon->draining = true;
	load_stop(daemon);
	log_line(&daemon->log, LOG_LEVEL_NOTICE, "draining");
	notify_stopping(daemon->current->config.drain / 1000 + (WORKERS_NS + NETWORK_NS) / 1000,
			"draining");
	char members[64];
	int size = snprintf(members, sizeof(members), "\"in_flight\":%" PRIu64,
			engine_counts(daemon->engine)->in_flight);
	feed_daemon_members(daemon->feed, "draining", (struct text){members, (size_t)size});
	engine_drain(daemon->engine);
	if (engine_answered(daemon->engine)) {
		drain_finish(daemon);
		return;
	}
	if (!begin_watching(daemon, daemon->current->config.drain))
		drain_finish(daemon);
}
