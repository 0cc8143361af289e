/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libzmq looks a name up in the I/O thread that is about to connect, each time anew and by
 * getaddrinfo(3), which may take half a minute where no server answers (resolv.conf(5)). Meanwhile
 * nothing else goes on in that thread. So there are two: what has to do with names keeps nobody
 * waiting but its like. The end of the context would wait for it too, and is bounded therefore.
 */
#include "pipeline/loop/network.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <zmq.h>

#include "pipeline/base/endpoint.h"
#include "pipeline/loop/loop.h"

enum thread {
	ADDRESSES, /* for what is bound, or connects to an address: it never waits */
	NAMES,
	THREADS,
};

/*
 * Three to a source, with the two ends of its monitor, and in a reload there are the old sources
 * beside the new. libzmq's own bound is 1023; it takes 12 bytes for each that could be.
 */
#define SOCKETS_MAX 16384

void *network_new(void)
{
	void *context = zmq_ctx_new();
	if (!context)
		return NULL;
	/* They fail only for a number that can't be (zmq_ctx_set(3)). */
	bool set = zmq_ctx_set(context, ZMQ_IO_THREADS, THREADS) == 0 &&
		   zmq_ctx_set(context, ZMQ_MAX_SOCKETS, SOCKETS_MAX) == 0;
	assert(set);
	(void)set;
	return context;
}

/* Whether there ever was one to look up: else nothing can hold the end up for long. With very many
 * clients it takes libzmq seconds, and their last replies leave in them. */
static atomic_bool any_names;

static bool prepare(void *socket, enum thread thread, bool ipv6)
{
	const uint64_t only = UINT64_C(1) << thread;
	const int over_ipv6 = ipv6;
	return zmq_setsockopt(socket, ZMQ_AFFINITY, &only, sizeof(only)) == 0 &&
	       zmq_setsockopt(socket, ZMQ_IPV6, &over_ipv6, sizeof(over_ipv6)) == 0;
}

/* Of tcp://HOST:PORT; of anything else none. */
static struct text host_of(const char *endpoint)
{
	struct text host, port;
	return endpoint_split(text_of(endpoint), &host, &port) ? host : (struct text){NULL, 0};
}

int network_bind(void *socket, const char *endpoint)
{
	bool ipv6 = endpoint_is_ipv6(host_of(endpoint));
	bool bound = prepare(socket, ADDRESSES, ipv6) && zmq_bind(socket, endpoint) == 0;
	return bound ? 0 : -zmq_errno();
}

int network_connect(void *socket, const char *endpoint)
{
	struct text host = host_of(endpoint);
	bool ipv6 = endpoint_is_ipv6(host);
	enum thread thread = !host.data || ipv6 || endpoint_is_ipv4(host) ? ADDRESSES : NAMES;
	if (thread == NAMES)
		atomic_store(&any_names, true);
	bool connected = prepare(socket, thread, ipv6) && zmq_connect(socket, endpoint) == 0;
	return connected ? 0 : -zmq_errno();
}

static void terminate(void *context)
{
	while (zmq_ctx_term(context) < 0 && zmq_errno() == EINTR)
		continue;
}

/* A thread that ends the context, and says so; then it can be joined. */
struct end {
	void *context;
	pthread_t thread;
	sem_t over;
};

static void *run_end(void *argument)
{
	struct end *end = argument;
	terminate(end->context);
	(void)sem_post(&end->over);
	return NULL;
}

/* NULL when memory is out, or threads. */
static struct end *start_end(void *context)
{
	struct end *end = malloc(sizeof(*end));
	if (!end)
		return NULL;
	end->context = context;
	(void)sem_init(&end->over, 0, 0);
	if (pthread_create(&end->thread, NULL, run_end, end) == 0)
		return end;
	(void)sem_destroy(&end->over);
	free(end);
	return NULL;
}

static bool is_over(struct end *end, uint64_t until)
{
	const struct timespec at = loop_timespec(until);
	int r;
	do {
		r = sem_clockwait(&end->over, CLOCK_MONOTONIC, &at);
	} while (r < 0 && errno == EINTR);
	return r == 0;
}

bool network_end(void *context, uint64_t until)
{
	struct end *end = context && atomic_load(&any_names) ? start_end(context) : NULL;
	if (!end) {
		terminate(context);
		return true;
	}
	if (!is_over(end, until)) {
		(void)pthread_detach(end->thread);
		return false;
	}
	(void)pthread_join(end->thread, NULL);
	(void)sem_destroy(&end->over);
	free(end);
	return true;
}
