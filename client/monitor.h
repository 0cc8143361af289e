/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What happens to a socket's connection, of which libzmq tells nobody else. One in a process.
 */

/* Tells of these events (ZMQ_EVENT_…), from before the socket is connected; to be closed before it
 * is. NULL: it can't, and errno says why. */
void *monitor_open(void *context, void *socket, int events);

/* Takes the next event; 0: there is none. */
unsigned monitor_next(void *monitor);
