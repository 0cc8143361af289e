/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the loop learns of connections that come and go. An event is two frames: 16 bits of number
 * and 32 of value, in this machine's order and unaligned, and then an address.
 */
#include "pipeline/loop/zmonitor.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

/* Events handed out in one turn; a storm of connections must not hold up the answers. */
#define EVENTS_PER_TURN 64

#define HEAD_SIZE 6

struct head {
	uint16_t event;
	int32_t value;
};

static bool read_head(zmq_msg_t *frame, struct head *ret)
{
	if (zmq_msg_size(frame) != HEAD_SIZE || !zmq_msg_more(frame))
		return false;
	const char *data = zmq_msg_data(frame);
	memcpy(&ret->event, data, sizeof(ret->event));
	memcpy(&ret->value, data + sizeof(ret->event), sizeof(ret->value));
	return true;
}

/* Hands out one event. False: there is none. */
static bool hand_out(struct zmonitor *monitor)
{
	zmq_msg_t frame;
	struct head head;
	zmq_msg_init(&frame);
	bool got = zsocket_receive(&monitor->zsocket, &frame) == 0;
	if (got && read_head(&frame, &head) && zsocket_receive(&monitor->zsocket, &frame) == 0) {
		struct text address = {zmq_msg_data(&frame), zmq_msg_size(&frame)};
		monitor->on_event(monitor->user, head.event, head.value, address);
	}
	zmq_msg_close(&frame);
	return got;
}

static void on_readable(void *user, struct zsocket *zsocket)
{
	for (int i = 0; i < EVENTS_PER_TURN && hand_out(user); i++)
		continue;
}

/*
 * The end that is read. No high-water mark: a full pipe would block libzmq's I/O thread, which
 * sends without ZMQ_DONTWAIT.
 */
static void *connect_pair(void *context, const char *address)
{
	const int unbounded = 0;
	void *pair = zmq_socket(context, ZMQ_PAIR);
	if (pair == NULL)
		return NULL;
	if (zmq_setsockopt(pair, ZMQ_RCVHWM, &unbounded, sizeof(unbounded)) < 0 ||
			zmq_connect(pair, address) < 0) {
		int error = zmq_errno();
		(void)zmq_close(pair);
		errno = error;
		return NULL;
	}
	return pair;
}

int zmonitor_init(struct zmonitor *monitor, struct loop *loop, void *context, void *watched,
		int events, zmonitor_fn on_event, void *user)
{
	/*
	 * An inproc name lives on for a while after its socket was closed, so each is used once in
	 * the process.
	 */
	static atomic_uint monitors;
	char address[64];
	*monitor = (struct zmonitor){.on_event = on_event, .user = user};
	(void)snprintf(address, sizeof(address), "inproc://zmonitor-%u",
			atomic_fetch_add(&monitors, 1));
	if (zmq_socket_monitor(watched, address, events) < 0)
		return -zmq_errno();
	void *pair = connect_pair(context, address);
	int r = pair ? zsocket_init(&monitor->zsocket, loop, pair, LOOP_PRIORITY_ANSWERS,
				       on_readable, monitor)
		     : -zmq_errno();
	if (r < 0) {
		if (pair)
			(void)zmq_close(pair);
		(void)zmq_socket_monitor(watched, NULL, 0);
		return r;
	}
	monitor->watched = watched;
	return 0;
}

void zmonitor_deinit(struct zmonitor *monitor)
{
	if (monitor->watched == NULL)
		return;
	(void)zmq_socket_monitor(monitor->watched, NULL, 0);
	monitor->watched = NULL;
	zsocket_deinit(&monitor->zsocket);
}

void zmonitor_drain(struct zmonitor *monitor)
{
	struct loop *loop = monitor->zsocket.loop;
	loop_enter(loop);
	while (hand_out(monitor))
		continue;
	loop_leave(loop);
}
