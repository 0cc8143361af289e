/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plays the scenarios of a file against an endpoint, with one kind of socket, and says how they
 * went in TAP. It knows of sluice only what stands in the scenarios; all else is libzmq and
 * jansson.
 */
#include <jansson.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define SOCKETS_MAX 4
#define PATTERN_MAX 512

/* envelope: of its messages, as JSON, where the scenario gives none. */
static const struct kind {
	const char *name, *envelope;
	int type, correlate, relaxed;
} kinds[] = {
		{"dealer", "[]", ZMQ_DEALER, 0, 0},
		{"delimited", "[\"\"]", ZMQ_DEALER, 0, 0},
		{"req", "[]", ZMQ_REQ, 0, 0},
		{"correlate", "[]", ZMQ_REQ, 1, 0},
		{"relaxed", "[]", ZMQ_REQ, 1, 1},
		{NULL, NULL, 0, 0, 0},
};

static void set(void *socket, int option, int value)
{
	(void)zmq_setsockopt(socket, option, &value, sizeof(value));
}

static void *open_socket(void *context, const char *endpoint, const struct kind *kind)
{
	const int timeout_ms = 20000;
	void *socket = zmq_socket(context, kind->type);
	set(socket, ZMQ_LINGER, 0);
	set(socket, ZMQ_RCVTIMEO, timeout_ms);
	set(socket, ZMQ_SNDTIMEO, timeout_ms);
	if (kind->correlate)
		set(socket, ZMQ_REQ_CORRELATE, 1);
	if (kind->relaxed)
		set(socket, ZMQ_REQ_RELAXED, 1);
	(void)zmq_connect(socket, endpoint);
	return socket;
}

static json_t *envelope_of(const json_t *object, const struct kind *kind)
{
	json_t *given = json_object_get(object, "envelope");
	return given ? json_copy(given) : json_loads(kind->envelope, 0, NULL);
}

static bool send_text(void *socket, const char *text, int flags)
{
	return zmq_send(socket, text, strlen(text), flags) >= 0;
}

static bool send_message(void *socket, const json_t *step, const struct kind *kind)
{
	json_t *envelope = envelope_of(step, kind);
	const char *header = json_string_value(json_object_get(step, "send"));
	char *body = json_dumps(json_object_get(step, "body"), JSON_ENCODE_ANY);
	char *message = NULL;
	int size = asprintf(&message, "%s%s%s", header, body ? "\n" : "", body ? body : "");
	bool sent = size >= 0;
	for (size_t i = 0; i < json_array_size(envelope); i++) {
		sent = sent && send_text(socket, json_string_value(json_array_get(envelope, i)),
					       ZMQ_SNDMORE);
	}
	sent = sent && send_text(socket, message, 0);
	if (!sent)
		printf("# \"%s\" could not be sent: %s\n", header, zmq_strerror(zmq_errno()));
	free(message);
	free(body);
	json_decref(envelope);
	return sent;
}

/* All frames of a message as strings. NULL: none came. */
static json_t *receive(void *socket)
{
	json_t *frames = json_array();
	int more = 1;
	while (more) {
		zmq_msg_t frame;
		(void)zmq_msg_init(&frame);
		if (zmq_msg_recv(&frame, socket, 0) < 0) {
			printf("# no message: %s\n", zmq_strerror(zmq_errno()));
			json_decref(frames);
			return NULL;
		}
		more = zmq_msg_more(&frame);
		json_array_append_new(
				frames, json_stringn(zmq_msg_data(&frame), zmq_msg_size(&frame)));
		(void)zmq_msg_close(&frame);
	}
	return frames;
}

static bool header_fits(const char *pattern, const char *header, size_t size)
{
	char whole[PATTERN_MAX], *copy = strndup(header, size);
	regex_t regex;
	(void)snprintf(whole, sizeof(whole), "^(%s)$", pattern);
	bool fits = regcomp(&regex, whole, REG_EXTENDED | REG_NOSUB) == 0;
	if (fits) {
		fits = regexec(&regex, copy, 0, NULL, 0) == 0;
		regfree(&regex);
	}
	free(copy);
	return fits;
}

/* body: what follows a header's LF; NULL: there is none. */
static bool body_fits(const json_t *expected, const char *body)
{
	if (!expected || !body)
		return !expected && !body;
	json_t *found = json_loads(body, JSON_DECODE_ANY, NULL);
	bool fits = json_equal(found, expected);
	json_decref(found);
	return fits;
}

