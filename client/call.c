/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request waits here until there is a connection, so that "nobody listens" and "no answer" can be
 * told apart. (With ZMQ_IMMEDIATE libzmq would wait for it, and drop an answer that is not read
 * when the connection ends.) What was asked over a connection that is lost is never answered:
 * libzmq makes another, and says nothing of it.
 */
#include "client/call.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <zmq.h>

#include "client/clock.h"
#include "client/connection.h"
#include "client/pretty.h"
#include "pipeline/base/buffer.h"
#include "pipeline/wire/wire.h"

/* For the way there and back, beyond the budget; and where there is no budget for all of it, or for
 * each part. */
#define ROUND_TRIP_MS 1000
#define TIMEOUT_MS    5000

#define CHANGES (ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED)

/* Waits until the connection is there. What was lost before is of no matter. */
static bool wait_connected(const struct connection *connection, uint64_t until_ms)
{
	zmq_pollitem_t item = {.socket = connection->monitor, .events = ZMQ_POLLIN};
	bool up = false;
	while (!up && clock_ms() < until_ms) {
		if (zmq_poll(&item, 1, clock_left_ms(until_ms)) < 0 && errno != EINTR)
			return false;
		for (unsigned event; (event = connection_event(connection)) != 0;)
			up = event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
	}
	return up;
}

/* Waits for a message. *ret_lost: there won't be one. What came before the connection was lost is
 * there when that is told. */
static bool wait_message(const struct connection *connection, uint64_t until_ms, bool *ret_lost)
{
	zmq_pollitem_t items[] = {
			{.socket = connection->socket, .events = ZMQ_POLLIN},
			{.socket = connection->monitor, .events = ZMQ_POLLIN},
	};
	*ret_lost = false;
	while (!(items[0].revents & ZMQ_POLLIN) && !*ret_lost && clock_ms() < until_ms) {
		if (zmq_poll(items, 2, clock_left_ms(until_ms)) < 0 && errno != EINTR)
			return false;
		*ret_lost = items[1].revents & ZMQ_POLLIN;
	}
	if (*ret_lost)
		(void)zmq_poll(items, 1, 0);
	return items[0].revents & ZMQ_POLLIN;
}

/* Of what has no end no more is read than a daemon could be told to take. False: it has said what
 * is wrong. */
static bool read_stdin(struct buffer *body)
{
	char part[65536];
	size_t size;
	while (!body->failed && body->size <= WIRE_BODY_MAX &&
			(size = fread(part, 1, sizeof(part), stdin)) > 0)
		buffer_append(body, (struct text){part, size});
	if (body->size > WIRE_BODY_MAX)
		(void)fprintf(stderr,
				"sluicectl: the body on stdin is over %zu bytes, more than "
				"limits.message can be\n",
				WIRE_BODY_MAX);
	else if (ferror(stdin) || body->failed)
		(void)fprintf(stderr, "sluicectl: cannot read the body from stdin: %s\n",
				strerror(body->failed ? ENOMEM : errno));
	else
		return true;
	return false;
}

static bool write_request(const struct settings *settings, struct text body, struct buffer *message)
{
	char made_up[32];
	char header[WIRE_HEADER_MAX + 1];
	struct text id = settings->id;
	if (!id.data) {
		(void)snprintf(made_up, sizeof(made_up), "sluicectl-%ld", (long)getpid());
		id = text_of(made_up);
	}
	const struct wire_request_keys keys = {
			.stream = settings->stream, .fresh = settings->fresh};
	char *end = wire_write_request(
			header, settings->target, id, settings->budget_ms, &keys, body.size > 0);
	buffer_append(message, (struct text){header, (size_t)(end - header)});
	if (body.size > 0)
		buffer_append(message, body);
	return !message->failed;
}

/* The header line as it came, then the body. */
static void print_answer(const struct settings *settings, struct text message,
		const struct wire_reply *reply)
{
	const char *end = memchr(message.data, '\n', message.size);
	size_t header_size = end ? (size_t)(end - message.data) : message.size;
	(void)printf("%.*s\n", (int)header_size, message.data);
	if (!reply->body.data)
		return;
	if (!settings->raw) {
		pretty_write(stdout, reply->body);
		return;
	}
	(void)fwrite(reply->body.data, 1, reply->body.size, stdout);
	(void)fputc('\n', stdout);
}

