/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The context of all ZeroMQ sockets, and the threads of libzmq that do their work.
 */
#include <stdbool.h>
#include <stdint.h>

/* NULL and errno when it can't. */
void *network_new(void);

/* zmq_bind(3) and zmq_connect(3), in the thread that it is for, and over IPv6 where that is the
 * address. Once a socket. 0 or -errno. */
int network_bind(void *socket, const char *endpoint);
int network_connect(void *socket, const char *endpoint);

/*
 * Ends the context, whose sockets have all been closed, and waits for it; where there are names,
 * only until the absolute time `until` (loop_now()). False: one is still being looked up; all that
 * libzmq has is left to it, until the process ends, which may be at once. Takes NULL.
 */
bool network_end(void *context, uint64_t until);
