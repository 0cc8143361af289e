/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor that sluiced is measured against: the least that any server on a ROUTER does. It reads
 * a message, waits where there is none, and answers; it looks at nothing but the id.
 *
 *   echo            gives each message back
 *   echo --reply T  answers with a fresh message of T's bytes, whose run of @ is replaced by as
 *                   many bytes of the request, from behind its first space
 */
#include <errno.h>
#include <stdio.h>
#include <zmq.h>

#include "tests/bench/hole.h"

/* True: message is now the answer. */
static bool answer(zmq_msg_t *message, struct text reply, struct hole hole)
{
	const char *request = zmq_msg_data(message);
	const char *space = memchr(request, ' ', zmq_msg_size(message));
	size_t target_size = space ? (size_t)(space - request) + 1 : 0;
	zmq_msg_t fresh;
	if (!space || zmq_msg_size(message) < target_size + hole.width ||
			zmq_msg_init_size(&fresh, reply.size) != 0)
		return false;
	memcpy(zmq_msg_data(&fresh), reply.data, reply.size);
	memcpy((char *)zmq_msg_data(&fresh) + hole.at, space + 1, hole.width);
	(void)zmq_msg_move(message, &fresh);
	(void)zmq_msg_close(&fresh);
	return true;
}

/* Serves until a signal ends the process, or something fails. */
static void serve(void *socket, struct text reply, struct hole hole)
{
	zmq_msg_t client, message;
	(void)zmq_msg_init(&client);
	(void)zmq_msg_init(&message);
	while (zmq_msg_recv(&client, socket, 0) >= 0 && zmq_msg_recv(&message, socket, 0) >= 0) {
		if (reply.data && !answer(&message, reply, hole))
			continue;
		if (zmq_msg_send(&client, socket, ZMQ_SNDMORE) < 0 ||
				zmq_msg_send(&message, socket, 0) < 0)
			break;
	}
	(void)fprintf(stderr, "echo: %s\n", zmq_strerror(errno));
	(void)zmq_msg_close(&client);
	(void)zmq_msg_close(&message);
}

static bool open_and_tell(void *socket)
{
	const int endless = 0;
	char endpoint[256];
	size_t size = sizeof(endpoint);
	(void)zmq_setsockopt(socket, ZMQ_SNDHWM, &endless, sizeof(endless));
	(void)zmq_setsockopt(socket, ZMQ_RCVHWM, &endless, sizeof(endless));
	if (zmq_bind(socket, "tcp://127.0.0.1:*") != 0 ||
			zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size) != 0) {
		(void)fprintf(stderr, "echo: cannot bind: %s\n", zmq_strerror(errno));
		return false;
	}
	(void)printf("listening %s\n", endpoint);
	return fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
	struct text reply = {NULL, 0};
	if (argc == 3 && text_equal(text_of(argv[1]), TEXT("--reply"))) {
		reply = text_of(argv[2]);
	} else if (argc != 1) {
		(void)fprintf(stderr, "usage: echo [--reply TEXT]\n");
		return 2;
	}
	void *context = zmq_ctx_new();
	void *socket = context ? zmq_socket(context, ZMQ_ROUTER) : NULL;
	if (socket && open_and_tell(socket))
		serve(socket, reply, hole_find(reply, '@'));
	if (socket)
		(void)zmq_close(socket);
	if (context)
		(void)zmq_ctx_term(context);
	return 1;
}