/* Whether the frames that came are the reply that is expected. */
static bool reply_fits(const json_t *expected, json_t *frames, const struct kind *kind)
{
	size_t last = json_array_size(frames) - 1;
	const char *message = json_string_value(json_array_get(frames, last));
	const char *body = strchr(message, '\n');
	size_t size = body ? (size_t)(body - message) : strlen(message);
	json_t *envelope = envelope_of(expected, kind);
	json_array_append(envelope, json_array_get(frames, last));
	bool fits = json_equal(envelope, frames) &&
		    header_fits(json_string_value(json_object_get(expected, "reply")), message,
				    size) &&
		    body_fits(json_object_get(expected, "body"), body ? body + 1 : NULL);
	json_decref(envelope);
	return fits;
}

/* Takes one reply off those that are expected. False: none came that is one of them. */
static bool hear_one(void *socket, json_t *expected, const struct kind *kind)
{
	json_t *frames = receive(socket);
	size_t found = 0;
	if (!frames)
		return false;
	while (found < json_array_size(expected) &&
			!reply_fits(json_array_get(expected, found), frames, kind))
		found++;
	if (found == json_array_size(expected)) {
		char *heard = json_dumps(frames, 0), *wanted = json_dumps(expected, 0);
		printf("# heard %s, expected %s\n", heard, wanted);
		free(heard);
		free(wanted);
	}
	json_decref(frames);
	return json_array_remove(expected, found) == 0;
}

/* As many replies as the step has, in whatever order they come. */
static bool hear(void *socket, const json_t *step, const struct kind *kind)
{
	json_t *expected = json_copy(json_object_get(step, "hear"));
	bool heard = true;
	while (heard && json_array_size(expected) > 0)
		heard = hear_one(socket, expected, kind);
	json_decref(expected);
	return heard;
}

static bool play(const json_t *scenario, void *context, const char *endpoint,
		const struct kind *kind)
{
	void *sockets[SOCKETS_MAX] = {NULL};
	const json_t *steps = json_object_get(scenario, "steps");
	bool good = true;
	for (size_t i = 0; i < json_array_size(steps); i++) {
		const json_t *step = json_array_get(steps, i);
		void **socket = &sockets[json_integer_value(json_object_get(step, "socket")) %
					 SOCKETS_MAX];
		if (!*socket)
			*socket = open_socket(context, endpoint, kind);
		good = good &&
		       (json_object_get(step, "send") ? send_message : hear)(*socket, step, kind);
	}
	for (size_t i = 0; i < SOCKETS_MAX; i++)
		if (sockets[i])
			(void)zmq_close(sockets[i]);
	return good;
}

static bool is_for(const json_t *scenario, const struct kind *kind)
{
	json_t *names = json_object_get(scenario, "kinds");
	for (size_t i = 0; i < json_array_size(names); i++) {
		if (strcmp(json_string_value(json_array_get(names, i)), kind->name) == 0)
			return true;
	}
	return !names;
}

static bool play_all(const json_t *scenarios, const char *endpoint, const struct kind *kind)
{
	void *context = zmq_ctx_new();
	int number = 0;
	bool good = true;
	for (size_t i = 0; i < json_array_size(scenarios); i++) {
		const json_t *scenario = json_array_get(scenarios, i);
		if (!is_for(scenario, kind))
			continue;
		bool played = play(scenario, context, endpoint, kind);
		printf("%sok %d - %s\n", played ? "" : "not ", ++number,
				json_string_value(json_object_get(scenario, "name")));
		good = good && played;
	}
	printf("1..%d\n", number);
	(void)zmq_ctx_term(context);
	return good;
}

int main(int argc, char **argv)
{
	json_error_t error;
	const struct kind *kind = kinds;
	while (argc == 4 && kind->name && strcmp(kind->name, argv[2]) != 0)
		kind++;
	if (argc != 4 || !kind->name) {
		(void)fputs("usage: client ENDPOINT KIND SCENARIOS\n", stderr);
		return 2;
	}
	json_t *scenarios = json_load_file(argv[3], 0, &error);
	if (!scenarios) {
		(void)fprintf(stderr, "client: %s:%d: %s\n", argv[3], error.line, error.text);
		return 2;
	}
	bool good = play_all(scenarios, argv[1], kind);
	json_decref(scenarios);
	return good ? 0 : 1;
}
