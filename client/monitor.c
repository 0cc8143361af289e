/* SPDX-License-Identifier: Apache-2.0 */
#include "client/monitor.h"

#include <stdint.h>
#include <string.h>
#include <zmq.h>

#define MONITOR "inproc://monitor"

void *monitor_open(void *context, void *socket, int events)
{
	if (zmq_socket_monitor(socket, MONITOR, events) != 0)
		return NULL;
	void *monitor = zmq_socket(context, ZMQ_PAIR);
	if (monitor && zmq_connect(monitor, MONITOR) == 0)
		return monitor;
	if (monitor)
		(void)zmq_close(monitor);
	return NULL;
}

/* An event is 16 bits of number and 32 of value, and then an address. */
unsigned monitor_next(void *monitor)
{
	char frame[256];
	uint16_t event = 0;
	if (zmq_recv(monitor, frame, sizeof(frame), ZMQ_DONTWAIT) < (int)sizeof(event))
		return 0;
	memcpy(&event, frame, sizeof(event));
	(void)zmq_recv(monitor, frame, sizeof(frame), 0);
	return event;
}
