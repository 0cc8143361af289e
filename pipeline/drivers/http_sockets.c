/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before a question goes out, libcurl tells the port of the connection that it has chosen
 * (CURLOPT_PREREQFUNCTION(3)). What can be read there at that moment answers nothing: servers send
 * a 408 to who is silent for long, and broken ones send more than they should. libcurl 7.88 would
 * read it as the answer. Such a connection is shut down on the spot, and then libcurl finds it dead
 * and takes a new one.
 *
 * libcurl says which sockets it opens, but closes those that were never connected by itself
 * (cf_socket_close() in lib/cf-socket.c). So only what a question has gone out on is kept, and of
 * that it tells the end.
 */
#include "pipeline/drivers/http_sockets.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static curl_socket_t on_open(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http_opening *opening = user;
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	opening->opened[opening->count++ % HTTP_SOCKETS_OPENED_MAX] = fd;
	return fd;
}

static int on_close(void *user, curl_socket_t fd)
{
	struct http_sockets *sockets = user;
	for (size_t i = 0; i < sockets->count; i++) {
		if (sockets->all[i].fd == fd) {
			sockets->all[i] = sockets->all[--sockets->count];
			break;
		}
	}
	return close(fd);
}

static int port_of(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address = {.any = {.sa_family = AF_UNSPEC}};
	socklen_t size = sizeof(address);
	if (getsockname(fd, &address.any, &size) < 0)
		return -1;
	return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port
						       : address.v4.sin_port);
}

static bool add(struct http_sockets *sockets, int fd, int port)
{
	if (sockets->count == sockets->room) {
		size_t room = sockets->room ? 2 * sockets->room : 16;
		struct http_socket *all = reallocarray(sockets->all, room, sizeof(*all));
		if (!all)
			return false;
		sockets->all = all;
		sockets->room = room;
	}
	sockets->all[sockets->count++] = (struct http_socket){fd, port};
	return true;
}

/* Bytes that are shut down unread would still be there to read. */
static void end_if_spoken(int fd)
{
	char bytes[4096];
	bool spoken = false;
	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		spoken = true;
	if (spoken)
		(void)shutdown(fd, SHUT_RDWR);
}

/* Whether it is a connection that was used before. */
static bool look_at_known(const struct http_sockets *sockets, int port)
{
	for (size_t i = 0; i < sockets->count; i++) {
		if (sockets->all[i].port == port) {
			end_if_spoken(sockets->all[i].fd);
			return true;
		}
	}
	return false;
}

/* One without a socket of ours is nobody's to look at: that can't be, and would do no harm. */
static bool keep_new(struct http_opening *opening, int port)
{
	unsigned oldest = opening->count > HTTP_SOCKETS_OPENED_MAX
					  ? opening->count - HTTP_SOCKETS_OPENED_MAX
					  : 0;
	for (unsigned i = opening->count; i > oldest; i--) {
		int fd = opening->opened[(i - 1) % HTTP_SOCKETS_OPENED_MAX];
		if (port_of(fd) == port)
			return add(opening->sockets, fd, port);
	}
	return true;
}

static int on_request(void *user, char *server, char *own, int server_port, int own_port)
{
	struct http_opening *opening = user;
	if (look_at_known(opening->sockets, own_port) || keep_new(opening, own_port))
		return CURL_PREREQFUNC_OK;
	return CURL_PREREQFUNC_ABORT;
}

void http_sockets_watch(struct http_sockets *sockets, struct http_opening *opening, CURL *easy)
{
	*opening = (struct http_opening){.sockets = sockets};
	(void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	(void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, opening);
	(void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	(void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, sockets);
	(void)curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request);
	(void)curl_easy_setopt(easy, CURLOPT_PREREQDATA, opening);
}

void http_sockets_deinit(struct http_sockets *sockets)
{
	assert(sockets->count == 0);
	free(sockets->all);
	sockets->all = NULL;
}
