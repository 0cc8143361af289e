/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one place that knows when a ZeroMQ socket is readable.
 *
 * A call on the socket may process the commands that its descriptor was readable for, and then the
 * descriptor is silent though messages wait. While `dirty` is set that may have happened: before
 * the loop sleeps, the prepare callback asks ZMQ_EVENTS and arms the defer source if something is
 * there. Only a receive that found nothing, or ZMQ_EVENTS without ZMQ_POLLIN, clears it.
 *
 * Prepare callbacks aren't called for a source that is off (sd_event_source_set_prepare(3)), so a
 * paused socket keeps its source on, and takes the edge without reading.
 */
#include "pipeline/loop/zsocket.h"

#include <errno.h>

static bool has_input(struct zsocket *zsocket)
{
	int events = 0;
	size_t size = sizeof(events);
	/* A context that ends fails this; there is nothing to read then. */
	if (zmq_getsockopt(zsocket->socket, ZMQ_EVENTS, &events, &size) < 0)
		return false;
	return events & ZMQ_POLLIN;
}

static void dispatch(struct zsocket *zsocket)
{
	struct loop *loop = zsocket->loop;
	loop_enter(loop);
	zsocket->on_readable(zsocket->user, zsocket);
	loop_leave(loop);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct zsocket *zsocket = user;
	if (!zsocket->paused) {
		dispatch(zsocket);
		return 0;
	}
	(void)has_input(zsocket);
	zsocket->dirty = true;
	return 0;
}

static int on_defer(sd_event_source *source, void *user)
{
	struct zsocket *zsocket = user;
	if (!zsocket->paused)
		dispatch(zsocket);
	return 0;
}

static int on_prepare(sd_event_source *source, void *user)
{
	struct zsocket *zsocket = user;
	if (!zsocket->dirty || zsocket->paused)
		return 0;
	/* Where something of a higher priority comes between, it is armed from before. */
	if (sd_event_source_get_enabled(zsocket->defer, NULL) > 0)
		return 0;
	zsocket->dirty = has_input(zsocket);
	return zsocket->dirty ? sd_event_source_set_enabled(zsocket->defer, SD_EVENT_ONESHOT) : 0;
}

static int add_sources(struct zsocket *zsocket, int fd, int64_t priority)
{
	int r = sd_event_add_io(zsocket->loop->event, &zsocket->io, fd, EPOLLIN, on_io, zsocket);
	if (r >= 0)
		r = sd_event_source_set_priority(zsocket->io, priority);
	if (r >= 0)
		r = sd_event_source_set_prepare(zsocket->io, on_prepare);
	if (r >= 0)
		r = sd_event_add_defer(zsocket->loop->event, &zsocket->defer, on_defer, zsocket);
	if (r >= 0)
		r = sd_event_source_set_enabled(zsocket->defer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_priority(zsocket->defer, priority);
	return r;
}

static void drop_sources(struct zsocket *zsocket)
{
	zsocket->io = sd_event_source_disable_unref(zsocket->io);
	zsocket->defer = sd_event_source_disable_unref(zsocket->defer);
}

int zsocket_init(struct zsocket *zsocket, struct loop *loop, void *socket, int64_t priority,
		zsocket_fn on_readable, void *user)
{
	int fd = -1;
	size_t size = sizeof(fd);
	*zsocket = (struct zsocket){
			.loop = loop, .on_readable = on_readable, .user = user, .dirty = true};
	if (zmq_getsockopt(socket, ZMQ_FD, &fd, &size) < 0)
		return -zmq_errno();
	int r = add_sources(zsocket, fd, priority);
	if (r < 0) {
		drop_sources(zsocket);
		return r;
	}
	zsocket->socket = socket;
	return 0;
}

void zsocket_deinit(struct zsocket *zsocket)
{
	if (zsocket->socket == NULL)
		return;
	drop_sources(zsocket);
	(void)zmq_close(zsocket->socket);
	zsocket->socket = NULL;
}

int zsocket_receive(struct zsocket *zsocket, zmq_msg_t *message)
{
	int r;
	do {
		r = zmq_msg_recv(message, zsocket->socket, ZMQ_DONTWAIT);
	} while (r < 0 && zmq_errno() == EINTR);
	zsocket->dirty = r >= 0;
	return r < 0 ? -zmq_errno() : 0;
}

int zsocket_send(struct zsocket *zsocket, zmq_msg_t *message, int flags)
{
	int r;
	do {
		r = zmq_msg_send(message, zsocket->socket, flags | ZMQ_DONTWAIT);
	} while (r < 0 && zmq_errno() == EINTR);
	zsocket->dirty = true;
	return r < 0 ? -zmq_errno() : 0;
}

int zsocket_send_bytes(struct zsocket *zsocket, const void *data, size_t size, int flags)
{
	int r;
	do {
		r = zmq_send(zsocket->socket, data, size, flags | ZMQ_DONTWAIT);
	} while (r < 0 && zmq_errno() == EINTR);
	zsocket->dirty = true;
	return r < 0 ? -zmq_errno() : 0;
}

void zsocket_pause(struct zsocket *zsocket, bool paused)
{
	zsocket->paused = paused;
}
