/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can fail in a start besides memory: each call of these is counted by allocations.c, and ends
 * as if the system had no more to give when its turn comes. The linker's --wrap sends them here.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <systemd/sd-event.h>
#include <zmq.h>

#include "tests/unit/allocations.h"

static int fail_with(int error)
{
	errno = error;
	return -1;
}

static void *none_with(int error)
{
	errno = error;
	return NULL;
}

#define WRAP(type, name, failure, parameters, arguments)                                           \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters;                                                             \
	type __wrap_##name parameters                                                              \
	{                                                                                          \
		return allocations_fail() ? (failure) : __real_##name arguments;                   \
	}

/* NOLINTBEGIN(readability-identifier-naming): these are the names that the linker knows. */
WRAP(int, eventfd, fail_with(EMFILE), (unsigned count, int flags), (count, flags))

WRAP(int, pthread_create, EAGAIN,
		(pthread_t * ret, const pthread_attr_t *attributes, void *(*run)(void *),
				void *user),
		(ret, attributes, run, user))
WRAP(int, pthread_mutex_init, ENOMEM,
		(pthread_mutex_t * mutex, const pthread_mutexattr_t *attributes),
		(mutex, attributes))
WRAP(int, pthread_cond_init, ENOMEM,
		(pthread_cond_t * condition, const pthread_condattr_t *attributes),
		(condition, attributes))
WRAP(int, pthread_condattr_init, ENOMEM, (pthread_condattr_t * attributes), (attributes))

WRAP(int, sd_event_new, -EMFILE, (sd_event * *ret), (ret))
WRAP(int, sd_event_add_time, -ENOMEM,
		(sd_event * event, sd_event_source **ret, clockid_t clock, uint64_t us,
				uint64_t accuracy, sd_event_time_handler_t handler, void *user),
		(event, ret, clock, us, accuracy, handler, user))
WRAP(int, sd_event_add_defer, -ENOMEM,
		(sd_event * event, sd_event_source **ret, sd_event_handler_t handler, void *user),
		(event, ret, handler, user))
WRAP(int, sd_event_add_io, -ENOSPC,
		(sd_event * event, sd_event_source **ret, int fd, uint32_t events,
				sd_event_io_handler_t handler, void *user),
		(event, ret, fd, events, handler, user))
WRAP(int, sd_event_add_signal, -EMFILE,
		(sd_event * event, sd_event_source **ret, int signal,
				sd_event_signal_handler_t handler, void *user),
		(event, ret, signal, handler, user))
WRAP(int, sd_event_source_set_enabled, -ENOMEM, (sd_event_source * source, int enabled),
		(source, enabled))
WRAP(int, sd_event_source_set_priority, -ENOMEM, (sd_event_source * source, int64_t priority),
		(source, priority))
WRAP(int, sd_event_source_set_prepare, -ENOMEM,
		(sd_event_source * source, sd_event_handler_t handler), (source, handler))
WRAP(int, sd_event_source_set_destroy_callback, -ENOMEM,
		(sd_event_source * source, sd_event_destroy_t handler), (source, handler))

WRAP(void *, zmq_socket, none_with(EMFILE), (void *context, int type), (context, type))
WRAP(int, zmq_setsockopt, fail_with(EINVAL),
		(void *socket, int option, const void *value, size_t size),
		(socket, option, value, size))
WRAP(int, zmq_getsockopt, fail_with(ETERM), (void *socket, int option, void *value, size_t *size),
		(socket, option, value, size))
WRAP(int, zmq_connect, fail_with(EMTHREAD), (void *socket, const char *endpoint),
		(socket, endpoint))
WRAP(int, zmq_socket_monitor, fail_with(EMFILE), (void *socket, const char *address, int events),
		(socket, address, events))
WRAP(int, zmq_msg_init_size, fail_with(ENOMEM), (zmq_msg_t * message, size_t size), (message, size))
/* NOLINTEND(readability-identifier-naming) */
