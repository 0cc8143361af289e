/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each event is written out at once, so that a pipe behind it sees it when it happens. libzmq tries
 * to connect again and again and says nothing of it, so a monitor of the socket is watched too.
 */
#include "client/watch.h"

#include <errno.h>
#include <stdio.h>
#include <zmq.h>

#include "client/clock.h"
#include "client/connection.h"

/* Events printed before a signal and the time are looked at again. */
#define BATCH 64

#define CHANGES (ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED)

struct watch {
	const struct settings *settings;
	struct connection connection;
	uint64_t until_ms;
	uint64_t seen;
	bool told; /* that nobody listens, since somebody last did */
};

/* Prints one event, its frames on one line. False: there is none. */
static bool print_event(void *socket)
{
	zmq_msg_t frame;
	(void)zmq_msg_init(&frame);
	bool any = zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) >= 0;
	bool more = any;
	while (more) {
		(void)fwrite(zmq_msg_data(&frame), 1, zmq_msg_size(&frame), stdout);
		more = zmq_msg_more(&frame) && zmq_msg_recv(&frame, socket, 0) >= 0;
		(void)fputc(more ? ' ' : '\n', stdout);
	}
	(void)zmq_msg_close(&frame);
	if (any)
		(void)fflush(stdout);
	return any;
}

static bool complete(const struct watch *watch)
{
	return watch->settings->count > 0 && watch->seen == watch->settings->count;
}

static void print_batch(struct watch *watch)
{
	for (int n = 0; n < BATCH && !complete(watch) && print_event(watch->connection.socket); n++)
		watch->seen++;
}

/* Says once that nobody listens, until somebody has. */
static void tell_changes(struct watch *watch)
{
	for (unsigned event; (event = connection_event(&watch->connection)) != 0;) {
		bool up = event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
		if (!up && !watch->told)
			(void)fprintf(stderr,
					"sluicectl: nobody listens at %s; trying until somebody "
					"does: start sluiced, or say where it publishes with "
					"--telemetry\n",
					watch->settings->telemetry);
		watch->told = !up;
	}
}

static enum result follow(struct watch *watch, int signals)
{
	zmq_pollitem_t items[] = {
			{.socket = watch->connection.socket, .events = ZMQ_POLLIN},
			{.fd = signals, .events = ZMQ_POLLIN},
			{.socket = watch->connection.monitor, .events = ZMQ_POLLIN},
	};
	while (!complete(watch) && clock_ms() < watch->until_ms) {
		if (zmq_poll(items, 3, clock_left_ms(watch->until_ms)) < 0 && errno != EINTR)
			break;
		if (items[1].revents & ZMQ_POLLIN)
			return RESULT_OK;
		if (items[2].revents & ZMQ_POLLIN)
			tell_changes(watch);
		print_batch(watch);
		if (ferror(stdout)) {
			(void)fprintf(stderr, "sluicectl: cannot write what was seen: %s\n",
					strerror(errno));
			return RESULT_STATUS;
		}
	}
	if (watch->settings->count == 0 || complete(watch))
		return RESULT_OK;
	(void)fprintf(stderr,
			"sluicectl: %llu of %llu events came from %s; give it more time with "
			"--for, or another place with "
			"--telemetry\n",
			(unsigned long long)watch->seen, (unsigned long long)watch->settings->count,
			watch->settings->telemetry);
	return RESULT_NO_ANSWER;
}

static bool subscribe(const struct settings *settings, void *socket)
{
	bool ok = settings->topic_count > 0 || zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0) == 0;
	for (int i = 0; i < settings->topic_count; i++) {
		const char *topic = settings->topics[i];
		ok = ok && zmq_setsockopt(socket, ZMQ_SUBSCRIBE, topic, strlen(topic)) == 0;
	}
	return ok;
}

enum result watch_run(const struct settings *settings, void *context, int signals)
{
	uint64_t until_ms = settings->seconds ? clock_ms() + settings->seconds * 1000 : CLOCK_NEVER;
	struct watch watch = {.settings = settings, .until_ms = until_ms};
	enum result result = RESULT_USAGE;
	if (!connection_open(&watch.connection, context, ZMQ_SUB, CHANGES) ||
			!subscribe(settings, watch.connection.socket))
		(void)fprintf(stderr, "sluicectl: cannot subscribe: %s\n", zmq_strerror(errno));
	else if (connection_connect(&watch.connection, "--telemetry", settings->telemetry))
		result = follow(&watch, signals);
	connection_close(&watch.connection);
	return result;
}
