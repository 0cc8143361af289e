/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A monitor of a ZeroMQ socket: a zsocket on a PAIR, whose events are handed out one by one, each
 * in a turn. zmq_socket_monitor(3), version 1 events. The loop thread only.
 */
#include "pipeline/base/text.h"
#include "pipeline/loop/zsocket.h"

/* value: a descriptor or an error number, as the event has it. address is borrowed for the call. */
typedef void (*zmonitor_fn)(void *user, unsigned event, int value, struct text address);

struct zmonitor {
	struct zsocket zsocket;
	void *watched;
	zmonitor_fn on_event;
	void *user;
};

/*
 * events: a mask of ZMQ_EVENT_*. To be made before the watched socket binds or connects, and to end
 * before it is closed. 0 or -errno.
 */
int zmonitor_init(struct zmonitor *monitor, struct loop *loop, void *context, void *watched,
		int events, zmonitor_fn on_event, void *user);

/* Safe twice, and on a zeroed one. */
void zmonitor_deinit(struct zmonitor *monitor);

/*
 * Hands out all events that are there now, without waiting: before a descriptor is taken for a new
 * connection's.
 */
void zmonitor_drain(struct zmonitor *monitor);