/* With *ret_more others follow. */
static enum result on_answer(const struct settings *settings, struct text message, bool *ret_more)
{
	struct wire_reply reply;
	const char *wrong = wire_parse_reply(message, &reply);
	if (wrong) {
		(void)fprintf(stderr,
				"sluicectl: what %s answers is no reply (%s); is it sluiced's "
				"front door?\n",
				settings->endpoint, wrong);
		return RESULT_NO_ANSWER;
	}
	print_answer(settings, message, &reply);
	*ret_more = reply.status == STATUS_MORE;
	if (*ret_more)
		(void)fflush(stdout);
	return reply.status == STATUS_OK ? RESULT_OK : RESULT_STATUS;
}

static enum result receive(const struct settings *settings, void *socket, bool *ret_more)
{
	zmq_msg_t message;
	(void)zmq_msg_init(&message);
	enum result result = RESULT_NO_ANSWER;
	*ret_more = false;
	if (zmq_msg_recv(&message, socket, 0) < 0)
		(void)fprintf(stderr, "sluicectl: cannot receive: %s\n", zmq_strerror(errno));
	else
		result = on_answer(settings,
				(struct text){zmq_msg_data(&message), zmq_msg_size(&message)},
				ret_more);
	(void)zmq_msg_close(&message);
	return result;
}

static uint64_t timeout_of(const struct settings *settings)
{
	bool endless = settings->budget_ms == WIRE_BUDGET_NONE;
	return endless ? TIMEOUT_MS : settings->budget_ms + ROUND_TRIP_MS;
}

static enum result no_answer(const struct settings *settings, bool lost)
{
	if (lost)
		(void)fprintf(stderr,
				"sluicectl: the connection to %s was cut: it has ended, or the "
				"body is "
				"far over its limits.message\n",
				settings->endpoint);
	else
		(void)fprintf(stderr,
				"sluicectl: no answer from %s within %llu ms; give it more time "
				"with "
				"--budget\n",
				settings->endpoint, (unsigned long long)timeout_of(settings));
	return RESULT_NO_ANSWER;
}

/* Prints what comes, until the last reply has. */
static enum result listen_to(const struct settings *settings, const struct connection *connection,
		uint64_t until_ms)
{
	for (;;) {
		bool more, lost;
		if (!wait_message(connection, until_ms, &lost))
			return no_answer(settings, lost);
		enum result result = receive(settings, connection->socket, &more);
		if (!more)
			return result;
		if (settings->budget_ms == WIRE_BUDGET_NONE)
			until_ms = clock_ms() + TIMEOUT_MS;
	}
}

static enum result exchange(const struct settings *settings, const struct connection *connection,
		struct text request)
{
	uint64_t until_ms = clock_ms() + timeout_of(settings);
	if (!wait_connected(connection, until_ms) ||
			zmq_send(connection->socket, request.data, request.size, ZMQ_DONTWAIT) <
					0) {
		(void)fprintf(stderr,
				"sluicectl: nobody listens at %s; start sluiced, or say where it "
				"is with --endpoint\n",
				settings->endpoint);
		return RESULT_NO_ANSWER;
	}
	return listen_to(settings, connection, until_ms);
}

static enum result call(const struct settings *settings, void *context, struct text body)
{
	struct buffer request;
	buffer_init(&request);
	enum result result = RESULT_NO_ANSWER;
	struct connection connection = {.socket = NULL};
	if (!connection_open(&connection, context, ZMQ_DEALER, CHANGES) ||
			!write_request(settings, body, &request))
		(void)fprintf(stderr,
				"sluicectl: no memory or no descriptor is left for a connection\n");
	else if (!connection_connect(&connection, "--endpoint", settings->endpoint))
		result = RESULT_USAGE;
	else
		result = exchange(settings, &connection, buffer_text(&request));
	connection_close(&connection);
	buffer_deinit(&request);
	return result;
}

enum result call_run(const struct settings *settings, void *context)
{
	if (!settings->body_on_stdin)
		return call(settings, context, settings->body);
	struct buffer body;
	buffer_init(&body);
	enum result result = RESULT_USAGE;
	if (read_stdin(&body))
		result = call(settings, context, buffer_text(&body));
	buffer_deinit(&body);
	return result;
}
