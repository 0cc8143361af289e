/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The context of all ZeroMQ sockets, and the threads of libzmq that do their work.
 */
#include <stdbool.h>
#include <stdint.h>

enum network_thread {
	NETWORK_ADDRESSES, /* for sockets that bind, or connect to an address: it never waits */
	NETWORK_NAMES,	   /* for those that connect to the name of a host */
};

/* NULL and errno when it can't. */
void *network_new(void);

/* To be called before the socket binds or connects. 0 or -errno. */
int network_place(void *socket, enum network_thread thread);

/*
 * Ends the context, whose sockets have all been closed, and waits for it until the absolute time
 * `until` (loop_now()). False: a name is still being looked up; all that libzmq has is left to it,
 * until the process ends, which may be at once. Takes NULL.
 */
bool network_end(void *context, uint64_t until);
