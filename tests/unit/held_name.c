/* SPDX-License-Identifier: Apache-2.0 */
/*
 * getaddrinfo(3) of the program itself, which goes before the C library's for libzmq as well.
 */
#include "tests/unit/held_name.h"

#include <dlfcn.h>
#include <netdb.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*look_up_fn)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static sem_t asked;

static __attribute__((constructor)) void begin(void)
{
	(void)sem_init(&asked, 0, 0);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		struct addrinfo **ret)
{
	look_up_fn next;
	*(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo"); /* as dlsym(3) has it */
	if (!next)
		abort();
	/* It first asks whether that is an address. */
	if (!name || strcmp(name, HELD_NAME) != 0 || (hints && hints->ai_flags & AI_NUMERICHOST))
		return next(name, service, hints, ret);
	(void)sem_post(&asked);
	for (;;)
		(void)pause();
}

void held_name_wait(void)
{
	while (sem_wait(&asked) != 0)
		continue;
}
